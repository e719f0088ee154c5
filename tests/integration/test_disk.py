"""Disks that fill up, become read-only or fail: a clear message, earlier records intact, and on it goes."""

from __future__ import annotations

import errno
import json
import os
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest
from commands import call, call_json, options, records

from tabench.runs import retrying
from tabench.store import atomic

ROOM = 256 * 1024  # bytes left on a disk that is about to be full: less than a checkpoint


@pytest.fixture(autouse=True)
def _no_pauses(place: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(retrying, "PAUSES", (0.0, 0.0))


@pytest.fixture
def disk(tmp_path: Path) -> Iterator[Path]:
    """A small file system of its own."""
    folder = tmp_path / "disk"
    folder.mkdir()
    try:
        mount("-t", "tmpfs", "-o", "size=16m", "tmpfs", str(folder))
    except (OSError, subprocess.CalledProcessError):
        pytest.skip("file systems cannot be mounted here")
    yield folder
    subprocess.run(["umount", str(folder)], check=True)


def mount(*words: str) -> None:
    subprocess.run(["mount", *words], check=True, capture_output=True)


def words(disk: Path | str, method: str) -> list[str]:
    return [*options(str(disk), f"--select=method={method}"), "--threads=1", "--executor=inline"]


def fill(disk: Path, leave: int) -> Path:
    """Write a file that takes all room but so many bytes."""
    state = os.statvfs(disk)
    filler = disk / "filler"
    with filler.open("wb") as file:
        file.write(bytes(max(0, state.f_bavail * state.f_frsize - leave)))
    return filler


def test_a_disk_that_fills_up_fails_the_cell_and_it_goes_on_when_there_is_room(
    disk: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert call("run", *words(disk, "frozen")) == 0
    before = records(disk)
    filler = fill(disk, ROOM)
    code, ran = call_json(capsys, "run", *words(disk, "lora-hps"))
    assert code == 1
    (outcome,) = ran["outcomes"]
    assert (outcome["state"], outcome["kind"]) == ("failed", "infrastructure")
    assert "free some space" in outcome["message"]
    assert records(disk) == before
    assert call_json(capsys, "store", "verify", f"--results={disk}")[1]["problems"] == 0
    filler.unlink()
    code, ran = call_json(capsys, "run", *words(disk, "lora-hps"))
    assert (code, ran["outcomes"][0]["state"]) == (0, "done")
    assert before.items() < records(disk).items()


def test_a_read_only_results_folder_is_told_and_can_be_read(
    disk: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert call("run", *words(disk, "frozen")) == 0
    before = records(disk)
    mount("-o", "remount,ro", str(disk))
    capsys.readouterr()
    assert call("run", *words(disk, "lora-hps")) == 2
    assert "Read-only file system" in capsys.readouterr().err
    for command in (["status", "nyuv2"], ["store", "verify"]):
        assert call(*command, f"--results={disk}") == 0
    mount("-o", "remount,rw", str(disk))
    assert call("run", *words(disk, "lora-hps")) == 0
    assert before.items() < records(disk).items()


def test_a_passing_input_output_error_costs_a_retry_and_no_more(monkeypatch: pytest.MonkeyPatch) -> None:
    written = atomic.write_bytes
    failures = 0

    def flaky(path: str | Path, data: bytes, *, durable: bool = True) -> None:
        nonlocal failures
        if Path(path).name == "record.json" and failures < 1:
            failures += 1
            with atomic.explained(Path(path)):
                raise OSError(errno.EIO, os.strerror(errno.EIO))
        written(path, data, durable=durable)

    monkeypatch.setattr("tabench.runs.cell_run.write_bytes", flaky)
    assert call("run", *words("results", "frozen")) == 0
    assert call("run", *words("calm", "frozen")) == 0
    assert records(Path("results")) == records(Path("calm"))
    (run,) = (json.loads(path.read_bytes()) for path in Path("results").glob("nyuv2/*/run.json"))
    assert run["attempts"] == 2
    (retry,) = run["retries"]
    assert (retry["kind"], retry["retry"], retry["of"]) == ("infrastructure", 1, 2)
    assert "Input/output error" in retry["message"]
    assert not list(Path("results").glob("nyuv2/*/failure.json"))
