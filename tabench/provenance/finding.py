"""One line of ``tabench doctor``."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

Level = Literal["ok", "note", "problem"]


@dataclass(frozen=True)
class Finding:
    """What was found, and what to do about it.

    Attributes:
        level: "ok", "note" (runs work, but know it) or "problem".
        message: What was found.
        hint: What to do; empty if nothing is.
    """

    level: Level
    message: str
    hint: str = ""
