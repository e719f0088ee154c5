"""Texts of files on a terminal or in a spreadsheet: shown, never obeyed."""

from __future__ import annotations

import re

# what moves the cursor, changes colours or titles, rings, or turns the direction of reading
_COMMANDS = re.compile("[\x00-\x08\x0b-\x1f\x7f-\x9f\u061c\u200e\u200f\u2028-\u202e\u2066-\u2069]")
_FORMULA = ("=", "+", "-", "@", "\t", "\r")
_SIGNED = re.compile(r"[-+](\d|\.\d)[^|!=@]*")


def inert(text: str) -> str:
    r"""A text with its control characters spelled out ("\x1b"); line breaks and tabs stay."""
    return _COMMANDS.sub(lambda found: ascii(found[0])[1:-1], text)


def no_formula(text: str) -> str:
    """A cell of a CSV file that no spreadsheet takes for a formula; numbers with a sign stay as they are."""
    return text if _SIGNED.fullmatch(text) or not text.startswith(_FORMULA) else f"'{text}"
