"""Fonts in PDF files: only the letters that a figure prints, without tables that no reader of PDF uses."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

from fontTools import subset

# They say how to combine and to place letters, which Matplotlib has done where it writes each one. Reading
# them takes longer than drawing the figure does.
_LAYOUT = ["GSUB", "GPOS", "GDEF", "MATH", "JSTF", "kern"]


class _Options(subset.Options):  # type: ignore[misc]
    """What is left out of a font, beside what Matplotlib leaves out."""

    def __init__(self, **given: object) -> None:
        super().__init__(**given)
        self.drop_tables = [*self.drop_tables, *_LAYOUT]


@contextmanager
def lean_fonts() -> Iterator[None]:
    """Embed fonts without their layout tables while the block runs; letters look the same."""
    options = subset.Options
    subset.Options = _Options
    try:
        yield
    finally:
        subset.Options = options
