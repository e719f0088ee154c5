"""The claims that the packed runs decide, and the further runs that they rest on."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path

from tabench.report.records.reading import Results, read_results
from tabench.report.tables.claims import Assessed, assess, claims_file, concerns, neighbours
from tabench.spec.claims import load_claims


@dataclass(frozen=True)
class Claimed:
    """Claims with their outcomes, as the reports of the packed experiments give them.

    Attributes:
        file: The file of claims; None without one.
        assessed: Every claim of it about methods of a packed experiment.
        beside: Runs of experiments that a claim names and that are not packed themselves. Tables of
            claims come out the same elsewhere only if their records are there too.
    """

    file: Path | None = None
    assessed: Sequence[Assessed] = ()
    beside: Sequence[Results] = ()


def claimed(results: Path, names: Iterable[str]) -> Claimed:
    """Assess the claims on the named experiments and their neighbours in a results folder.

    Raises:
        StoreError: One of the named experiments has no finished cell or a record that is not valid.
        SpecError: The file of claims cannot be used.
    """
    file = claims_file(results)
    if file is None:
        return Claimed()
    packed = {name: read_results(results, name) for name in names}
    found = [c for c in load_claims(file) if any(concerns(c, one) for one in packed.values())]
    runs = dict(packed)
    for one in packed.values():
        runs = {**neighbours(one, found), **runs}
    beside = [runs[name] for name in sorted(runs.keys() - packed.keys())]
    return Claimed(file, [assess(claim, runs) for claim in found], beside)
