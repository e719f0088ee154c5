"""Commands as a person types them, in this process or in one of their own."""

from __future__ import annotations

import json
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import pytest

from tabench.cli import main

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
    deadline = time.monotonic() + 120
    while time.monotonic() < deadline and process.poll() is None:
        if events(folder, event) >= times:
            return
        time.sleep(0.02)
    if process.poll() is None:
        process.kill()
    output, _ = process.communicate()
    raise AssertionError(f"no '{event}' in time: {output.decode()}")
