"""Where everything of an experiment and of a cell lies, and the small files beside a record."""

from __future__ import annotations

import errno
import json
import re
import time
import traceback
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

from tabench.errors import EvaluationFailedError, StoreError, TabenchError
from tabench.store.atomic import append_line, write_json
from tabench.store.beside import Failure, Plan, read_beside
from tabench.store.claim import is_live
from tabench.store.encoding import read_json, read_lines

# a disk, a mount or a device gave up, whatever the code was reading or writing just then
_BROKEN = {errno.EIO, errno.ENOSPC, errno.EDQUOT, errno.EROFS, errno.ESTALE, errno.ETIMEDOUT, errno.ENODEV}
CellState = Literal["done", "failed", "partial", "running", "pending"]
_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]*")


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


@dataclass(frozen=True)
class ExperimentFolder:
    """results/<experiment>/.

    Args:
        root: The results folder.
        experiment: Experiment name.
    """

    root: Path
    experiment: str

    def __post_init__(self) -> None:
        _checked(self.experiment, "an experiment")

    @property
    def path(self) -> Path:
        """The folder itself."""
        return Path(self.root) / self.experiment

    @property
    def experiment_json(self) -> Path:
        """The resolved experiment: name, title, profile, note, report, cells {id: label}."""
        return self.path / "experiment.json"

    def write_experiment(self, content: Mapping[str, Any]) -> None:
        """Write experiment.json, unless it already says the same (a plan on a read-only copy works)."""
        if not (self.experiment_json.is_file() and read_json(self.experiment_json) == content):
            write_json(self.experiment_json, dict(content))

    def read_experiment(self) -> dict[str, Any]:
        """Read experiment.json.

        Raises:
            StoreError: The experiment has no results here, or the file is torn.
        """
        if not self.experiment_json.is_file():
            hint = "run it first: tabench run <file.toml>"
            raise StoreError("no results of this experiment", where=str(self.path), hint=hint)
        content = read_beside(self.experiment_json, Plan, "write it again with `tabench plan <file.toml>`")
        for key in ("title", "profile", "note"):
            content.setdefault(key, "")
        return content

    def cell(self, cell_id: str) -> CellFolder:
        """The folder of a cell."""
        return CellFolder(self.root, self.experiment, cell_id)

    def cells(self) -> list[CellFolder]:
        """Folders of cells that are there, by id."""
        if not self.path.is_dir():
            return []
        names = (path.name for path in sorted(self.path.iterdir()) if is_name(path.name) and path.is_dir())
        found = (self.cell(name) for name in names)
        return [cell for cell in found if cell.state() != "pending"]

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
    """results/<experiment>/<cell id>/.

    Args:
        root: The results folder.
        experiment: Experiment name.
        cell_id: `Cell.id`.
    """

    root: Path
    experiment: str
    cell_id: str

    def __post_init__(self) -> None:
        _checked(self.experiment, "an experiment")
        _checked(self.cell_id, "a cell")

    @property
    def path(self) -> Path:
        """The folder itself."""
        return Path(self.root) / self.experiment / self.cell_id

    @property
    def record(self) -> Path:
        """The outcome, the same for every undisturbed or resumed run."""
        return self.path / "record.json"

    @property
    def run(self) -> Path:
        """The circumstances: machine, versions, times."""
        return self.path / "run.json"

    @property
    def factors(self) -> Path:
        """Analysis of the trained updates; absent for methods without a stacked update."""
        return self.path / "factors.json"

    @property
    def architecture(self) -> Path:
        """Shapes and counts of the cell's models, for drawings."""
        return self.path / "architecture.json"

    @property
    def checksums(self) -> Path:
        """sha256 of the record and of the files beside it, as the run wrote them."""
        return self.path / "checksums.json"

    @property
    def merged_from(self) -> Path:
        """Where a record that came from another results folder is from; absent otherwise."""
        return self.path / "merged_from.json"

    @property
    def journal_file(self) -> Path:
        """Events, one JSON object a line."""
        return self.path / "journal.jsonl"

    @property
    def failure(self) -> Path:
        """Why the last attempt failed; absent otherwise."""
        return self.path / "failure.json"

    @property
    def claim(self) -> Path:
        """There while a process runs the cell."""
        return self.path / "claim.json"

    @property
    def checkpoint(self) -> Path:
        """Folder of the resumable state."""
        return self.path / "checkpoint"

    @property
    def pictures(self) -> Path:
        """Folder of predictions and error maps."""
        return self.path / "pictures"

    def channel(self, image_id: str, task: str, index: int) -> Path:
        """A raw output channel as a grey thumbnail; there for one image at most."""
        return self.pictures / f"channels.{file_stem(image_id)}.{task}.{index}.png"

    def picture(self, image_id: str, task: str, kind: Literal["pred", "error"]) -> Path:
        """A coloured prediction (RGB) or an error map (8-bit grey, 255 = worst)."""
        return self.pictures / f"{file_stem(image_id)}.{task}.{kind}.png"

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
        """Append an event; "t" is the time in seconds since 1970.

        Raises:
            StoreError: The journal cannot be written.
        """
        line = {"t": round(time.time(), 3), "event": event, **facts}
        append_line(self.journal_file, json.dumps(line))

    def read_journal(self) -> list[dict[str, Any]]:
        """All events in order; a line torn by a kill is left out."""
        return read_lines(self.journal_file)

    def write_failure(
        self, error: BaseException, *, attempt: int, step: int | None = None, ids: Sequence[str] = ()
    ) -> None:
        """Keep why an attempt failed, for `status` and the report.

        Args:
            error: What was raised.
            attempt: 1-based number of the attempt.
            step: Optimiser step it happened at.
            ids: Images of that step.
        """
        content: dict[str, object] = {
            "kind": failure_kind(error),
            "message": str(error) or type(error).__name__,
            "traceback": "".join(traceback.format_exception(error)),
            "attempt": attempt,
        }
        if step is not None:
            content["step"] = step
        if ids:
            content["ids"] = list(ids)
        write_json(self.failure, content)

    def read_failure(self) -> dict[str, Any]:
        """The content of failure.json; empty if there is none."""
        return read_beside(self.failure, Failure) if self.failure.is_file() else {}

    def clear_failure(self) -> None:
        """Remove failure.json."""
        self.failure.unlink(missing_ok=True)


def failure_kind(error: BaseException) -> str:
    """The word of `FAILURE_KINDS` that a failure is recorded under.

    A TabenchError has its own, unless a broken disk or device lies behind it: images that cannot be read
    because of an I/O error are no fault of the data.
    """
    if isinstance(error, EvaluationFailedError):
        return failure_kind(error.cause)
    name = type(error).__name__
    if isinstance(error, MemoryError) or name == "OutOfMemoryError" or _number(error) == errno.ENOMEM:
        return "out-of-memory"
    if isinstance(error, KeyboardInterrupt):
        return "interrupted"
    if isinstance(error, OSError) or name in ("AcceleratorError", "DistBackendError"):
        return "infrastructure"
    if error.__cause__ is not None and _number(error.__cause__) in _BROKEN:
        return "infrastructure"
    return error.kind if isinstance(error, TabenchError) else "unexpected"


def _number(error: BaseException) -> int | None:
    return error.errno if isinstance(error, OSError) else None
