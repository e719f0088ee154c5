"""What is kept of a cell whose process died once too often."""

from __future__ import annotations

import json
import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import pytest
from patience import PATIENCE
from tiny_run import make_cell

from tabench.runs.executor import Job, Outcome
from tabench.runs.retrying import ProcessDiedError, record_death
from tabench.store.claim import Holder
from tabench.store.folders import CellFolder

DIED = ProcessDiedError("its process died (SIGKILL)")


@pytest.fixture
def folder(tmp_path: Path) -> CellFolder:
    found = CellFolder(tmp_path, "nyuv2", make_cell("frozen").id)
    found.journal("start", attempt=1)
    return found


def recorded(folder: CellFolder) -> Outcome:
    job = Job("nyuv2", make_cell("frozen"), "frozen s0", Path("data"), Path("weights"))
    return record_death(folder.root, job, DIED, lambda told: None)


def test_it_failed(folder: CellFolder) -> None:
    assert recorded(folder).state == "failed"
    assert folder.read_failure()["attempt"] == 1
    assert folder.read_journal()[-1]["event"] == "failed"
    assert not folder.claim.exists()


def test_it_is_done_if_it_got_as_far_as_the_record(folder: CellFolder) -> None:
    folder.record.write_text("{}")
    assert recorded(folder).state == "done"
    assert not folder.failure.exists()
    assert [event["event"] for event in folder.read_journal()] == ["start", "done"]


def test_it_is_busy_if_another_process_has_taken_it(folder: CellFolder) -> None:
    folder.claim.write_text(json.dumps(replace(Holder.this(), host="elsewhere.invalid").to_json()))
    outcome = recorded(folder)
    assert (outcome.state, "elsewhere.invalid" in outcome.message) == ("busy", True)
    assert not folder.failure.exists()


def test_a_process_ends_with_its_parent_where_the_system_does_not_see_to_it() -> None:
    """The first process starts a second, which is as on macOS, and dies; the second lets go of its pipe."""
    child = (
        "import os, sys, time; from tabench.runs import processes; sys.platform = 'darwin'; "
        "processes.PARENT_SECONDS = 0.01; processes.die_with(os.getppid()); print('up', flush=True); "
        "time.sleep(600)"
    )
    code = (
        "import os, subprocess, sys; "
        f"child = subprocess.Popen([sys.executable, '-c', {child!r}], stdout=subprocess.PIPE); "
        "child.stdout.readline(); os._exit(0)"
    )
    done = subprocess.run([sys.executable, "-c", code], stderr=subprocess.PIPE, timeout=PATIENCE, check=False)
    assert (done.returncode, done.stderr) == (0, b"")  # read to its end, which both processes hold
