"""Figures as files: fonts that stay readable, pixels, and equal bytes for equal records."""

from __future__ import annotations

import io
import re
import zlib

import matplotlib.pyplot as plt
import numpy as np
from fontTools import subset
from fontTools.ttLib import TTFont
from matplotlib.figure import Figure
from PIL import Image

from tabench.report.figures import style
from tabench.report.figures.fonts import lean_fonts


def draw() -> Figure:
    figure = Figure(figsize=(3.0, 2.0))
    axes = figure.subplots()
    axes.plot([0, 1], [0, 2], label="fi")
    axes.set_title("Affine $\\Delta_b$")
    figure.legend(loc="outside lower center")
    return figure


def embedded(pdf: bytes) -> list[TTFont]:
    """Fonts of a PDF file: the streams that start as TrueType files do."""
    found = []
    for packed in re.findall(rb"stream\r?\n(.*?)\r?\nendstream", pdf, re.DOTALL):
        try:
            data = zlib.decompress(packed)
        except zlib.error:
            continue
        if data[:4] == b"\0\1\0\0":
            found.append(TTFont(io.BytesIO(data)))
    return found


def test_embedded_fonts_have_the_letters_and_no_layout_tables() -> None:
    fonts = embedded(style.drawn(draw).pdf)
    assert len(fonts) >= 2, "plain and bold letters"
    letters = set().union(*(font.getGlyphOrder() for font in fonts))
    assert {"A", "f", "n", "e", "b", "zero", "one"} <= letters
    for font in fonts:
        assert {"glyf", "hmtx", "cmap"} <= set(font.keys())
        assert not {"GSUB", "GPOS", "GDEF", "MATH", "kern"} & set(font.keys())
    assert not {"z", "Q"} & letters, "only what is printed"


def test_fonts_are_loaded_as_before_afterwards() -> None:
    load = subset.load_font
    try:
        with lean_fonts():
            assert subset.load_font is not load
            raise KeyError
    except KeyError:
        pass
    assert subset.load_font is load


def test_the_png_shows_what_matplotlib_itself_would_save() -> None:
    found = np.asarray(Image.open(io.BytesIO(style.drawn(draw).png)).convert("RGB"), np.int16)
    buffer = io.BytesIO()
    with plt.rc_context(style._settings()):
        draw().savefig(buffer, format="png", dpi=100)  # layout depends a little on the resolution
    own = Image.open(buffer).convert("RGB").resize(found.shape[1::-1], Image.Resampling.BOX)
    assert found.shape == (320, 480, 3)
    assert np.abs(found - np.asarray(own, np.int16)).mean() < 6
    assert (found == 255).all(axis=-1).mean() > 0.6, "a white ground"


def test_equal_drawings_give_equal_files() -> None:
    first, second = style.drawn(draw), style.drawn(draw)
    assert first == second
    assert style.drawn(draw, page=False).svg == b""
