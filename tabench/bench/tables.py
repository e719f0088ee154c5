"""The benchmark's tables: the two paths, inference, the harness, and the sizes."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

from tabench.bench.reading import Json, Machine, Measurement, title_of
from tabench.report.tables.cost import flops_text, milliseconds
from tabench.report.tables.sheet import Sheet

HOLE = "–"
WORKS = {"train": "Training step", "evaluate": "Evaluation"}
_WHO = ("Method", "Size", "Images", "Run as")


@dataclass(frozen=True)
class Cell:
    """An entry: its text, the number it is sorted by, and a smaller second line."""

    text: str
    value: float | None = None
    spread: str = ""

    @property
    def whole(self) -> str:
        """Both lines as one."""
        return f"{self.text} ({self.spread})" if self.spread else self.text


@dataclass(frozen=True)
class BenchTable:
    """A table of the page.

    Attributes:
        name: File stem.
        title: Heading.
        caption: One sentence.
        headings: (group, heading) of each column; the group may be "".
        rows: Entries.
        notes: Lines underneath.
        words: How many columns from the left hold words.
    """

    name: str
    title: str
    caption: str
    headings: Sequence[tuple[str, str]]
    rows: Sequence[Sequence[Cell]]
    notes: Sequence[str] = field(default_factory=list)
    words: int = 4

    def sheet(self) -> Sheet:
        """The same as plain texts."""
        heads = [f"{group}: {heading}" if group else heading for group, heading in self.headings]
        rows = [[cell.whole for cell in row] for row in self.rows]
        return Sheet(self.name, self.title, self.caption, heads, rows, self.notes, fits=False)

    @property
    def groups(self) -> list[tuple[str, int]]:
        """Neighbouring columns of one group, with their number."""
        found: list[tuple[str, int]] = []
        for group, _ in self.headings:
            if found and found[-1][0] == group:
                found[-1] = (group, found[-1][1] + 1)
            else:
                found.append((group, 1))
        return found


def tables(machine: Machine) -> list[BenchTable]:
    """Every table that a machine has figures for."""
    found = [_paths(machine, work) for work in WORKS]
    found += [_inference(machine), _profile(machine), _harness(machine), _sizes(machine)]
    return [table for table in found if table.rows]


def _paths(machine: Machine, work: str) -> BenchTable:
    rows = [[*_who(m), *_two_paths(m, work)] for m in machine.of("paths") if work in m.parts["time"]]
    headings = [
        *(("", word) for word in _WHO),
        *(("Time", word) for word in ("plain", "fast", "plain / fast")),
        ("Processor time", "plain / fast"),
        *(("Peak memory over base", word) for word in ("plain", "fast", "fast / plain")),
        *(("FLOPs", word) for word in ("plain", "fast")),
        *(("FLOP/s (share of chip)", word) for word in ("plain", "fast")),
        *(("Largest difference", word) for word in ("outputs", "gradients")),
        ("", "Rounds"),
    ]
    what = {
        "train": "forward, loss, backward and Adam, all tasks of all images",
        "evaluate": "forward, activation and metrics of all protocols, all tasks of all images",
    }[work]
    return BenchTable(
        work,
        WORKS[work],
        f"{WORKS[work]}: {what}. Medians of rounds in which the two paths alternate; small: quartiles of a "
        "time, and the lowest and highest ratio of a round.",
        headings,
        rows,
        [
            "The plain path is one pass. The fast path cuts a step as the harness does: all images and tasks "
            "together up to inputs of 256 pixels, above it one image and one task after the other. Where a "
            "row says “together”, all images and tasks go in one pass; “apart”: one task after the other."
        ],
    )


def _two_paths(m: Measurement, work: str) -> list[Cell]:
    figures, time = m.parts["time"][work], m.parts["time"]
    memory = [m.memory(way, work) for way in ("plain", "fast")]
    share = None if None in memory or not memory[0] else memory[1] / memory[0]  # type: ignore[operator]
    apart = time.get("agreement") or {}
    ratio = figures.get("ratio")
    rounds = [len(figures[way]["wall_s"]) for way in ("plain", "fast") if "wall_s" in figures[way]]
    return [
        _time(figures["plain"]),
        _time(figures["fast"]),
        Cell(HOLE)
        if ratio is None
        else Cell(
            f"{ratio['of_medians']:.2f}",
            ratio["of_medians"],
            f"{ratio['lowest']:.2f} to {ratio['highest']:.2f}" if ratio["lowest"] < ratio["highest"] else "",
        ),
        _number((ratio or {}).get("of_cpu"), "{:.2f}"),
        *(_number(value, "{:,.0f} MB") for value in memory),
        _number(share, "{:.2f}"),
        *(_flops(figures["flops"].get(way)) for way in ("plain", "fast")),
        *(_rate(figures["rates"].get(way)) for way in ("plain", "fast")),
        *(_number(apart.get(key), "{:.1e}") for key in ("outputs", "gradients")),
        _number(min(rounds, default=None), "{}"),
    ]


def _inference(machine: Machine) -> BenchTable:
    forms = ("plain", "factored", "merged")
    groups = ("Time of a batch", "Images/s", "Peak memory over base", "FLOPs")
    rows = []
    for m in machine.of("inference"):
        for scope, word in (("one", "one task"), ("all", "all tasks")):
            figures = m.parts["time"][scope]
            paces = [_number(figures["images_per_s"].get(form), "{:.3g}") for form in forms]
            flops = [_flops(figures["flops"].get(form)) for form in forms]
            memory = [_number(m.memory(form, scope), "{:,.0f} MB") for form in forms]
            times = [_time(figures[form]) for form in forms]
            apart = _number(m.parts["time"]["apart"], "{:.1e}")
            rows.append([*_who(m), Cell(word), *times, *paces, *memory, *flops, apart])
    headings = [
        *(("", word) for word in (*_WHO, "Tasks")),
        *((group, form) for group in groups for form in forms),
        ("", "Merged from factored"),
    ]
    return BenchTable(
        "inference",
        "Inference",
        "From a batch on the device to activated maps. “Factored” keeps the adapters (the fast path), "
        "“merged” has one plain encoder a task with the update inside its weights (the fast path without "
        "adapters), “plain” is the plain path, which merges anew in every pass.",
        headings,
        rows,
        ["Merged from factored: largest difference of an output over the largest output of its task."],
        words=5,
    )


def _profile(machine: Machine) -> BenchTable:
    measured = machine.of("profile")
    seen = [m.parts["time"][way]["kinds"] for m in measured for way in ("plain", "fast")]
    kinds = sorted(
        {kind for shares in seen for kind in shares}, key=lambda kind: -sum(s.get(kind, 0.0) for s in seen)
    )
    rows = []
    for m in measured:
        for way in ("plain", "fast"):
            figures = m.parts["time"][way]
            total = float(figures["total_s"])
            cells = [_share(figures["kinds"].get(kind, 0.0), total) for kind in kinds]
            costly = ", ".join(
                f"{o['name'].removeprefix('aten::')} {float(o['seconds']) / total:.0%}"
                for o in figures["operators"][:4]
            )
            rows.append([*_who(m), Cell(way), Cell(milliseconds(total), total), *cells, Cell(costly)])
    headings = [
        *(("", word) for word in (*_WHO, "Path", "Inside operators")),
        *(("Share of the time", kind) for kind in kinds),
        ("", "Costliest operators"),
    ]
    return BenchTable(
        "profile",
        "Where the time goes",
        "A training step by torch’s profiler: time inside operators by kind of work. Profiling slows a step, "
        "so shares matter here, not seconds.",
        headings,
        rows,
        words=5,
    )


def _share(seconds: float, total: float) -> Cell:
    return Cell(f"{seconds / total:.0%}", seconds / total)


def _harness(machine: Machine) -> BenchTable:
    rows = []
    for m in machine.of("harness"):
        time = m.parts["time"]
        steps = int(time["steps"])
        share = float(time["overhead"])
        rows.append(
            [
                *_who(m),
                *(_time(time[loop], steps) for loop in ("bare", "harness")),
                Cell(f"{share:+.1%}", share),
                _number(steps, "{}"),
            ]
        )
    headings = [
        *(("", word) for word in _WHO),
        *(("Time of a step", word) for word in ("bare loop", "harness")),
        ("", "Overhead"),
        ("", "Steps"),
    ]
    return BenchTable(
        "harness",
        "Harness",
        "The harness’s training loop against a bare one over the same model and images, in turn. The harness "
        "also reads and shuffles images, seeds every step, checks losses and weights, sums curves, sends "
        "events and writes a checkpoint at the end.",
        headings,
        rows,
    )


def _sizes(machine: Machine) -> BenchTable:
    known: dict[str, Json] = {str(m.size["name"]): m.size for m in machine.measurements}
    rows = [
        [
            Cell(str(size["name"])),
            Cell(f"{size['input']}", float(size["input"])),
            Cell(f"{size['image'][0]}×{size['image'][1]}"),
            Cell(f"{size['tokens']}×{size['tokens']}", float(size["tokens"])),
            Cell(
                f"{size['padded_tokens']}×{size['padded_tokens']}",
                float(size["padded_tokens"]),
                f"{1 - (size['tokens'] / size['padded_tokens']) ** 2:.0%} padding",
            ),
            *(Cell(f"{size[key]}", float(size[key])) for key in ("width", "depth", "heads", "window")),
            Cell(", ".join(map(str, size["global_blocks"]))),
        ]
        for size in known.values()
    ]
    words = ("Size", "Input", "Image", "Tokens", "Tokens in windowed blocks", "Width", "Depth", "Heads")
    return BenchTable(
        "sizes",
        "Sizes",
        "What the sizes are. b4 and b12 have ViT-B’s width and heads, SAM’s windows and one global block in "
        "three; only depth and input are cut down.",
        [("", word) for word in (*words, "Window", "Global blocks")],
        rows,
        [
            "SAM pads the token grid to whole windows. The plain path computes the padding; small grids have "
            "much of it, so small inputs flatter the fast path: 1024 pixels have 16%."
        ],
        words=1,
    )


def _who(m: Measurement) -> list[Cell]:
    batch = int(m.job["batch"])
    return [
        Cell(title_of(str(m.job["method"]))),
        Cell(str(m.size["name"])),
        Cell(str(batch), float(batch)),
        Cell(m.run_as),
    ]


def _time(timed: Json, steps: int = 1) -> Cell:
    if "error" in timed:
        return Cell(str(timed["error"]))
    median, low, high = (float(timed[key]) / steps for key in ("median_s", "q1_s", "q3_s"))
    spread = f"{milliseconds(low)} to {milliseconds(high)}" if low < high else ""
    return Cell(milliseconds(median), median, spread)


def _flops(count: float | None) -> Cell:
    return Cell(HOLE) if count is None else Cell(flops_text(count), float(count))


def _rate(rate: dict[str, float] | None) -> Cell:
    if rate is None:
        return Cell(HOLE)
    text = f"{flops_text(1e12 * rate['tflop_per_s'])}/s"
    return Cell(text, rate["tflop_per_s"], f"{rate['share_of_chip']:.0%}")


def _number(value: Any, text: str) -> Cell:
    return Cell(HOLE) if value is None else Cell(text.format(value), float(value))
