"""The help texts are pinned: a changed option is seen in review.

After a wanted change: ``python tests/golden/test_help.py`` writes them again.
"""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

COMMANDS = ("", "plan", "run", "evaluate", "status", "bench", "pretrain", "data prepare", "store merge",
            "report", "export table")  # fmt: skip
FOLDER = Path(__file__).parent / "help"


def help_text(command: str) -> str:
    environment = {**os.environ, "COLUMNS": "100", "TERM": "dumb", "NO_COLOR": "1"}
    done = subprocess.run(
        [sys.executable, "-c", "from tabench.cli import main; main()", *command.split(), "--help"],
        capture_output=True,
        text=True,
        env=environment,
        check=True,
    )
    return "\n".join(line.rstrip() for line in done.stdout.splitlines()).strip() + "\n"


def golden(command: str) -> Path:
    return FOLDER / f"{command.replace(' ', '-') or 'tabench'}.txt"


@pytest.mark.parametrize("command", COMMANDS)
def test_help_is_as_pinned(command: str) -> None:
    assert help_text(command) == golden(command).read_text(encoding="utf-8")


if __name__ == "__main__":
    FOLDER.mkdir(exist_ok=True)
    for name in COMMANDS:
        golden(name).write_text(help_text(name), encoding="utf-8")
