"""Where everything lies: an experiment's and a cell's files in a results folder, and what small ones hold."""

from __future__ import annotations

import json
import re
import time
import traceback
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Any, Literal

from pydantic import BaseModel, ConfigDict, Field, ValidationError, create_model

from tabench.errors import StoreError, failure_kind
from tabench.store.atomic import append_line, write_json
from tabench.store.claim import is_live
from tabench.store.encoding import read_json, read_lines, read_object, wrong_key

CellState = Literal["done", "failed", "partial", "running", "pending"]
_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]*")
HINT = "restore it, or remove it: the record does not need it"
Number = Annotated[float, Field(strict=True, allow_inf_nan=False, ge=-1e18, le=1e18)]
Count = Annotated[int, Field(strict=True, ge=0, lt=2**53)]


def _schema(title: str, /, **kinds: Any) -> type[BaseModel]:
    """A model of some keys of a small file beside a record, each of which may be missing or null.

    Any other key may hold anything: nothing reads it.
    """
    config = ConfigDict(extra="allow", strict=True)
    fields: dict[str, Any] = {
        key: kind if isinstance(kind, tuple) else (kind | None, None) for key, kind in kinds.items()
    }
    return create_model(title, __config__=config, **fields)


_COST = ("stored", "weights_bytes", "train_flops", "inference_flops", "latency_s", "latency_spread_s",
         "train_images_per_s", "eval_images_per_s", "energy_j")  # fmt: skip
_TIMES = ("wall_s", "train_s", "eval_s", "peak_rss_mb", "peak_gpu_mb")

RunSidecar = _schema(
    "run.json",
    **dict.fromkeys(("started", "finished", "device"), str),
    **dict.fromkeys(_TIMES, Number),
    warnings=list[str],
    environment=_schema(
        "environment", packages=dict[str, str | None], git=_schema("git", commit=str, dirty=bool)
    ),
    cost=_schema("cost", **dict.fromkeys(_COST, Number)),
)
FailureSidecar = _schema(
    "failure.json",
    **dict.fromkeys(("kind", "message", "traceback"), str),
    **dict.fromkeys(("attempt", "step"), Count),
    ids=list[str],
)
ExperimentSidecar = _schema(
    "experiment.json",
    name=str,
    **dict.fromkeys(("title", "profile", "note", "table", "figure"), (str, "")),
    report=_schema("report", baselines=list[str], grid=list[str], published=str),
    published=str,
    repeats=_schema("repeats", margins=dict[str, Number], source=str),
    cells=dict[str, str],
)


def read_sidecar(path: Path, schema: type[BaseModel], hint: str = HINT) -> dict[str, Any]:
    """Read a file and check it, naming the first wrong key; the content is given as it stands."""
    content = read_object(path, hint)
    try:
        schema.model_validate(content)
    except ValidationError as error:
        raise wrong_key(error, path, hint) from error
    return content


def file_stem(image_id: str) -> str:
    """An image id as part of a file name: "val/17" is "val_17"."""
    return image_id.replace("/", "_")


def is_name(text: str) -> bool:
    """Whether a text can be the name of an experiment or a cell."""
    return _NAME.fullmatch(text) is not None


def _checked(name: str, what: str) -> str:
    if not is_name(name):
        raise StoreError(f"'{name}' cannot be the name of {what}", hint="use letters, digits, '.', '_', '-'")
    return name


class _Inside:
    """A path inside a folder, by its name there."""

    def __init__(self, name: str) -> None:
        self.name = name

    def __get__(self, folder: ExperimentFolder | CellFolder, owner: object = None) -> Path:
        return folder.path / self.name


@dataclass(frozen=True)
class ExperimentFolder:
    """results/<experiment>/. Raises StoreError: the name could lead out of the results folder."""

    root: Path  # the results folder
    experiment: str  # experiment name

    # the resolved experiment: name, title, profile, note, report, cells {id: label}
    experiment_json = _Inside("experiment.json")

    def __post_init__(self) -> None:
        _checked(self.experiment, "an experiment")

    @property
    def path(self) -> Path:
        """The folder itself."""
        return Path(self.root) / self.experiment

    def write_experiment(self, content: Mapping[str, Any]) -> None:
        """Write experiment.json, unless it already says the same (a plan on a read-only copy works)."""
        if not (self.experiment_json.is_file() and read_json(self.experiment_json) == content):
            write_json(self.experiment_json, dict(content))

    def read_experiment(self) -> dict[str, Any]:
        """Read experiment.json."""
        if not self.experiment_json.is_file():
            hint = "run it first: tabench run <file.toml>"
            raise StoreError("no results of this experiment", where=str(self.path), hint=hint)
        hint = "write it again with `tabench plan <file.toml>`"
        content = read_sidecar(self.experiment_json, ExperimentSidecar, hint)
        return {"title": "", "profile": "", "note": "", **content}

    def cell(self, cell_id: str) -> CellFolder:
        """The folder of a cell."""
        return CellFolder(self.root, self.experiment, cell_id)

    def truth(self, content: str) -> Path:
        """Folder of inputs and coloured targets, shared by all cells with the same `DatasetPart.content`."""
        return self.path / "truth" / _checked(content[:12], "data")

    def sam_mask(self, content: str, image_id: str, sha256: str, level: int) -> Path:
        """One of the promptable SAM's masks of an image, for the weights of this sha256."""
        weights = _checked(sha256[:12], "weights")
        return self.truth(content) / f"{file_stem(image_id)}.sam_masks.{weights}.{level}.png"

    def truth_picture(self, content: str, image_id: str, what: str) -> Path:
        """A picture of an image: `what` is "input" or a task's name."""
        return self.truth(content) / f"{file_stem(image_id)}.{what}.png"


@dataclass(frozen=True)
class CellFolder:
    """results/<experiment>/<cell id>/. Raises StoreError: a name could lead out of the results folder."""

    root: Path  # the results folder
    experiment: str  # experiment name
    cell_id: str  # `Cell.id`

    record = _Inside("record.json")  # the outcome, the same for every undisturbed or resumed run
    run = _Inside("run.json")  # the circumstances: machine, versions, times
    factors = _Inside("factors.json")  # analysis of the updates; absent for methods without a stacked one
    architecture = _Inside("architecture.json")  # shapes and counts of the cell's models, for drawings
    checksums = _Inside("checksums.json")  # sha256 of the record and of the files beside it, as written
    merged_from = _Inside("merged_from.json")  # where a record from another results folder is from
    journal_file = _Inside("journal.jsonl")  # events, one JSON object a line
    failure = _Inside("failure.json")  # why the last attempt failed; absent otherwise
    claim = _Inside("claim.json")  # there while a process runs the cell
    checkpoint = _Inside("checkpoint")  # folder of the resumable state
    pictures = _Inside("pictures")  # folder of predictions and error maps

    def __post_init__(self) -> None:
        _checked(self.experiment, "an experiment")
        _checked(self.cell_id, "a cell")

    @property
    def path(self) -> Path:
        """The folder itself."""
        return Path(self.root) / self.experiment / self.cell_id

    def truth(self, content: str) -> Path:
        """As for the experiment."""
        return ExperimentFolder(self.root, self.experiment).truth(content)

    def channel(self, image_id: str, task: str, index: int) -> Path:
        """A raw output channel as a grey thumbnail; there for one image at most."""
        return self.pictures / f"channels.{file_stem(image_id)}.{task}.{index}.png"

    def state(self) -> CellState:
        """What is known of the cell from its files."""
        if self.record.is_file():
            return "done"
        if is_live(self.claim):
            return "running"
        if self.failure.is_file():
            return "failed"
        if self.checkpoint.is_dir() and any(self.checkpoint.iterdir()):
            return "partial"
        return "pending"

    def journal(self, event: str, **facts: object) -> None:
        """Append an event; "t" is the time in seconds since 1970."""
        line = {"t": round(time.time(), 3), "event": event, **facts}
        append_line(self.journal_file, json.dumps(line))

    def read_journal(self) -> list[dict[str, Any]]:
        """All events in order; a line torn by a kill is left out."""
        return read_lines(self.journal_file)

    def write_failure(
        self, error: BaseException, *, attempt: int, step: int | None = None, ids: Sequence[str] = ()
    ) -> None:
        """Keep why an attempt (1 is the first) failed, at which optimiser step and with which images."""
        content = {
            "kind": failure_kind(error),
            "message": str(error) or type(error).__name__,
            "traceback": "".join(traceback.format_exception(error)),
            "attempt": attempt,
            "step": step,
            "ids": list(ids) or None,
        }
        write_json(self.failure, {key: value for key, value in content.items() if value is not None})

    def read_failure(self) -> dict[str, Any]:
        """The content of failure.json; empty if there is none."""
        return read_sidecar(self.failure, FailureSidecar) if self.failure.is_file() else {}

    def clear_failure(self) -> None:
        """Remove failure.json."""
        self.failure.unlink(missing_ok=True)

    def read_run(self) -> dict[str, Any]:
        """The content of run.json; empty if there is none."""
        return read_sidecar(self.run, RunSidecar) if self.run.is_file() else {}
