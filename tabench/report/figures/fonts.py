"""Fonts in PDF files: only the letters that a figure prints, without tables that no reader of PDF uses."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from fontTools import subset

# They say how letters combine and where they go, which Matplotlib has decided when it writes each one.
# Reading them takes as long as drawing the figure.
_LAYOUT = ("GDEF", "GPOS", "GSUB", "JSTF", "MATH", "kern")


@contextmanager
def lean_fonts() -> Iterator[None]:
    """Load fonts for embedding without their layout tables while the block runs; letters look the same."""
    load = subset.load_font

    def without_layout(*given: Any, **named: Any) -> Any:
        font = load(*given, **named)
        for tag in _LAYOUT:
            if tag in font:
                del font[tag]
        return font

    subset.load_font = without_layout
    try:
        yield
    finally:
        subset.load_font = load
