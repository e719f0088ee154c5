"""The command line. Commands are thin, and import what they need when they run."""

from __future__ import annotations

import atexit
import contextlib
import gc
import sys
from collections.abc import Sequence

from tabench.cli import (
    bench,
    converting,
    data,
    doctor,
    evaluating,
    exporting,
    listing,
    planning,
    preparing,
    pretraining,
    reporting,
    running,
    store,
    watching,
)
from tabench.cli.app import app
from tabench.cli.output import print_error
from tabench.errors import TabenchError
from tabench.report.collector import uncollected

__all__ = [
    "app",
    "bench",
    "converting",
    "data",
    "doctor",
    "evaluating",
    "exporting",
    "listing",
    "main",
    "planning",
    "preparing",
    "pretraining",
    "reporting",
    "running",
    "store",
    "watching",
]

BRIEF = ("describe", "doctor", "list", "plan", "status")  # end before collecting cycles pays


def main(arguments: Sequence[str] | None = None) -> None:
    """Entry point of ``tabench``; ends the process.

    Exit codes: 0 all well, 1 a cell failed or data has problems, 2 the command cannot be used as
    written or lacks something, 130 interrupted.
    """
    words = list(sys.argv[1:] if arguments is None else arguments)
    debug = "--debug" in words  # wherever it is written
    words = [word for word in words if word != "--debug"]
    atexit.register(_freeze)
    pause = uncollected() if words and words[0] in BRIEF else contextlib.nullcontext()
    try:
        with pause:
            app(words, prog_name="tabench")
    except TabenchError as error:
        if debug:
            raise
        print_error(error)
        sys.exit(2)
    except KeyboardInterrupt:
        sys.exit(130)


def _freeze() -> None:
    """Leave the interpreter without a last look through torch's modules, which takes longer than `plan` does.

    Where triton came along the look stays: its bindings print their leftovers otherwise.
    """
    if "triton" not in sys.modules:
        gc.freeze()
