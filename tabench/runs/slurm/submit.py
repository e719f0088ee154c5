"""Handing cells to `sbatch`: arrays as long as the cluster takes."""

from __future__ import annotations

import re
import shlex
import subprocess
import sys
from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path

from tabench.runs.executor import Job, Options, write_jobs
from tabench.runs.slurm.queue import SlurmError, Submission, command, new_submission, require
from tabench.runs.slurm_settings import SlurmSettings

SAID = 3  # exit code of a task whose cell failed for good, and that has written it down


def submit(jobs: Sequence[Job], options: Options, experiment: Path, since: Mapping[str, int]) -> list[str]:
    """Hand cells to Slurm, the first one first in the queue; the numbers of their arrays.

    submitit writes the batch script and calls `sbatch`. What it would pickle (a function and its result) is
    not used: the script runs a module on a JSON file, so a results folder holds nothing that executes.
    `experiment` is the folder of its results; `since` as for `JobFile`.

    Raises:
        SlurmError: submitit or Slurm is not there, or Slurm refuses the settings.
    """
    require("sbatch", "srun")
    settings = options.slurm or SlurmSettings()
    size = array_size()
    arrays: list[str] = []
    for first in range(0, len(jobs), size):
        part = jobs[first : first + size]
        submission = new_submission(experiment)
        known = {job.cell.id: since[job.cell.id] for job in part}
        write_jobs(submission.jobs_file, part, replace(options, slurm=settings), known)
        after = arrays[-1] if settings.parallel and arrays else ""  # else each array had as many at a time
        try:
            arrays.append(_send(part, settings, submission, after))
        except SlurmError as error:
            sent = f"{first} of {len(jobs)} cells were submitted, then" if first else "nothing was submitted"
            again = "the same command follows these and submits the others"
            raise SlurmError(
                f"{sent}: {error.message}", where=error.where, hint=again if first else error.hint
            ) from error
        submission.write_queued(arrays[-1], part)
    return arrays


def array_size() -> int:
    """The most elements of an array that the cluster takes. Raises SlurmError: it takes none."""
    found = re.search(r"^MaxArraySize\s*=\s*(\d+)", command(["scontrol", "show", "config"]), re.MULTILINE)
    size = int(found[1]) if found else 1
    if size < 1:
        raise SlurmError(
            "this cluster takes no job arrays (MaxArraySize=0)", hint="ask its operators to set MaxArraySize"
        )
    return size


def _send(jobs: Sequence[Job], settings: SlurmSettings, submission: Submission, after: str) -> str:
    try:
        import submitit
    except ImportError as error:
        raise SlurmError("submitit is not installed", hint="pip install 'tabench[slurm]'") from error
    folder = str(submission.path.absolute())
    task = [sys.executable, "-u", "-m", "tabench.runs.slurm.task", folder]
    try:
        sender = submitit.SlurmExecutor(folder=folder)
        asked = settings.sbatch(f"tabench-{jobs[0].experiment}", len(jobs))
        asked["teardown"] = [
            "code=$?",
            f'[ "$code" -eq 0 ] || [ "$code" -eq {SAID} ] || {shlex.join(task)} "$code"',
            'exit "$code"',
        ]
        if after:
            asked["dependency"] = f"afterany:{after}"
        sender.update_parameters(**asked)
        sender.parameters["map_count"] = len(jobs)  # an array even of one: every element is named alike
        return str(sender._submit_command(shlex.join(task)).job_id)
    except (RuntimeError, OSError, subprocess.SubprocessError) as error:
        hint = "see what the cluster has: sinfo; then change the setting that it names with --slurm KEY=VALUE"
        raise SlurmError(_said(error), where=str(submission.path), hint=hint) from error


def _said(error: Exception) -> str:
    """What sbatch said of its own, on one line."""
    lines = [line.strip() for line in str(error).splitlines()]
    own = [
        line.removeprefix("sbatch: ").removeprefix("error: ") for line in lines if line.startswith("sbatch: ")
    ]
    last = next((line for line in reversed(lines) if line), type(error).__name__)
    return "; ".join(dict.fromkeys(own)) if own else last
