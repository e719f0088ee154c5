"""TOML from elsewhere, with bounds on what a small text may make it do; faults are told as one error."""

from __future__ import annotations

import tomllib
import types
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any, TypeVar, Union, get_args, get_origin

from pydantic import BaseModel, ValidationError

from tabench.errors import SpecError
from tabench.text import nearest

LARGEST = 1 << 18  # bytes: the longest experiment of this project has some thousand
MOST_DOTS = 100  # of a line: a dotted key costs memory with the square of its parts
SHOWN = 8  # problems a message lists before it counts the rest
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
    Raises SpecError: at the first problem's key, with the nearest valid one; further problems follow.
    """
    try:
        return model.model_validate(data)
    except ValidationError as error:
        raise _told(error, model, data, where, also, prefix) from error


def _told(
    error: ValidationError, model: type[BaseModel], data: object, where: str, also: Iterable[str], prefix: str
) -> SpecError:
    problems: dict[str, tuple[str, str | None]] = {}
    unknown_first = sorted(error.errors(include_url=False), key=lambda e: e["type"] != "extra_forbidden")
    for found in unknown_first[:SHOWN]:  # a mistyped key is also a missing one: say the cause first
        path = _inside(found["loc"], data, found["type"])
        key = prefix + ".".join(str(part) for part in path)
        problems.setdefault(key, _describe(found["type"], found["msg"], path, model, data, also))
    (first, (message, hint)), *rest = problems.items()
    for key, (other, advice) in rest:
        message += f"\n{where}: {key}: {other}" + (f" ({advice})" if advice else "")
    if len(unknown_first) > SHOWN:
        message += f"\n{where}: and {len(unknown_first) - SHOWN} more problems"
    return SpecError(message, where=f"{where}: {first}" if first else where, hint=hint)


def _describe(
    kind: str, message: str, path: tuple[Part, ...], model: type[BaseModel], data: object, also: Iterable[str]
) -> tuple[str, str | None]:
    if kind == "extra_forbidden":
        known = known_keys(model, path[:-1])
        close = nearest(str(path[-1]), known) or nearest(".".join(map(str, path)), also)
        return "unknown key", f"did you mean '{close}'?" if close else f"known keys: {', '.join(known)}"
    if kind == "missing":
        return "this key is missing", "add it to the file"
    value = data
    for part in path:
        value = value[part]  # type: ignore[index]  # `_inside` walked the same path
    message = message.removeprefix("Value error, ")
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
            current = get_args(current)[-1] if get_origin(current) is dict else None
    return list(_fields(current) or ())


def _fields(annotation: Any) -> dict[str, Any] | None:
    """Key to annotation of a model's fields, also of one that may be None; None for what is no model."""
    if get_origin(annotation) in (Union, types.UnionType):
        annotation = next((arg for arg in get_args(annotation) if arg is not type(None)), None)
    if not (isinstance(annotation, type) and issubclass(annotation, BaseModel)):
        return None
    return {info.alias or name: info.annotation for name, info in annotation.model_fields.items()}
