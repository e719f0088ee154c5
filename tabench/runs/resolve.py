"""Which profile runs, and where its data and weights are. No torch."""

from __future__ import annotations

import contextlib
import hashlib
import os
import re
import time
from collections.abc import Sequence
from dataclasses import dataclass, field
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
class Resolution:
    """What an experiment file leaves open, decided.

    Attributes:
        profile: Name of the profile.
        why: Why this one, a sentence.
        overrides: `--set` options, with what the data's place adds to them.
        settings: The profile after the overrides.
        resolved: What cells need to know.
        data_root: Folder of the dataset; it may not exist yet if `generate` is set.
        generate: Recipe to write the dataset with, if it is synthetic and has no folder of its own.
        checkpoint: Weights file.
    """

    profile: str
    why: str
    overrides: tuple[str, ...]
    settings: Profile
    resolved: Resolved
    data_root: Path
    generate: Generate | None
    checkpoint: Path


@dataclass(frozen=True)
class Sources:
    """Where the user says things are.

    Attributes:
        data_root: `--data-root`; else the variable TABENCH_DATA is read.
        checkpoint: `--checkpoint`; else TABENCH_CHECKPOINTS and the shipped weights are searched.
        overrides: `--set` options.
    """

    data_root: Path | None = None
    checkpoint: Path | None = None
    overrides: Sequence[str] = field(default_factory=tuple)


@dataclass(frozen=True)
class _DataFolder:
    root: Path
    dataset: str
    generate: Generate | None = None


def resolve(experiment: Experiment, profile: str | None, sources: Sources) -> Resolution:
    """Choose the profile and find its inputs.

    Without `profile`, "paper" is taken if its data and weights are found, else "demo", else the first one.

    Raises:
        SpecError: No such profile, or an override it cannot have.
        DataError: Inputs are missing; one message lists all of them with their sources.
    """
    if profile is not None:
        return _resolve(experiment, profile, "asked for", sources)
    if "paper" in experiment.profiles:
        obstacle = _obstacle_of_paper(experiment, sources)
        if not obstacle:
            return _resolve(experiment, "paper", "its data and weights were found", sources)
        if "demo" in experiment.profiles:
            return _resolve(experiment, "demo", f"the paper profile {obstacle}", sources)
    first = "demo" if "demo" in experiment.profiles else next(iter(experiment.profiles))
    return _resolve(experiment, first, "the file has no other choice", sources)


def _obstacle_of_paper(experiment: Experiment, sources: Sources) -> str:
    """What keeps the paper profile from running, to be read after its name; empty if nothing does."""
    try:
        missing = missing_inputs(_settings(experiment, "paper", sources)[0], sources)
    except SpecError as error:
        if "demo" not in experiment.profiles:
            raise
        return f"cannot take the options: {error.message}"
    return f"lacks {joined([item.splitlines()[0] for item in missing])}" if missing else ""


def missing_inputs(settings: Profile, sources: Sources) -> list[str]:
    """What a profile lacks: the first line of each entry names it, the others say where to get it."""
    missing = []
    dataset = DATASETS.get(settings.dataset.name)
    if _data_folder(settings, sources) is None:
        missing.append(
            f"the dataset '{dataset.name}' ({_looked_for_data(sources)})\n"
            f"get it: {dataset.download}\n"
            f"then give its folder: --data-root ROOT, or TABENCH_DATA=DIR with ROOT as DIR/{dataset.name}"
        )
    backbone = BACKBONES.get(settings.backbone.name)
    try:
        find_weights(backbone, _explicit_weights(settings, sources))
    except CheckpointError as error:
        own = "reinstall the package that ships it, or make it with `tabench pretrain --out DIR`"
        missing.append(
            f"the checkpoint of '{backbone.name}' (looked in {error.where})\n"
            f"get it: {backbone.url or own}\n"
            "then give the file: --checkpoint FILE, or TABENCH_CHECKPOINTS=DIR with it in DIR"
        )
    return missing


def _looked_for_data(sources: Sources) -> str:
    """Where the dataset is not, for a message."""
    given = sources.data_root or os.environ.get("TABENCH_DATA")
    if not given:
        return "neither --data-root nor TABENCH_DATA is given"
    if not Path(given).is_dir():
        return f"no folder {given}"
    return f"not in {given}"


def _incomplete_data(settings: Profile, data: _DataFolder) -> list[str]:
    """What a dataset's folder lacks, as an entry of `missing_inputs`."""
    try:
        for split in (settings.dataset.train_split, settings.dataset.eval_split):
            DATASETS.get(data.dataset).split(data.root, split)
    except DataError as error:
        hint = f"\n{error.hint}" if error.hint else ""
        return [f"files of the dataset '{data.dataset}' ({error.where}: {error.message}){hint}"]
    return []


def _settings(experiment: Experiment, profile: str, sources: Sources) -> tuple[Profile, tuple[str, ...]]:
    overrides = tuple(sources.overrides)
    settings = override(experiment, profile, overrides).profile(profile)
    data = _data_folder(settings, sources)
    if data is not None and data.dataset != settings.dataset.name:
        intended = settings.dataset.name
        overrides = (*overrides, f"dataset.name={data.dataset}")
        settings = override(experiment, profile, overrides).profile(profile)
        note = f"The recipe of profile '{profile}' on a folder of {data.dataset} instead of its {intended}."
        settings = settings.model_copy(update={"note": note})
    return settings, overrides


def _resolve(experiment: Experiment, profile: str, why: str, sources: Sources) -> Resolution:
    settings, overrides = _settings(experiment, profile, sources)
    missing = missing_inputs(settings, sources)
    data = _data_folder(settings, sources)
    if missing and data is not None and data.generate is None:  # tell a half download with the rest
        missing = _incomplete_data(settings, data) + missing
    if missing or data is None:
        lines = "\n".join(f"  - {item.replace(chr(10), chr(10) + '    ')}" for item in missing)
        raise DataError(
            f"the profile '{profile}' cannot run; it lacks\n{lines}", where=str(experiment.source)
        )
    _check_protocols(settings)
    dataset = DATASETS.get(data.dataset)
    weights = find_weights(BACKBONES.get(settings.backbone.name), _explicit_weights(settings, sources))
    resolved = Resolved(
        dataset_name=data.dataset,
        fingerprint=_fingerprint(dataset, data),
        channels=dataset.task_channels,
        checkpoint_sha256=weights.sha256,
        protocols={task: _version(task) for task in settings.dataset.tasks},
    )
    return Resolution(profile, why, overrides, settings, resolved, data.root, data.generate, weights.path)


def _data_folder(settings: Profile, sources: Sources) -> _DataFolder | None:
    name, generate = settings.dataset.name, settings.dataset.generate
    if generate is not None and sources.data_root is None and not DATASETS.get(name).synthetic:
        raise SpecError(
            f"'{name}' is no synthetic dataset: it cannot be generated",
            where="dataset.generate",
            hint="take the profile whose dataset is synthetic, for example --profile demo",
        )
    if generate is not None and sources.data_root is None:
        digest = DATASETS.get(name).recipe_fingerprint(**generate.model_dump()).rpartition("-")[2]
        return _DataFolder(cache_root() / f"{name}-{digest[:12]}", name, generate)
    variable = os.environ.get("TABENCH_DATA")
    base = sources.data_root or (Path(variable) if variable else None)
    if base is None:
        return None
    root = base / name if is_folder(base / name) else base
    if not is_folder(root / "train") and sources.data_root is None and root == base:
        return None  # TABENCH_DATA without this dataset
    if not is_folder(root):
        return None
    dataset = DATASETS.get(name)
    if dataset.synthetic and not is_file(root / dataset.recipe_file):
        real = dataset.stands_for  # the demo recipe on a folder of photographs in the same layout
        return _DataFolder(base / real if is_folder(base / real) else root, real)
    return _DataFolder(root, name)


def _explicit_weights(settings: Profile, sources: Sources) -> Path | None:
    if sources.checkpoint is not None:
        return sources.checkpoint
    return Path(settings.backbone.checkpoint) if settings.backbone.checkpoint else None


def _fingerprint(dataset: DatasetDef, data: _DataFolder) -> str:
    if data.generate is not None:
        return dataset.recipe_fingerprint(**data.generate.model_dump())
    return dataset.fingerprint(data.root)


def _check_protocols(settings: Profile) -> None:
    """Refuse a protocol that none of the tasks has, or that the dataset has anyway."""
    if not settings.evaluation.more_protocols:
        return
    every = {protocol for task in settings.dataset.tasks for protocol in TASKS.get(task).supported}
    for protocol in settings.evaluation.more_protocols:
        if (
            protocol in DATASETS.get(settings.dataset.name).protocols
        ):  # else a second cell, with the same numbers
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


@dataclass(frozen=True)
class Weights:
    """A weights file.

    Attributes:
        path: Where it is.
    """

    path: Path

    @property
    def sha256(self) -> str:
        """Hex digest of its content, remembered by path and stamp (see `store.file_cache`).

        Raises:
            DataError: It cannot be read.
        """
        began = time.monotonic_ns()
        stamp = self._stamp()
        where = str(self.path.resolve())
        key: dict[str, object] = {"path": where, "stamp": list(stamp)}
        name = f"{hashlib.sha256(where.encode()).hexdigest()[:16]}.json"
        with contextlib.suppress(OSError, ValueError, StoreError):
            note = cache_root() / "weights" / name
            held = parse_json(note.read_bytes())
            if isinstance(held, dict) and {k: held.get(k) for k in key} == key:
                known = str(held.get("sha256"))
                if re.fullmatch("[0-9a-f]{64}", known):
                    return known
        digest = checkpoint_sha256(self.path)
        if self._stamp() == stamp and is_settled(stamp, settled_before(self.path.parent, began)):
            with contextlib.suppress(StoreError):  # a read-only home, or none, only costs hashing again
                write_json(cache_root() / "weights" / name, {**key, "sha256": digest})
        return digest

    def _stamp(self) -> Stamp:
        try:
            with self.path.open("rb") as file:
                return stamp_of(os.fstat(file.fileno()))
        except OSError as error:
            raise unreadable(error, self.path) from error


def find_weights(backbone: Encoder, path: Path | None) -> Weights:
    """Find a backbone's weights; see `find_checkpoint`.

    Raises:
        CheckpointError: There are none.
        DataError: Where they should be may not be looked.
    """
    try:
        return Weights(find_checkpoint(backbone, path))
    except OSError as error:
        raise unreadable(error, error.filename) from error
