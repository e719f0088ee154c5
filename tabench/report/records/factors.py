"""What the runs wrote about their trained updates (factors.json), averaged over layers and seeds."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Literal

import numpy as np
import numpy.typing as npt
from pydantic import BaseModel, ConfigDict, ValidationError

from tabench.errors import StoreError
from tabench.report.records.reading import Results
from tabench.store.encoding import read_json

Array = npt.NDArray[np.float64]
Matrix = list[list[float | None]]
MODES = {"mode1": "inputs", "mode2": "outputs", "mode3": "tasks"}
ROW_NAMES = {"tucker": "rows of $U_3$", "cp": "rows of $C$"}
ANALYSED = 500  # runs whose analyses are read, over all rows: thousands do not fit into memory
_FIX = "remove the file (the report works without it), or remove the cell's folder and run it again"


class _Part(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True, allow_inf_nan=False)


class Spectrum(_Part):
    """Singular values of an unfolding over their root of squares, largest first, and their entropy's rank."""

    values: list[float]
    effective_rank: float
    numerical_rank: int
    possible_rank: int


class Layer(_Part):
    """One adapted layer: similarities (T, T) of its tasks and its spectra; None where the update is 0."""

    name: str
    shape: tuple[int, int, int]
    norms: list[float]
    rows: Matrix | None
    updates: Matrix
    mode1: Spectrum | None
    mode2: Spectrum | None
    mode3: Spectrum | None
    separate: Spectrum | None


class Means(_Part):
    """Similarities averaged over the layers."""

    rows: Matrix | None
    updates: Matrix | None


class FactorFile(_Part):
    """The content of factors.json; with the kind "none", of a method whose updates cannot be analysed."""

    analysis_version: Literal[1]
    kind: Literal["tucker", "cp", "lora-stack", "none"]
    why: str = ""
    tasks: list[str]
    layers: list[Layer]
    mean: Means


@dataclass(frozen=True)
class MethodFactors:
    """A method's analysed runs.

    Attributes:
        method: Row key.
        seeds: Seed of each run.
        files: The runs' analyses.
        unread: Further analysed runs, which are left out.
    """

    method: str
    seeds: Sequence[int | None]
    files: Sequence[FactorFile]
    unread: int = 0

    @property
    def kind(self) -> str:
        """Word of the factorisation."""
        return self.files[0].kind

    @property
    def tasks(self) -> list[str]:
        """Tasks in the order of the matrices."""
        return self.files[0].tasks

    @cached_property
    def layers(self) -> list[str]:
        """Names of the adapted layers."""
        return [layer.name for layer in self.files[0].layers]

    def similarity(self, what: Literal["rows", "updates"]) -> list[Array]:
        """Cosines (T, T) of every layer, averaged over the runs; NaN where no run has a value."""
        return [
            _mean([m for file in self.files if (m := getattr(file.layers[i], what)) is not None], self.tasks)
            for i in range(len(self.layers))
        ]

    def spectra(self, what: str) -> list[Spectrum]:
        """Spectra of all layers of all runs, the updates of 0 left out."""
        found = (getattr(layer, what) for file in self.files for layer in file.layers)
        return [spectrum for spectrum in found if spectrum is not None]


def read_factors(results: Results) -> list[MethodFactors]:
    """Analyses of every method that has any, in table order; see `not_analysed` for the others.

    Of more than `ANALYSED` analyses every method's are read in equal numbers, lowest seeds first.

    Raises:
        StoreError: A file is damaged or of another version.
    """
    places = {
        method: [(cell.seed, path) for cell in cells if (path := cell.folder / "factors.json").is_file()]
        for method in results.methods
        if (cells := results.of(method))
    }
    places = {method: there for method, there in places.items() if there}
    many = sum(map(len, places.values())) > ANALYSED
    most = max(1, ANALYSED // len(places)) if many else ANALYSED
    found = []
    for method, there in places.items():
        files = [_read(path) for _, path in there[:most]]
        if any(file.kind == "none" for file in files):
            continue
        seeds = [seed for seed, _ in there[:most]]
        found.append(MethodFactors(method, seeds, files, len(there) - len(files)))
    return found


def not_analysed(results: Results) -> dict[str, str]:
    """Why the updates of a method are not analysed, by row key, in the words of its first run that says so.

    Raises:
        StoreError: A file is damaged or of another version.
    """
    found = {}
    for method in results.methods:
        path = next((path for c in results.of(method) if (path := c.folder / "factors.json").is_file()), None)
        if path is not None and (file := _read(path)).kind == "none":
            found[method] = file.why
    return found


def kept(spectrum: Spectrum, rank: int) -> float | None:
    """Share of the energy in the first directions; None if more of them are wanted than were written."""
    if rank > len(spectrum.values) and spectrum.possible_rank > len(spectrum.values):
        return None
    return min(1.0, sum(value**2 for value in spectrum.values[:rank]))


def summary(values: Sequence[float]) -> tuple[float, float, float] | None:
    """Mean, lowest and highest; None of nothing."""
    return (float(np.mean(values)), min(values), max(values)) if values else None


def over(spectra: Sequence[Spectrum], of: Callable[[Spectrum], float]) -> tuple[float, float, float] | None:
    """`summary` of a number of each spectrum."""
    return summary([of(spectrum) for spectrum in spectra])


def _read(path: Path) -> FactorFile:
    try:
        file = FactorFile.model_validate(read_json(path, hint=_FIX))
    except ValidationError as error:
        first = error.errors()[0]
        key = ".".join(str(part) for part in first["loc"])
        raise StoreError(f"'{key}': {first['msg']}", where=str(path), hint=_FIX) from error
    size = len(file.tasks)
    for layer in file.layers:
        for matrix in filter(None, (layer.rows, layer.updates)):
            if len(matrix) != size or any(len(row) != size for row in matrix):
                raise StoreError(f"'{layer.name}': not a {size} x {size} matrix", where=str(path), hint=_FIX)
    return file


def _mean(matrices: Sequence[Matrix], tasks: Sequence[str]) -> Array:
    """Entry by entry over the matrices that have it."""
    stack = np.array(matrices, dtype=np.float64).reshape(-1, len(tasks), len(tasks))  # None becomes NaN
    present = ~np.isnan(stack)
    counts = present.sum(axis=0)
    sums = np.where(present, stack, 0.0).sum(axis=0)
    return np.where(counts > 0, sums / np.maximum(counts, 1), np.nan)
