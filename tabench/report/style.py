"""One look for all figures: colours of the methods, light and dark, files without time stamps."""

from __future__ import annotations

import io
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
_INK = {"light": "#1f2328", "dark": "#e6e4df"}
_FAINT = {"light": "#d9dcdf", "dark": "#3a3d42"}

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
class Rendered:
    """A figure as files: PNG and PDF for papers, SVG for the page in two looks."""

    png: bytes
    pdf: bytes
    light: bytes
    dark: bytes


def rendered(draw: Draw) -> Rendered:
    """Draw a figure in both looks; equal records give equal bytes."""
    svg = {"Date": None, "Creator": None, "Format": None, "Type": None}
    with matplotlib.rc_context(_settings("light")):
        figure = draw()
        png = _saved(figure, "png", {"Software": None})
        figure.set_layout_engine("none")  # it has been laid out by the first drawing
        pdf = _saved(figure, "pdf", {"CreationDate": None, "Creator": None, "Producer": None})
        light = _saved(figure, "svg", svg)
    with matplotlib.rc_context(_settings("dark")):
        return Rendered(png, pdf, light, _saved(draw(), "svg", svg))


def _saved(figure: Figure, kind: str, metadata: dict[str, None]) -> bytes:
    buffer = io.BytesIO()
    figure.savefig(buffer, format=kind, dpi=160, metadata=metadata, transparent=kind == "svg")
    return buffer.getvalue()


def _settings(theme: str) -> Any:
    ink, faint = _INK[theme], _FAINT[theme]
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
        "grid.color": faint,
        "grid.linewidth": 0.6,
        "xtick.major.size": 0,
        "ytick.major.size": 0,
        "xtick.minor.size": 0,
        "lines.linewidth": 1.5,
        "legend.frameon": False,
        "text.color": ink,
        "axes.labelcolor": ink,
        "axes.edgecolor": faint,
        "xtick.color": ink,
        "ytick.color": ink,
        "figure.constrained_layout.use": True,
        "svg.hashsalt": "tabench",
        "svg.fonttype": "path",
        "pdf.fonttype": 42,
    }
