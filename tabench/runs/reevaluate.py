"""Kept weights of a finished cell as the start of one that differs in its evaluation alone.

A cell's id holds how it is evaluated, so another number of pictures or a newer protocol makes another cell.
Its weights are those of the old one. They are put where its own training would have left them; an ordinary
run then evaluates them and ends in the very record that training again would give.
"""

from __future__ import annotations

import hashlib
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

from tabench.errors import CheckpointError
from tabench.spec.cell import Cell, EvaluationPart
from tabench.store.atomic import copy_file, write_json
from tabench.store.claim import Claim
from tabench.store.encoding import read_object
from tabench.store.folders import CellFolder
from tabench.store.index import Index
from tabench.store.record import Record, load_record

if TYPE_CHECKING:
    from torch import nn

    from tabench.engine.state import State


class Source(NamedTuple):
    """A finished cell whose kept weights are another one's."""

    folder: CellFolder
    record: Record


def find_source(cell: Cell, index: Index, results: Path, experiment: str) -> Source | str:
    """The finished cell of an experiment whose kept weights are a cell's own, or why there is none."""
    reasons = []
    for known in sorted(index.recorded, key=lambda known: known.finished, reverse=True):
        if (known.method, known.seed) != (cell.method.name, cell.seed):
            continue
        old = known.cell()
        if old.model_copy(update={"evaluation": cell.evaluation}) != cell:
            continue
        obstacle = _obstacle(old.evaluation, cell.evaluation)
        folder = CellFolder(results, experiment, known.cell_id)
        if not obstacle and not any(folder.path.glob("weights-*.safetensors")):
            obstacle = "its weights were not kept (run it with --keep-weights)"
        if not obstacle:
            return Source(folder, load_record(folder.record))
        reasons.append(f"cell {known.cell_id}: {obstacle}")
    return "; ".join(reasons) or "no finished cell differs from it in the evaluation alone"


def _obstacle(before: EvaluationPart, after: EvaluationPart) -> str:
    """Why a cell's record cannot be had from another one's weights; "" if it can."""
    if (before.selection, before.val_split) != (after.selection, after.val_split):
        return "its weights were selected by another rule"
    if after.selection == "best-val" and before.every != after.every:
        return "its weights were selected among other epochs"
    curve = {"every", "protocols", "more_protocols"}
    if after.every and before.model_dump(include=curve) != after.model_dump(include=curve):
        return (
            "its curve over training is of another protocol or interval (--set evaluation.every=0 has none)"
        )
    return ""


def put_weights(source: Source, cell: Cell, folder: CellFolder) -> None:
    """Put a source's weights where the cell's own training would have left them; see `load_saved`.

    The journal and the circumstances of the training come along; run.json says whose they are. A StoreError
    says that the folder cannot be written, or another process runs the cell.
    """
    from torch.optim import Adam

    from tabench.catalog import METHODS
    from tabench.engine.checkpoint import CheckpointStore
    from tabench.engine.context import units_of

    loaded = load_saved(source.folder, source.record)
    units = units_of(cell, METHODS.get(cell.method.name).sharing)
    with Claim(folder.claim):
        for unit in units:
            parameters = loaded[unit.name]
            state = _state(source.record, cell, unit.name, unit.tasks)
            if state.best_epoch:
                state.best_weights = parameters
            CheckpointStore(folder.checkpoint / unit.name).save(parameters, Adam(parameters.values()), state)
        if source.folder.journal_file.is_file() and not folder.journal_file.exists():
            copy_file(source.folder.journal_file, folder.journal_file)
        run = read_object(source.folder.run) if source.folder.run.is_file() else {}
        write_json(folder.run, {**run, "weights_from": source.record.cell_id})


def _state(record: Record, cell: Cell, unit: str, tasks: tuple[str, ...]) -> State:
    """Where the unit's training ended, as far as the cell's record needs it."""
    from tabench.engine.state import State

    train = [point.model_dump(mode="json") for point in record.curves.train if point.unit == unit]
    epoch = record.selection.epoch
    chosen = epoch[unit] if isinstance(epoch, dict) else epoch
    best_val = cell.evaluation.selection == "best-val"
    curve = [
        point.model_dump(mode="json")
        for point in record.curves.eval
        if cell.evaluation.every and point.task in tasks and (best_val or point.epoch != chosen)
    ]  # with "last", the last epoch's values come from the evaluation that is still to be done
    return State(
        step=train[-1]["step"],
        train_curve=train,
        eval_curve=curve,
        best_epoch=chosen if best_val else 0,
        finished=True,
    )


def keep_weights(folder: CellFolder) -> None:
    """Copy what is kept of the finished units' models beside the record, as weights-<unit>.safetensors."""
    from tabench.engine.checkpoint import FINISHED

    for unit in folder.checkpoint.iterdir():
        finished = unit / FINISHED
        chosen = finished / "best.safetensors"
        source = chosen if chosen.exists() else finished / "model.safetensors"
        copy_file(source, folder.path / f"weights-{unit.name}.safetensors")


def load_saved(folder: CellFolder, record: Record) -> dict[str, dict[str, nn.Parameter]]:
    """Unit name to what is kept of its model, by name: trained parameters, and others that training changed.

    Raises:
        CheckpointError: They are missing, damaged or not those of the record.
    """
    from safetensors import SafetensorError
    from safetensors.torch import load_file
    from torch import nn

    from tabench.runs.compute import add_digest

    digest = hashlib.sha256()
    loaded = {}
    for unit in _units(folder, record):
        path = folder.path / f"weights-{unit}.safetensors"
        try:
            values = load_file(path)
        except (OSError, SafetensorError) as error:
            raise CheckpointError(f"kept weights cannot be read: {error}", where=str(path)) from error
        loaded[unit] = {name: nn.Parameter(v, requires_grad=False) for name, v in values.items()}
        add_digest(loaded[unit], unit, digest)
    if digest.hexdigest() != record.weights_sha256:
        raise CheckpointError(
            "kept weights are not those of the record",
            where=str(folder.path),
            hint="remove the weights-*.safetensors there and train again",
        )
    return loaded


def _units(folder: CellFolder, record: Record) -> list[str]:
    """Names of the units in their order, as the files say: the method need not be installed here."""
    tasks = list(record.cell.dataset.tasks)
    apart = all((folder.path / f"weights-{task}.safetensors").is_file() for task in tasks)
    return tasks if apart or not (folder.path / "weights-all.safetensors").is_file() else ["all"]
