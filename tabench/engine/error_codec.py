"""Errors as JSON, so that one process can raise what another one met. Nothing that arrives is executed."""

from __future__ import annotations

import traceback
from collections.abc import Mapping
from typing import Any, Final

from tabench.errors import (
    DataError,
    DivergedError,
    EvaluationFailedError,
    InterruptedRunError,
    MemoryExhaustedError,
    SpecError,
    StoreError,
    TabenchError,
    failure_kind,
)

_CLASSES = (SpecError, DataError, MemoryExhaustedError, InterruptedRunError, StoreError)
_KINDS: Final[dict[str, type[TabenchError]]] = {found.kind: found for found in _CLASSES}


def encode_error(error: Exception) -> dict[str, Any]:
    """An error as JSON values: its kind, its words, its images and where it was raised."""
    if isinstance(error, EvaluationFailedError):
        error = error.cause  # whoever hears of it adds by itself that training is done
    own = isinstance(error, TabenchError)
    facts: dict[str, Any] = {
        "kind": failure_kind(error),
        "message": error.message if isinstance(error, TabenchError) else str(error) or type(error).__name__,
        "where": error.where if isinstance(error, TabenchError) else None,
        "hint": error.hint if isinstance(error, TabenchError) else None,
        "trace": "" if own else "".join(traceback.format_exception(error)),
    }
    if isinstance(error, DivergedError):
        facts |= {"step": error.step, "ids": error.ids}
    return facts


def decode_error(facts: Mapping[str, Any], origin: str) -> Exception:
    """An error of the same kind with the same words.

    Args:
        facts: Of `encode_error`.
        origin: Who met it; kept as a note, which tracebacks show.
    """
    message, rest = str(facts["message"]), {key: facts[key] for key in ("where", "hint")}
    error: Exception
    if facts["kind"] == "diverged":
        error = DivergedError(message, step=facts.get("step"), ids=facts.get("ids") or (), **rest)
    elif facts["kind"] in _KINDS:
        error = _KINDS[facts["kind"]](message, **rest)
    else:
        error = RuntimeError(message)  # unexpected, as it was there
    error.add_note("\n".join(filter(None, [f"met by {origin}", facts["trace"]])))
    return error
