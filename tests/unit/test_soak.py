"""The soak must be able to fail: each of its checks is shown what it looks for."""

from __future__ import annotations

import json
import os
import sys
from collections.abc import Iterator
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

SCALE = str(Path(__file__).parents[1] / "scale")


@pytest.fixture
def soak() -> Iterator[Any]:
    sys.path.insert(0, SCALE)
    import soak as module

    yield module
    sys.path.remove(SCALE)


@pytest.fixture
def cell(tmp_path: Path) -> Path:
    folder = tmp_path / "soak-last" / "0123456789abcdef"
    folder.mkdir(parents=True)
    return folder


def test_records_that_are_torn_lost_or_written_again_are_counted(soak: Any, cell: Path) -> None:
    guard = soak.Guard(cell.parents[1], {cell.name: b"whole"})
    record = cell / "record.json"
    guard.look()
    assert guard.done == 0
    record.write_bytes(b"who")
    guard.look()
    record.write_bytes(b"whole")
    os.utime(record, (1, 1))
    guard.look()
    record.unlink()
    guard.look()
    assert guard.counts == {"torn or different": 1, "written again": 1, "lost": 1}
    record.write_bytes(b"whole")
    guard.look()
    assert guard.counts["torn or different"] == 1
    assert guard.done == 1


def journal(cell: Path, *events: tuple[float, str, int]) -> None:
    lines = [json.dumps({"t": t, "event": event, "pid": pid}) for t, event, pid in events]
    (cell / "journal.jsonl").write_text("\n".join(lines))


def parents(soak: Any, alive: float, stopped: list[tuple[float, float]]) -> SimpleNamespace:
    from soak_processes import Process

    process = Process(7, "1", "worker", 1, alive, stopped=stopped)
    return SimpleNamespace(processes={(7, "1"): process})


@pytest.mark.parametrize(
    ("events", "alive", "stopped", "expected"),
    [
        ([(1.0, "start", 7), (5.0, "start", 8)], 4.9, [], (0, 0)),  # killed
        ([(1.0, "start", 7), (5.0, "start", 8)], 5.5, [], (1, 0)),
        ([(1.0, "start", 7), (5.0, "start", 8)], 9.0, [(2.0, 6.0)], (0, 1)),
        ([(1.0, "start", 7), (2.0, "failed", 0), (5.0, "start", 8)], 9.0, [], (0, 0)),
        ([(1.0, "start", 7), (5.0, "start", 7)], 9.0, [], (0, 0)),
    ],
)
def test_a_start_beside_a_living_process_is_an_overlap(
    soak: Any, cell: Path, events: Any, alive: float, stopped: Any, expected: tuple[int, int]
) -> None:
    journal(cell, *events)
    assert soak.overlaps(cell.parents[1], parents(soak, alive, stopped)) == expected
