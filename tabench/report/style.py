"""One look for all figures: colours of the methods, light and dark, files without time stamps."""

from __future__ import annotations

import io
import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import matplotlib
import seaborn as sns
from matplotlib.figure import Figure

matplotlib.use("Agg")

# Okabe and Ito's colours, told apart with every common colour vision; grey for the floor.
_COLOURS = {
    "ta-lora": "#D55E00",
    "ta-lora-cp": "#E69F00",
    "lora-stl": "#0072B2",
    "lora-hps": "#56B4E9",
    "full-stl": "#009E73",
    "full-hps": "#7FCBB0",
    "frozen": "#8A8A8A",
}
_MARKERS = {
    "ta-lora": "o",
    "ta-lora-cp": "D",
    "lora-stl": "s",
    "lora-hps": "^",
    "full-stl": "P",
    "full-hps": "X",
}
_INK, _FAINT = "#1f2328", "#d9dcdf"
_LONG = re.compile(rb"(\d\.\d\d)\d+")

Draw = Callable[[], Figure]


def colours(methods: Sequence[str]) -> dict[str, Any]:
    """Row key to colour; the same in every figure."""
    others = [method for method in methods if method not in _COLOURS]
    extra = dict(zip(others, sns.color_palette("husl", len(others)), strict=True))
    return {method: _COLOURS.get(method, extra.get(method)) for method in methods}


def marker(method: str) -> str:
    """Marker of a method, so that colour is never the only difference."""
    return _MARKERS.get(method, "v")


@dataclass(frozen=True)
class Files:
    """A figure for papers."""

    png: bytes
    pdf: bytes


@dataclass(frozen=True)
class Looks:
    """A figure for the page, as SVG on a transparent ground; the page turns its ink light in the dark."""

    light: bytes


def files(draw: Draw) -> Files:
    """Draw a figure as PNG and PDF; equal records give equal bytes."""
    with matplotlib.rc_context(_settings()):
        figure = draw()
        png = _saved(figure, "png", {"Software": None})
        figure.set_layout_engine("none")  # the first drawing has laid it out
        return Files(png, _saved(figure, "pdf", {"CreationDate": None, "Creator": None, "Producer": None}))


def looks(draw: Draw) -> Looks:
    """Draw a figure as SVG, with coordinates to a hundredth of a point."""
    with matplotlib.rc_context(_settings()):
        light = _saved(draw(), "svg", {"Date": None, "Creator": None, "Format": None, "Type": None})
    return Looks(_LONG.sub(rb"\1", light))


def _saved(figure: Figure, kind: str, metadata: dict[str, None]) -> bytes:
    buffer = io.BytesIO()
    figure.savefig(buffer, format=kind, dpi=160, metadata=metadata, transparent=kind == "svg")
    return buffer.getvalue()


def _settings() -> Any:
    base: dict[str, Any] = dict(sns.axes_style("ticks"))
    return base | {
        "font.family": ["DejaVu Sans"],
        "font.size": 8.5,
        "axes.titlesize": 9,
        "axes.titleweight": "bold",
        "axes.titlelocation": "left",
        "axes.labelsize": 8.5,
        "axes.spines.top": False,
        "axes.spines.right": False,
        "axes.linewidth": 0.7,
        "axes.grid": True,
        "axes.axisbelow": True,
        "grid.color": _FAINT,
        "grid.linewidth": 0.6,
        "xtick.major.size": 0,
        "ytick.major.size": 0,
        "xtick.minor.size": 0,
        "lines.linewidth": 1.5,
        "legend.frameon": False,
        "text.color": _INK,
        "axes.labelcolor": _INK,
        "axes.edgecolor": _FAINT,
        "xtick.color": _INK,
        "ytick.color": _INK,
        "figure.constrained_layout.use": True,
        "svg.hashsalt": "tabench",
        "svg.fonttype": "path",
        "pdf.fonttype": 42,
    }
