"""``tabench store``: check a results folder, and bring two together."""

from __future__ import annotations

from collections import Counter
from dataclasses import asdict
from pathlib import Path
from typing import Annotated

import typer

from tabench.cli import options
from tabench.cli.app import examples, group
from tabench.cli.output import print_json, say, tell
from tabench.errors import StoreError

store = group("store", "Check results, and adopt those of another folder.")


@store.command(
    epilog=examples(
        "store verify",
        "store verify nyuv2 --results results/reference --json",
        more="Exit code: 0 all whole, 1 there are problems, 2 there are no such results.",
    )
)
def verify(
    experiment: Annotated[
        str | None, typer.Argument(metavar="[EXPERIMENT]", help="Default: all in the results folder.")
    ] = None,
    results: options.ResultsOption = options.RESULTS,
    as_json: options.JsonOption = False,
) -> None:
    """Read every record, checksum, picture, checkpoint and kept weights again, and name what is wrong."""
    from tabench.runs.reevaluate import load_saved
    from tabench.store.adopt import experiments_in
    from tabench.store.folders import ExperimentFolder
    from tabench.store.verify import verify_experiment

    names = [options.experiment_name(experiment)] if experiment else experiments_in(results)
    folders = [ExperimentFolder(results, name) for name in names]
    if not folders or not all(folder.path.is_dir() for folder in folders):
        raise StoreError("no results here", where=str(folders[0].path if folders else results))
    done = [verify_experiment(folder, load_saved) for folder in folders]
    wrong = sum(len(entry.problems) for entry in done)
    if as_json:
        print_json({"problems": wrong, "experiments": [asdict(entry) for entry in done]})
    else:
        for entry in done:
            for problem in entry.found:
                tell(problem.level, f"{problem.where}: {problem.message}")
                if problem.hint:
                    say(f"  -> {problem.hint}")
            typer.echo(
                f"{entry.experiment}: {entry.records} records, {entry.summed} of them with checksums; "
                f"{len(entry.problems)} problem(s)"
            )
    if wrong:
        raise typer.Exit(1)


@store.command(
    epilog=examples(
        "store merge /scratch/node7/results",
        "store merge other/results --results results --json",
        more="Exit code: 0 all taken or here already, 1 a conflict or a damaged record was left out, "
        "2 nothing to merge.",
    )
)
def merge(
    folder: Annotated[Path, typer.Argument(metavar="DIR", help="Another results folder.")],
    results: options.ResultsOption = options.RESULTS,
    as_json: options.JsonOption = False,
) -> None:
    """Adopt the records of another results folder, each checked first; nothing here is ever overwritten.

    A cell whose record here differs is a conflict: both stay, and the difference is named. Each record that
    is taken gets a merged_from.json beside it: from where, when, on which host and by whom.
    """
    from tabench.runs.reevaluate import load_saved
    from tabench.store.adopt import merge_results

    done = merge_results(folder, results, load_saved)
    counts = Counter(entry.state for entry in done)
    if as_json:
        print_json({"from": str(folder), "counts": counts, "cells": [asdict(entry) for entry in done]})
    else:
        for entry in done:
            if entry.state in ("conflict", "damaged", "busy"):
                tell(entry.state, f"{entry.experiment}/{entry.cell_id}: {entry.message}")
        typer.echo(", ".join(f"{count} {state}" for state, count in counts.items()) or "no records")
    if counts.keys() - {"taken", "same"}:
        raise typer.Exit(1)
