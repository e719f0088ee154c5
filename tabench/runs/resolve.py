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
        DataError: Inputs are missing; one message lists all of them.
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
    return _find(settings, request)[2]


def _find(settings: Profile, request: Request) -> tuple[_DataFolder | None, Path | None, list[str]]:
    """A profile's data and weights, and what is missing of them."""
    data, weights, missing = _data_folder(settings, request), None, []
    if data is None:
        given = request.data_root or os.environ.get("TABENCH_DATA")
        looked = f"not in {given}" if given else "neither --data-root nor TABENCH_DATA is given"
        dataset = DATASETS.get(settings.dataset.name)
        missing.append(
            f"the dataset '{dataset.name}' ({looked})\n"
            f"get it: {dataset.download}\n"
            f"then give its folder: --data-root ROOT, or TABENCH_DATA=DIR with ROOT as DIR/{dataset.name}"
        )
    backbone, named = BACKBONES.get(settings.backbone.name), settings.backbone.checkpoint
    try:
        weights = find_weights(backbone, request.checkpoint or (Path(named) if named else None))
    except CheckpointError as error:
        own = "reinstall the package that ships it, or make it with `tabench pretrain --out DIR`"
        missing.append(
            f"the checkpoint of '{backbone.name}' (looked in {error.where})\n"
            f"get it: {backbone.url or own}\n"
            "then give the file: --checkpoint FILE, or TABENCH_CHECKPOINTS=DIR with it in DIR"
        )
    return data, weights, missing


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
    data, weights, missing = _find(settings, request)
    if data is None or weights is None:
        lines = "\n".join(f"  - {item.replace(chr(10), chr(10) + '    ')}" for item in missing)
        raise DataError(
            f"the profile '{profile}' cannot run; it lacks\n{lines}", where=str(experiment.source)
        )
    _check_protocols(settings)
    dataset, recipe = DATASETS.get(data.dataset), data.generate
    resolved = Resolved(
        dataset_name=data.dataset,
        fingerprint=dataset.recipe_fingerprint(**recipe.model_dump())
        if recipe
        else dataset.fingerprint(data.root),
        channels=dataset.task_channels,
        checkpoint_sha256=weights_sha256(weights),
        protocols={task: _version(task) for task in settings.dataset.tasks},
    )
    return Resolution(profile, why, overrides, settings, resolved, data.root, recipe, weights)


def _data_folder(settings: Profile, request: Request) -> _DataFolder | None:
    name, generate = settings.dataset.name, settings.dataset.generate
    dataset, portable = DATASETS.get(name), settings.train.numerics == "portable"
    if generate is not None and request.data_root is None:
        if not dataset.synthetic:
            raise SpecError(
                f"'{name}' is no synthetic dataset: it cannot be generated",
                where="dataset.generate",
                hint="take the profile whose dataset is synthetic, for example --profile demo",
            )
        digest = dataset.recipe_fingerprint(**generate.model_dump()).rpartition("-")[2]
        way = "-portable" if portable else ""  # another processor's own way may differ in an image's last bit
        return _DataFolder(cache_root() / f"{name}-{digest[:12]}{way}", name, generate)
    variable = os.environ.get("TABENCH_DATA")
    base = request.data_root or (Path(variable) if variable else None)
    if base is None:
        return None
    root = base / name if is_folder(base / name) else base
    if not is_folder(root / "train") and request.data_root is None and root == base:
        return None  # TABENCH_DATA without this dataset
    if not is_folder(root):
        return None
    if dataset.synthetic and not is_file(root / dataset.recipe_file):
        real = dataset.stands_for  # the demo recipe on a folder of photographs in the same layout
        return _DataFolder(base / real if is_folder(base / real) else root, real)
    if dataset.synthetic and portable:
        raise SpecError(
            f"nothing tells whether the {name} in {root} were generated portably",
            where="train.numerics",
            hint="leave out --data-root: they are generated for the run",
        )
    return _DataFolder(root, name)


def _check_protocols(settings: Profile) -> None:
    """Refuse a protocol that none of the tasks has, or that the dataset has anyway."""
    every = {protocol for task in settings.dataset.tasks for protocol in TASKS.get(task).supported}
    for protocol in settings.evaluation.more_protocols:
        message = hint = ""
        if protocol in DATASETS.get(settings.dataset.name).protocols:  # else another cell of equal numbers
            message = f"{settings.dataset.name} has the protocol '{protocol}' anyway"
            hint = "leave it out"
        elif protocol not in every:
            message = f"no task of this experiment has a protocol '{protocol}'"
            hint = suggestion(protocol, sorted(every), "they have")
        if message:
            raise SpecError(message, where="evaluation.more_protocols", hint=hint)


def _version(task: str) -> int:
    version = TASKS.get(task).version
    if not isinstance(version, int):
        raise SpecError(f"task '{task}' has no integer version", hint="set `version` on the class")
    return version


def find_weights(backbone: Encoder, path: Path | None) -> Path:
    """Find a backbone's weights; see `find_checkpoint`. Raises DataError: there may not be looked."""
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
