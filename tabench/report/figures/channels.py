"""Figure 1: what SAM and mSAM put out for one image."""

from __future__ import annotations

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from tabench.report.records.channels import Channels, Grey
from tabench.report.records.grid import Pixels

_WIDTH, _LABEL, _GAP = 7.2, 0.92, 0.06  # inches
_PER_LINE = 7  # channels beside one another
_NAME, _HEAD = 0.15, 0.3  # inches of a channel's name and of a heading
_MASK = np.array([213, 94, 0])  # colour of the mask on the dimmed image


def draw_channels(found: Channels) -> Figure:
    """SAM's masks over the image on top, below them a block of thumbnails for each task."""
    height, width = found.input.shape[:2]
    side = (_WIDTH - _LABEL - _GAP * _PER_LINE) / _PER_LINE
    small = side * height / width
    large = 1.55
    tall = large * height / width
    lines = {task: -(-len(channels) // _PER_LINE) for task, channels in found.tasks.items()}
    block = {task: n * (small + _NAME + 0.03) + 0.05 for task, n in lines.items()}
    total = _HEAD + tall + 0.2 + _HEAD + sum(block.values())
    figure = Figure(figsize=(_WIDTH, total))
    figure.set_layout_engine("none")
    page = _Page(figure, _WIDTH, total)
    page.text(0.05, total - 0.13, "(a) SAM", 8, bold=True)
    top = total - _HEAD
    point = page.picture(0.05, top - tall, large, tall, found.input)
    point.plot([width / 2 - 0.5], [height / 2 - 0.5], marker="*", markersize=11, color="white",
               markeredgecolor="black", markeredgewidth=0.9)  # fmt: skip
    page.text(0.05 + large / 2, top - tall - 0.1, "one point", 7, centred=True)
    for index, mask in enumerate(found.masks):
        x = 0.05 + (large + 0.12) * (index + 1) + 0.2
        page.picture(x, top - tall, large, tall, _overlaid(found.input, mask))
        page.text(x + large / 2, top - tall - 0.1, f"level {index + 1}: 1 channel", 7, centred=True)
    top -= tall + 0.2 + _HEAD
    counts = " + ".join(str(len(channels)) for channels in found.tasks.values())
    page.text(0.05, top + 0.15, f"(b) mSAM: {counts} channels", 8, bold=True)
    for number, (task, channels) in enumerate(found.tasks.items(), start=1):
        page.text(0.05, top - small / 2 + 0.09, task.replace("_", " "), 7.5)
        page.text(0.05, top - small / 2 - 0.07, f"$N_{number}$ = {len(channels)}", 7.5)
        names = found.names.get(task) or [f"channel {index + 1}" for index in range(len(channels))]
        for index, (channel, name) in enumerate(zip(channels, names, strict=True)):
            line, column = divmod(index, _PER_LINE)
            x = _LABEL + column * (side + _GAP)
            y = top - line * (small + _NAME + 0.03) - small
            page.picture(x, y, side, small, channel)
            page.text(x + side / 2, y - 0.075, name, 6, centred=True)
        top -= block[task]
    return figure


class _Page:
    """Places pictures and words in inches."""

    def __init__(self, figure: Figure, width: float, height: float) -> None:
        self.figure, self.width, self.height = figure, width, height

    def picture(self, x: float, y: float, w: float, h: float, pixels: Pixels | Grey) -> Axes:
        place = (x / self.width, y / self.height, w / self.width, h / self.height)
        axes = self.figure.add_axes(place)
        axes.axis("off")
        axes.imshow(pixels, cmap="gray", vmin=0, vmax=255, interpolation="nearest", aspect="auto")
        return axes

    def text(
        self, x: float, y: float, words: str, size: float, *, bold: bool = False, centred: bool = False
    ) -> None:
        side, weight = "center" if centred else "left", "bold" if bold else "normal"
        place = (x / self.width, y / self.height)
        self.figure.text(*place, words, fontsize=size, va="center", ha=side, fontweight=weight)


def _overlaid(image: Pixels, mask: Grey) -> Pixels:
    """The image in dim grey, the mask's pixels tinted."""
    grey = image.astype(np.float64).mean(axis=2, keepdims=True).repeat(3, axis=2)
    inside = (mask > 127)[:, :, None]
    mixed = np.where(inside, 0.35 * grey + 0.65 * _MASK, 0.55 * grey)
    return np.asarray(np.rint(mixed), dtype=np.uint8)
