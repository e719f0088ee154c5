"""The processes that compute one cell together: who they are, what they agree on, how they end.

"Rank" and "world size" are torch.distributed's words; the ranks of a low-rank update are something else.

Whatever the processes do together begins with a meeting, a small all-reduce on the CPU in which each may say
that it failed. A process that raises anywhere joins the next meeting of the others in its stead; all of them
then raise what it raised. So an error of one is an error of all, of the same kind and with the same images,
and nobody waits for a process that has gone elsewhere. A process that is killed joins nothing: the others'
connections to it break, and whoever started them ends them.
"""

from __future__ import annotations

import contextlib
import json
import os
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from datetime import timedelta
from typing import Any, Final

import torch
from torch import Tensor, distributed

from tabench.errors import InterruptedRunError, SpecError, TabenchError, decode_error, encode_error
from tabench.provenance.environment import check_device

PATIENCE: Final = timedelta(hours=1)  # one process may pack a dataset or draw pictures while the others wait


class ProcessLostError(TabenchError):
    """Another process of the same cell ended without a word, or does not answer."""


class ProcessGroup:
    """The group that a process belongs to. A group of one does nothing and changes nothing.

    Attributes:
        over: The processes have parted, at the end or by an error that all of them know of.
        lost: One of them did not answer: this process must not wait for any other.
    """

    def __init__(self, rank: int = 0, size: int = 1) -> None:
        self.rank = rank
        self.size = size
        self.over = False
        self.lost = False
        self._stop = False

    @property
    def is_main(self) -> bool:
        """Whether this process writes checkpoints, journal and record: the first one alone does."""
        return self.rank == 0

    def sync(self, *, short: bool = False, stop: bool = False) -> bool:
        """Wait for the others; whether memory ran out (`short`) on any. `stopping` tells all of a `stop`.

        Raises:
            Exception: What another process raised.
            ProcessLostError: One does not answer.
        """
        return short if self.size == 1 else self._sync(None, short=short, stop=stop)

    def stopping(self, asked: Callable[[], bool]) -> bool:
        """Whether to stop at a checkpoint: what the last meetings agreed upon; alone, what `asked` says.

        A stop that only some hear in time would leave them at different steps.
        """
        return asked() if self.size == 1 else self._stop

    def exchange(self, value: Any) -> list[Any]:
        """The JSON values of all processes, by rank; raises what `sync` does."""
        if self.size == 1:
            return [value]
        # Before the meeting: what cannot be JSON fails where the others can still be told.
        content = json.dumps(value).encode()
        self.sync()
        return self._exchange(content)

    def collect(self, content: bytes) -> list[bytes]:
        """The bytes of all processes, by rank, for the main one; nothing for the others. Raises as `sync`."""
        if self.size == 1:
            return [content]
        sizes = [int(size) for size in self.exchange(len(content))]
        with self.committed():
            if not self.is_main:
                distributed.send(_bytes(content), 0)
                return []
            found = [content]
            for rank in range(1, self.size):
                room = torch.empty(sizes[rank], dtype=torch.uint8)
                distributed.recv(room, rank)
                found.append(room.numpy().tobytes())
            return found

    def sum(self, values: Mapping[str, float]) -> dict[str, float]:
        """Sums over the processes, equal to the last bit on all of them. Only right after a meeting."""
        if self.size == 1:
            return dict(values)
        # A Python float is a float64; on the CPU, so that no device is waited for.
        column = torch.tensor(list(values.values()), dtype=torch.float64)
        self.add(column)
        return dict(zip(values, column.tolist(), strict=True))

    def add(self, tensor: Tensor) -> None:
        """Replace a tensor by its sum over the processes. Only right after a meeting."""
        if self.size == 1:
            return
        with self.committed():
            distributed.all_reduce(tensor)

    @contextmanager
    def committed(self) -> Iterator[None]:
        """Inside, the others count on this process: what fails here can be told to none of them.

        Raises:
            ProcessLostError: One does not answer.
        """
        try:
            yield
        except Exception as error:
            # The next meeting would wait for the others for an hour, who wait for this one just here.
            self.over = self.lost = True
            if not isinstance(error, RuntimeError) or isinstance(error, torch.OutOfMemoryError):
                raise
            said = str(error).partition("\n")[0]  # by gloo or NCCL
            raise ProcessLostError(
                f"another process of this cell does not answer: {said}",
                hint="the cell resumes from its last checkpoint",
            ) from error

    @contextmanager
    def one_fate(self) -> Iterator[None]:
        """Whatever is raised inside on one process is raised on all; they part at the end of the block."""
        try:
            yield
            self.sync()
        except Exception as error:
            self._fail(error)
            raise
        self.over = True

    def part(self) -> None:
        """Send the others home, where they still wait for this process."""
        self._fail(InterruptedRunError("the first process has nothing left to compute"))

    def _fail(self, error: Exception) -> None:
        if self.size > 1 and not self.over:
            with contextlib.suppress(Exception):  # theirs, or that they have gone: this one's own matters
                self._sync(error)

    def _sync(self, error: Exception | None, *, short: bool = False, stop: bool = False) -> bool:
        # One all-reduce for all three: in the usual case, where nobody has anything to say, it is all there
        # is.
        votes = torch.tensor([error is not None, short, stop], dtype=torch.float64)
        self.add(votes)
        failed, shorts, stops = votes.tolist()
        self._stop = self._stop or stops > 0
        if failed:
            errors = self._exchange(json.dumps(None if error is None else encode_error(error)).encode())
            self.over = True
            # All of them raise the first one's error, whoever else failed, so that they agree on its kind.
            rank, first = next((rank, facts) for rank, facts in enumerate(errors) if facts)
            raise decode_error(first, f"process {rank} of {self.size}")
        return bool(shorts)

    def _exchange(self, content: bytes) -> list[Any]:
        with self.committed():
            sizes = [torch.zeros(1, dtype=torch.int64) for _ in range(self.size)]
            distributed.all_gather(sizes, torch.tensor([len(content)]))
            longest = max(int(size) for size in sizes)  # an all-gather takes tensors of one size alone
            found = [torch.zeros(longest, dtype=torch.uint8) for _ in range(self.size)]
            distributed.all_gather(found, _bytes(content.ljust(longest)))  # JSON may end in spaces
            return [json.loads(part.numpy().tobytes()) for part in found]


def join(device: torch.device) -> ProcessGroup:
    """Join the processes that torchrun started together with this one (its RANK and WORLD_SIZE say which).

    What lies on the CPU travels by gloo, what lies on a CUDA device by NCCL.

    Raises:
        ProcessLostError: The others did not come.
    """
    group = ProcessGroup(int(os.environ["RANK"]), int(os.environ["WORLD_SIZE"]))
    if group.size > 1:
        backend = "cpu:gloo,cuda:nccl" if device.type == "cuda" else "gloo"
        with group.committed():
            distributed.init_process_group(backend, timeout=PATIENCE)
    return group


def _bytes(content: bytes) -> Tensor:
    # A copy in a bytearray, since torch warns of memory that it may not write; it takes no empty buffer.
    return torch.frombuffer(bytearray(content), dtype=torch.uint8) if content else torch.zeros(0).byte()


def choose_device(name: str) -> torch.device:
    """Turn "auto", "cpu", "cuda" or "cuda:N" into a device.

    Raises:
        SpecError: The device does not exist here, or is none that cells run on.
    """
    if check_device(name) == "auto":
        return torch.device("cuda" if torch.cuda.is_available() else "cpu")
    kind, _, index = name.partition(":")
    if kind == "cuda" and int(index or 0) >= torch.cuda.device_count():
        count = torch.cuda.device_count()
        raise SpecError(
            f"'{name}' asked for, {count} CUDA device(s) found", where="--device", hint="--device auto"
        )
    return torch.device(name)
