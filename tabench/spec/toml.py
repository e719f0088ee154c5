"""TOML from elsewhere, with bounds on what a small text may make it do; faults are told as one error."""

from __future__ import annotations

import tomllib
import types
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any, TypeVar, Union, get_args, get_origin

from pydantic import BaseModel, ValidationError
from pydantic_core import ErrorDetails

from tabench.errors import SpecError
from tabench.text import counted, nearest

LARGEST = 1 << 18  # bytes: the longest experiment of this project has some thousand
MOST_DOTS = 100  # of a line: a dotted key costs memory with the square of its parts
LONGEST = 200  # characters of a value in a message
_INT64 = 1 << 63  # what TOML promises; Python would take any
Model = TypeVar("Model", bound=BaseModel)
Part = int | str


def parse_toml(text: str) -> dict[str, Any]:
    """Parse a text.

    Raises ValueError: it is not TOML, or larger, deeper or with larger numbers than any experiment.
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


def _check(value: Any, key: str) -> None:
    pairs = value.items() if isinstance(value, dict) else enumerate(value) if isinstance(value, list) else ()
    for inner, item in pairs:
        _check(item, f"{key}.{inner}" if key else str(inner))
    if isinstance(value, int) and not -_INT64 <= value < _INT64:
        raise ValueError(f"{key} has more than 64 bits")


def read_toml(path: Path, where: str | None = None, hint: str | None = None) -> dict[str, Any]:
    """Read a file in UTF-8; the byte-order mark that some editors put in front is no part of it.

    Messages call it `where`, and advise `hint` where it cannot be read. Raises SpecError: it cannot be (the
    cause is an OSError), or as `parse_toml`.
    """
    where = where or str(path)
    try:
        if path.stat().st_size > LARGEST:
            raise ValueError(f"larger than {LARGEST} bytes")
        return parse_toml(path.read_text(encoding="utf-8-sig"))
    except OSError as error:
        raise SpecError(f"cannot be read: {error.strerror}", where=where, hint=hint) from error
    except ValueError as error:
        raise SpecError(f"not valid TOML: {error}", where=where) from error


def validated(
    model: type[Model], data: object, where: str, also: Iterable[str] = (), prefix: str = ""
) -> Model:
    """Check data from a file or option (`where`) against a model.

    `also` are dotted keys to propose beside the model's own, `prefix` goes before every key in the message.
    Raises SpecError: at the first problem's key, with the nearest valid one; further problems are counted.
    """
    try:
        return model.model_validate(data)
    except ValidationError as error:
        # a mistyped key is also a missing one: say the cause first
        found = sorted(error.errors(include_url=False), key=lambda e: e["type"] != "extra_forbidden")
        paths = [_inside(each["loc"], data, each["type"]) for each in found]
        message, hint = _describe(found[0], paths[0], model, also)
        if (more := len(set(paths)) - 1) > 0:  # of a union several are of one key
            message += f" (and {counted(more, 'more problem')})"
        key = prefix + ".".join(map(str, paths[0]))
        raise SpecError(message, where=f"{where}: {key}" if key else where, hint=hint) from error


def _describe(
    found: ErrorDetails, path: tuple[Part, ...], model: type[BaseModel], also: Iterable[str]
) -> tuple[str, str | None]:
    """What is wrong, and what to do."""
    if found["type"] == "extra_forbidden":
        known = known_keys(model, path[:-1])
        close = nearest(str(path[-1]), known) or nearest(".".join(map(str, path)), also)
        return "unknown key", f"did you mean '{close}'?" if close else f"known keys: {', '.join(known)}"
    if found["type"] == "missing":
        return "this key is missing", "add it to the file"
    message, value = found["msg"].removeprefix("Value error, "), found["input"]
    return (message, None) if isinstance(value, Mapping) else (f"{message}, got {_brief(value)}", None)


def _brief(value: object) -> str:
    """A value as messages show it: whatever its size, a line."""
    text = repr(value)
    return text if len(text) <= LONGEST else f"{text[:LONGEST]}... ({len(text)} characters)"


def _inside(loc: Sequence[Part], data: object, kind: str) -> tuple[Part, ...]:
    """The part of a pydantic location that exists in the data: union tags are dropped."""
    path: list[Part] = []
    for part in loc:
        held = isinstance(data, Mapping) and part in data
        if held or (isinstance(data, list | tuple) and isinstance(part, int) and part < len(data)):
            data = data[part]  # type: ignore[index]  # just checked
            path.append(part)
        elif kind == "missing":
            path.append(part)
        else:
            break
    return tuple(path)


def known_keys(model: type[BaseModel], path: Sequence[Part] = ()) -> list[str]:
    """The keys valid at a path inside a model; empty where any key is."""
    current: Any = model
    for part in path:
        fields = _fields(current)
        if fields is not None:
            current = fields[str(part)]
        else:
            places = {dict: -1, tuple: 0}  # of what a mapping or a list holds
            origin: Any = get_origin(current)
            current = get_args(current)[places[origin]] if origin in places else None
    return list(_fields(current) or ())


def _fields(annotation: Any) -> dict[str, Any] | None:
    """Key to annotation of a model's fields, also of one that may be None; None for what is no model."""
    if get_origin(annotation) in (Union, types.UnionType):
        annotation = next((arg for arg in get_args(annotation) if arg is not type(None)), None)
    if not (isinstance(annotation, type) and issubclass(annotation, BaseModel)):
        return None
    return {info.alias or name: info.annotation for name, info in annotation.model_fields.items()}
