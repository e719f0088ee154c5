"""What may be why a run differs from the reference's: its machine and software, or its specification."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping
from typing import Any

from tabench.report.records.circumstances import facts
from tabench.report.records.reading import CellResult
from tabench.report.records.variants import flat
from tabench.text import counted, few

# facts of run.json that can change a number, those first that change the most: what computes, whose code it
# is, and only then in which order it adds up. Times and costs are no reason.
_ORDER = (
    "device",
    "environment.git",
    "environment.packages",
    "environment.outside",
    "environment.torch",
    "environment.cpu",
    "environment.cpu_vendor",
    "environment.cpu_flags",
    "environment.probes",
    "threads",
    "processes",
    "passes",
    "attention",
    "environment.variables",
    "environment.python",
    "environment.platform",
    "environment",  # whatever else is told of it
)
# told by other keys, too, or of no consequence for a number
_SILENT = ("environment.torch.threads", "environment.torch.version", "environment.cores")
_NUMERICS = "numerics"  # whatever is told about these comes before all
_SHOWN = 8
_HOLE = "not recorded"


def suspects(pairs: Iterable[tuple[CellResult, CellResult]]) -> list[str]:
    """What differs between runs of the same cells here and in the reference, the first suspect first.

    The specification, the data and the pretrained weights cannot: they make the cell's id.
    """
    found: Counter[tuple[str, str, str]] = Counter()
    total = 0
    for here, there in pairs:
        total += 1
        one, other = facts(here.run), facts(there.run)
        for key in {**one, **other}:
            if key not in _SILENT and one.get(key) != other.get(key) and _place(key) is not None:
                found[key, one.get(key, _HOLE), other.get(key, _HOLE)] += 1
    lines = sorted(found, key=lambda told: (_place(told[0]), -found[told], told))
    texts = [
        f"{key.removeprefix('environment.')}: {_unlike_texts(here, there)}"
        + ("" if found[key, here, there] == total else f" ({found[key, here, there]} of {total} runs)")
        for key, here, there in lines
    ]
    more = [f"{counted(len(texts) - _SHOWN, 'more fact')} of run.json"] if len(texts) > _SHOWN else []
    return [*texts[:_SHOWN], *more]


def _unlike_texts(here: str, there: str) -> str:
    """Two values of a fact; of long lists, as the flags of processors are, what only one of them has."""
    one, other = here.split(", "), there.split(", ")
    if max(len(one), len(other)) < _SHOWN or _HOLE in (here, there):
        return f"{few(one, _SHOWN)} here, {few(other, _SHOWN)} in the reference"
    only = [
        few([part for part in mine if part not in theirs], 3) for mine, theirs in ((one, other), (other, one))
    ]
    return f"only here {only[0] or 'nothing'}, only in the reference {only[1] or 'nothing'}"


def _place(key: str) -> int | None:
    """Place of a fact among the suspects; None for one that is none."""
    if _NUMERICS in key:
        return 0
    places = (n for n, start in enumerate(_ORDER, 1) if key == start or key.startswith(f"{start}."))
    return next(places, None)


def nearest_run(absent: CellResult, here: Iterable[CellResult]) -> str:
    """How the specification of the most similar run here differs from one that is missing; "" without one.

    Only runs of the same method and seed are asked.
    """
    wanted = flat(absent.record["cell"])
    name, seed = absent.record["cell"]["method"]["name"], absent.seed
    kin = [c for c in here if c.seed == seed and c.record["cell"]["method"]["name"] == name]
    differences = [_unlike(wanted, flat(cell.record["cell"])) for cell in kin]
    if not differences:
        return ""
    closest = min(differences, key=len)
    texts = [f"{key} {there} instead of {wanted}" for key, (wanted, there) in closest.items()]
    return f"the nearest run here has {few(texts, 3)}"


def _unlike(one: Mapping[str, Any], other: Mapping[str, Any]) -> dict[str, tuple[Any, Any]]:
    hole = "nothing"
    keys = [key for key in {**one, **other} if one.get(key, hole) != other.get(key, hole)]
    keys.sort(key=lambda key: _NUMERICS not in key)
    return {key: (one.get(key, hole), other.get(key, hole)) for key in keys}
