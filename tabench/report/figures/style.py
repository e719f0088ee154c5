"""One look for all figures: colours of the methods, light and dark, files without time stamps."""

from __future__ import annotations

import io
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import matplotlib
import numpy as np
import seaborn as sns
from matplotlib.axes import Axes
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure
from matplotlib.ticker import FuncFormatter, LogLocator, NullFormatter
from PIL import Image, ImageChops, ImageStat

from tabench.report.figures.figure_text import make_inert
from tabench.report.figures.fonts import lean_fonts
from tabench.report.figures.vector import lean

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
DPI = 160  # of PNG files, and of pictures inside vector files
_UNSEEN = 0.4  # mean difference of a channel, of 255, that nobody sees
_INK, _FAINT = "#1f2328", "#d9dcdf"
_DARK = {_INK: "#e6e4df", _FAINT: "#3a3d42"}

Draw = Callable[[], Figure]


def colours(methods: Sequence[str]) -> dict[str, Any]:
    """Row key to colour; the same in every figure."""
    others = [method for method in methods if method not in _COLOURS]  # variants and strangers
    extra = dict(zip(others, sns.color_palette("husl", len(others)), strict=True))
    return {method: _COLOURS.get(method, extra.get(method)) for method in methods}


def marker(method: str) -> str:
    """Marker of a method, so that colour is never the only difference."""
    return _MARKERS.get(method.partition(" ")[0], "v")


def formula(text: str) -> str:
    """A title with "Δ_b" set as a formula."""
    return text.replace("Δ_b", "$\\Delta_b$")


def log_millions(axes: Axes) -> None:
    """A logarithmic axis of trained parameters."""
    axes.set_xscale("log")
    axes.xaxis.set_major_locator(LogLocator(subs=(1, 2, 5)))
    axes.xaxis.set_major_formatter(FuncFormatter(lambda value, _: f"{value:g}"))
    axes.xaxis.set_minor_formatter(NullFormatter())
    axes.set_xlabel("trained parameters (millions, log scale)")


def legend_columns(labels: Sequence[str], width: float) -> int:
    """Columns of a legend below a figure of a width in inches: as many of the longest name as fit."""
    longest = 0.55 + 0.075 * max(map(len, labels), default=1)  # handle and gaps; letters of 8.5 points
    return max(1, min(7, len(labels), int(width / longest)))


def legend_below(figure: Figure) -> None:
    """One legend below a figure, of what its first panel names."""
    handles, labels = figure.axes[0].get_legend_handles_labels()
    columns = legend_columns(labels, figure.get_figwidth())
    figure.legend(handles, labels, loc="outside lower center", ncols=columns, columnspacing=1.4)


@dataclass(frozen=True)
class Drawn:
    """A figure as files.

    Attributes:
        png: For slides.
        pdf: For papers.
        svg: For pages, on a transparent ground; ink and lines follow the page's light or dark colours.
    """

    png: bytes
    pdf: bytes
    svg: bytes


def drawn(draw: Draw, *, page: bool = True) -> Drawn:
    """Draw a figure once and save it in every format; equal records give equal bytes.

    Args:
        draw: Makes the figure.
        page: Whether a page shows it; without, its SVG is empty.
    """
    with matplotlib.rc_context(_settings()):
        figure = draw()
        make_inert(figure)
        layout = figure.get_layout_engine()
        if layout is not None:
            layout.execute(figure)  # once for all formats
        # saving sets the engine that it found once more, and None means what the settings say
        with matplotlib.rc_context({"figure.constrained_layout.use": False}), lean_fonts():
            figure.set_layout_engine(None)
            png = _small(_rasterised(figure))
            pdf = _saved(figure, "pdf", {"CreationDate": None, "Creator": None, "Producer": None})
            facts = {"Date": None, "Creator": None, "Format": None, "Type": None}
            svg = _saved(figure, "svg", facts) if page else b""
    return Drawn(png, pdf, _adaptive(svg))


def _rasterised(figure: Figure) -> Image.Image:
    """A figure's pixels, which need not be packed and unpacked on their way to `_small`."""
    figure.set_dpi(DPI)
    canvas = FigureCanvasAgg(figure)
    canvas.draw()  # type: ignore[no-untyped-call]
    return Image.fromarray(np.asarray(canvas.buffer_rgba())).convert("RGB")  # type: ignore[no-untyped-call]


def _small(whole: Image.Image) -> bytes:
    """A picture as PNG, with a palette where 256 colours look the same: a third of the size."""
    few = whole.quantize(256, method=Image.Quantize.MEDIANCUT, dither=Image.Dither.NONE)
    error = float(np.mean(ImageStat.Stat(ImageChops.difference(whole, few.convert("RGB"))).mean))
    buffer = io.BytesIO()
    # the highest level takes six times as long for a twentieth of the size
    (few if error < _UNSEEN else whole).save(buffer, "PNG", compress_level=7)
    return buffer.getvalue()


def _adaptive(svg: bytes) -> bytes:
    """Let ink and lines follow the colour scheme, and write it shorter."""
    light = ";".join(f"--c{i}:{colour}" for i, colour in enumerate(_DARK))
    dark = ";".join(f"--c{i}:{colour}" for i, colour in enumerate(_DARK.values()))
    for i, colour in enumerate(_DARK):
        svg = svg.replace(colour.encode(), f"var(--c{i})".encode())
    rules = f"<style>:root{{{light}}}@media(prefers-color-scheme:dark){{:root{{{dark}}}}}</style>"
    return lean(svg.decode().replace("<defs>", f"{rules}<defs>", 1)).encode()


def _saved(figure: Figure, kind: str, metadata: dict[str, None]) -> bytes:
    buffer = io.BytesIO()
    figure.savefig(buffer, format=kind, dpi=DPI, metadata=metadata, transparent=kind == "svg")
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
