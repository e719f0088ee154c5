"""Mean place of each method over metrics and seeds, with every place it took."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass

from matplotlib.figure import Figure

from tabench.report.figures import style
from tabench.report.records.reading import Results
from tabench.stats.ranking import mean_places, places
from tabench.text import counted, joined

_STEP = 0.115  # distance of two points of one place, in rows
_HIGHEST = 5  # points above one another
CROWD = 80  # comparisons of one place from which on their points would run into the next place
_DISC = 320  # area of a disc that stands for all comparisons, in square points


@dataclass(frozen=True)
class Places:
    """Places of the methods in every comparison, one a metric and seed.

    Attributes:
        comparisons: Row key to place, for every comparison that all methods take part in.
        metrics: Metrics that were compared.
        seeds: Seeds that were compared.
        left_out: Comparisons that miss a method's value.
    """

    comparisons: list[dict[str, float]]
    metrics: list[str]
    seeds: list[int]
    left_out: int

    @property
    def crowded(self) -> bool:
        """Whether a method took one place so often that single comparisons cannot be drawn."""
        methods = self.comparisons[0]
        counts = (Counter(comparison[method] for comparison in self.comparisons) for method in methods)
        return any(max(found.values()) > CROWD for found in counts)


def read_places(results: Results, protocol: str) -> Places | None:
    """Compare all methods with a finished run, metric by metric and seed by seed; None below two methods.

    Values are compared as they are printed, so two that look equal in a table share their places.
    """
    methods = [method for method in results.methods if results.of(method)]
    wanted = [m for m in results.first["metrics"] if m["protocol"] == protocol]
    seeds = sorted({cell.seed for cell in results.done if cell.seed is not None})
    values = {
        (method, cell.seed): cell.values.get(protocol, {})
        for method in methods
        for cell in reversed(results.of(method))  # of two with a seed, the first counts
    }
    comparisons, metrics, used, left_out = [], [], [], 0
    for metric in wanted:
        name = f"{metric['task']}.{metric['key']}"
        for seed in seeds:
            row = [values.get((method, seed), {}).get(name) for method in methods]
            present = [round(value, metric["digits"]) for value in row if value is not None]
            if len(present) < len(methods):
                left_out += 1
                continue
            taken = places(present, str(metric["better"]))
            comparisons.append(dict(zip(methods, taken, strict=True)))
            metrics.append(name)
            used.append(seed)
    if len(methods) < 2 or not comparisons:
        return None
    return Places(comparisons, list(dict.fromkeys(metrics)), sorted(set(used)), left_out)


def caption(results: Results, found: Places, protocol: str) -> str:
    """What is compared, how ties are broken, and what the figure does not say."""
    shares: dict[str, int] = {}
    for metric in found.metrics:
        task = metric.partition(".")[0]
        shares[task] = shares.get(task, 0) + 1
    parts = joined([f"{n} of {task}" for task, n in shares.items()])
    missing = (
        f" {counted(found.left_out, 'comparison')} without a value of every method left out."
        if found.left_out
        else ""
    )
    points = (
        "A disc's area is the share of the comparisons with that place"
        if found.crowded
        else "Small points are single comparisons"
    )
    return (
        f"Place of each method (1 is best) in {len(found.comparisons)} comparisons: "
        f"{counted(len(found.metrics), 'metric')} ({parts}; protocol “{protocol}”) times "
        f"{counted(len(found.seeds), 'seed')}. {points}, large "
        f"markers their mean; methods whose values print alike share the mean of their places.{missing} "
        "Metrics of one task go together and seeds share data, so the comparisons are not independent: no "
        "critical difference is drawn, and a distance here is not a test."
    )


def draw_places(results: Results, found: Places) -> Figure:
    """A row a method, best mean place on top."""
    means = mean_places(found.comparisons)
    order = sorted(means, key=lambda method: (means[method], list(means).index(method)))
    colours = style.colours(results.methods)
    figure = Figure(figsize=(7.2, 0.48 * len(order) + 0.75))
    axes, crowded = figure.subplots(), found.crowded
    for row, method in enumerate(order):
        taken = sorted(comparison[method] for comparison in found.comparisons)
        for place, count in Counter(taken).items():
            if crowded:
                x, y, area = [place], [row + 0.15], _DISC * count / len(taken)
            else:
                (x, y), area = _swarm(place, row + 0.15, count), 7.0
            axes.scatter(x, y, s=area, color=colours[method], alpha=0.55, linewidth=0, zorder=2)
        axes.scatter([means[method]], [row - 0.3], s=60, color=colours[method], marker=style.marker(method),
                     edgecolor="white", linewidth=0.8, zorder=4)  # fmt: skip
        axes.annotate(f"{means[method]:.2f}", (1.0, row), xycoords=("axes fraction", "data"), xytext=(6, 0),
                      textcoords="offset points", va="center", annotation_clip=False)  # fmt: skip
    axes.set_yticks(range(len(order)), [results.title(method) for method in order])
    axes.set_ylim(len(order) - 0.5, -0.5)
    axes.set_xlim(0.6, len(order) + 0.4)
    axes.set_xticks(range(1, len(order) + 1))
    axes.grid(visible=False, axis="y")
    axes.set_xlabel("place (1 is best); mean on the right")
    return figure


def _swarm(place: float, row: float, count: int) -> tuple[list[float], list[float]]:
    """Points of one place in columns of at most `_HIGHEST`, centred on the place and its row."""
    columns = -(-count // _HIGHEST)
    x, y = [], []
    for index in range(count):
        column, level = divmod(index, _HIGHEST)
        high = min(_HIGHEST, count - column * _HIGHEST)
        x.append(place + 0.055 * (column - (columns - 1) / 2))
        y.append(row + _STEP * (level - (high - 1) / 2))
    return x, y
