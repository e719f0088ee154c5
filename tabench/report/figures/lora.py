"""Figure 3: one LoRA a task beside the factors of the stacked update; every shape is the built model's."""

from __future__ import annotations

from collections.abc import Sequence
from math import sqrt

from matplotlib.figure import Figure

from tabench.report.figures.diagram import NORMAL, SMALL, Canvas, shape
from tabench.report.records.architecture import Adapted, Architecture

_WIDTH = 7.2
_LONG = 1.15  # inches of the longest side, at most
_GAPS = 2.0  # inches of signs and gaps in a panel
_LEFT, _WORDS = 0.2, 4.95  # where drawings and words start


def caption(found: Sequence[Architecture]) -> str:
    """What the panels show and what is counted."""
    first = _adapted(found[0])
    names = ", ".join(f"{a.method.title} ({letter})" for a, letter in zip(found, "abc", strict=False))
    return (
        f"{names} on one adapted layer ({first.updated}) of {found[0].backbone.name}: d = {first.inputs} "
        f"inputs, k = {first.outputs} outputs, T = {_tasks(found[0])} tasks, {first.layers} such layers. "
        "Shapes and parameters are read from the built models; sides are drawn to the square root of their "
        "length. The frozen W0 is the same in every panel."
    )


def draw_loras(found: Sequence[Architecture]) -> Figure:
    """A panel a method: "lora", "tucker" and "cp" are known."""
    scale = _Scale(found)
    heights = [_height(architecture, scale) for architecture in found]
    canvas = Canvas(_WIDTH, sum(heights) + 0.1)
    canvas.legend(_WIDTH - 1.75, sum(heights) - 0.06)
    top = sum(heights)
    for architecture, height, letter in zip(found, heights, "abc", strict=False):
        canvas.heading(0.05, top - 0.06, f"({letter}) {architecture.method.title}")
        draw = {"lora": _lora, "tucker": _tucker, "cp": _cp}[architecture.factors]
        draw(canvas, architecture, scale, top - height + 0.38)
        top -= height
    return canvas.figure


def _height(found: Architecture, inch: _Scale) -> float:
    """Inches of a panel: its tallest drawing, heading and labels."""
    adapted = _adapted(found)
    if found.factors == "lora":
        return inch(adapted.outputs) + 0.85
    return inch(adapted.inputs) + 0.5 * _slice(_tasks(found)) * _tasks(found) + 0.75


class _Scale:
    """Inches of a side: the square root keeps a rank of 16 beside a width of 1024 visible."""

    def __init__(self, found: Sequence[Architecture]) -> None:
        self.longest = max(max(_adapted(a).inputs, _adapted(a).outputs) for a in found)
        widest = max(sum(sqrt(size / self.longest) for size in _sides(a)) for a in found)
        self.long = min(_LONG, (_WORDS - _LEFT - _GAPS) / widest)

    def __call__(self, size: int) -> float:
        return max(0.1, self.long * sqrt(size / self.longest))


def _sides(found: Architecture) -> list[int]:
    """Sizes that stand beside one another in a panel."""
    adapted = _adapted(found)
    d, k, sizes = adapted.inputs, adapted.outputs, adapted.factors
    if found.factors == "tucker":
        return [k, *sizes["G"], sizes["G"][2], k]
    return [k, *3 * sizes["w"], k] if found.factors == "cp" else [d, d, sizes["A"][0]]


def _slice(tasks: int) -> float:
    """Inches of a task's slice of the stacked update, along its depth."""
    return min(0.14, 0.5 / tasks)


def _lora(canvas: Canvas, found: Architecture, inch: _Scale, y: float) -> None:
    adapted = _adapted(found)
    d, k, rank = adapted.inputs, adapted.outputs, adapted.factors["A"][0]
    tasks = _tasks(found) if found.method.sharing == "per-task" else 1
    middle = y + inch(k) / 2
    canvas.matrix(_LEFT, y, inch(d), inch(k), "frozen", "$W_0$")
    canvas.text(_LEFT + inch(d) / 2, y - 0.12, shape((k, d)), SMALL)
    x = _sign(canvas, _LEFT + inch(d), middle, "$+\\; s$")
    behind = min(tasks, 4) - 1
    for index in range(behind, 0, -1):
        canvas.behind_matrix(x + 0.06 * index, y + 0.06 * index, inch(rank), inch(k))
    x = _matrix(canvas, x, middle, inch(rank), inch(k), "$B_t$", (k, rank), behind) + 0.35
    for index in range(behind, 0, -1):
        canvas.behind_matrix(x + 0.06 * index, middle - inch(rank) / 2 + 0.06 * index, inch(d), inch(rank))
    x = _matrix(canvas, x, middle, inch(d), inch(rank), "$A_t$", (rank, d), behind)
    if tasks > 1:
        canvas.text(x + 0.35, middle, f"for each of the {tasks} tasks", ha="left")
    formula = "$T r (d + k)$" if tasks > 1 else "$r (d + k)$"
    owner = "a pair of its own for each task" if tasks > 1 else "one pair for all tasks"
    _words(canvas, middle, "$W_t = W_0 + s\\, B_t A_t$", owner, formula, adapted.parameters * tasks)


def _tucker(canvas: Canvas, found: Architecture, inch: _Scale, y: float) -> None:
    adapted = _adapted(found)
    (p, q, v), tasks = adapted.factors["G"], adapted.factors["U3"][0]
    d, k = adapted.inputs, adapted.outputs
    middle = y + inch(d) / 2
    x = _stack(canvas, inch, d, k, tasks, middle)
    x = _matrix(canvas, x, middle, inch(p), inch(d), "$U_1$", (d, p)) + 0.2
    depth = inch(v)
    canvas.cube(x, middle - inch(p) / 2, inch(q), inch(p), depth, "trained", "$G$", slices=v)
    canvas.text(x + inch(q) / 2 + 0.06, middle - inch(p) / 2 - 0.12, shape((p, q, v)), SMALL)
    x += inch(q) + 0.75 * depth + 0.18
    x = _matrix(canvas, x, middle, inch(k), inch(q), "$U_2^\\top$", (q, k))
    x = _sign(canvas, x, middle, "$\\times_3$")
    _small(canvas, x, middle, inch(v), inch(tasks), "$U_3$", (tasks, v))
    formula = "$\\Delta W = G {\\times}_1 U_1 {\\times}_2 U_2 {\\times}_3 U_3$"
    owner = "shared, but for each task's row of $U_3$"
    _words(canvas, middle, formula, owner, "$dp + kq + Tv + pqv$", adapted.parameters)


def _cp(canvas: Canvas, found: Architecture, inch: _Scale, y: float) -> None:
    adapted = _adapted(found)
    d, k, rank, tasks = adapted.inputs, adapted.outputs, adapted.factors["A"][1], adapted.factors["C"][0]
    middle = y + inch(d) / 2
    x = _stack(canvas, inch, d, k, tasks, middle)
    x = _matrix(canvas, x, middle, inch(rank), inch(d), "$A$", (d, rank)) + 0.2
    side = inch(rank)
    canvas.diagonal(x, middle - side / 2, side)
    canvas.text(x + side / 2, middle - side / 2 - 0.12, f"$w$: {rank}", SMALL)
    x += side + 0.2
    x = _matrix(canvas, x, middle, inch(k), inch(rank), "$B^\\top$", (rank, k))
    x = _sign(canvas, x, middle, "$\\circ$")
    _small(canvas, x, middle, inch(rank), inch(tasks), "$C$", (tasks, rank))
    _words(canvas, middle, "$\\Delta W = \\Sigma_r\\, w_r\\, a_r \\circ b_r \\circ c_r$",
           "shared, but for each task's row of $C$", "$R\\,(d + k + T) + R$", adapted.parameters)  # fmt: skip


def _stack(canvas: Canvas, inch: _Scale, d: int, k: int, tasks: int, middle: float) -> float:
    """The stacked update d x k x T, which is never built."""
    canvas.cube(_LEFT, middle - inch(d) / 2, inch(k), inch(d), _slice(tasks) * tasks, "plain", "$\\Delta W$",
                slices=tasks)  # fmt: skip
    words = f"{shape((d, k, tasks))}, never built"
    canvas.text(_LEFT + inch(k) / 2, middle - inch(d) / 2 - 0.12, words, SMALL)
    return _sign(canvas, _LEFT + inch(k) + 0.75 * _slice(tasks) * tasks - 0.03, middle, "$=$")


def _sign(canvas: Canvas, x: float, middle: float, sign: str) -> float:
    canvas.text(x + 0.19, middle, sign, NORMAL + 2)
    return x + 0.38


def _matrix(
    canvas: Canvas,
    x: float,
    middle: float,
    w: float,
    h: float,
    name: str,
    sizes: Sequence[int],
    behind: int = 0,
) -> float:
    """A trained matrix with its sizes below, before `behind` others; returns where it ends."""
    wide = min(w, h) >= 0.17
    canvas.matrix(x, middle - h / 2, w, h, "trained", name if wide else "")
    if not wide:
        shift = 0.06 * behind
        canvas.text(x + w / 2 + shift, middle + h / 2 + 0.11 + shift, name)
    canvas.text(x + w / 2, middle - h / 2 - 0.12, shape(sizes), SMALL)
    return x + w


def _small(
    canvas: Canvas, x: float, middle: float, w: float, h: float, name: str, sizes: Sequence[int]
) -> None:
    """A trained matrix that is too small to hold its name."""
    canvas.matrix(x, middle - h / 2, w, h, "trained")
    canvas.text(x + w / 2, middle + h / 2 + 0.11, name)
    canvas.text(x + w / 2, middle - h / 2 - 0.12, shape(sizes), SMALL)


def _words(canvas: Canvas, middle: float, formula: str, owner: str, terms: str, count: int) -> None:
    lines = [
        (formula, NORMAL + 1.5),
        (owner, NORMAL),
        (terms, NORMAL + 0.5),
        (f"= {count:,} parameters a layer", NORMAL),
    ]
    for index, (line, size) in enumerate(lines):
        canvas.text(_WORDS, middle + 0.3 - 0.2 * index, line, size, ha="left")


def _adapted(found: Architecture) -> Adapted:
    adapted = next(iter(found.models.values())).drawn
    assert adapted is not None, "only adapted methods are drawn"
    return adapted


def _tasks(found: Architecture) -> int:
    return sum(len(model.tasks) for model in found.models.values())
