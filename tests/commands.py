"""Commands as a person types them, in this process or in one of their own."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
from patience import output_of, until

from tabench.cli import main
from tabench.store.claim import alive

RECIPE = "dataset.generate={seed=0, train=4, val=2, height=48, width=64}"


def options(results: str, *more: str) -> list[str]:
    """Options of a run of two steps in a results folder of its own."""
    return [
        "nyuv2",
        "--profile=demo",
        "--checkpoint=nano.safetensors",
        f"--results={results}",
        f"--set={RECIPE}",
        "--set=axes.seeds=[0]",
        "--set=train.max_steps=2",
        "--set=train.batch_size=2",
        *more,
    ]


def call(*words: str) -> int:
    """Run a command in this process; its exit code."""
    with pytest.raises(SystemExit) as ended:
        main(list(words))
    return int(ended.value.code or 0)


def call_json(capsys: pytest.CaptureFixture[str], *words: str) -> tuple[int, Any]:
    capsys.readouterr()
    code = call(*words, "--json")
    return code, json.loads(capsys.readouterr().out)


def settle(home: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Work in a folder, with a cache of its own and no data or weights from outside."""
    monkeypatch.chdir(home)
    monkeypatch.setenv("TABENCH_CACHE", str(home / "cache"))
    monkeypatch.delenv("TABENCH_DATA", raising=False)
    monkeypatch.delenv("TABENCH_CHECKPOINTS", raising=False)


def records(results: Path | str) -> dict[str, bytes]:
    """Records by cell id."""
    return {path.parent.name: path.read_bytes() for path in Path(results).glob("nyuv2/*/record.json")}


def start(*words: str) -> subprocess.Popen[bytes]:
    """Run a command in a process of its own."""
    code = "from tabench.cli import main; main()"
    return subprocess.Popen(
        [sys.executable, "-c", code, *words], stdout=subprocess.PIPE, stderr=subprocess.STDOUT
    )


def events(folder: Path, event: str) -> int:
    """How often the cells of a results folder have journalled an event."""
    journals = folder.glob("nyuv2/*/journal.jsonl")
    return sum(journal.read_text().count(f'"event": "{event}"') for journal in journals)


def wait_for(process: subprocess.Popen[bytes], folder: Path, event: str, times: int = 1) -> None:
    """Wait until the cells of a results folder have journalled an event so often."""
    until(lambda: process.poll() is not None or events(folder, event) >= times, f"'{event}'")
    if events(folder, event) < times:
        raise AssertionError(f"it ended without '{event}': {output_of(process)}")


def all_gone(pids: list[int]) -> None:
    """Wait until processes have ended; dead ones that nobody waits for count."""
    until(lambda: not any(alive(pid) for pid in pids), "their end")
