"""Boxes, arrows, matrices and cubes of the diagrams, on a page measured in inches."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Literal

from matplotlib import rcParams
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.patches import FancyArrowPatch, FancyBboxPatch, Polygon, Rectangle

Kind = Literal["trained", "frozen", "plain", "tensor"]

# colour of fill and edge, opacity of the fill, width and dashes of the edge: never the colour alone
_LOOKS: dict[Kind, tuple[str, float, float, Any]] = {
    "trained": ("#D55E00", 0.20, 1.3, "solid"),
    "frozen": ("#0072B2", 0.10, 0.8, (0, (3, 2))),
    "plain": ("#8A8A8A", 0.06, 0.7, "solid"),
    "tensor": ("#8A8A8A", 0.22, 0.0, "solid"),
}
SMALL, NORMAL = 6.0, 7.0


class Canvas:
    """A figure without axes; x grows to the right, y upwards, both in inches.

    Args:
        width: Inches.
        height: Inches.
    """

    def __init__(self, width: float, height: float) -> None:
        self.figure = Figure(figsize=(width, height))
        self.figure.set_layout_engine("none")
        self.axes: Axes = self.figure.add_axes((0, 0, 1, 1))
        self.axes.set_xlim(0, width)
        self.axes.set_ylim(0, height)
        self.axes.axis("off")
        self.ink = str(rcParams["text.color"])

    def text(self, x: float, y: float, words: str, size: float = NORMAL, **options: Any) -> None:
        """Write words centred on a point."""
        place = {"ha": "center", "va": "center", **options}
        self.axes.text(x, y, words, fontsize=size, linespacing=1.25, **place)

    def box(self, x: float, y: float, w: float, h: float, kind: Kind, *lines: str) -> None:
        """A rounded box with its lower left corner at (x, y): the first line a name, the others smaller."""
        colour, opacity, edge, dashes = _LOOKS[kind]
        shape = f"round,pad=0,rounding_size={min(0.06, h / 4, w / 4)}"
        for fill, line in ((True, 0.0), (False, edge)):
            self.axes.add_patch(
                FancyBboxPatch((x, y), w, h, boxstyle=shape, fill=fill, alpha=opacity if fill else 1.0,
                               facecolor=colour, edgecolor=colour, linewidth=line, linestyle=dashes)
            )  # fmt: skip
        self._lines(x + w / 2, y + h / 2, lines)

    def behind(self, x: float, y: float, w: float, h: float, kind: Kind, count: int = 2) -> None:
        """Edges of `count` further boxes behind one at (x, y): more of the same."""
        colour, _, edge, dashes = _LOOKS[kind]
        for index in range(1, count + 1):
            step = 0.05 * index
            self.axes.plot([x + step, x + w + step, x + w + step], [y + h + step, y + h + step, y + step],
                           color=colour, linewidth=edge, linestyle=dashes)  # fmt: skip

    def matrix(self, x: float, y: float, w: float, h: float, kind: Kind, name: str = "") -> None:
        """A sharp-cornered matrix with its name in the middle."""
        colour, opacity, edge, dashes = _LOOKS[kind]
        self.axes.add_patch(Rectangle((x, y), w, h, facecolor=colour, alpha=opacity, linewidth=0))
        self.axes.add_patch(
            Rectangle((x, y), w, h, fill=False, edgecolor=colour, linewidth=edge, linestyle=dashes)
        )
        if name:
            self.text(x + w / 2, y + h / 2, name)

    def behind_matrix(self, x: float, y: float, w: float, h: float) -> None:
        """Edges of a further trained matrix, of which another one covers the lower left."""
        colour, _, edge, _ = _LOOKS["trained"]
        self.axes.plot([x, x, x + w, x + w, x + w - 0.06], [y + h - 0.06, y + h, y + h, y, y],
                       color=colour, linewidth=edge * 0.7)  # fmt: skip

    def diagonal(self, x: float, y: float, side: float) -> None:
        """A trained diagonal matrix: its diagonal is drawn."""
        colour, opacity, edge, _ = _LOOKS["trained"]
        self.axes.add_patch(Rectangle((x, y), side, side, fill=False, edgecolor=colour, linewidth=0.5))
        band = [(x, y + side), (x + side, y), (x + side, y + 0.07), (x + 0.07, y + side)]
        self.axes.add_patch(Polygon(band, closed=True, facecolor=colour, alpha=2 * opacity, linewidth=0))
        self.axes.add_patch(Polygon(band, closed=True, fill=False, edgecolor=colour, linewidth=edge * 0.6))

    def cube(
        self,
        x: float,
        y: float,
        w: float,
        h: float,
        depth: float,
        kind: Kind,
        name: str = "",
        slices: int = 1,
    ) -> None:
        """A box in oblique projection; `slices` lines part its depth."""
        colour, opacity, edge, dashes = _LOOKS[kind]
        dx, dy = 0.75 * depth, 0.5 * depth
        faces = [
            [(x, y), (x + w, y), (x + w, y + h), (x, y + h)],
            [(x, y + h), (x + w, y + h), (x + w + dx, y + h + dy), (x + dx, y + h + dy)],
            [(x + w, y), (x + w + dx, y + dy), (x + w + dx, y + h + dy), (x + w, y + h)],
        ]
        for face, more in zip(faces, (0.0, 0.08, 0.16), strict=True):
            self.axes.add_patch(
                Polygon(face, closed=True, facecolor=colour, alpha=opacity + more, linewidth=0)
            )
            self.axes.add_patch(
                Polygon(
                    face, closed=True, fill=False, edgecolor=colour, linewidth=edge or 0.7, linestyle=dashes
                )
            )
        for index in range(1, slices):
            part = index / slices
            path_x = [x + part * dx, x + w + part * dx, x + w + part * dx]
            path_y = [y + h + part * dy, y + h + part * dy, y + part * dy]
            self.axes.plot(path_x, path_y, color=colour, linewidth=0.6)
        if name:
            self.text(x + w / 2, y + h / 2, name)

    def sheets(self, x: float, y: float, w: float, h: float, count: int, shown: int = 5) -> float:
        """Channels as sheets behind one another; at most `shown` are drawn. Returns the width they take."""
        drawn = min(count, shown)
        step = 0.05
        for index in reversed(range(drawn)):
            place = (x + step * index, y + step * index)
            colour, _, _, _ = _LOOKS["tensor"]
            self.axes.add_patch(
                Rectangle(place, w, h, facecolor="#c9ccd0", edgecolor=colour, linewidth=0.6, zorder=2)
            )
        return w + step * (drawn - 1)

    def arrow(self, points: Sequence[tuple[float, float]]) -> None:
        """A line through points with a head at the last one."""
        *way, before, last = points
        line = [*way, before]
        if len(line) > 1:
            self.axes.plot(*zip(*line, strict=True), color=self.ink, linewidth=0.8, solid_capstyle="butt")
        self.axes.add_patch(
            FancyArrowPatch(before, last, arrowstyle="-|>,head_length=3,head_width=1.6", mutation_scale=1,
                            color=self.ink, linewidth=0.8, shrinkA=0, shrinkB=0)
        )  # fmt: skip

    def plus(self, x: float, y: float, sign: str = "+") -> None:
        """A sign in a circle."""
        self.axes.plot([x], [y], marker="o", markersize=8, markerfacecolor="none", markeredgecolor=self.ink,
                       markeredgewidth=0.8)  # fmt: skip
        self.text(x, y, sign, NORMAL, va="center_baseline")

    def heading(self, x: float, y: float, words: str) -> None:
        """The name of a part of the figure."""
        self.text(x, y, words, 8, ha="left", fontweight="bold")

    def legend(self, x: float, y: float) -> None:
        """What the looks of the boxes mean."""
        for kind, words in (("trained", "trained"), ("frozen", "frozen")):
            self.box(x, y - 0.06, 0.24, 0.12, kind)  # type: ignore[arg-type]
            self.text(x + 0.3, y, words, SMALL + 0.5, ha="left")
            x += 0.85

    def _lines(self, x: float, y: float, lines: Sequence[str]) -> None:
        pitch = 0.115
        top = y + pitch * (len(lines) - 1) / 2
        for index, line in enumerate(lines):
            self.text(x, top - pitch * index, line, NORMAL if index == 0 else SMALL)


def amount(count: int) -> str:
    """A number of parameters in three figures: "1.23 M", "5.12 k", "640"."""
    for size, unit in ((1e9, " G"), (1e6, " M"), (1e3, " k")):
        if count >= size:
            return f"{count / size:.3g}{unit}"
    return str(count)


def shape(sizes: Sequence[int]) -> str:
    """Sizes of a tensor: "13 × 256"."""
    return " × ".join(str(size) for size in sizes)
