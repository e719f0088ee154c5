"""Reports of what is there while cells still run."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any, ClassVar

import pytest

from tabench.cli import reporting
from tabench.events import Done, Event, Failed
from tabench.runs.executor import CellEvent


class Rendering:
    """Stands for a process; `over` says whether it has ended."""

    started: ClassVar[list[list[str]]] = []
    over = True
    waited = 0
    pid = 0

    def __init__(self, command: list[str], **_: Any) -> None:
        self.started.append(command)

    def poll(self) -> int | None:
        return 0 if self.over else None

    def wait(self) -> None:
        type(self).waited += 1


@pytest.fixture
def rendering(monkeypatch: pytest.MonkeyPatch) -> type[Rendering]:
    monkeypatch.setattr(Rendering, "started", [])
    monkeypatch.setattr(Rendering, "waited", 0)
    monkeypatch.setattr(Rendering, "pid", os.getpid())
    monkeypatch.setattr("subprocess.Popen", Rendering)
    monkeypatch.setattr("os.setpriority", lambda *_: None)
    return Rendering


def counts_at_starts(rendering: type[Rendering], events: list[Event]) -> list[int]:
    """How many events had come when each preview began."""
    heard: list[CellEvent] = []
    begun: list[int] = []
    with reporting.previews(heard.append, "nyuv2", Path("results")) as listener:
        for event in events:
            listener(CellEvent("0" * 16, event))
            begun += [len(heard)] * (len(rendering.started) - len(begun))
    assert len(heard) == len(events)
    return begun


def test_a_preview_after_the_first_cell_and_four_times_as_many(rendering: type[Rendering]) -> None:
    cells: list[Event] = [Failed(kind="data", message="m"), *[Done(wall_s=1.0)] * 20]
    assert counts_at_starts(rendering, cells) == [2, 5, 17]  # the first event ends no cell
    assert rendering.started[0][2:] == ["tabench", "report", "nyuv2", "--results", "results"]
    assert rendering.waited == 1


def test_one_preview_at_a_time(rendering: type[Rendering], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(Rendering, "over", False)
    assert counts_at_starts(rendering, [Done(wall_s=1.0)] * 20) == [1]


def test_no_preview_without_a_cell(rendering: type[Rendering]) -> None:
    assert counts_at_starts(rendering, [Failed(kind="data", message="m")]) == []
    assert rendering.waited == 0
