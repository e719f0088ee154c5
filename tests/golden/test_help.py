"""The help texts are pinned: a changed option is seen in review.

After a wanted change: ``python tests/golden/test_help.py`` writes them again.
"""

from __future__ import annotations

import io
import os
from contextlib import redirect_stdout
from pathlib import Path
from unittest import mock

import pytest

from tabench.cli import main

COMMANDS = ("", "plan", "run", "evaluate", "status", "bench", "pretrain", "data prepare", "store merge",
            "report", "export table")  # fmt: skip
FOLDER = Path(__file__).parent / "help"


def help_text(command: str) -> str:
    printed = io.StringIO()
    plain = {"COLUMNS": "100", "TERM": "dumb", "NO_COLOR": "1"}
    with mock.patch.dict(os.environ, plain), redirect_stdout(printed), pytest.raises(SystemExit) as ended:
        main([*command.split(), "--help"])
    assert not ended.value.code
    return "\n".join(line.rstrip() for line in printed.getvalue().splitlines()).strip() + "\n"


def golden(command: str) -> Path:
    return FOLDER / f"{command.replace(' ', '-') or 'tabench'}.txt"


@pytest.mark.parametrize("command", COMMANDS)
def test_help_is_as_pinned(command: str) -> None:
    assert help_text(command) == golden(command).read_text(encoding="utf-8")


if __name__ == "__main__":
    FOLDER.mkdir(exist_ok=True)
    for name in COMMANDS:
        golden(name).write_text(help_text(name), encoding="utf-8")
