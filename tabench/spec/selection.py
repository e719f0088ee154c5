"""Which cells of a matrix are run: `--select` and `--shard`."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping, Sequence

from tabench.errors import SpecError
from tabench.spec.cell import Cell
from tabench.text import suggestion

SELECT_KEYS = ("method", "balancing", "seed", "id")


def select_cells(cells: Sequence[Cell], select: Iterable[str]) -> list[Cell]:
    """Keep the cells that every `--select KEY=a,b` names.

    Keys are method, balancing, seed and id (a prefix will do); an option given twice adds its values.

    Raises:
        SpecError: An unknown key, a value that no cell has, or nothing is left.
    """
    kept = list(cells)
    for key, accepted in parse_select(select).items():
        chosen = set[str]()
        for value in accepted:
            matching = {cell.id for cell in cells if _matches(cell, key, value)}
            if not matching:
                raise _no_cell(cells, key, value)
            chosen |= matching
        kept = [cell for cell in kept if cell.id in chosen]
    if not kept:
        raise SpecError("no cell is left", where="--select", hint="the options exclude each other")
    return kept


def parse_select(select: Iterable[str]) -> dict[str, list[str]]:
    """Key to the values that are asked for.

    Raises:
        SpecError: An option is not KEY=a,b of a known key.
    """
    wanted: dict[str, list[str]] = {}
    for text in select:
        key, equals, values = (part.strip() for part in text.partition("="))
        if key not in SELECT_KEYS or not equals:
            hint = suggestion(key, SELECT_KEYS, "keys")
            raise SpecError("expected KEY=a,b", where=f"--select {text}", hint=hint)
        wanted.setdefault(key, []).extend(value.strip() for value in values.split(","))
    return wanted


def _facts(cell: Cell) -> Mapping[str, str]:
    named = {"method": cell.method.name, "balancing": cell.balancing.name}
    return {**named, "seed": str(cell.seed), "id": cell.id}


def _matches(cell: Cell, key: str, value: str) -> bool:
    held = _facts(cell)[key]
    return bool(value) and (held.startswith(value) if key == "id" else held == value)


def _no_cell(cells: Sequence[Cell], key: str, value: str) -> SpecError:
    held = list(dict.fromkeys(_facts(cell)[key] for cell in cells))
    hint = suggestion(value, held, "there is")
    return SpecError(f"no cell has {key} '{value}'", where="--select", hint=hint)


def parse_shard(text: str) -> tuple[int, int]:
    """Read "2/4" as the second of four shards.

    Raises:
        SpecError: It is not I/N with 1 <= I <= N.
    """
    match = re.fullmatch(r"(\d+)/(\d+)", text.strip(), re.ASCII)
    if match is None or not 1 <= int(match[1]) <= int(match[2]):
        raise SpecError(
            "expected I/N with 1 <= I <= N", where=f"--shard {text}", hint="for example --shard 1/4"
        )
    return int(match[1]), int(match[2])


def shard_cells(cells: Sequence[Cell], shard: str) -> list[Cell]:
    """Every N-th cell from the I-th on; the N shards part the list without overlap.

    A shard beyond the number of cells is empty, which is no error.
    """
    index, count = parse_shard(shard)
    return list(cells[index - 1 :: count])
