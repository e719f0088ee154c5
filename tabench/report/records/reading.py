"""An experiment's results folder: every cell with its record, circumstances or failure.

Of a record only what tables need is kept. What grows with images and epochs, and journals, are read again
where they are needed (`CellResult.whole`, `CellResult.journal`): of thousands of runs they fill a memory.
"""

from __future__ import annotations

import json
import os
from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field, replace
from functools import cached_property
from itertools import zip_longest
from pathlib import Path
from typing import Any, TypeVar

from pydantic import BaseModel, ValidationError
from pydantic_core import from_json

from tabench.catalog import METHODS
from tabench.errors import SpecError, StoreError
from tabench.report.records import variants
from tabench.spec.cell import Cell
from tabench.store.encoding import read_json, read_lines
from tabench.store.folders import CellFolder, ExperimentFolder, is_name
from tabench.store.record import load_record

Json = dict[str, Any]
Schema = TypeVar("Schema", bound=BaseModel)
FIX = "remove the file (the report works without it), or remove the cell's folder and run it again"
RUN_PAGES = 1000  # a page is 25 kB and takes 3 ms: 20,000 of them are half a gigabyte and minutes
APART = {"per_image", "curves"}  # keys of a record that are read again
# parts of a record, of its cell and of run.json that are equal in many runs
ALIKE = ("data", "backbone", "parameters", "pictures", "legends", "selection", "environment", "passes")
ALIKE_IN_CELL = ("dataset", "backbone", "method", "train", "evaluation")


@dataclass(frozen=True)
class CellResult:
    """One cell and what is known of it.

    Attributes:
        id: Cell id, the name of its folder.
        label: Short human name ("ta-lora s0").
        method: Registry name of the method.
        seed: Seed, or None where only a label without one is known.
        state: "done", "failed", "partial", "running" or "pending".
        record: The deterministic outcome without the keys in `APART`; empty unless done.
        run: Circumstances of the run; may be empty.
        failure: Kind, message and traceback of a failed run; empty otherwise.
        folder: Where it was read from.
    """

    id: str
    label: str
    method: str
    seed: int | None
    state: str
    record: Json
    run: Json
    failure: Json
    folder: Path

    def whole(self) -> Json:
        """The record with its values for each image and its curves, read now; only if it is done.

        Raises:
            StoreError: It was there, and cannot be read any more.
        """
        path = self.folder / "record.json"
        try:
            return dict(from_json(path.read_bytes(), cache_strings="keys"))
        except (OSError, ValueError) as error:
            raise StoreError(f"was there, and cannot be read now: {error}", where=str(path)) from error

    @property
    def journal(self) -> list[Json]:
        """Events of the run in order, read now."""
        return read_lines(self.folder / "journal.jsonl")

    @cached_property
    def content(self) -> str:
        """What its pictures of inputs and targets are kept under; only if it is done."""
        return self.cell.dataset.content

    @property
    def cell(self) -> Cell:
        """Its specification; only if it is done."""
        return Cell.model_validate(self.record["cell"])

    @cached_property
    def values(self) -> dict[str, dict[str, float | None]]:
        """Protocol to "task.key" to value; every Delta_b reads them again."""
        found: dict[str, dict[str, float | None]] = {}
        for m in self.record["metrics"] if self.record else []:
            found.setdefault(m["protocol"], {})[f"{m['task']}.{m['key']}"] = m["value"]
        return found

    @cached_property
    def nested(self) -> dict[str, dict[str, dict[str, float]]]:
        """Protocol to task to key to value, without undefined ones."""
        found: dict[str, dict[str, dict[str, float]]] = {}
        for m in self.record["metrics"] if self.record else []:
            if m["value"] is not None:
                found.setdefault(m["protocol"], {}).setdefault(m["task"], {})[m["key"]] = m["value"]
        return found


@dataclass(frozen=True)
class Results:
    """All cells of one experiment.

    Attributes:
        name: Experiment name.
        root: The results folder that holds experiments.
        experiment: The resolved experiment as written by the plan.
        cells: Cells in the order of the experiment.
        strangers: Folders of cells that are left out of every table: the experiment does not name them, or
            their numerics are not those of the others.
        run_pages: Runs that the page lists and that get a page of their own, at most; see `listed_of`.
        lacks: What every table says to be missing here, a sentence; "" if nothing is.
    """

    name: str
    root: Path
    experiment: Json
    cells: list[CellResult]
    strangers: list[str] = field(default_factory=list)
    run_pages: int = RUN_PAGES
    lacks: str = ""

    @cached_property
    def done(self) -> list[CellResult]:
        """Cells with a record."""
        return [cell for cell in self.cells if cell.record]

    @cached_property
    def listed(self) -> list[CellResult]:
        """The cells that have a page of their own."""
        return listed_of(self.cells, self.run_pages)

    @cached_property
    def paged(self) -> frozenset[str]:
        """Ids of the listed cells; nothing links to the page of another one."""
        return frozenset(cell.id for cell in self.listed)

    @cached_property
    def first(self) -> Json:
        """The record of the first finished cell: data, backbone and metric names are shared by all."""
        return self.done[0].record

    @property
    def report(self) -> Json:
        """The experiment's report table (baselines, grid, published)."""
        return dict(self.experiment.get("report") or {})

    @property
    def profile(self) -> str:
        """Name of the profile that was run."""
        return str(self.experiment.get("profile") or "")

    @cached_property
    def methods(self) -> list[str]:
        """Row keys in the order of the experiment."""
        return list(dict.fromkeys(cell.method for cell in self.cells))

    @cached_property
    def baselines(self) -> list[str]:
        """Row keys that Delta_b is taken against."""
        rows = (self.row(str(name)) for name in self.report.get("baselines") or [])
        return [row for row in rows if row is not None]

    def row(self, name: str) -> str | None:
        """The row that an experiment means by a method's name: of its variants, the one listed first."""
        if name in self.methods:
            return name
        rows = {cell.id: cell.method for cell in self.cells if self.family(cell.method) == name}
        listed = (rows[cell_id] for cell_id in self.experiment.get("cells") or {} if cell_id in rows)
        return next(listed, next(iter(rows.values()), None))

    @cached_property
    def _by_method(self) -> dict[str, list[CellResult]]:
        found: dict[str, list[CellResult]] = {}
        for cell in sorted(self.done, key=lambda c: (c.seed or 0, c.id)):
            found.setdefault(cell.method, []).append(cell)
        return found

    def of(self, method: str) -> list[CellResult]:
        """Finished cells of a method, by seed."""
        return self._by_method.get(method, [])

    def planned(self, method: str) -> int:
        """Number of cells a method has in the experiment, finished or not."""
        return self._planned[method]

    @cached_property
    def _planned(self) -> Counter[str]:
        return Counter(cell.method for cell in self.cells)

    def title(self, method: str) -> str:
        """A row's name in tables, for example "LoRA-STL" or "LoRA-STL r=8".

        Where all rows are variants of one method, only what tells them apart is left.
        """
        name, _, variant = method.partition(" ")
        if variant and self._one_family:
            return variant
        try:
            title = METHODS.get(name).title
        except SpecError:
            title = name
        return variants.title(title, variant)

    @cached_property
    def _one_family(self) -> bool:
        return len({self.family(method) for method in self.methods}) == 1

    def family(self, method: str) -> str:
        """The registry name of a row's method, without its variant."""
        return method.partition(" ")[0]


def listed_of(cells: Sequence[CellResult], limit: int) -> list[CellResult]:
    """At most `limit` runs, in their order.

    Those that did not finish come first, up to half of it: somebody has to look at them. The rest goes to the
    rows of the tables in turn, lowest seeds first, as the cards behind a table's numbers name them.
    """
    if len(cells) <= limit:
        return list(cells)
    unfinished = [cell for cell in cells if not cell.record]
    unfinished.sort(key=lambda cell: cell.state == "pending")  # nothing is known of these
    rows: dict[str, list[CellResult]] = {}
    for cell in sorted((cell for cell in cells if cell.record), key=lambda cell: (cell.seed or 0, cell.id)):
        rows.setdefault(cell.method, []).append(cell)
    finished = [cell for turn in zip_longest(*rows.values()) for cell in turn if cell is not None]
    chosen = [*unfinished[: limit // 2], *finished][:limit]
    ids = {cell.id for cell in chosen}
    return [cell for cell in cells if cell.id in ids]


def read_checked(path: Path, schema: type[Schema], hint: str) -> Schema:
    """Read a file that this package wrote beside a record or a page.

    Raises:
        StoreError: It is not whole, damaged or of another version; names the file and the key.
    """
    try:
        return schema.model_validate(read_json(path, hint=hint))
    except ValidationError as error:
        first = error.errors(include_url=False)[0]
        key = ".".join(map(str, first["loc"]))
        raise StoreError(f"'{key}': {first['msg']}", where=str(path), hint=hint) from error


def read_results(results_dir: Path, experiment: str) -> Results:
    """Read an experiment's folder.

    Raises:
        StoreError: There is no such experiment, a file is not valid, or no cell has finished.
    """
    place = ExperimentFolder(results_dir, experiment)
    plan = place.read_experiment()
    labels = {str(name): str(label) for name, label in dict(plan.get("cells") or {}).items()}
    found = _recorded(place.path)
    ids = list(labels) or found
    shared: dict[str, Any] = {}
    cells = [_cell(place.cell(name), labels.get(name, ""), shared) for name in ids]
    ways = {cell.id: cell.record["cell"]["train"].get("numerics", "native") for cell in cells if cell.record}
    first = next(iter(ways.values()), "")  # merged folders may bring others: no table compares the two
    cells = _with_variants([cell for cell in cells if ways.get(cell.id, first) == first])
    named = {cell.id for cell in cells}
    strangers = [name for name in found if name not in named]
    results = Results(experiment, results_dir, plan, cells, strangers)
    if not results.done:
        counts = Counter(cell.state for cell in cells)
        states = ", ".join(f"{count} {state}" for state, count in counts.items()) or "no cells"
        raise StoreError(
            f"no finished cell to report on ({states})", where=str(place.path), hint="see `tabench status`"
        )
    return results


def _recorded(folder: Path) -> list[str]:
    """Names of the folders with a record."""
    with os.scandir(folder) as entries:
        names = sorted(entry.name for entry in entries if is_name(entry.name) and entry.is_dir())
    return [name for name in names if (folder / name / "record.json").is_file()]


def _cell(place: CellFolder, label: str, shared: dict[str, Any]) -> CellResult:
    state = place.state()
    record = load_record(place.record).model_dump(mode="json", exclude=APART) if state == "done" else {}
    run = place.read_run()
    _once(run, ALIKE, shared)
    if record:
        _once(record, ALIKE, shared)
        _once(record["cell"], ALIKE_IN_CELL, shared)
        label = label or record["label"]
        method, seed = record["cell"]["method"]["name"], record["cell"]["seed"]
    else:
        label = label or place.cell_id
        method, seed = _split(label)
    return CellResult(
        place.cell_id,
        label,
        method,
        seed,
        state,
        record,
        run,
        place.read_failure() if state == "failed" else {},
        place.path,
    )


def _once(content: Json, keys: Iterable[str], shared: dict[str, Any]) -> None:
    """Let runs that have equal parts under these keys share one object."""
    for key in keys:
        if key in content:
            content[key] = shared.setdefault(json.dumps(content[key]), content[key])


def _split(label: str) -> tuple[str, int | None]:
    """Method and seed of a cell's label; a variant in the label is read by `_with_variants`."""
    method, _, seed = label.rpartition(" s")
    return (method.partition(" (")[0], int(seed)) if method and seed.isdigit() else (label, None)


def _with_variants(cells: list[CellResult]) -> list[CellResult]:
    """Split a method whose cells differ in more than the seed into rows, ordered by the difference.

    A cell without a record is told by its label: it joins the row of a finished cell with the same
    label but for the seed, or makes a row of its own.
    """
    settings = {cell.id: variants.flat(cell.record["cell"]) for cell in cells if cell.record}
    families: dict[str, list[CellResult]] = {}
    for cell in cells:
        families.setdefault(cell.method, []).append(cell)
    out = []
    for kin in families.values():
        known = {cell.label.rpartition(" s")[0]: settings[cell.id] for cell in kin if cell.id in settings}
        for cell in kin:
            stem = cell.label.rpartition(" s")[0]
            if cell.id not in settings and (stem in known or "(" in stem):
                settings[cell.id] = known.get(stem) or variants.from_label(stem)
        told = [cell for cell in kin if cell.id in settings]
        keys = variants.differing([settings[cell.id] for cell in told if cell.record])
        keys = keys or variants.differing([settings[cell.id] for cell in told])
        if keys:
            told.sort(key=lambda cell: variants.order(settings[cell.id], keys))
            rows = {cell.id: f"{cell.method} {variants.name(settings[cell.id], keys)}" for cell in told}
            kin = [replace(cell, method=rows[cell.id]) for cell in told] + [
                c for c in kin if c.id not in rows
            ]
        out += kin
    return out
