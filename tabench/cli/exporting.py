"""``tabench export``: pack results for others, and check what others packed."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from tabench.cli import options
from tabench.cli.app import examples, group
from tabench.cli.options import option
from tabench.cli.output import print_json, progress_bar, tell
from tabench.cli.reporting import REPORTS, finished_experiments
from tabench.errors import SpecError, StoreError
from tabench.store.atomic import check_writable

export = group("export", "Pack results for others, and check what others packed.")


@export.command(
    epilog=examples(
        "export artifact --out artifact.zip   every experiment in results/",
        "export artifact nyuv2 --results results/reference --out artifact.zip",
    )
)
def artifact(
    experiments: options.FinishedArgument = None,
    out: Annotated[Path, option("What is written.", metavar="FILE.zip")] = Path("artifact.zip"),
    results: options.ResultsOption = options.RESULTS,
    reports: Annotated[
        Path, option("Rendered reports; packed where they are there.", metavar="DIR")
    ] = REPORTS,
    as_json: options.JsonOption = False,
) -> None:
    """Pack records, pictures, reports, sources, versions and sums into one archive.

    A stranger can check it, render every table again without torch, and run a cell again: its README.md
    says how. BADGES.md lists the evidence for ACM's artifact badges.
    """
    from tabench.artifact.archive import write_artifact
    from tabench.artifact.check import check_artifact
    from tabench.artifact.contents import contents
    from tabench.provenance.files import sha256_file

    if out.suffix != ".zip":
        raise SpecError("is not the name of a .zip file", where=f"--out {out}")
    check_writable(out.parent)
    given = experiments or finished_experiments(results)
    specs = {options.experiment_name(text): _spec(text) for text in given}
    packed = contents(results, specs, reports)
    with progress_bar("packing") as progress:
        write_artifact(packed.members, out, progress)
    checked = check_artifact(out)
    if checked.problems:
        hint = "a file changed meanwhile: again"
        raise StoreError("; ".join(checked.problems[:3]), where=str(out), hint=hint)
    sha256 = sha256_file(out)
    if as_json:
        facts = {
            "out": str(out),
            "sha256": sha256,
            "files": checked.files + 1,
            "records": checked.records,
            "experiments": [e.name for e in packed.experiments],
            "beside": list(packed.beside),
        }
        print_json(facts)
        return
    for e in packed.experiments:
        made_up = " (synthetic data)" if e.synthetic else ""
        typer.echo(f"{e.name}: {len(e.done)} of {e.planned} cells, profile {e.profile}{made_up}")
        if e.under_way:
            tell("note", f"under way, packed as not run: {', '.join(e.under_way)}")
    if packed.beside:
        typer.echo(f"records of {', '.join(packed.beside)}, which the claims speak of too")
    typer.echo(f"{out}: {checked.files + 1} files, {checked.records} records, checked")
    typer.echo(f"sha256 {sha256}")


@export.command(epilog=examples("export check artifact.zip", "export check ."))
def check(
    path: Annotated[Path, typer.Argument(metavar="FILE.zip|DIR", help="An artifact, packed or unpacked.")],
    as_json: options.JsonOption = False,
) -> None:
    """Check names, sums and records of an artifact; unpacks and runs nothing. Exit code 1 if wrong."""
    from tabench.artifact.check import check_artifact

    found = check_artifact(path)
    if as_json:
        print_json({"files": found.files, "records": found.records, "problems": found.problems})
    else:
        for line in found.problems:
            tell("wrong", line)
        typer.echo(
            f"{found.files} files and {found.records} records are right; {len(found.problems)} problem(s)"
        )
    if found.problems:
        raise typer.Exit(1)


@export.command(
    epilog=examples(
        "export table nyuv2 --out nyuv2.parquet",
        "export table --results results/reference --out all.csv",
        "export table nyuv2 --per-image --out images.parquet",
    )
)
def table(
    experiments: options.FinishedArgument = None,
    out: Annotated[
        Path, option("What is written; Parquet needs pyarrow.", metavar="FILE.parquet|.csv")
    ] = Path("runs.parquet"),
    per_image: Annotated[
        bool, option("A row for each image instead of for each protocol.", "--per-image")
    ] = False,
    results: options.ResultsOption = options.RESULTS,
    as_json: options.JsonOption = False,
) -> None:
    """Write finished cells as one flat table: a row for each cell, task, metric and protocol.

    docs/table.md says what its columns are.
    """
    from tabench.store import flat_table
    from tabench.store.folders import ExperimentFolder
    from tabench.text import bytes_text

    flat_table.check_target(out)
    columns = flat_table.IMAGE_TABLE if per_image else flat_table.METRIC_TABLE
    rows_of = flat_table.image_rows if per_image else flat_table.metric_rows
    names = [options.experiment_name(text) for text in experiments or finished_experiments(results)]
    folders = [ExperimentFolder(results, name) for name in names]
    labels = {folder.experiment: folder.read_experiment().get("cells") or {} for folder in folders}
    cells = [cell for folder in folders for cell in flat_table.recorded_cells(folder)]
    if not cells:
        raise StoreError("no finished cell", where=str(results), hint="see `tabench status`")
    tables = (rows_of(c, labels[c.experiment].get(c.cell_id)) for c in cells)
    rows = flat_table.write_table(out, columns, tables)
    if as_json:
        print_json({"out": str(out), "rows": rows, "cells": len(cells), "columns": list(columns)})
    else:
        typer.echo(f"{out}: {rows:,} rows of {len(cells):,} cells, {bytes_text(out.stat().st_size)}")


def _spec(text: str) -> Path | None:
    try:
        return options.find_experiment(text)
    except SpecError:
        return None  # results without their file
