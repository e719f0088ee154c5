"""Checkpoints of one unit: always one loadable, whatever kills the process.

``<checkpoint>/<unit>/<step or "finished">/`` holds model.safetensors (what building the model again does not
give: trained parameters, and others that training changed), optimizer.safetensors (Adam's moments),
best.safetensors (with selection "best-val"), extra.safetensors (what a balancer or a method's hooks keep),
state.json and sums.json (the sha256 of the others; checkpoints of older versions have none). A checkpoint is
written under a temporary name and appears by one rename; older ones are deleted afterwards. A finished unit
keeps its weights and drops the moments.
"""

from __future__ import annotations

import json
import os
import secrets
import shutil
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from types import MappingProxyType

import torch
from safetensors import SafetensorError
from safetensors.torch import load_file, save_file
from torch import Tensor, nn
from torch.optim import Adam

from tabench.engine.state import State
from tabench.errors import CheckpointError, StoreError
from tabench.store.atomic import sync
from tabench.store.checksums import check_folder_sums, write_folder_sums
from tabench.store.encoding import read_object

Named = Mapping[str, nn.Parameter]
_NONE: Mapping[str, Tensor] = MappingProxyType({})
_NO_PARAMETERS: Named = MappingProxyType({})
FINISHED = "finished"
AGAIN = "delete the checkpoint's folder: the cell starts from the beginning"


@dataclass
class CheckpointStore:
    """Writes and reads the checkpoints of a unit; one that `writes` not reads what another one writes."""

    folder: Path
    writes: bool = True

    def latest(self) -> Path | None:
        """The newest complete checkpoint."""
        if not self.folder.is_dir():
            return None
        # Older checkpoints may still lie beside a finished one if a kill came between rename and deletion.
        if (self.folder / FINISHED).is_dir():
            return self.folder / FINISHED
        complete = [path for path in self.folder.iterdir() if path.name.isdigit()]
        return max(complete, key=lambda path: int(path.name), default=None)

    def save(
        self,
        trained: Named,
        optimizer: Adam,
        state: State,
        moved: Mapping[str, Tensor] = _NONE,
        own: Named = _NO_PARAMETERS,
    ) -> None:
        """Write a checkpoint and delete the ones before it.

        `moved` are values beside the `trained` ones that training changed; `own` are parameters of the
        optimiser that are not the model's, whose values are in `state`.

        Raises:
            StoreError: The folder cannot be written.
        """
        final = self.folder / (FINISHED if state.finished else f"{state.step:08d}")
        if final.exists() or not self.writes:  # the same step again holds the same values
            return
        writing = self.folder / f"writing-{os.getpid()}-{secrets.token_hex(4)}"
        try:
            writing.mkdir(parents=True)
            # Buffers may be views of one another, which a safetensors file cannot hold: they are copied.
            save_file(_plain(trained) | _plain(moved, copy=True), writing / "model.safetensors")
            if state.best_weights:
                save_file(_plain(state.best_weights), writing / "best.safetensors")
            if extra := {name: value for name, value in state.extra.items() if isinstance(value, Tensor)}:
                save_file(_plain(extra, copy=True), writing / "extra.safetensors")
            if not state.finished:
                save_file(_moments({**trained, **own}, optimizer), writing / "optimizer.safetensors")
            (writing / "state.json").write_text(json.dumps(state.to_json()))
            write_folder_sums(writing)
            # Contents reach the disk before the name that says they are whole; after a power cut a renamed
            # folder could else hold empty files.
            for path in [*writing.iterdir(), writing]:
                sync(path)
            writing.rename(final)
            sync(self.folder)
            for path in self.folder.iterdir():
                if path.name < final.name:  # a later one is of a process that took the cell meanwhile
                    shutil.rmtree(path, ignore_errors=True)
        except (OSError, SafetensorError, StoreError) as error:
            shutil.rmtree(writing, ignore_errors=True)
            raise StoreError(
                f"cannot write a checkpoint: {error}",
                where=str(self.folder),
                hint="free some space or choose another --results folder; the last checkpoint is kept",
            ) from error

    def load(
        self,
        trained: Named,
        optimizer: Adam,
        others: Mapping[str, Tensor] = _NONE,
        own: Named = _NO_PARAMETERS,
    ) -> State | None:
        """Restore parameters, moments and position; None if there is no checkpoint.

        A checkpoint has all the `trained` parameters, of `others` those that training changed, and of `own`
        the moments alone.

        Raises:
            CheckpointError: The checkpoint is damaged or of another model.
        """
        path = self.latest()
        if path is None:
            return None
        # Sums come first, so that a damaged file is told as one and not as whatever its bytes decode to.
        with _reading(path):
            check_folder_sums(path)
        with _reading(path / "state.json", "is no state of a checkpoint"):
            state = State.from_json(read_object(path / "state.json"))
        fill(trained, _tensors(path / "model.safetensors"), str(path / "model.safetensors"), others)
        if (best := path / "best.safetensors").exists():
            state.best_weights = _tensors(best)
            check(trained, state.best_weights, str(best), others)
        if (extra := path / "extra.safetensors").exists():
            state.extra |= _tensors(extra)
        if not state.finished:
            moments = path / "optimizer.safetensors"
            _restore_moments({**trained, **own}, optimizer, _tensors(moments), str(moments))
        return state


@contextmanager
def _reading(path: Path, problem: str = "cannot be read") -> Iterator[None]:
    """Whatever is wrong with a file of a checkpoint becomes one error that says what to do."""
    try:
        yield
    except StoreError as error:
        raise CheckpointError(error.message, where=error.where or str(path), hint=AGAIN) from error
    except (OSError, SafetensorError, ValueError, TypeError, KeyError, OverflowError) as error:
        first = " ".join(str(error).split())[:200]
        raise CheckpointError(f"{problem}: {first}", where=str(path), hint=AGAIN) from error


def _tensors(path: Path) -> dict[str, Tensor]:
    with _reading(path):
        return load_file(path)


def fill(
    trained: Named, values: Mapping[str, Tensor], where: str, others: Mapping[str, Tensor] = _NONE
) -> None:
    """Copy values into parameters and buffers of the same names.

    Raises:
        CheckpointError: As `check`.
    """
    check(trained, values, where, others)
    with torch.no_grad():
        for name, value in values.items():
            (trained[name] if name in trained else others[name]).copy_(value)


def check(
    trained: Mapping[str, Tensor],
    values: Mapping[str, Tensor],
    where: str,
    others: Mapping[str, Tensor] = _NONE,
) -> None:
    """Compare values with the parameters they are for, before any of them is used.

    There must be a value for each of `trained`, and may be one for each of `others`, of its own type.

    Raises:
        CheckpointError: Names, shapes or kinds of numbers differ, or a value is not finite.
    """
    if odd := sorted(set(trained) - set(values) | set(values) - set(trained) - set(others)):
        raise CheckpointError(f"parameters differ, for example '{odd[0]}'", where=where, hint=AGAIN)
    for name, value in values.items():
        parameter = trained[name] if name in trained else others[name]
        problem = ""
        if value.shape != parameter.shape:
            problem = f"has shape {tuple(value.shape)}, expected {tuple(parameter.shape)}"
        elif name not in trained:
            problem = "" if value.dtype == parameter.dtype else f"holds {value.dtype}, not {parameter.dtype}"
        elif not value.is_floating_point():
            problem = f"holds {value.dtype}, expected floating point"
        elif not bool(torch.isfinite(value).all()):
            problem = "holds values that are NaN or infinite"
        if problem:
            raise CheckpointError(f"'{name}' {problem}", where=where, hint=AGAIN)


def _plain(tensors: Mapping[str, Tensor], *, copy: bool = False) -> dict[str, Tensor]:
    """Tensors as a file takes them; copies where some may share their memory."""
    return {name: tensor.detach().to("cpu", copy=copy).contiguous() for name, tensor in tensors.items()}


def _moments(trained: Named, optimizer: Adam) -> dict[str, Tensor]:
    found: dict[str, Tensor] = {}
    for name, parameter in trained.items():
        for key, value in optimizer.state.get(parameter, {}).items():
            found[f"{name}|{key}"] = value
    return _plain(found)


def _restore_moments(trained: Named, optimizer: Adam, saved: Mapping[str, Tensor], where: str) -> None:
    like: dict[str, Tensor] = {}  # of a parameter that has no gradient yet, Adam keeps nothing
    for entry in saved:
        name, _, key = entry.rpartition("|")
        if name not in trained or f"{name}|step" not in saved:
            raise CheckpointError(f"'{entry}' belongs to no parameter", where=where, hint=AGAIN)
        like[entry] = saved[entry].new_zeros(()) if key == "step" else trained[name]
    check(like, saved, where)  # all of them before one is taken, so that nothing is half restored
    for entry, value in saved.items():
        name, _, key = entry.rpartition("|")
        parameter = trained[name]
        # Adam keeps its step count on the host
        held = value.clone() if key == "step" else value.to(parameter.device, parameter.dtype)
        optimizer.state[parameter][key] = held
