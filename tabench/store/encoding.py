"""The one way this package writes and reads JSON files."""

from __future__ import annotations

import contextlib
import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from pydantic import ValidationError

from tabench.errors import StoreError

AGAIN = "restore it, or remove it and run the cell again"


def dumps(value: object) -> str:
    """JSON text with one key a line and short lists on one line. Raises ValueError: a float is not finite."""
    return _text(value, 0) + "\n"


def _text(value: object, depth: int) -> str:
    if isinstance(value, dict) and value:
        inner = " " * (depth + 1)
        lines = (f"{inner}{_flat(str(key))}: {_text(item, depth + 1)}" for key, item in value.items())
        return "{\n" + ",\n".join(lines) + "\n" + " " * depth + "}"
    if isinstance(value, list | tuple) and any(isinstance(item, dict) for item in value):
        inner = " " * (depth + 1)
        return "[\n" + ",\n".join(f"{inner}{_flat(item)}" for item in value) + "\n" + " " * depth + "]"
    return _flat(value)


def _flat(value: object) -> str:
    return json.dumps(value, ensure_ascii=False, allow_nan=False)


def flat(value: Mapping[str, Any], prefix: str = "") -> dict[str, Any]:
    """Objects inside one another as one, "train.epochs" to its value; lists stay as they are."""
    found: dict[str, Any] = {}
    for key, item in value.items():
        found |= flat(item, f"{prefix}{key}.") if isinstance(item, dict) else {f"{prefix}{key}": item}
    return found


def significant(value: float, digits: int = 8) -> float:
    """A number with so many significant digits; 8 is the precision of records."""
    return float(f"{value:.{digits}g}")


def parse_json(data: bytes | str) -> Any:
    """Parse JSON from elsewhere. Raises ValueError: it is torn, or has lists inside lists without end."""
    try:
        return json.loads(data)
    except RecursionError:
        raise ValueError("lists or objects inside one another without end") from None


def wrong_key(error: ValidationError, path: Path, hint: str) -> StoreError:
    """The first problem that a model finds in a file, as a message that names the file and the key."""
    first = error.errors(include_url=False, include_input=False)[0]
    key = ".".join(str(part) for part in first["loc"] if not isinstance(part, int) or part >= 0)[:200]
    unknown = first["type"] == "extra_forbidden"
    message = "unknown key" if unknown else first["msg"].removeprefix("Value error, ")
    return StoreError(message, where=f"{path}: {key}" if key else str(path), hint=hint)


def read_bytes(path: Path) -> bytes:
    """The content of a file. Raises StoreError: it is missing or unreadable; the message names it."""
    try:
        return path.read_bytes()
    except OSError as error:
        raise StoreError(f"cannot be read: {error.strerror or error}", where=str(path)) from error


def read_json(path: str | Path, hint: str = AGAIN) -> Any:
    """Read a JSON file."""
    try:
        return parse_json(read_bytes(Path(path)))
    except ValueError as error:
        raise StoreError(f"not whole JSON: {error}", where=str(path), hint=hint) from error


def read_object(path: str | Path, hint: str = AGAIN) -> dict[str, Any]:
    """Read a JSON file that holds an object."""
    content = read_json(path, hint)
    if not isinstance(content, dict):
        raise StoreError("is not a JSON object", where=str(path), hint=hint)
    return content


def read_lines(path: str | Path) -> list[dict[str, Any]]:
    """Read a journal, one JSON object a line; a missing file is empty, torn lines are left out."""
    events: list[dict[str, Any]] = []
    try:
        content = read_bytes(Path(path))
    except StoreError as error:
        if isinstance(error.__cause__, FileNotFoundError):
            return events
        raise
    for line in content.splitlines():
        with contextlib.suppress(ValueError):
            event = parse_json(line)
            if isinstance(event, dict):
                events.append(event)
    return events
