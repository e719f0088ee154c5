"""Which of several equal ways an encoder takes: found once, kept beside the cell, the same after a resume.

The ways differ in the last digits, so a cell that goes on, on this machine or another, must not measure
again: attention.json in the cell's folder holds what was found before the first step. A cell whose
checkpoints have none beside them was begun by a version that had no choice, and goes on by the defaults.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

from tabench.encoders.base import Encoder
from tabench.engine.process_group import ProcessGroup
from tabench.errors import CheckpointError, StoreError
from tabench.store.atomic import write_json
from tabench.store.encoding import read_json
from tabench.store.folders import CellFolder

Choices = list[Mapping[str, Any]]
HINT = "delete it together with the checkpoint's folder: the cell starts from the beginning"


def kept_choice(
    folder: CellFolder, backbone: Encoder, measure: Callable[[], Choices], group: ProcessGroup
) -> Choices:
    """What the cell began with or, at its beginning, what `measure` finds; equal on all its processes.

    Raises:
        CheckpointError: The file is damaged, or names a way that this version does not have.
        StoreError: The file cannot be written.
    """
    found: Choices = []
    if group.is_main:
        if folder.attention.exists():
            found = _read(folder, backbone)
        elif not any(folder.checkpoint.glob("*/*")):  # not `state`, which says of a cell that it runs
            found = measure()
            if found:
                write_json(folder.attention, found)
    kept: Choices = group.exchange(found)[0]
    return kept


def _read(folder: CellFolder, backbone: Encoder) -> Choices:
    where = str(folder.attention)
    try:
        found: Choices = read_json(folder.attention)
        with backbone.chosen(found):
            return found
    except StoreError as error:
        raise CheckpointError(error.message, where=where, hint=HINT) from error
    except ValueError as error:
        first = str(error).splitlines()[0]
        raise CheckpointError(f"is no choice of this version: {first}", where=where, hint=HINT) from error
