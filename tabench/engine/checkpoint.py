"""Checkpoints of one unit: always one loadable, whatever kills the process.

``<checkpoint>/<unit>/<step or "finished">/`` holds model.safetensors (trained parameters),
optimizer.safetensors (Adam's moments), best.safetensors (with selection "best-val") and state.json. A
checkpoint is written under a temporary name and appears by one rename; older ones are deleted afterwards.
A finished unit keeps its weights and drops the moments.
"""

from __future__ import annotations

import json
import os
import secrets
import shutil
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

import torch
from safetensors import SafetensorError
from safetensors.torch import load_file, save_file
from torch import Tensor, nn
from torch.optim import Adam

from tabench.engine.state import State
from tabench.errors import CheckpointError, StoreError

Named = Mapping[str, nn.Parameter]
FINISHED = "finished"


@dataclass
class Keeper:
    """Writes and reads the checkpoints of one unit.

    Args:
        folder: The unit's folder inside the cell's checkpoint folder.
        writes: False for a process that only reads what another one writes.
    """

    folder: Path
    writes: bool = True

    def latest(self) -> Path | None:
        """The newest complete checkpoint."""
        if not self.folder.is_dir():
            return None
        if (self.folder / FINISHED).is_dir():
            return self.folder / FINISHED
        complete = [path for path in self.folder.iterdir() if path.name.isdigit()]
        return max(complete, key=lambda path: int(path.name), default=None)

    def save(self, trained: Named, optimizer: Adam, state: State) -> None:
        """Write a checkpoint and delete the ones before it.

        Raises:
            StoreError: The folder cannot be written.
        """
        final = self.folder / (FINISHED if state.finished else f"{state.step:08d}")
        if final.exists() or not self.writes:  # the same step again holds the same values
            return
        writing = self.folder / f"writing-{os.getpid()}-{secrets.token_hex(4)}"
        try:
            writing.mkdir(parents=True)
            save_file(_plain(trained), writing / "model.safetensors")
            if state.best_weights:
                save_file(_plain(state.best_weights), writing / "best.safetensors")
            if not state.finished:
                save_file(_moments(trained, optimizer), writing / "optimizer.safetensors")
            (writing / "state.json").write_text(json.dumps(state.to_json()))
            for path in [*writing.iterdir(), writing]:
                _flush(path)
            writing.rename(final)
            _flush(self.folder)
            for path in self.folder.iterdir():
                if path.name < final.name:  # a later one is of a process that took the cell meanwhile
                    shutil.rmtree(path, ignore_errors=True)
        except (OSError, SafetensorError) as error:
            shutil.rmtree(writing, ignore_errors=True)
            raise StoreError(
                f"cannot write a checkpoint: {error}",
                where=str(self.folder),
                hint="free some space or choose another --results folder; the last checkpoint is kept",
            ) from error

    def load(self, trained: Named, optimizer: Adam) -> State | None:
        """Restore parameters, moments and position; None if there is no checkpoint.

        Raises:
            CheckpointError: The checkpoint is damaged or of another model.
        """
        path = self.latest()
        if path is None:
            return None
        try:
            state = State.from_json(json.loads((path / "state.json").read_text()))
            fill(trained, load_file(path / "model.safetensors"), str(path))
            if (path / "best.safetensors").exists():
                state.best_weights = load_file(path / "best.safetensors")
            if not state.finished:
                _restore_moments(trained, optimizer, load_file(path / "optimizer.safetensors"))
        except (OSError, ValueError, KeyError, TypeError, SafetensorError) as error:
            raise CheckpointError(
                f"this checkpoint cannot be read: {error}",
                where=str(path),
                hint="delete the folder to start the cell again",
            ) from error
        return state


def fill(trained: Named, values: Mapping[str, Tensor], where: str) -> None:
    """Copy values into parameters of the same names.

    Raises:
        CheckpointError: Names or shapes differ.
    """
    if set(values) != set(trained):
        odd = sorted(set(values) ^ set(trained))
        raise CheckpointError(f"parameters differ, for example '{odd[0]}'", where=where)
    with torch.no_grad():
        for name, parameter in trained.items():
            if values[name].shape != parameter.shape:
                raise CheckpointError(
                    f"'{name}' has shape {tuple(values[name].shape)}, expected {tuple(parameter.shape)}",
                    where=where,
                )
            parameter.copy_(values[name])


def _plain(tensors: Mapping[str, Tensor]) -> dict[str, Tensor]:
    return {name: tensor.detach().cpu().contiguous() for name, tensor in tensors.items()}


def _moments(trained: Named, optimizer: Adam) -> dict[str, Tensor]:
    found: dict[str, Tensor] = {}
    for name, parameter in trained.items():
        for key, value in optimizer.state.get(parameter, {}).items():
            found[f"{name}|{key}"] = value
    return _plain(found)


def _restore_moments(trained: Named, optimizer: Adam, saved: Mapping[str, Tensor]) -> None:
    for entry, value in saved.items():
        name, _, key = entry.rpartition("|")
        parameter = trained[name]
        # Adam keeps its step count on the host
        held = value.clone() if key == "step" else value.to(parameter.device, parameter.dtype)
        optimizer.state[parameter][key] = held


def _flush(path: Path) -> None:
    handle = os.open(path, os.O_RDONLY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)
