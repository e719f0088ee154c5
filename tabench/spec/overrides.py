"""What `--set` changes: one profile's settings and the axes."""

from __future__ import annotations

import datetime
from collections.abc import Iterable, Sequence
from typing import Any

from pydantic import ValidationError

from tabench.catalog import METHODS
from tabench.errors import SpecError
from tabench.spec.experiment import Axes, Experiment, Profile, check_names
from tabench.spec.problems import LONGEST, known_keys, spec_error
from tabench.spec.toml import parse_toml
from tabench.text import nearest


def parse_set(text: str) -> tuple[tuple[str, ...], Any]:
    """Split "train.epochs=2" into its key path and its TOML value; bare words are strings.

    Raises:
        SpecError: There is no "=", or the key or the value cannot be read.
    """
    where = _where(text)
    key, equals, value = (part.strip() for part in text.partition("="))
    if not (equals and key and value) or "\n" in text:
        raise SpecError("expected KEY=VALUE", where=where, hint="for example --set train.epochs=2")
    try:
        node: Any = parse_toml(f"{key} = 0")
    except ValueError as error:
        raise SpecError(f"'{key}' is not a dotted key", where=where) from error
    path: list[str] = []
    while isinstance(node, dict):
        if len(node) != 1:  # the text had brackets or a comment sign of its own
            raise SpecError(f"'{key}' is not a dotted key", where=where)
        ((name, node),) = node.items()
        path.append(name)
    return tuple(path), _value(value, where)


def _where(text: str) -> str:
    return f"--set {text if len(text) <= LONGEST else f'{text[:LONGEST]}...'}"


def _value(text: str, where: str) -> Any:
    try:
        value = parse_toml(f"value = {text}")["value"]
    except ValueError as error:
        if text[0] in "[{\"'":
            hint = "quote it for the shell, for example --set 'dataset.tasks=[\"depth\"]'"
            raise SpecError(f"not a TOML value: {error}", where=where, hint=hint) from error
        return text
    is_time = isinstance(value, datetime.date | datetime.time)
    return text if is_time else value


def override(experiment: Experiment, profile: str, overrides: Iterable[str] = ()) -> Experiment:
    """Apply `--set` options to one profile and to the axes.

    Keys are those of the profile ("train.epochs", "methods.lora-stl.rank") and "axes.*".
    "method.params.KEY" sets a hyper-parameter of every method on the axis that has it.

    Raises:
        SpecError: A key or a value that the profile cannot have; the nearest key is named.
    """
    settings = experiment.profile(profile).model_dump(exclude_unset=True)
    axes = experiment.axes.model_dump()
    everywhere: list[tuple[str, str, Any]] = []
    options = list(overrides)
    problem: SpecError | None = None  # of options so far; a later one may belong to it (a rule and its split)
    for text in options:
        path, value = parse_set(text)
        if path[:2] == ("method", "params") and len(path) == 3:
            everywhere.append((text, path[2], value))
        else:
            target, inner = (axes, path[1:]) if path[0] == "axes" and path[1:] else (settings, path)
            try:
                _put(target, inner, value, _where(text))
            except SpecError as error:
                raise problem or error from None
            try:
                _validate(axes, settings, _where(text))
                problem = None
            except SpecError as error:
                problem = problem or error
    if problem is not None:
        raise problem
    new_axes, _ = _validate(axes, settings, "--set")
    for text, key, value in everywhere:
        _put_everywhere(settings, new_axes.methods, key, value, _where(text))
    new_axes, new_profile = _validate(axes, settings, "--set")
    profiles = {**experiment.profiles, profile: new_profile}
    changed = experiment.model_copy(update={"axes": new_axes, "profiles": profiles})
    check_names(changed, f"--set on {experiment.source}" if options else str(experiment.source))
    return changed


def _validate(axes: dict[str, Any], settings: dict[str, Any], where: str) -> tuple[Axes, Profile]:
    try:
        new_axes = Axes.model_validate(axes)
    except ValidationError as error:
        raise spec_error(error, Axes, axes, where, prefix="axes.") from error
    try:
        return new_axes, Profile.model_validate(settings)
    except ValidationError as error:
        raise spec_error(error, Profile, settings, where, also=_dotted()) from error


def _dotted() -> list[str]:
    keys = [f"axes.{key}" for key in known_keys(Axes)]
    for section in known_keys(Profile):
        keys += [f"{section}.{key}" for key in known_keys(Profile, (section,))]
    return keys


def _put(table: dict[str, Any], path: Sequence[str], value: Any, where: str) -> None:
    for name in path[:-1]:
        table = table.setdefault(name, {})
        if not isinstance(table, dict):
            raise SpecError(f"'{name}' is a value, not a table", where=where)
    table[path[-1]] = value


def _put_everywhere(
    settings: dict[str, Any], methods: Iterable[str], key: str, value: Any, where: str
) -> None:
    known = {method: METHODS.get(method, where=where).defaults for method in methods}
    having = [method for method, defaults in known.items() if key in defaults]
    if not having:
        close = nearest(key, {name for defaults in known.values() for name in defaults})
        hint = f"did you mean 'method.params.{close}'?" if close else "see `tabench describe METHOD`"
        raise SpecError(f"no method of this experiment has '{key}'", where=where, hint=hint)
    for method in having:
        _put(settings, ("methods", method, key), value, where)
