"""pydantic's findings told as one SpecError: file, dotted key, nearest valid key."""

from __future__ import annotations

import types
from collections.abc import Iterable, Mapping, Sequence
from typing import Any, Union, get_args, get_origin

from pydantic import BaseModel, ValidationError

from tabench.errors import SpecError
from tabench.text import nearest

Part = int | str
SHOWN = 8  # problems a message lists before it counts the rest
LONGEST = 200  # characters of a value


def spec_error(
    error: ValidationError,
    model: type[BaseModel],
    data: object,
    where: str,
    also: Iterable[str] = (),
    prefix: str = "",
) -> SpecError:
    """Turn a validation error into one that a person can act on.

    Args:
        error: What pydantic found.
        model: The model that was validated.
        data: What was validated against it.
        where: The file or option it came from.
        also: Dotted keys to propose beside the model's own.
        prefix: What goes before every key in the message ("axes.").

    Returns:
        A SpecError at the first problem's key; further problems follow in the message.
    """
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
    return (message, None) if isinstance(value, Mapping) else (f"{message}, got {brief(value)}", None)


def brief(value: object) -> str:
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
        current = _model_of(current)
        if isinstance(current, type) and issubclass(current, BaseModel):
            fields = {info.alias or name: info for name, info in current.model_fields.items()}
            current = fields[str(part)].annotation
        else:
            current = get_args(current)[-1] if get_origin(current) is dict else None
    current = _model_of(current)
    if not (isinstance(current, type) and issubclass(current, BaseModel)):
        return []
    return [info.alias or name for name, info in current.model_fields.items()]


def _model_of(annotation: Any) -> Any:
    if get_origin(annotation) in (Union, types.UnionType):
        return next((arg for arg in get_args(annotation) if arg is not type(None)), None)
    return annotation
