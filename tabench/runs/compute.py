"""From a cell to the content of its record: train every unit, evaluate it, keep its pictures."""

from __future__ import annotations

import hashlib
import math
import time
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import torch

from tabench.catalog import BACKBONES, DATASETS, METHODS, TASKS
from tabench.data.base import DatasetDef, Split
from tabench.data.checks import spot_check
from tabench.data.packs import Opener
from tabench.encoders.msam import MSam
from tabench.engine.batch_split import BatchSplit, choose_batch_split
from tabench.engine.checkpoint import CheckpointStore, fill
from tabench.engine.context import TrainContext, Unit, units_of
from tabench.engine.evaluate import Result, curve_entries, evaluate
from tabench.engine.loop import train_unit
from tabench.engine.measure import measure_unit
from tabench.engine.model import build_unit
from tabench.engine.optim import steps_per_epoch, total_steps
from tabench.engine.pictures import merge_pictures, save_extremes, save_pictures, save_truth
from tabench.engine.process_group import ProcessGroup, choose_device
from tabench.engine.snapshot import Snapshot, kept_untrained, trained_parameters, untrained
from tabench.engine.state import State
from tabench.errors import CheckpointError, EvaluationFailedError, InterruptedRunError
from tabench.events import (
    Emit,
    Evaluating,
    FinallyEvaluated,
    KernelsChosen,
    ProcessPeaks,
    SplitChosen,
    Warned,
    WeightsRead,
    events_of,
    read_event,
)
from tabench.methods.parameters import Counts, count, summed
from tabench.runs.analysis_files import AnalysisFiles
from tabench.runs.circumstances import check_cell, keep_freed_memory, peak_memory
from tabench.runs.executor import Job, Options
from tabench.spec.cell import Cell
from tabench.store.folders import CellFolder, ExperimentFolder
from tabench.store.record import RECORD_VERSION
from tabench.tasks.base import Task


@dataclass
class _Done:
    """What one trained and evaluated unit leaves behind."""

    unit: Unit
    state: State
    results: list[Result]
    counts: Counts
    pictures: list[dict[str, Any]]
    epoch: int


def compute(
    job: Job, options: Options, emit: Emit, should_stop: Callable[[], bool], group: ProcessGroup | None = None
) -> dict[str, Any]:
    """Compute a cell, resuming each unit from its checkpoint; the arguments are those of `run_cell`.

    All processes of the group call this, each with a device of its own; the main process alone writes.

    Returns:
        The record's content; empty but on the main process.

    Raises:
        TabenchError: Data, weights, divergence, or an interruption after a checkpoint; here or in any other
            of the processes.
    """
    group = group or ProcessGroup()
    with group.one_fate():
        content = _compute(job, options, emit, should_stop, group)
        peaks = group.exchange(peak_memory())
    if group.size > 1:
        emit(ProcessPeaks(peaks=peaks))
    return content


def _compute(
    job: Job, options: Options, emit: Emit, should_stop: Callable[[], bool], group: ProcessGroup
) -> dict[str, Any]:
    cell = job.cell
    check_cell(cell)
    dataset = DATASETS.get(cell.dataset.name)
    folder = job.folder(options.results)
    tasks = make_tasks(cell, dataset)
    if not group.is_main:
        group.sync()  # the main process's packs are there

    def pass_on(name: str, facts: Mapping[str, Any]) -> None:  # the data does not know of events
        if (event := read_event(name, facts)) is not None:
            emit(event)

    part = cell.dataset
    splits = Opener(
        dataset, job.data_root, part.fingerprint, options.pack, pass_on, should_stop, code=part.code
    )
    if group.is_main:
        splits.check()
        for note in dataset.notes(job.data_root):
            emit(Warned(message=note))
    train, reported = splits.open(cell.dataset.train_split), splits.open(cell.dataset.eval_split)
    best_val = cell.evaluation.selection == "best-val"
    validation = splits.open(cell.evaluation.val_split) if best_val else None
    if group.is_main:
        looked_at = {cell.dataset.train_split: train, cell.dataset.eval_split: reported}
        kinds = {"image", *(task.needs for task in tasks.values())}
        for message in spot_check(looked_at, dataset.class_names, dataset.largest, kinds):
            emit(Warned(message=message))
        group.sync()
    backbone = BACKBONES.get(cell.backbone.name)
    weights = backbone.load(job.checkpoint, lambda note: emit(WeightsRead(note=note)))
    truth = ExperimentFolder(options.results, job.experiment).truth(cell.dataset.content)
    if group.is_main:
        save_truth(tasks, reported, cell.evaluation.pictures, truth)
    device = choose_device(options.device)
    wanted = BatchSplit(
        images=options.micro_batch,
        apart=options.tasks_apart,
        recompute=options.recompute,
        compiled=options.compiled,
    )
    passes = choose_batch_split(cell, wanted)
    emit(SplitChosen(**asdict(passes)))
    digest = hashlib.sha256()
    analysis = AnalysisFiles(cell, folder, reported, device, emit)
    kernels = kernels_of(cell, passes, device, folder, group)
    if kernels:
        emit(KernelsChosen(chosen=kernels))
    done: list[_Done] = []
    with backbone.using_kernels(kernels):
        for unit in units_of(cell, METHODS.get(cell.method.name).sharing):
            context = TrainContext(
                cell=cell,
                unit=unit,
                tasks=tasks,
                train=train,
                evaluated=reported,
                validation=validation,
                device=device,
                passes=passes,
                checkpoint_seconds=options.checkpoint_seconds,
                emit=emit,
                should_stop=should_stop,
                group=group,
            )
            done.append(_run_unit(context, weights, folder, truth, digest, analysis))
    check_cell(cell)  # what was imported meanwhile, too
    digests = sorted(set(group.exchange(digest.hexdigest())))
    if len(digests) > 1:  # a result that depends on which process one asks
        raise RuntimeError(f"the trained weights differ between this cell's processes: {', '.join(digests)}")
    if not group.is_main:
        return {}
    with _evaluating("all"):
        analysis.write(weights, truth)
        return _record(job, dataset, train, reported, tasks, done, digest.hexdigest())


def kernels_of(
    cell: Cell, passes: BatchSplit, device: torch.device, folder: CellFolder, group: ProcessGroup
) -> dict[str, dict[str, Any]]:
    """The encoder's kernels on all processes: those that the cell began with, or what is measured now.

    They differ in the last digits, so a cell that goes on must not measure again. One whose journal has none
    beside a checkpoint was begun where there was no choice, and goes on by the defaults.

    Raises:
        CheckpointError: The journal names kernels that this version does not have.
    """
    backbone, found = BACKBONES.get(cell.backbone.name), dict[str, dict[str, Any]]()
    if group.is_main:
        if begun := events_of(KernelsChosen, folder.read_journal()):
            found = begun[0].chosen
        elif not any(folder.checkpoint.glob("*/*")):  # not `state`, which says of a cell that it runs
            alone = passes.apart or METHODS.get(cell.method.name).sharing != "task-aware"
            images = min(passes.images, -(-cell.train.batch_size // group.size))
            rows = images * (1 if alone else len(cell.dataset.tasks))
            dtype = "bfloat16" if cell.train.precision == "bf16" else "float32"
            found = backbone.choose_kernels(rows, device, dtype)
        try:
            with backbone.using_kernels(found):
                pass
        except ValueError as error:
            hint = "remove the cell's folder: it starts from the beginning"
            raise CheckpointError(str(error), where=str(folder.journal_file), hint=hint) from error
    kernels: dict[str, dict[str, Any]] = group.exchange(found)[0]
    return kernels


def make_tasks(cell: Cell, dataset: DatasetDef) -> dict[str, Task]:
    """The cell's task objects by name, each with its class names and its protocols."""
    pairs = zip(cell.dataset.tasks, cell.dataset.channels, strict=True)
    tasks = {name: TASKS.get(name)(channels, dataset.classes_of(name)) for name, channels in pairs}
    for task in tasks.values():
        task.follow(dataset.protocols, cell.evaluation.more_protocols)
    return tasks


def _run_unit(
    context: TrainContext,
    weights: Mapping[str, torch.Tensor],
    folder: CellFolder,
    truth: Path,
    digest: Any,
    analysis: AnalysisFiles,
) -> _Done:
    cell, unit, is_main = context.cell, context.unit, context.group.is_main

    def build() -> MSam:
        return build_unit(cell, unit, weights)

    model = build().to(context.device)
    keep_freed_memory(large=all(way.startswith("fast path") for way in model.ways().values()))
    if METHODS.get(cell.method.name).outside:
        context.rebuild, context.origin = build, Snapshot(build())
    state = train_unit(model, context, CheckpointStore(folder.checkpoint / unit.name, writes=is_main))
    images = len(context.train)
    epoch = -(-total_steps(cell.train, images) // steps_per_epoch(cell.train, images))
    if state.best_epoch:
        if _kept_untrained(model, context).keys() - state.best_weights:  # some changed after that epoch only
            model = build().to(context.device)
        fill(trained_parameters(model), state.best_weights, unit.name, untrained(model))
        epoch = state.best_epoch
    add_digest({**trained_parameters(model), **_kept_untrained(model, context)}, unit.name, digest)
    started, pictures = time.monotonic(), []

    def progress(images: int, total: int) -> None:
        context.emit(Evaluating(unit=unit.name, images=images, of=total))

    with _evaluating(unit.name):
        results = evaluate(model, context, spread=True, progress=progress, should_stop=context.should_stop)
        if is_main:
            seconds, values = time.monotonic() - started, curve_entries(results, epoch)
            context.emit(FinallyEvaluated(unit=unit.name, seconds=seconds, values=values))
            pictures = save_pictures(model, context, folder.pictures)
            if cell.evaluation.pictures:
                save_extremes(model, context, results, folder.pictures, truth)
            analysis.visit(unit.name, model)
            context.emit(measure_unit(model, context))
    return _Done(unit, state, results, count(model), pictures, epoch)


def _kept_untrained(model: MSam, context: TrainContext) -> dict[str, torch.Tensor]:
    """What is kept beside the trained parameters."""
    return kept_untrained(model, context.origin) if context.origin is not None else {}


@contextmanager
def _evaluating(unit: str) -> Iterator[None]:
    """Say of an error inside the block, unless it is an interruption, that training is done and kept."""
    try:
        yield
    except InterruptedRunError:
        raise
    except Exception as error:
        raise EvaluationFailedError(unit, error) from error


def add_digest(kept: Mapping[str, torch.Tensor], unit: str, digest: Any) -> None:
    """Add what is kept of a unit's model to a cell's running sha256."""
    for name in sorted(kept):
        values = kept[name].detach().cpu().contiguous()
        digest.update(f"{unit}/{name}{tuple(values.shape)}{values.dtype}".encode())
        digest.update(values.reshape(-1).view(torch.uint8).numpy().tobytes())


def _record(
    job: Job,
    dataset: DatasetDef,
    train: Split,
    reported: Split,
    tasks: Mapping[str, Task],
    done: list[_Done],
    weights_sha256: str,
) -> dict[str, Any]:
    cell = job.cell
    epochs = {part.unit.name: part.epoch for part in done}
    results = [result for part in done for result in part.results]
    evaluations = [entry for part in done for entry in part.state.eval_curve]
    if cell.evaluation.every and cell.evaluation.selection == "last":
        evaluations += [entry for part in done for entry in curve_entries(part.results, part.epoch)]
    return {
        "record_version": RECORD_VERSION,
        "cell_id": cell.id,
        "cell": cell.model_dump(mode="json"),
        "label": cell.label,  # the same in every experiment that has the cell
        "data": {
            "name": dataset.name,
            "title": dataset.title,
            "synthetic": dataset.synthetic,
            "fingerprint": cell.dataset.fingerprint,
            "counts": {"train": len(train), "eval": len(reported)},
            "size": list(reported.load(0).image.shape[1:]),
            "classes": list(dataset.class_names),
        },
        "backbone": {
            "name": cell.backbone.name,
            "sha256": cell.backbone.checkpoint,
            "note": BACKBONES.entry(cell.backbone.name).summary,
        },
        "parameters": dict(summed(part.counts for part in done)),
        "metrics": _metrics(tasks, results),
        "per_image": {"ids": reported.ids, "values": _per_image(tasks, reported.ids, results)},
        "spread": {r.task: r.spread for r in results if r.spread and math.isfinite(r.spread["target"])},
        "curves": {
            "train": [entry for part in done for entry in part.state.train_curve],
            "eval": evaluations,
        },
        "selection": {
            "rule": cell.evaluation.selection,
            "epoch": done[0].epoch if len(set(epochs.values())) == 1 else epochs,
        },
        "pictures": merge_pictures([part.pictures for part in done]),
        "legends": {n: {k: list(c) for k, c in t.legend().items()} for n, t in tasks.items() if t.legend()},
        "weights_sha256": weights_sha256,
    }


def _metrics(tasks: Mapping[str, Task], results: Iterable[Result]) -> list[dict[str, Any]]:
    return [
        {
            "task": result.task,
            **{key: getattr(info, key) for key in ("key", "title", "unit", "better", "digits")},
            "protocol": result.protocol,
            "version": tasks[result.task].version,
            "value": result.values[info.key],
            "notes": list(result.notes),
        }
        for result in results
        for info in tasks[result.task].metrics_in(result.protocol)
    ]


def _per_image(tasks: Mapping[str, Task], ids: Sequence[str], results: Iterable[Result]) -> dict[str, Any]:
    """Per-image values in each task's first protocol."""
    return {
        result.task: {key: [values.get(i) for i in ids] for key, values in result.per_image.items()}
        for result in results
        if result.protocol == tasks[result.task].protocols[0]
    }
