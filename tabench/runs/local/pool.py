"""Several cells at once: one process a GPU, or a few CPU threads each."""

from __future__ import annotations

import multiprocessing
import os
import signal
from collections import deque
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import dataclass, replace
from multiprocessing.connection import Connection, wait
from multiprocessing.context import SpawnProcess

from tabench.catalog import BACKBONES
from tabench.errors import failure_kind
from tabench.provenance.environment import usable_cores
from tabench.runs import processes
from tabench.runs.executor import CellEvent, Job, Listener, Options, Outcome
from tabench.runs.launch import run_job
from tabench.runs.processes import StopFlag, die_with, how_it_died
from tabench.runs.retrying import ProcessDiedError, Retries, record_death
from tabench.store.streams import steady

LOOK_SECONDS = 0.5  # how often a stop is noticed while nothing happens


@dataclass
class _Worker:
    environment: dict[str, str]
    process: SpawnProcess
    pipe: Connection
    job: Job | None = None


class PoolExecutor:
    """Runs cells in processes of their own; see `Executor`.

    A process takes the next cell when it is done with one. If it dies (out of memory, a kill), or its cell
    fails of something that another try may cure, a new one takes its place and the cell resumes from its
    checkpoint, as often as `Retries` allows; the other cells do not notice.
    """

    def run(self, jobs: Sequence[Job], options: Options, listener: Listener) -> list[Outcome]:
        """Run the jobs, those that take longest first; a stop lets every running cell write a checkpoint."""
        self._options, self._listener = options, listener
        longest_first = sorted(jobs, key=lambda job: -job.seconds)
        self._todo = deque((job, 0.0) for job in longest_first)  # with the seconds to wait before each
        self._retries = Retries(options.results, listener)
        self._outcomes: list[Outcome] = []
        self._stopping = False
        with StopFlag().listening() as self._asked:
            workers = [self._hire(environment) for environment in worker_environments(options, len(jobs))]
            try:
                while any(worker.job for worker in workers):
                    heard = wait([worker.pipe for worker in workers if worker.job], LOOK_SECONDS)
                    for index, worker in enumerate(workers):
                        if worker.pipe in heard and not self._hear(worker):
                            _end(worker)
                            workers[index] = self._hire(worker.environment)
                    ended = any(options.ends_with(outcome) for outcome in self._outcomes)
                    if (ended or self._asked()) and not self._stopping:
                        self._stopping = True
                        self._todo.clear()
                        for worker in workers:
                            if worker.process.is_alive():
                                worker.process.terminate()  # its own flag: stops at a checkpoint
            finally:
                for worker in workers:
                    _end(worker)
        order = {job.cell.id: position for position, job in enumerate(jobs)}
        return sorted(self._outcomes, key=lambda outcome: order[outcome.job.cell.id])

    def _hire(self, environment: dict[str, str]) -> _Worker:
        """Start a process with the next job; without a job left, none is started."""
        context = multiprocessing.get_context("spawn")
        ours, theirs = context.Pipe()
        process = context.Process(target=_work, args=(theirs, self._options, os.getpid()), daemon=True)
        worker = _Worker(environment, process, ours)
        if self._todo:
            before = dict(os.environ)
            os.environ.update(environment)  # a spawned process reads it before it imports torch
            try:
                process.start()
            finally:
                for key in environment:
                    del os.environ[key]
                os.environ.update(before)
            self._give(worker)
        theirs.close()
        return worker

    def _give(self, worker: _Worker) -> None:
        worker.job = None
        if self._todo:
            task = self._todo.popleft()
            worker.job = task[0]
            with suppress(OSError):  # it died just now: the pipe says so on the next look
                worker.pipe.send(task)

    def _hear(self, worker: _Worker) -> bool:
        """Take one message of a process; False if another one must take its place."""
        job = worker.job
        assert job is not None  # only busy workers are waited for
        try:
            message: CellEvent | Outcome = worker.pipe.recv()
        except (EOFError, OSError):
            self._record_death(job, worker)
            return False
        if isinstance(message, CellEvent):
            self._listener(message)
        elif self._again(message):
            return False  # a device that failed stays broken in the process that used it
        else:
            self._keep(message)
            if message.state == "interrupted" and self._todo:
                return False  # it was asked to stop, and would interrupt every other cell
            self._give(worker)
        return True

    def _keep(self, outcome: Outcome) -> None:
        """A cell's end; after a stop or the last failure, no other cell is started."""
        self._outcomes.append(outcome)
        if self._asked() or self._options.ends_with(outcome):
            self._todo.clear()

    def _again(self, outcome: Outcome) -> bool:
        """Whether a cell is put back for another try."""
        if self._stopping or self._asked() or (pause := self._retries.pause(outcome)) is None:
            return False
        self._todo.appendleft((outcome.job, pause))
        return True

    def _record_death(self, job: Job, worker: _Worker) -> None:
        """A process died in the middle of a cell: once more, or a failure."""
        worker.process.join()
        error = ProcessDiedError(f"its process died ({how_it_died(worker.process.exitcode or 0)})")
        if self._stopping:  # before it could listen
            self._keep(Outcome(job, "interrupted", message="stopped before it began"))
        elif not self._again(Outcome(job, "failed", failure_kind(error), str(error))):
            self._keep(record_death(self._options.results, job, error, self._listener))


def worker_environments(options: Options, jobs: int) -> list[dict[str, str]]:
    """The environment of each worker, at most one a job: a GPU of its own, or its share of the cores.

    A worker whose cells are shared by several processes has as many GPUs, or as many shares.
    """
    gpus, each = gpus_of(options.device), options.processes
    groups = [",".join(gpus[at : at + each]) for at in range(0, len(gpus) - each + 1, each)]
    wanted = options.workers or len(groups) or usable_cores() // each
    count = max(1, min(wanted, jobs))
    threads = options.threads or max(1, usable_cores() // (count * each))
    share = {"OMP_NUM_THREADS": str(threads)}
    return [
        share | ({"CUDA_VISIBLE_DEVICES": groups[i % len(groups)]} if groups else {}) for i in range(count)
    ]


def worthwhile(jobs: Sequence[Job], options: Options) -> bool:
    """Whether cells side by side are faster: several GPUs, or small models on several CPU cores.

    A small model keeps one core busy and hardly two; a large one fills the memory of a machine alone.
    """
    if gpus := gpus_of(options.device):
        places = len(gpus)
    else:
        small = all(BACKBONES.get(job.cell.backbone.name).small for job in jobs)
        places = usable_cores() if small else 1
    return len(jobs) > 1 and places >= 2 * options.processes


def gpus_of(device: str) -> list[str]:
    """CUDA devices to share out, by the numbers that CUDA_VISIBLE_DEVICES takes."""
    if not (device == "auto" or device.startswith("cuda")):
        return []
    import torch

    count, held = torch.cuda.device_count(), os.environ.get("CUDA_VISIBLE_DEVICES")
    names = (held.split(",") if held else [str(i) for i in range(count)])[:count]
    _, colon, index = device.partition(":")
    return names[int(index) :][:1] if colon else names


def _work(pipe: Connection, options: Options, parent: int) -> None:
    """A process' life: take a job, run it, say how it ended."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # Ctrl-C reaches the parent, which passes a SIGTERM on
    die_with(parent)
    steady()
    device = options.device.partition(":")[0]  # the one that is visible
    threads = options.threads or int(os.environ.get("OMP_NUM_THREADS") or 0)
    own = replace(options, device=device, threads=threads)
    with StopFlag().listening(signal.SIGTERM) as should_stop:
        while True:
            try:
                job, pause = pipe.recv()
            except EOFError:
                return
            if not pause or processes.wait(pause, should_stop):
                pipe.send(run_job(job, own, pipe.send, should_stop))
            else:
                pipe.send(Outcome(job, "interrupted", message="stopped while waiting for its next try"))


def _end(worker: _Worker) -> None:
    worker.pipe.close()
    if worker.process.pid is None:  # never started
        return
    worker.process.join(timeout=10)
    if worker.process.is_alive():
        worker.process.kill()
        worker.process.join()
