"""Texts of figures: what this package writes in formulas is set as such, names of others never are."""

from __future__ import annotations

import re

from matplotlib.figure import Figure
from matplotlib.text import Text

# All that the figures' own code writes between dollar signs, and the powers of ten of Matplotlib's axes
_FORMULAS = frozenset(
    {
        *("=", "A", "A_t", "B^\\top", "B_t", "C", "G", "U_1", "U_2^\\top", "U_3", "W_0", "w", "x_t"),
        *("+\\; s", "\\circ", "\\times_3", "\\Delta_b", "\\Delta W", "\\Delta W_t"),
        *("r (d + k)", "T r (d + k)", "dp + kq + Tv + pqv", "R\\,(d + k + T) + R"),
        "W_t = W_0 + s\\, B_t A_t",
        "\\Delta W = G {\\times}_1 U_1 {\\times}_2 U_2 {\\times}_3 U_3",
        "\\Delta W = \\Sigma_r\\, w_r\\, a_r \\circ b_r \\circ c_r",
    }
)
_NUMBERED = re.compile(r"[EN]_\d+|\\mathdefault\{[-−0-9^{}.]*(\\times)?[-−0-9^{}.]*\}")


def make_inert(figure: Figure) -> None:
    r"""Take Matplotlib's formulas away from every text that this package did not write.

    A name like "$\frac$" would else end the drawing, and "$x$" would not be shown as it is.
    """
    for axes in figure.axes:
        for axis in (axes.xaxis, axes.yaxis):
            axis.get_ticklabels(which="both")  # fills them in, which drawing does too
    for text in figure.findobj(Text):
        assert isinstance(text, Text)
        words = text.get_text()
        if "$" in words and not is_own(words):
            text.set_parse_math(False)
        if not all(letter.isprintable() or letter == "\n" for letter in words):
            text.set_text("".join(c if c.isprintable() or c == "\n" else "\ufffd" for c in words))


def is_own(words: str) -> bool:
    """Whether all formulas of a text are of the figures' own code."""
    parts = words.split("$")
    return len(parts) % 2 == 1 and all(
        formula in _FORMULAS or _NUMBERED.fullmatch(formula) for formula in parts[1::2]
    )
