"""What would run, why, how long it takes. No torch."""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from tabench.catalog import DATASETS, METHODS
from tabench.runs.estimate import Estimate, checkpoint_bytes, estimate, walls_of
from tabench.runs.executor import Job
from tabench.runs.resolve import Request, Resolution, resolve
from tabench.spec.cell import Cell
from tabench.spec.expand import expand, labels
from tabench.spec.experiment import Experiment
from tabench.spec.options import override, parse_select, parse_shard, select_cells, shard_cells
from tabench.store.adopt import finished_elsewhere
from tabench.store.encoding import flat, read_object
from tabench.store.folders import CellFolder, CellState
from tabench.store.index import Known, read_index
from tabench.text import few

REFERENCE = Path(__file__).parents[2] / "results" / "reference"
PICTURE_BYTES = 40_000  # an input or a prediction with its error map, per image and task


@dataclass(frozen=True)
class PlannedCell:
    """One cell of a plan."""

    cell: Cell
    state: CellState  # what its files say
    why: str  # why it would run, or why not
    estimate: Estimate | None  # time it will take; None if it is done
    disk: int  # bytes of its checkpoint and pictures at most; 0 if it is done


@dataclass(frozen=True)
class Plan:
    """Everything that would run."""

    experiment: Experiment  # after the overrides
    resolution: Resolution  # profile, data and weights
    cells: list[PlannedCell]  # the selected ones
    labels: dict[str, str]  # cell id to label, for all cells of the profile, selected or not
    notes: list[str] = field(default_factory=list)  # what to know of the data; see `DatasetDef.notes`

    @property
    def open(self) -> list[PlannedCell]:
        """Cells that would run."""
        return [planned for planned in self.cells if planned.state not in ("done", "running")]

    def jobs(self) -> list[Job]:
        """The open cells for an executor."""
        name, place, known = self.experiment.name, self.resolution, self.labels
        return [
            Job(name, p.cell, known[p.cell.id], place.data_root, place.checkpoint, p.estimate.seconds)
            for p in self.open
            if p.estimate
        ]

    def experiment_json(self) -> dict[str, Any]:
        """What the report and `status` read beside the records."""
        experiment, report = self.experiment, self.experiment.report.model_dump(mode="json")
        published, repeats = experiment.published_text(), self.resolution.settings.repeats
        return {
            "name": experiment.name,
            "title": experiment.title,
            "table": experiment.table,
            "figure": experiment.figure,
            "profile": self.resolution.profile,
            "note": self.resolution.settings.note,
            "report": report,
            **({"published": published} if published else {}),
            **({"repeats": repeats.model_dump(mode="json")} if repeats else {}),
            "cells": self.labels,
        }


def make_plan(experiment: Experiment, request: Request) -> Plan:
    """Expand an experiment and look at what is there already; changes no result. Raises as `resolve`."""
    experiment.published_text()  # what is wrong is told now, not after hashing data, let alone training
    parse_select(request.select)
    if request.shard is not None:
        parse_shard(request.shard)
    resolution = resolve(experiment, request)
    changed = override(experiment, resolution.profile, resolution.overrides)
    every = expand(experiment, resolution.profile, resolution.resolved, resolution.overrides)
    chosen = select_cells(every, request.select)
    chosen = shard_cells(chosen, request.shard) if request.shard is not None else chosen
    names = labels(every)
    index = read_index(request.results, experiment.name)
    walls, by_end = walls_of(index.recorded), sorted(index.recorded, key=lambda known: known.finished)
    # the last record of each method and seed that the experiment does not have, to name what changed
    earlier = {(known.method, known.seed): known for known in by_end if known.cell_id not in names}
    reference = _reference(experiment.name)
    images = _counts(resolution)
    planned = []
    for cell in chosen:
        folder = CellFolder(request.results, experiment.name, cell.id)
        known = index.cells.get(cell.id)
        if known is not None and known.state == "done":
            planned.append(PlannedCell(cell, "done", _why(folder, known, cell), None, 0))
            continue
        twin = finished_elsewhere(folder)
        if twin is not None:
            cost = Estimate(0.0, "adopted", "the record of another experiment here")
        else:
            cost = estimate(cell, walls, reference, images, request.device)
        kept = cell.evaluation.pictures and cell.evaluation.pictures + 2  # a task's best and worst image too
        pictures = kept * len(cell.dataset.tasks) * PICTURE_BYTES
        if known is not None:
            why = _why(folder, known, cell)
        elif twin is not None:
            why = f"done in {twin.experiment}: will be taken from there"
        else:
            other = earlier.get((cell.method.name, cell.seed))
            why = "changed: " + few(difference(other.cell(), cell), 3) if other else "never run"
        state = known.state if known else "pending"
        planned.append(PlannedCell(cell, state, why, cost, checkpoint_bytes(cell) + pictures))
    dataset = DATASETS.get(resolution.resolved.dataset_name)
    notes = [] if resolution.generate else dataset.notes(resolution.data_root)
    return Plan(changed, resolution, planned, names, notes)


def _reference(name: str) -> dict[str, float]:
    """Cell id to seconds of the shipped runs."""
    runs = {path.parent.name: read_object(path) for path in (REFERENCE / name).glob("*/run.json")}
    return {cell: float(run["wall_s"]) for cell, run in runs.items() if run.get("wall_s")}


def _counts(resolution: Resolution) -> tuple[int, int]:
    """Images trained on and reported on; a recipe knows them before its files exist."""
    if resolution.generate is not None:
        return resolution.generate.train, resolution.generate.val
    dataset, spec = DATASETS.get(resolution.resolved.dataset_name), resolution.settings.dataset
    train, reported = (dataset.split(resolution.data_root, n) for n in (spec.train_split, spec.eval_split))
    return len(train), len(reported)


def _why(folder: CellFolder, known: Known, cell: Cell) -> str:
    """Why a cell that has files would run, or would not."""
    if known.state == "done":
        return f"record exists, but {known.problem}" if known.problem else "record exists"
    if known.state == "running":
        return "another process runs it"
    if known.state == "failed":
        first = known.message.partition("\n")[0]
        return f"failed before ({known.kind}): {first}" if first else f"failed before; {known.problem}"
    return f"resumes: {_position(folder, cell)}"


def _position(folder: CellFolder, cell: Cell) -> str:
    """How far the checkpoints of a cell are."""
    steps = [path.name for path in sorted(folder.checkpoint.glob("*/*")) if path.name.isdigit()]
    units = [path.parent.name for path in sorted(folder.checkpoint.glob("*/finished"))]
    wanted = len(cell.dataset.tasks) if METHODS.get(cell.method.name).sharing == "per-task" else 1
    if len(units) == wanted:
        return "trained; only the evaluation is left"
    done = f"{', '.join(units)} finished; " if units else ""
    return f"{done}at step {int(steps[-1])}" if steps else f"{done}next unit"


def difference(old: Cell, new: Cell) -> list[str]:
    """The keys two cells differ in, as "train.epochs 10 -> 20"."""
    before, after = (flat(cell.model_dump(mode="json")) for cell in (old, new))
    return [
        f"{key} {_short(before.get(key))} -> {_short(after.get(key))}"
        for key in {**before, **after}
        if before.get(key) != after.get(key)
    ]


def _short(value: object) -> str:
    text = str(value)
    return text if len(text) <= 40 else f"{text[:36]}..."
