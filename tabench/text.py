"""Words for people: lists, times, sizes, hints on mistyped names; texts that are shown, never obeyed."""

from __future__ import annotations

import difflib
import re
from collections.abc import Iterable, Sequence

# what moves the cursor, changes colours or titles, rings, or turns the direction of reading
_COMMANDS = re.compile("[\x00-\x08\x0b-\x1f\x7f-\x9f\u061c\u200e\u200f\u2028-\u202e\u2066-\u2069]")
_FORMULA = ("=", "+", "-", "@", "\t", "\r")
_SIGNED = re.compile(r"[-+](\d|\.\d)[^|!=@]*")


def nearest(name: str, known: Iterable[str]) -> str | None:
    """Return the known name closest to a mistyped one, or None."""
    found = difflib.get_close_matches(name, list(known), n=1, cutoff=0.5)
    return found[0] if found else None


def suggestion(name: str, known: Iterable[str], otherwise: str = "known") -> str:
    """A hint on a mistyped name: the nearest known one, else all of them, as in "known: a, b"."""
    names = list(known)
    close = nearest(name, names)
    return f"did you mean '{close}'?" if close else f"{otherwise}: {', '.join(names) or 'none'}"


def joined(words: Sequence[str], last: str = "and") -> str:
    """Join words: "a", "a and b", "a, b and c"."""
    if len(words) < 2:
        return "".join(words)
    return f"{', '.join(words[:-1])} {last} {words[-1]}"


def few(names: Iterable[object], most: int = 8, total: int | None = None, apart: str = ", ") -> str:
    """The first few names, and how many more there are; `total` where `names` are not all."""
    words = [str(name) for name in names]
    more = (len(words) if total is None else total) - most
    rest = f"{' ' if apart == ', ' else apart}and {more} more" if more > 0 else ""
    return apart.join(words[:most]) + rest


def counted(amount: int, noun: str) -> str:
    """Write an amount: "1 seed", "3 seeds"."""
    return f"{amount} {noun}" if amount == 1 else f"{amount} {noun}s"


def duration(seconds: float) -> str:
    """Write a time: "4.8 s", "48 s", "12 min 5 s", "3 h 20 min", "5 d 2 h"."""
    whole = round(seconds)
    if whole < 60:
        return f"{seconds:.1f} s" if seconds < 10 else f"{whole} s"
    minutes, rest = divmod(whole, 60)
    hours = minutes // 60
    if hours >= 100:
        return f"{hours // 24} d {hours % 24} h"
    return f"{minutes} min {rest} s" if minutes < 60 else f"{hours} h {minutes % 60} min"


def bytes_text(count: float) -> str:
    """Write a number of bytes: "7 B", "3.2 MB"."""
    if count < 1000:
        return f"{count:.0f} B"
    for unit in ("kB", "MB", "GB"):
        count /= 1000
        if count < 1000:
            return f"{count:.1f} {unit}"
    return f"{count / 1000:.1f} TB"


def inert(text: str) -> str:
    r"""A text with its control characters spelled out ("\x1b"); line breaks and tabs stay."""
    return _COMMANDS.sub(lambda found: ascii(found[0])[1:-1], text)


def no_formula(text: str) -> str:
    """A cell of a CSV file that no spreadsheet takes for a formula; numbers with a sign stay as they are."""
    return text if _SIGNED.fullmatch(text) or not text.startswith(_FORMULA) else f"'{text}"
