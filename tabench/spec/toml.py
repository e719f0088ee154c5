"""TOML from elsewhere: parsed by tomllib, with bounds on what a small text may make it do."""

from __future__ import annotations

import tomllib
from pathlib import Path
from typing import Any

from tabench.store.encoding import read_text

LARGEST = 1 << 18  # bytes: the longest experiment of this project has some thousand
MOST_DOTS = 100  # of a line: a dotted key costs memory with the square of its parts
_INT64 = 1 << 63  # what TOML promises; Python would take any


def parse_toml(text: str) -> dict[str, Any]:
    """Parse a text.

    Raises:
        ValueError: It is not TOML, or larger, deeper or with larger numbers than any experiment.
    """
    if len(text) > LARGEST:
        raise ValueError(f"longer than {LARGEST} characters")
    for number, line in enumerate(text.splitlines(), start=1):
        if line.count(".") > MOST_DOTS:
            raise ValueError(f"more than {MOST_DOTS} dots in a line (at line {number})")
    try:
        content = tomllib.loads(text)
        _check(content, "")
    except RecursionError:
        raise ValueError("lists or tables inside one another without end") from None
    return content


def read_toml(path: Path) -> dict[str, Any]:
    """Read a file.

    Raises:
        OSError: It cannot be read.
        ValueError: As `parse_toml`, or it is not UTF-8.
    """
    if path.stat().st_size > LARGEST:
        raise ValueError(f"larger than {LARGEST} bytes")
    return parse_toml(read_text(path))


def _check(value: Any, key: str) -> None:
    pairs = value.items() if isinstance(value, dict) else enumerate(value) if isinstance(value, list) else ()
    for inner, item in pairs:
        _check(item, f"{key}.{inner}" if key else str(inner))
    if isinstance(value, int) and not -_INT64 <= value < _INT64:
        raise ValueError(f"{key} has more than 64 bits")
