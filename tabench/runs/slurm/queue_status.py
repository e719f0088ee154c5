"""What the queue adds to the states that the store knows; for `status` and `watch`."""

from __future__ import annotations

from typing import Any

from tabench.events import Interrupted
from tabench.runs.slurm.attempts import last_word
from tabench.runs.slurm.queue import Queued, SlurmError, cells_of, over
from tabench.runs.slurm.submission import Submission, open_submissions
from tabench.store.folders import ExperimentFolder

ENDED = ("done", "failed")


def add_queue(folder: ExperimentFolder, rows: list[dict[str, Any]]) -> str:
    """Complete the rows of submitted cells; why the queue could not be asked, or nothing.

    A cell that waits is "queued". One that was submitted is "submitted" where the queue cannot be asked. One
    that left the queue keeps the store's word, and its detail says how it left.

    Args:
        folder: The experiment's.
        rows: "id", "state" and "detail" of cells; changed in place.
    """
    found = open_submissions(folder.path)
    last = {cell: (one, name) for one in found for name, cell in one.elements().items()}
    open_rows = [row for row in rows if row["id"] in last and row["state"] != "done"]
    if not open_rows:
        return ""
    try:
        known, problem = cells_of(found), ""
    except SlurmError as error:
        known, problem = {}, str(error)
    for row in open_rows:
        submission, element = last[row["id"]]
        queued = known.get(row["id"])
        if queued is not None and not over(queued):
            row["slurm"] = {"job": queued.element, "state": queued.state, "why": queued.why}
            row["detail"] = f"{row['detail']} Slurm {queued.element} {queued.state} {queued.why}".strip()
            row["state"] = row["state"] if row["state"] == "running" else "queued"
        elif row["state"] in ENDED or row["state"] == "running":
            continue
        elif problem:
            row["slurm"] = {"job": element, "state": "", "why": problem}
            row["detail"] = f"{row['detail']} Slurm {element}".strip()
            row["state"] = "submitted"
        else:
            left = _how_it_left(folder, row["id"], submission, element, queued)
            row["slurm"] = {"job": element, "state": queued.state if queued else "", "why": left}
            row["detail"] = f"{row['detail']} {left}".strip()
    return problem


def _how_it_left(
    folder: ExperimentFolder, cell: str, submission: Submission, element: str, queued: Queued | None
) -> str:
    """Of a cell without an outcome that Slurm does not have any more."""
    state = f" ({queued.state})" if queued else ""
    if isinstance(last_word(folder.cell(cell).read_journal()), Interrupted):
        return f"interrupted; Slurm {element} has ended{state}"
    return f"Slurm {element} has ended without a word{state}; see {submission.log(element)}"
