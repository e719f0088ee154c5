"""One cell from start to record, whatever happens on the way."""

from __future__ import annotations

import contextlib
import datetime
import os
import time
from collections.abc import Callable
from functools import partial
from typing import Any

import torch

from tabench import events as ev
from tabench.engine.batch_split import out_of_memory
from tabench.engine.probes import set_numerics
from tabench.engine.process_group import ProcessGroup, choose_device
from tabench.errors import DivergedError, InterruptedRunError, MemoryExhaustedError, StoreError, failure_kind
from tabench.provenance.determinism import set_determinism
from tabench.provenance.environment import usable_cores
from tabench.runs.circumstances import environment_of, gpu_energy_j, peak_memory, reset_peak_memory
from tabench.runs.compute import compute
from tabench.runs.executor import CellEvent, Job, Listener, Options, Outcome
from tabench.runs.meter import Meter
from tabench.runs.reevaluate import keep_weights
from tabench.store.adopt import adopt
from tabench.store.atomic import write_bytes, write_json
from tabench.store.checksums import write_sums
from tabench.store.claim import Claim, ClaimedError
from tabench.store.encoding import read_object
from tabench.store.folders import CellFolder
from tabench.store.record import record_bytes
from tabench.store.tidy import close, journalled_seconds, sweep, tidy

RETRY_FACTS = ("t", "kind", "message", "retry", "of")  # of a "retry" event, in run.json


def run_cell(
    job: Job,
    options: Options,
    listener: Listener,
    should_stop: Callable[[], bool],
    group: ProcessGroup | None = None,
) -> Outcome:
    """Run a cell; errors become an outcome and a failure.json, never an exception.

    `should_stop` is asked after every optimiser step. Of a `group` of processes that compute the cell
    together, only the main one calls this.
    """
    folder = job.folder(options.results)
    diary = _Diary(folder, job, options, listener)
    try:
        with Claim(folder.claim) as claim:
            if folder.record.is_file():  # another process was quicker, or a kill came after the record
                close(folder)
                return Outcome(job, "done")
            sweep(folder)
            diary.claim = claim
            if adopt(folder):
                diary.emit(ev.Done(wall_s=0.0, adopted=True))
                return Outcome(job, "done")
            try:
                diary.start()
                diary.options = options = options.for_cell(job.cell)
                set_numerics(job.cell.train.numerics)
                strict = job.cell.train.deterministic
                set_determinism(job.cell.seed, options.threads or usable_cores(), strict=strict)
                content = compute(job, options, diary.emit, should_stop, group)
                claim.check()
                diary.finish()
                if options.keep_weights:
                    keep_weights(folder)
                record = record_bytes(folder.record, content)
                write_sums(folder, record)
                claim.check()
                write_bytes(folder.record, record)
            except Exception as error:
                return _ended(diary, claim, error)
            tidy(folder)
            diary.emit(ev.Done(wall_s=diary.wall_s()))
            return Outcome(job, "done")
    except ClaimedError as error:
        return Outcome(job, "busy", message=str(error))
    except KeyboardInterrupt:
        diary.claim = None  # given back
        diary.emit(ev.Interrupted())
        return Outcome(job, "interrupted", message="interrupted; the last checkpoint is kept")
    except Exception as error:  # not even the folder can be written: the other cells may still run
        return Outcome(job, "failed", failure_kind(error), str(error) or type(error).__name__)


def _ended(diary: _Diary, claim: Claim, error: Exception) -> Outcome:
    """Keep why an attempt ended, where there is room for it: a full disk must not hide what happened."""
    job = diary.job
    if not claim.held():  # the cell is another process' now: nothing more is written here
        message = "this process was silent for too long, and another one may run the cell now"
        diary.listener(CellEvent(job.cell.id, ev.Interrupted(message=message)))
        return Outcome(job, "busy", message=message)
    event: ev.Event
    if isinstance(error, InterruptedRunError):
        diary.folder.clear_failure()
        outcome = Outcome(job, "interrupted", message=str(error))
        event = ev.Interrupted(message=error.message)
    else:
        if out_of_memory(error):  # of torch and of the host as one kind
            hint = "the step's passes were made as small as they get: a smaller backbone, or more memory"
            found = MemoryExhaustedError((str(error) or "out of memory").splitlines()[0], hint=hint)
            found.__cause__ = error
            error = found
        outcome = Outcome(job, "failed", failure_kind(error), str(error) or type(error).__name__)
        event = ev.Failed(kind=outcome.kind, message=outcome.message)
        step, ids = (error.step, error.ids) if isinstance(error, DivergedError) else (None, [])
        with contextlib.suppress(StoreError):
            diary.folder.write_failure(error, attempt=diary.attempt, step=step, ids=ids)
    diary.emit(event)
    with contextlib.suppress(StoreError):
        diary.finish()
    return outcome


class _Diary:
    """Keeps journal and run.json, and passes events on."""

    def __init__(self, folder: CellFolder, job: Job, options: Options, listener: Listener) -> None:
        self.folder, self.job, self.options, self.listener = folder, job, options, listener
        self.claim: Claim | None = None
        self.attempt = 1
        self.run: dict[str, Any] = {}
        self.meter = Meter(job.cell.train.batch_size, {})
        self._before: dict[str, float] = {}
        self._started = time.monotonic()
        self._evaluating = self._packing = 0.0

    def start(self) -> None:
        """Open an attempt; times of earlier ones are kept."""
        if self.folder.run.is_file():
            with contextlib.suppress(Exception):
                self.run = read_object(self.folder.run)
        lines = self.folder.read_journal()
        earlier = ev.events_of(ev.Start, lines)
        retries = [line for line in lines if isinstance(ev.read_line(line), ev.Retry)]
        if retries:
            self.run["retries"] = [{key: line.get(key) for key in RETRY_FACTS} for line in retries]
        self.attempt = len(earlier) + 1
        self._before = {key: float(self.run.get(key) or 0.0) for key in ("wall_s", "train_s", "eval_s")}
        self._before["wall_s"] = journalled_seconds(self.folder)
        self.run.setdefault("started", _now())
        self.run.setdefault("resumed_from_step", [])
        self.run.pop("warnings", None)  # each attempt looks again
        self.meter = Meter(
            self.job.cell.train.batch_size,
            self.run.get("cost") or {},
            whole=len(earlier) == int(self.run.get("attempts") or 0),
            energy=partial(gpu_energy_j, self.options.device, self.options.processes),
        )
        reset_peak_memory()
        self.emit(ev.Start(attempt=self.attempt, label=self.job.label, pid=os.getpid()))

    def emit(self, event: ev.Event) -> None:
        """Journal an event, unless there are too many of it, and tell the listener.

        Raises:
            ClaimLostError: Another process has taken the cell; every step comes by here before it is kept.
        """
        if self.claim is not None:
            self.claim.check()
        facts = event.facts()
        match event:
            case ev.Resumed():
                self.run["resumed_from_step"].append(event.step)
            case ev.Warned():
                self.run.setdefault("warnings", []).append(event.message)
            case ev.SplitChosen():
                self.run["passes"] = facts
            case ev.KernelsChosen():
                self.run["attention"] = event.chosen
            case ev.FirstStep():
                self.run.setdefault("first_step_s", {})[event.unit] = event.seconds
            case ev.PathTaken():
                ways = {"encoder": event.encoder, "decoders": event.decoders}
                self.run.setdefault("path", {})[event.unit] = ways
            case ev.MemoryShort():
                self.run["passes"] |= {key: facts[key] for key in self.run["passes"]}
                self.run.setdefault("memory", []).append(facts)
            case ev.ProcessPeaks():
                self.run["process_peaks"] = event.peaks
            case ev.Evaluated() | ev.FinallyEvaluated():
                self._evaluating += event.seconds
            case ev.Packed():
                self._packing += event.seconds
        with contextlib.suppress(Exception):  # no run is lost for want of its costs
            self.meter.on_event(event)
        if event.journalled:
            with contextlib.suppress(StoreError):  # a full disk: the record, not its journal, decides
                self.folder.journal(event.name, **facts)
        self.listener(CellEvent(self.job.cell.id, event))

    def wall_s(self) -> float:
        """Seconds of all attempts so far."""
        return round(self._before.get("wall_s", 0.0) + time.monotonic() - self._started, 3)

    def finish(self) -> None:
        """Write run.json."""
        here = time.monotonic() - self._started - self._packing  # a cache is no part of what training takes
        self.run |= {
            "finished": _now(),
            "wall_s": self.wall_s(),
            "train_s": round(self._before["train_s"] + here - self._evaluating - self.meter.measuring, 3),
            "eval_s": round(self._before["eval_s"] + self._evaluating, 3),
            **{key: max(value, float(self.run.get(key) or 0.0)) for key, value in peak_memory().items()},
            "attempts": self.attempt,
            "processes": self.options.processes,
            "threads": self.options.threads or usable_cores(),
            "environment": environment_of(self.job.cell),
        }
        with contextlib.suppress(Exception):
            self.run["cost"] = self.meter.cost()
        with contextlib.suppress(Exception):  # a device that does not exist is the failure itself
            device = choose_device(self.options.device)
            self.run["device"] = torch.cuda.get_device_name(device) if device.type == "cuda" else "cpu"
        write_json(self.folder.run, self.run)


def _now() -> str:
    return datetime.datetime.now(datetime.UTC).isoformat(timespec="seconds")
