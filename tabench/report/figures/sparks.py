"""Curves of one run as small inline drawings.

A plotting library takes 50 ms for each, which thousands of run pages cannot wait for; a polyline needs none.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from markupsafe import Markup

from tabench.report.records import wording
from tabench.report.records.reading import Json

WIDTH, HEIGHT, LEFT, TOP, BOTTOM = 216, 92, 46, 8, 16  # pixels; LEFT and BOTTOM hold the axis labels


@dataclass(frozen=True)
class Spark:
    """One small curve with what it shows."""

    title: str
    drawing: Markup


def sparks(record: Json, protocol: str) -> list[Spark]:
    """The training loss of every task, then every metric of a protocol, over epochs."""
    lines: dict[str, list[tuple[int, float]]] = {}
    tasks = record["cell"]["dataset"]["tasks"]
    for step in record["curves"]["train"]:
        for term, value in step["terms"].items():
            if term in tasks and value is not None:
                lines.setdefault(f"{str(term).replace('_', ' ').capitalize()}: training loss ↓", []).append(
                    (step["epoch"], value)
                )
    titles = {
        (m["task"], m["key"]): f"{m['task'].replace('_', ' ').capitalize()}: {m['title']}"
        f"{' (' + m['unit'] + ')' if m['unit'] else ''} {wording.ARROWS[m['better']]}"
        for m in record["metrics"]
    }
    for point in record["curves"]["eval"]:
        title = titles.get((point["task"], point["key"]))
        if title and point["protocol"] == protocol and point["value"] is not None:
            lines.setdefault(title, []).append((point["epoch"], point["value"]))
    return [Spark(title, _draw(sorted(points))) for title, points in lines.items()]


def _draw(points: Sequence[tuple[int, float]]) -> Markup:
    """A polyline between the lowest and the highest value, which stand at the left; style.css colours it."""
    first, last = points[0][0], points[-1][0]
    low, high = min(value for _, value in points), max(value for _, value in points)
    right, floor = WIDTH - 6, HEIGHT - BOTTOM

    def place(epoch: int, value: float) -> tuple[float, float]:
        across = (epoch - first) / (last - first) if last > first else 0.5
        up = (value - low) / (high - low) if high > low else 0.5
        return LEFT + across * (right - LEFT), floor - up * (floor - TOP)

    at = [place(*point) for point in points]
    line = " ".join(f"{x:.1f},{y:.1f}" for x, y in at)
    x, y = at[-1]
    parts = [
        f'<path d="M{LEFT} {TOP}V{floor}H{right}"/>',
        f'<polyline points="{line}"/>',
        f'<circle cx="{x:.1f}" cy="{y:.1f}" r="2.4"/>',
        f'<text x="{LEFT - 5}" y="{floor + 1}">{low:.3g}</text>',
        f'<text class="start" x="{LEFT}" y="{HEIGHT - 3}">epoch {first}</text>',
        f'<text x="{right}" y="{HEIGHT - 3}">{last}</text>',
    ]
    if high > low:
        parts.append(f'<text x="{LEFT - 5}" y="{TOP + 6}">{high:.3g}</text>')
    words = f"from {points[0][1]:.4g} to {points[-1][1]:.4g}"  # of what, the caption says
    head = f'<svg viewBox="0 0 {WIDTH} {HEIGHT}" role="img" aria-label="{words}">'
    return Markup(head + "".join(parts) + "</svg>")
