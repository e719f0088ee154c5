"""What `--set`, `--select` and `--shard` say: changed settings, and which cells of a matrix are run."""

from __future__ import annotations

import datetime
import re
from collections.abc import Iterable, Sequence
from typing import Any

from tabench.catalog import METHODS
from tabench.errors import SpecError
from tabench.spec.cell import Cell
from tabench.spec.experiment import Axes, Experiment, Profile, check_names
from tabench.spec.toml import LONGEST, known_keys, parse_toml, validated
from tabench.text import nearest, suggestion

SELECT_KEYS = ("method", "balancing", "seed", "id")
# the keys of a profile's tables, to be proposed where the table was forgotten
_BELOW = [f"{table}.{key}" for table in known_keys(Profile) for key in known_keys(Profile, (table,))]


def parse_set(text: str) -> tuple[tuple[str, ...], Any]:
    """Split "train.epochs=2" into its key path and its TOML value; bare words are strings.

    Raises SpecError: there is no "=", or the key or the value cannot be read.
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
    return text if isinstance(value, datetime.date | datetime.time) else value


def override(experiment: Experiment, profile: str, overrides: Sequence[str] = ()) -> Experiment:
    """Apply `--set` options to one profile and to the axes.

    Keys are those of the profile ("train.epochs", "methods.lora-stl.rank") and "axes.*". "method.params.KEY"
    sets a hyper-parameter of every method on the axis that has it. Raises SpecError: a key or a value that
    the profile cannot have; the nearest key is named.
    """
    settings = experiment.profile(profile).model_dump(exclude_unset=True)
    axes = experiment.axes.model_dump()
    everywhere: list[tuple[str, str, Any]] = []
    for text in overrides:
        path, value = parse_set(text)
        if path[:2] == ("method", "params") and len(path) == 3:
            everywhere.append((text, path[2], value))
        elif path[0] == "axes" and path[1:]:
            _put(axes, path[1:], value, _where(text))
        else:
            _put(settings, path, value, _where(text))
    # all at once: options may belong together, as a rule of selection and its split do
    new_axes = validated(Axes, axes, "--set", prefix="axes.")
    for text, key, value in everywhere:
        _put_everywhere(settings, new_axes.methods, key, value, _where(text))
    profiles = {**experiment.profiles, profile: validated(Profile, settings, "--set", _BELOW)}
    changed = experiment.model_copy(update={"axes": new_axes, "profiles": profiles})
    check_names(changed, f"--set on {experiment.source}" if overrides else str(experiment.source))
    return changed


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


def select_cells(cells: Sequence[Cell], select: Iterable[str]) -> list[Cell]:
    """Keep the cells that every `--select KEY=a,b` names.

    Keys are method, balancing, seed and id (a prefix will do); an option given twice adds its values. Raises
    SpecError: an unknown key, a value that no cell has, or nothing is left.
    """
    kept = list(cells)
    for key, accepted in parse_select(select).items():
        chosen = set[str]()
        for value in accepted:
            matching = {cell.id for cell in cells if _matches(cell, key, value)}
            if not matching:
                hint = suggestion(value, dict.fromkeys(_fact(cell, key) for cell in cells), "there is")
                raise SpecError(f"no cell has {key} '{value}'", where="--select", hint=hint)
            chosen |= matching
        kept = [cell for cell in kept if cell.id in chosen]
    if not kept:
        raise SpecError("no cell is left", where="--select", hint="the options exclude each other")
    return kept


def parse_select(select: Iterable[str]) -> dict[str, list[str]]:
    """Key to the values that are asked for. Raises SpecError: an option is not KEY=a,b of a known key."""
    wanted: dict[str, list[str]] = {}
    for text in select:
        key, equals, values = (part.strip() for part in text.partition("="))
        if key not in SELECT_KEYS or not equals:
            hint = suggestion(key, SELECT_KEYS, "keys")
            raise SpecError("expected KEY=a,b", where=f"--select {text}", hint=hint)
        wanted.setdefault(key, []).extend(value.strip() for value in values.split(","))
    return wanted


def _fact(cell: Cell, key: str) -> str:
    named = {"method": cell.method.name, "balancing": cell.balancing.name}
    return {**named, "seed": str(cell.seed), "id": cell.id}[key]


def _matches(cell: Cell, key: str, value: str) -> bool:
    held = _fact(cell, key)
    return bool(value) and (held.startswith(value) if key == "id" else held == value)


def parse_shard(text: str) -> tuple[int, int]:
    """Read "2/4" as the second of four shards. Raises SpecError: it is not I/N with 1 <= I <= N."""
    match = re.fullmatch(r"(\d+)/(\d+)", text.strip(), re.ASCII)
    if match is None or not 1 <= int(match[1]) <= int(match[2]):
        hint = "for example --shard 1/4"
        raise SpecError("expected I/N with 1 <= I <= N", where=f"--shard {text}", hint=hint)
    return int(match[1]), int(match[2])


def shard_cells(cells: Sequence[Cell], shard: str) -> list[Cell]:
    """Every N-th cell from the I-th on; the N shards part the list without overlap.

    A shard beyond the number of cells is empty, which is no error.
    """
    index, count = parse_shard(shard)
    return list(cells[index - 1 :: count])
