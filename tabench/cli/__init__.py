"""The command line. Commands are thin, and import what they need when they run."""

from __future__ import annotations

import atexit
import contextlib
import gc
import os
import sys
from collections.abc import Sequence
from importlib import import_module

from tabench.cli import (  # noqa: F401 - each adds its commands to the application
    comparing,
    converting,
    data,
    doctor,
    exporting,
    listing,
    planning,
    reporting,
    running,
    store,
    watching,
)
from tabench.cli.app import app as app
from tabench.cli.output import print_error
from tabench.errors import StoreError, TabenchError
from tabench.provenance.files import lend_home
from tabench.provenance.portable import is_curable, start_anew
from tabench.report.records.collector import uncollected
from tabench.store.streams import ended_by_closed_pipes, lost_output, steady

import_module("tabench.bench.command")  # named by a string: nothing may import that room

BRIEF = ("describe", "doctor", "list", "plan", "status")  # end before collecting cycles pays
# what these do lies in files: they go on when nobody reads their output any more
WORKING = ("run", "evaluate", "report", "data", "convert", "store", "export", "bench", "pretrain", "cancel")


def main(arguments: Sequence[str] | None = None) -> None:
    """Entry point of ``tabench``; ends the process.

    Exit codes: 0 all well, 1 a cell failed or data has problems, 2 the command cannot be used as
    written or lacks something (or its output cannot be written, and is all that it makes), 130 interrupted.
    """
    words = list(sys.argv[1:] if arguments is None else arguments)
    debug = "--debug" in words  # wherever it is written
    words = [word for word in words if word != "--debug"]
    steady()
    lend_home()
    os.environ["MPLBACKEND"] = "agg"  # a notebook sets its own, which may not be installed here
    atexit.register(_freeze)
    works = bool(words) and words[0] in WORKING
    pause = uncollected() if words and words[0] in BRIEF else contextlib.nullcontext()
    with pause, contextlib.nullcontext() if works else ended_by_closed_pipes():
        code = _called(words, debug, own=arguments is None)
        if lost := lost_output():
            print_error(StoreError(f"standard output cannot be written: {lost}"))
            code = code or (0 if works and "--json" not in words else 2)
    sys.exit(code)


def _called(words: list[str], debug: bool, own: bool) -> int:
    """Call the command; its exit code. `own` says that this process is the command, and may start it anew."""
    try:
        app(words, prog_name="tabench", obj=debug)
    except SystemExit as ended:  # as the application always ends
        if isinstance(ended.code, str):
            raise  # a text for standard error
        return ended.code or 0
    except TabenchError as error:
        if own and is_curable(error):
            start_anew()
        if debug:
            raise
        print_error(error)
        return 2
    except KeyboardInterrupt:
        return 130
    return 0


def _freeze() -> None:
    """Leave the interpreter without a last look through torch's modules, which takes longer than `plan` does.

    Where triton came along the look stays: its bindings print their leftovers otherwise.
    """
    if "triton" not in sys.modules:
        gc.freeze()
