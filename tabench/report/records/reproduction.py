"""Where and with what the runs ran, and whether they equal the reference records that are shipped."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from tabench.errors import StoreError
from tabench.report.records import wording
from tabench.report.records.reading import Results, read_results

_WANTED = {
    "Device": ("device",),
    "Threads": ("threads",),
    "Processes of a cell": ("processes",),
    "Deterministic algorithms alone": ("environment", "torch", "deterministic"),
    "Commit": ("environment", "git", "commit"),
    "Uncommitted changes": ("environment", "git", "dirty"),
    "CPU": ("environment", "cpu"),
    "Platform": ("environment", "platform"),
    "Python": ("environment", "python"),
    "PyTorch": ("environment", "packages", "torch"),
    "NumPy": ("environment", "packages", "numpy"),
    "tabench": ("environment", "packages", "tabench"),
}


def circumstances(results: Results) -> dict[str, list[str]]:
    """What to every value that occurred, over all finished runs."""
    found: dict[str, list[str]] = {}
    for title, path in _WANTED.items():
        values = {str(value) for cell in results.done if (value := _dig(cell.run, path)) not in (None, "")}
        if values:
            found[title] = sorted(values)
    code = outside_code(results)
    return found | ({"Code of other packages, or of a later version": code} if code else {})


def outside_code(results: Results) -> list[str]:
    """What finished runs took from other packages: "method x: my-package 0.1 sha256:0123456789abcdef"."""
    parts = ("dataset", "backbone", "method")  # equal ones are one object: see `read_results`
    alike = {tuple(id(cell.record["cell"][part]) for part in parts): cell for cell in results.done}
    return sorted({f"{what}: {text}" for cell in alike.values() for what, text in cell.cell.codes.items()})


def facts(run: Mapping[str, Any]) -> dict[str, str]:
    """Everything that is known of one run, by dotted key; lists and objects inside lists as texts."""
    found: dict[str, str] = {}
    for key, value in run.items():
        if isinstance(value, Mapping):
            found |= {f"{key}.{inner}": text for inner, text in facts(value).items()}
        elif value not in (None, "", [], ()):
            found[key] = ", ".join(map(str, value)) if isinstance(value, list) else str(value)
    return found


def _dig(value: Any, path: Sequence[str]) -> Any:
    for key in path:
        value = value.get(key) if isinstance(value, dict) else None
    return value


@dataclass(frozen=True)
class Reproduced:
    """How close a method's runs are to the reference runs of the same cells.

    `identical` of the `numbers` compared are equal, and `weights` of the `cells` have the same sha256;
    `largest` has each metric's largest absolute difference over the cells.
    """

    method: str
    cells: int
    numbers: int
    identical: int
    weights: int
    largest: Mapping[str, float]

    @property
    def worst(self) -> str:
        """The metrics that differ, largest differences in words; "none" if all are equal."""
        differing = {name: value for name, value in self.largest.items() if value > 0}
        return ", ".join(f"{name} {value:.3g}" for name, value in differing.items()) or "none"


def reproduced(results: Results) -> list[Reproduced] | None:
    """Compare with ``<results>/reference/<experiment>``; None if there are no reference records.

    Cells are compared by id, so only runs of exactly the same specification, data and weights meet.
    """
    folder = results.root / "reference"
    if not (folder / results.name).is_dir():
        return None
    try:
        reference = {cell.id: cell.record for cell in read_results(folder, results.name).done}
    except StoreError:
        return None
    rows = []
    for method in results.methods:
        pairs = [(cell.record, reference[cell.id]) for cell in results.of(method) if cell.id in reference]
        differences: dict[str, list[float]] = {}
        for mine, theirs in pairs:
            other = {_name(m): m["value"] for m in theirs["metrics"]}
            for metric in mine["metrics"]:
                if (name := _name(metric)) in other:
                    difference = _difference(metric["value"], other[name])
                    differences.setdefault(name, []).append(difference)
        every = [difference for found in differences.values() for difference in found]
        weights = sum(mine["weights_sha256"] == theirs["weights_sha256"] for mine, theirs in pairs)
        largest = {name: max(found) for name, found in differences.items()}
        if pairs:
            rows.append(Reproduced(method, len(pairs), len(every), every.count(0), weights, largest))
    return rows


def _name(metric: Mapping[str, Any]) -> str:
    return f"{metric['task']} {wording.metric_title(metric)}, {metric['protocol']}"


def _difference(mine: float | None, theirs: float | None) -> float:
    if mine is None or theirs is None:
        return 0.0 if mine is theirs else math.inf
    return abs(mine - theirs)
