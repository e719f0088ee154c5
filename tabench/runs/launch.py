"""One cell, in this process or shared by several; and whether it can be shared as asked."""

from __future__ import annotations

from collections.abc import Callable, Sequence

from tabench.errors import SpecError
from tabench.events import Failed
from tabench.runs.deaths import record_death
from tabench.runs.executor import CellEvent, Job, Listener, Options, Outcome


def run_job(job: Job, options: Options, listener: Listener, should_stop: Callable[[], bool]) -> Outcome:
    """Run a cell as `run_cell` does, in as many processes as `options` say."""
    if options.processes > 1:
        from tabench.runs.local.torchrun import run_in_torchrun

        return run_in_torchrun(job, options, listener, should_stop)
    try:
        from tabench.runs.cell_run import run_cell  # imports torch
    except Exception as error:  # a broken installation: no cell can be computed here, and each one says why
        outcome = record_death(options.results, job, error)
        if outcome.state == "failed":
            listener(CellEvent(job.cell.id, Failed(kind=outcome.kind, message=outcome.message)))
        return outcome
    return run_cell(job, options, listener, should_stop)


def check_processes(options: Options, jobs: Sequence[Job], gpus: Sequence[str]) -> None:
    """Refuse more processes a cell than can work.

    Args:
        options: Their number, the device, and what is asked of a Slurm cluster.
        jobs: What will run.
        gpus: GPUs of this machine to share out; none where cells run on the CPU or elsewhere.

    Raises:
        SpecError: Too few images or GPUs for them, or one named device for all.
    """
    count = options.processes
    if count == 1:
        return
    where = f"--processes {count}"
    if ":" in options.device:
        raise SpecError(
            f"each process takes a GPU of its own, but --device names one, {options.device}",
            where=where,
            hint="use --device cuda, and CUDA_VISIBLE_DEVICES to choose the GPUs",
        )
    if gpus and count > len(gpus):
        raise SpecError(
            f"{count} processes a cell need {count} GPUs, {len(gpus)} found",
            where=where,
            hint=f"--processes {len(gpus)}, or --device cpu",
        )
    asked = options.slurm.gpus if options.slurm else 0
    if asked and asked != count:
        raise SpecError(
            f"each process takes a GPU of its own, but slurm.gpus = {asked} a cell",
            where=where,
            hint=f"--slurm gpus={count}",
        )
    for job in jobs:
        batch = job.cell.train.batch_size
        if batch < count:  # a short last batch may leave one idle; here one would never train at all
            raise SpecError(
                f"{job.label} has batches of {batch}: {count - batch} of {count} processes would never "
                "have an image to train on",
                where=where,
                hint=f"--processes {batch}; the batch is part of the recipe (train.batch_size), "
                "and processes only share it",
            )
