"""Kept weights of a finished cell, read only if they are those of its record."""

from __future__ import annotations

import hashlib
from typing import TYPE_CHECKING

from tabench.errors import CheckpointError
from tabench.store.folders import CellFolder
from tabench.store.record import Record

if TYPE_CHECKING:
    from torch import nn


def load_kept(folder: CellFolder, record: Record) -> dict[str, dict[str, nn.Parameter]]:
    """Unit name to what is kept of its model, by name: trained parameters, and others that training changed.

    Raises:
        CheckpointError: They are missing, damaged or not those of the record.
    """
    from safetensors import SafetensorError
    from safetensors.torch import load_file
    from torch import nn

    from tabench.runs.compute import add_digest

    digest = hashlib.sha256()
    loaded = {}
    for unit in _units(folder, record):
        path = folder.path / f"weights-{unit}.safetensors"
        try:
            values = load_file(path)
        except (OSError, SafetensorError) as error:
            raise CheckpointError(f"kept weights cannot be read: {error}", where=str(path)) from error
        loaded[unit] = {name: nn.Parameter(v, requires_grad=False) for name, v in values.items()}
        add_digest(loaded[unit], unit, digest)
    if digest.hexdigest() != record.weights_sha256:
        raise CheckpointError(
            "kept weights are not those of the record",
            where=str(folder.path),
            hint="remove the weights-*.safetensors there and train again",
        )
    return loaded


def _units(folder: CellFolder, record: Record) -> list[str]:
    """Names of the units in their order, as the files say: the method need not be installed here."""
    tasks = list(record.cell.dataset.tasks)
    apart = all((folder.path / f"weights-{task}.safetensors").is_file() for task in tasks)
    return tasks if apart or not (folder.path / "weights-all.safetensors").is_file() else ["all"]


def check_kept(folder: CellFolder, record: Record) -> None:
    """Compare kept weights with the record's sha256; see `load_kept` for what is raised."""
    load_kept(folder, record)
