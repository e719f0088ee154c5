"""A cell shared by two real processes: resumed at another number of them, killed in every way, evaluated."""

from __future__ import annotations

import json
import os
import signal
import subprocess
from pathlib import Path

import pytest
from commands import all_gone, call, events, options, start, wait_for
from patience import output_of
from tiny_run import make_cell, write_scenes

from tabench.runs.cell_run import run_cell
from tabench.runs.executor import CellEvent, Job, Options
from tabench.runs.launch import InlineExecutor
from tabench.runs.reevaluate import Source, put_weights
from tabench.store.encoding import read_json
from tabench.store.folders import CellFolder
from tabench.store.record import load_record

BEST = {"evaluation__selection": "best-val", "evaluation__val_split": "train-159"}


@pytest.fixture(autouse=True)
def _there(place: Path) -> None:
    """All tests run in a place of their own."""


def words(results: str, processes: int) -> list[str]:
    chosen = ("--select=method=ta-lora", "--set=train.max_steps=30", "--set=train.epochs=99")
    how = ("--threads=1", "--checkpoint-every=0", "--device=cpu", "--executor=inline")
    return ["run", *options(results, *chosen, "--set=methods.ta-lora.dropout=0.0", *how),
            f"--processes={processes}"]  # fmt: skip


def descendants(pid: int) -> dict[int, str]:
    """All processes below one, with their rank in the cell ("" for those without)."""
    found: dict[int, str] = {}
    threads = Path(f"/proc/{pid}/task").glob("*/children")
    for child in (int(word) for thread in threads for word in thread.read_text().split()):
        variables = dict(
            entry.split(b"=", 1)
            for entry in Path(f"/proc/{child}/environ").read_bytes().split(b"\0")
            if b"=" in entry
        )
        found |= {child: variables.get(b"RANK", b"").decode(), **descendants(child)}
    return found


def process_of(process: subprocess.Popen[bytes], rank: int) -> int:
    return next(pid for pid, held in descendants(process.pid).items() if held == str(rank))


@pytest.mark.long
def test_a_cell_goes_through_one_process_two_that_are_killed_and_one_again() -> None:
    assert call(*words("whole", 1)) == 0
    process = start(*words("parts", 1))
    wait_for(process, Path("parts"), "checkpoint")
    process.send_signal(signal.SIGTERM)
    output_of(process)
    assert process.returncode == 130

    process = start(*words("parts", 2))
    for times, victim in enumerate((1, 0), 1):  # a follower, then the chief
        wait_for(process, Path("parts"), "resume", times)
        saved = events(Path("parts"), "checkpoint")
        wait_for(process, Path("parts"), "checkpoint", saved + 1)
        os.kill(process_of(process, victim), signal.SIGKILL)
        wait_for(process, Path("parts"), "retry", times)
    wait_for(process, Path("parts"), "resume", 3)
    everyone = list(descendants(process.pid))
    process.send_signal(signal.SIGTERM)
    output = output_of(process)
    assert process.returncode == 130, output
    all_gone(everyone)

    (journal,) = Path("parts").glob("nyuv2/*/journal.jsonl")
    lines = [json.loads(line) for line in journal.read_text().splitlines()]
    failures = [line for line in lines if line["event"] == "failed"]
    assert [line["kind"] for line in failures] == ["infrastructure"] * 2
    assert "process 0 of 2 died (SIGKILL, " in failures[1]["message"]
    resumed = [line["step"] for line in lines if line["event"] == "resume"]
    kept = [line["step"] for line in lines if line["event"] == "checkpoint"]
    assert resumed == sorted(resumed)
    assert kept == sorted(kept), "a step that was kept is never taken again"

    assert call(*words("parts", 1)) == 0
    records = [json.loads(next(Path(r).glob("nyuv2/*/record.json")).read_text()) for r in ("whole", "parts")]
    whole, parts = (record["curves"]["train"] for record in records)
    assert [(e["epoch"], e["step"], e["lr"]) for e in parts] == [
        (e["epoch"], e["step"], e["lr"]) for e in whole
    ]
    for one, other in zip(whole, parts, strict=True):
        assert other["loss"] == pytest.approx(one["loss"], rel=0.1)  # Adam makes much of rounding at first


@pytest.mark.long
def test_two_processes_end_with_the_worker_that_is_killed_and_with_the_command() -> None:
    process = start(*words("parts", 2), "--executor=pool", "--workers=1")
    wait_for(process, Path("parts"), "checkpoint")
    everyone = descendants(process.pid)
    assert sorted(rank for rank in everyone.values() if rank) == ["0", "1"]
    worker = next(pid for pid in everyone if len(descendants(pid)) >= 3)  # torchrun and both processes
    below = list(descendants(worker))
    os.kill(worker, signal.SIGKILL)
    all_gone([worker, *below])
    wait_for(process, Path("parts"), "resume")
    everyone = descendants(process.pid)
    process.kill()
    process.communicate()
    all_gone(list(everyone))


@pytest.mark.slow
def test_two_processes_evaluate_kept_weights_into_the_record_of_one(tmp_path: Path) -> None:
    write_scenes(tmp_path / "scenes")
    cell = make_cell("lora-stl", train__max_steps=2, **BEST)
    job = Job("nyuv2", cell, cell.label, tmp_path / "scenes", tmp_path / "nano.safetensors")
    one = Options(results=tmp_path / "one", device="cpu", threads=1, keep_weights=True)
    assert run_cell(job, one, lambda event: None, lambda: False).state == "done"
    source = CellFolder(one.results, "nyuv2", cell.id)
    folder = CellFolder(tmp_path / "two", "nyuv2", cell.id)
    put_weights(Source(source, load_record(source.record)), cell, folder)

    told: list[CellEvent] = []
    two = Options(results=tmp_path / "two", device="cpu", threads=1, processes=2)
    (outcome,) = InlineExecutor().run([job], two, told.append)
    assert outcome.state == "done", outcome.message
    assert "step" not in {event.event.name for event in told}
    assert folder.record.read_bytes() == source.record.read_bytes()
    pictures = {path.name: path.read_bytes() for path in source.pictures.iterdir()}
    assert pictures == {path.name: path.read_bytes() for path in folder.pictures.iterdir()}
    facts = read_json(folder.run)
    assert (facts["processes"], facts["threads"]) == (2, 1)
    assert [peak["peak_rss_mb"] > 0 for peak in facts["process_peaks"]] == [True, True]
