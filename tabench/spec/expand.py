"""From an experiment file to the cells it stands for."""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Literal

from tabench.catalog import BACKBONES, BALANCERS, DATASETS, METHODS, TASKS
from tabench.errors import SpecError
from tabench.provenance.code import code_of
from tabench.registry import Registry
from tabench.spec.cell import (
    SCHEMA_VERSION,
    BackbonePart,
    BalancingPart,
    Cell,
    DatasetPart,
    EvaluationPart,
    MethodPart,
    Params,
    Value,
)
from tabench.spec.experiment import Experiment, Profile
from tabench.spec.options import override
from tabench.text import suggestion

MOST_CELLS = 100_000


@dataclass(frozen=True)
class Resolved:
    """What an experiment file names but does not hold."""

    dataset_name: str  # registry name of the dataset that was looked at
    fingerprint: str  # identity of its content
    channels: Mapping[str, int]  # decoder channels N_t of every task the dataset has
    checkpoint_sha256: str  # identity of the backbone's weights
    protocols: Mapping[str, int]  # task name to the version of its metrics' definition


def expand(
    experiment: Experiment,
    profile: str,
    resolved: Resolved,
    overrides: Sequence[str] = (),
) -> list[Cell]:
    """The cells of a profile, methods outermost, seeds innermost.

    `overrides` are `--set` options ("train.epochs=2"). Raises SpecError: an option or a name cannot be used
    as written, or there are far too many cells.
    """
    experiment = override(experiment, profile, overrides)
    settings = experiment.profile(profile)
    where = f"{experiment.source}: profiles.{profile}"
    dataset = _dataset(settings, resolved, where)
    backbone = BackbonePart(
        name=settings.backbone.name,
        checkpoint=resolved.checkpoint_sha256,
        pixel_norm=_pixel_norm(settings, where),
        code=code_of(BACKBONES, settings.backbone.name).text,
    )
    weights = {task: settings.train.task_weights.get(task, 1.0) for task in dataset.tasks}
    train = settings.train.model_copy(update={"task_weights": weights})
    protocols = {task: resolved.protocols[task] for task in dataset.tasks}
    evaluation = EvaluationPart(**settings.evaluation.model_dump(), protocols=protocols)
    if evaluation.val_split == dataset.eval_split:
        raise SpecError(
            f"'{dataset.eval_split}' is the reported split: nothing may be selected on it",
            where=f"{where}.evaluation.val_split",
            hint=f"its splits: {', '.join(DATASETS.get(dataset.name).splits)}",
        )
    if train.augment == "paper" and not DATASETS.get(dataset.name).paper_augmentation:
        raise SpecError(
            f"the released code has no augmentation for '{dataset.name}'",
            where=f"{where}.train.augment",
            hint='use "clean" or "none"',
        )
    chosen: list[tuple[str, Params, str]] = [(m, {}, f"methods.{m}") for m in experiment.axes.methods]
    chosen += [(row.method, row.params, f"variants.{n}") for n, row in enumerate(settings.variants)]
    rows = [
        MethodPart(**_choice(METHODS, name, settings.methods.get(name, {}) | changes, f"{where}.{key}"))
        for name, changes, key in chosen
    ]
    balancings = [
        BalancingPart(
            **_choice(BALANCERS, name, settings.balancing.get(name, {}), f"{where}.balancing.{name}")
        )
        for name in experiment.axes.balancing
    ]
    count = len(rows) * len(balancings) * len(experiment.axes.seeds)
    if count > MOST_CELLS:
        raise SpecError(
            f"{len(rows) * len(balancings)} methods and variants with {len(experiment.axes.seeds)} seeds "
            f"are {count:,} cells, at most {MOST_CELLS:,} are planned",
            where=f"{experiment.source}: axes",
            hint="divide the experiment into several files",
        )
    every = [
        Cell(
            schema_version=SCHEMA_VERSION,
            dataset=dataset,
            backbone=backbone,
            method=method,
            balancing=BalancingPart() if METHODS.get(method.name).sharing == "per-task" else balancing,
            train=train,
            evaluation=evaluation,
            seed=seed,
        )
        for method in rows
        for balancing in balancings
        for seed in experiment.axes.seeds
    ]
    return list({cell.id: cell for cell in every}.values())  # a variant may be what another row is already


def _pixel_norm(settings: Profile, where: str) -> Literal["none", "sam", "encoder"]:
    known = BACKBONES.get(settings.backbone.name).pixel_norms
    wanted = settings.backbone.pixel_norm or known[0]
    if wanted not in known:
        raise SpecError(
            f"backbone '{settings.backbone.name}' has no pixel_norm '{wanted}'",
            where=f"{where}.backbone.pixel_norm",
            hint=f"it has: {', '.join(known)}",
        )
    return wanted


def _dataset(settings: Profile, resolved: Resolved, where: str) -> DatasetPart:
    spec = settings.dataset
    if spec.name != resolved.dataset_name:
        raise SpecError(
            f"the profile names '{spec.name}' but '{resolved.dataset_name}' was looked at",
            where=f"{where}.dataset.name",
        )
    for task in spec.tasks:
        if task not in resolved.channels:
            hint = suggestion(task, resolved.channels, "it has")
            raise SpecError(
                f"dataset '{spec.name}' has no task '{task}'", where=f"{where}.dataset.tasks", hint=hint
            )
    return DatasetPart(
        name=spec.name,
        fingerprint=resolved.fingerprint,
        tasks=spec.tasks,
        channels=tuple(resolved.channels[task] for task in spec.tasks),
        train_split=spec.train_split,
        eval_split=spec.eval_split,
        code=code_of(DATASETS, spec.name).text,
        task_code={task: text for task in spec.tasks if (text := code_of(TASKS, task).text)},
    )


def _choice(registry: Registry[Any], name: str, given: Params, where: str) -> dict[str, Any]:
    """What a cell says of a method or a balancer."""
    params = registry.get(name).params(given, where=where)
    return {"name": name, "params": params, "code": code_of(registry, name).text}


def _told(cell: Cell) -> Params:
    """What may tell a cell from others of its method, by the name that a label has for it."""
    return {**cell.method.params, **{f"balancing.{key}": v for key, v in cell.balancing.params.items()}}


def labels(cells: Iterable[Cell]) -> dict[str, str]:
    """Cell id to a short name; rows of one method are told apart by the hyper-parameters that differ."""
    cells = list(cells)
    params: dict[str, dict[str, set[object]]] = {}  # method to key to the values it has
    for cell in cells:
        kin = params.setdefault(cell.method.name, {})
        for key, value in _told(cell).items():
            kin.setdefault(key, set()).add(value)
    named = {}
    for cell in cells:
        differing = {k: v for k, v in _told(cell).items() if len(params[cell.method.name][k]) > 1}
        if cell.balancing != BalancingPart():
            differing = {"balancing": cell.balancing.name, **differing}
        shown = ", ".join(f"{key}={_shown(value)}" for key, value in differing.items())
        variant = f" ({shown})" if shown else ""
        named[cell.id] = f"{cell.method.name}{variant} s{cell.seed}"
    return named


def _shown(value: Value) -> object:
    """A value in a label; lists as JSON, which reports read back."""
    return json.dumps(value, ensure_ascii=False) if isinstance(value, tuple) else value
