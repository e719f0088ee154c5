"""One cell, in this process or shared by several, and one cell after the other; whether it can be shared."""

from __future__ import annotations

from collections.abc import Callable, Sequence

from tabench.errors import SpecError
from tabench.runs.executor import Job, Listener, Options, Outcome
from tabench.runs.processes import StopFlag, wait
from tabench.runs.retrying import Retries, record_death


class InlineExecutor:
    """Runs one cell after the other, in this process; see `Executor`."""

    def run(self, jobs: Sequence[Job], options: Options, listener: Listener) -> list[Outcome]:
        """Run the jobs in order; stops after an interrupted one."""
        outcomes: list[Outcome] = []
        retries = Retries(options.results, listener)
        with StopFlag().listening() as should_stop:
            for job in jobs:
                while True:  # again where another try may help; this process is interrupted by persons only
                    outcome = run_job(job, options, listener, should_stop)
                    if outcome.state == "interrupted" and (options.processes == 1 or should_stop()):
                        break
                    pause = retries.pause(outcome)
                    if pause is None or not wait(pause, should_stop):
                        break
                outcomes.append(outcome)
                if outcome.state == "interrupted" or options.ends_with(outcome):
                    break
        return outcomes


def run_job(job: Job, options: Options, listener: Listener, should_stop: Callable[[], bool]) -> Outcome:
    """Run a cell as `run_cell` does, in as many processes as `options` say."""
    if options.processes > 1:
        from tabench.runs.local.torchrun import run_in_torchrun

        return run_in_torchrun(job, options, listener, should_stop)
    try:
        from tabench.runs.cell_run import run_cell  # imports torch
    except Exception as error:  # a broken installation: no cell can be computed here, and each one says why
        return record_death(options.results, job, error, listener)
    return run_cell(job, options, listener, should_stop)


def check_processes(options: Options, jobs: Sequence[Job], gpus: Sequence[str]) -> None:
    """Refuse more processes a cell than can work.

    `gpus` are those of this machine to share out; none where cells run on the CPU or elsewhere.

    Raises:
        SpecError: Too few images or GPUs for them, or one named device for all.
    """
    count, asked = options.processes, options.slurm.gpus if options.slurm else 0
    if count == 1:
        return
    message = hint = ""
    if ":" in options.device:
        message = f"each process takes a GPU of its own, but --device names one, {options.device}"
        hint = "use --device cuda, and CUDA_VISIBLE_DEVICES to choose the GPUs"
    elif gpus and count > len(gpus):
        message = f"{count} processes a cell need {count} GPUs, {len(gpus)} found"
        hint = f"--processes {len(gpus)}, or --device cpu"
    elif asked and asked != count:
        message = f"each process takes a GPU of its own, but slurm.gpus = {asked} a cell"
        hint = f"--slurm gpus={count}"
    # a short last batch may leave one idle; here one would never train at all
    elif small := [job for job in jobs if job.cell.train.batch_size < count]:
        batch = small[0].cell.train.batch_size
        idle = f"{count - batch} of {count} processes would never have an image to train on"
        message = f"{small[0].label} has batches of {batch}: {idle}"
        hint = f"--processes {batch}; the batch is the recipe's (train.batch_size), and they only share it"
    if message:
        raise SpecError(message, where=f"--processes {count}", hint=hint)
