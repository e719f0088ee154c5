from __future__ import annotations

import errno
import json
import traceback

import pytest
import torch

from tabench.engine.process_group import decode_error, encode_error
from tabench.errors import (
    CheckpointError,
    DataError,
    DivergedError,
    EvaluationFailedError,
    InterruptedRunError,
    SpecError,
    StoreError,
    failure_kind,
)

RAISED = [
    SpecError("a", where="train.lr", hint="lower it"),
    DataError("b", where="val/3"),
    CheckpointError("c"),
    DivergedError("d", step=4, ids=["train/1", "train/2"], hint="lower train.lr"),
    InterruptedRunError("e"),
    StoreError("f", where="results"),
    MemoryError("g"),
    torch.OutOfMemoryError("h"),
    OSError(errno.ENOSPC, "No space left on device"),
    RuntimeError("i"),
    KeyError("j"),
]


@pytest.mark.parametrize("error", RAISED, ids=lambda error: type(error).__name__)
def test_another_process_raises_the_same_kind_with_the_same_words(error: Exception) -> None:
    again = decode_error(json.loads(json.dumps(encode_error(error))), "process 1 of 2")
    assert failure_kind(again) == failure_kind(error)
    assert str(again) == str(error)
    if isinstance(error, DivergedError):
        assert isinstance(again, DivergedError)
        assert (again.step, again.ids) == (error.step, error.ids)
    assert "met by process 1 of 2" in "".join(traceback.format_exception(again))


def test_an_unexpected_error_brings_its_traceback() -> None:
    try:
        raise ZeroDivisionError("division by zero")
    except ZeroDivisionError as error:
        again = decode_error(encode_error(error), "process 1 of 2")
    assert "test_error_codec.py" in "".join(traceback.format_exception(again))


def test_that_training_is_done_is_said_once() -> None:
    error = EvaluationFailedError("all", DataError("torn", where="val/1"))
    again = decode_error(encode_error(error), "process 1 of 2")
    assert isinstance(again, DataError)
    assert str(EvaluationFailedError("all", again)) == str(error)
