"""The one exception tree of tabench.

Every error that a person can cause says what was wrong, where (a file, a key or
an image), and what to do about it. `kind` is the word that a failed run is recorded
under (`FAILURE_KINDS`), so scripts can tell a typing error from a lost machine.
"""

from __future__ import annotations

import errno
import traceback
from collections.abc import Mapping, Sequence
from typing import Any, ClassVar

FAILURE_KINDS = {
    "spec": "an experiment file, an option or a name that cannot be used as written",
    "data": "a dataset, weights or a checkpoint that is missing, damaged or holds impossible values",
    "out-of-memory": "the device or the host ran out of memory, however small the passes were made",
    "diverged": "a loss that is not finite",
    "interrupted": "stopped from outside; the last checkpoint is kept",
    "infrastructure": "the disk, the file system, the device or the process failed",
    "unexpected": "none of these: most likely a mistake in the code of tabench or of a plugin",
}
# a disk, a mount or a device gave up, whatever the code was reading or writing just then
_BROKEN = {errno.EIO, errno.ENOSPC, errno.EDQUOT, errno.EROFS, errno.ESTALE, errno.ETIMEDOUT, errno.ENODEV}
RETRIED_KINDS = ("interrupted", "infrastructure")  # another try may end otherwise; the rest would fail again


class TabenchError(Exception):
    """Base of all errors raised on purpose: what was wrong, where (file, key or image), and what to do."""

    kind: ClassVar[str] = "infrastructure"

    def __init__(self, message: str, *, where: str | None = None, hint: str | None = None) -> None:
        self.message = message
        self.where = where
        self.hint = hint
        super().__init__(message)

    def __str__(self) -> str:
        lines = [f"{self.where}: {self.message}" if self.where else self.message]
        if self.hint:
            lines.append(f"  -> {self.hint}")
        return "\n".join(lines)


class SpecError(TabenchError):
    """An experiment file, an option or a name that cannot be used as written."""

    kind = "spec"


class DataError(TabenchError):
    """A dataset that is missing, incomplete or holds impossible values."""

    kind = "data"


class CheckpointError(TabenchError):
    """Weights that are missing, truncated, of the wrong shape, or unsafe to read."""

    kind = "data"


class DivergedError(TabenchError):
    """Training met a loss that is not finite, at a 0-based optimiser step, with the micro-batch's images."""

    kind = "diverged"

    def __init__(
        self,
        message: str,
        *,
        step: int | None = None,
        ids: Sequence[str] = (),
        where: str | None = None,
        hint: str | None = None,
    ) -> None:
        super().__init__(message, where=where, hint=hint)
        self.step = step
        self.ids = list(ids)


class MemoryExhaustedError(TabenchError):
    """The device or the host ran out of memory."""

    kind = "out-of-memory"


class EvaluationFailedError(TabenchError):
    """A unit ("all" if the cell has one only) is trained and kept, but evaluating it raised `cause`.

    The cause decides what the failure is recorded under.
    """

    def __init__(self, unit: str, cause: Exception) -> None:
        text = cause.message if isinstance(cause, TabenchError) else f"{type(cause).__name__}: {cause}"
        place = cause.where if isinstance(cause, TabenchError) else None
        what = f"{place}: {text}" if place else " ".join(text.split())
        whole = unit == "all"
        super().__init__(
            f"{'' if whole else f'{unit} '}trained; evaluation failed: {what}; "
            f"run again to {'evaluate only' if whole else f'evaluate {unit} only and go on'}",
            hint=cause.hint if isinstance(cause, TabenchError) else None,
        )
        self.cause = cause


class InterruptedRunError(TabenchError):
    """A run was asked to stop (Ctrl-C, SIGTERM); it can be resumed."""

    kind = "interrupted"


class StoreError(TabenchError):
    """A results folder that cannot be read or written as expected."""

    kind = "infrastructure"


def failure_kind(error: BaseException) -> str:
    """The word of `FAILURE_KINDS` that a failure is recorded under.

    A TabenchError has its own, unless a broken disk or device lies behind it: images that cannot be read
    because of an I/O error are no fault of the data.
    """
    if isinstance(error, EvaluationFailedError):
        return failure_kind(error.cause)
    name = type(error).__name__  # torch's errors are known by name: it is not imported here
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


_CLASSES = (SpecError, DataError, DivergedError, MemoryExhaustedError, InterruptedRunError, StoreError)
_KINDS: dict[str, type[TabenchError]] = {found.kind: found for found in _CLASSES}


def encode_error(error: Exception) -> dict[str, Any]:
    """An error as JSON values, for another process to raise: kind, words, images, and where it was raised."""
    if isinstance(error, EvaluationFailedError):
        error = error.cause  # whoever hears of it adds by itself that training is done
    own = error if isinstance(error, TabenchError) else None
    return {
        "kind": failure_kind(error),
        "message": own.message if own else str(error) or type(error).__name__,
        "trace": "" if own else "".join(traceback.format_exception(error)),
        **{key: getattr(own, key, None) for key in ("where", "hint", "step", "ids")},
    }


def decode_error(facts: Mapping[str, Any], origin: str) -> Exception:
    """An error of the same kind with the same words; nothing that arrives is executed.

    `origin` says who met it, as a note that tracebacks show.
    """
    kind, rest = _KINDS.get(facts["kind"]), {"where": facts["where"], "hint": facts["hint"]}
    if kind is DivergedError:
        rest |= {"step": facts["step"], "ids": facts["ids"] or ()}
    message = str(facts["message"])
    error = kind(message, **rest) if kind else RuntimeError(message)  # unexpected, as it was there
    error.add_note("\n".join(filter(None, [f"met by {origin}", facts["trace"]])))
    return error
