"""``tabench export``: pack results for others, and check what others packed."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from tabench.cli import options
from tabench.cli.app import app
from tabench.cli.output import print_json, progress_bar
from tabench.cli.planning import experiment_name
from tabench.errors import SpecError, StoreError

export = typer.Typer(
    help="Pack results for others, and check what others packed.",
    no_args_is_help=True,
    context_settings={"help_option_names": ["-h", "--help"]},
)
app.add_typer(export, name="export")


@export.command(
    epilog="Examples:\n\n  tabench export artifact --out artifact.zip   every experiment in results/\n\n"
    "  tabench export artifact nyuv2 --results results/reference --out artifact.zip"
)
def artifact(
    experiments: Annotated[
        list[str] | None,
        typer.Argument(
            metavar="[EXPERIMENT]...", help="Default: all with a finished cell.", show_default=False
        ),
    ] = None,
    out: Annotated[Path, typer.Option(metavar="FILE.zip|DIR", help="What is written.")] = Path(
        "artifact.zip"
    ),
    results: options.ResultsOption = options.RESULTS,
    reports: Annotated[
        Path, typer.Option(metavar="DIR", help="Rendered reports; packed where they are there.")
    ] = Path("reports"),
    as_json: options.JsonOption = False,
) -> None:
    """Pack records, pictures, reports, sources, versions and sums into one archive.

    A stranger can check it, render every table again without torch, and run a cell again: its README.md
    says how. BADGES.md lists the evidence for ACM's artifact badges.
    """
    from tabench.artifact.archive import check_place, write_artifact
    from tabench.artifact.check import check_artifact
    from tabench.artifact.contents import contents, names_this_machine
    from tabench.provenance.files import sha256_file
    from tabench.store.folders import home_folder

    check_place(out)
    names = [experiment_name(text) for text in experiments or _all(results)]
    given = dict(zip(names, experiments or names, strict=True))
    packed = contents(results, {name: _spec(text) for name, text in given.items()}, reports)
    with progress_bar("packing") as progress:
        write_artifact(packed.members, out, progress)
    checked = check_artifact(out)
    if checked.problems:
        raise StoreError(
            "; ".join(checked.problems[:3]), where=str(out), hint="a file changed meanwhile: again"
        )
    stale = [e.name for e in packed.experiments if e.reported and _stale(results / e.name, reports / e.name)]
    telling = names_this_machine(packed.members, [*filter(None, [home_folder()]), Path.cwd()])
    facts = {
        "out": str(out),
        "sha256": sha256_file(out) if out.is_file() else None,
        "files": checked.files + 1,
        "records": checked.records,
        "experiments": [e.name for e in packed.experiments],
        "beside": list(packed.beside),
        "older_reports": stale,
        "name_this_machine": telling,
    }
    if as_json:
        print_json(facts)
        return
    for e in packed.experiments:
        made_up = " (synthetic data)" if e.synthetic else ""
        typer.echo(f"{e.name}: {len(e.done)} of {e.planned} cells, profile {e.profile}{made_up}")
        if e.under_way:
            typer.secho("note: ", fg="yellow", nl=False)
            typer.echo(f"under way, packed as not run: {', '.join(e.under_way)}")
    if packed.beside:
        typer.echo(f"records of {', '.join(packed.beside)}, which the claims speak of too")
    for name in stale:
        typer.secho("note: ", fg="yellow", nl=False)
        typer.echo(f"reports/{name} is older than its records -> tabench report {name}, then export again")
    if telling:
        typer.secho("note: ", fg="yellow", nl=False)
        typer.echo(f"{len(telling)} file(s) name folders of this machine, for example {telling[0]}")
    typer.echo(f"{out}: {facts['files']} files, {checked.records} records, checked")
    if facts["sha256"]:
        typer.echo(f"sha256 {facts['sha256']}")


@export.command(epilog="Examples:\n\n  tabench export check artifact.zip\n\n  tabench export check .")
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
            typer.secho("wrong: ", fg="red", nl=False)
            typer.echo(line)
        typer.echo(
            f"{found.files} files and {found.records} records are right; {len(found.problems)} problem(s)"
        )
    if found.problems:
        raise typer.Exit(1)


@export.command(
    epilog="Examples:\n\n  tabench export table nyuv2 --out nyuv2.parquet\n\n"
    "  tabench export table --results results/reference --out all.csv\n\n"
    "  tabench export table nyuv2 --per-image --out images.parquet"
)
def table(
    experiments: Annotated[
        list[str] | None,
        typer.Argument(
            metavar="[EXPERIMENT]...", help="Default: all with a finished cell.", show_default=False
        ),
    ] = None,
    out: Annotated[
        Path, typer.Option(metavar="FILE.parquet|.csv", help="What is written; Parquet needs pyarrow.")
    ] = Path("runs.parquet"),
    per_image: Annotated[
        bool, typer.Option("--per-image", help="A row for each image instead of for each protocol.")
    ] = False,
    results: options.ResultsOption = options.RESULTS,
    as_json: options.JsonOption = False,
) -> None:
    """Write finished cells as one flat table: a row for each cell, task, metric and protocol.

    docs/table.md says what its columns are.
    """
    from tabench.store.flat_table import (
        IMAGE_TABLE,
        METRIC_TABLE,
        check_target,
        image_blocks,
        metric_blocks,
        recorded_cells,
        write_table,
    )
    from tabench.store.folders import ExperimentFolder
    from tabench.text import bytes_text

    check_target(out)
    columns, blocks_of = (IMAGE_TABLE, image_blocks) if per_image else (METRIC_TABLE, metric_blocks)
    names = [experiment_name(text) for text in experiments or _all(results)]
    folders = [ExperimentFolder(results, name) for name in names]
    labels = {folder.experiment: folder.read_experiment().get("cells") or {} for folder in folders}
    cells = [cell for folder in folders for cell in recorded_cells(folder)]
    if not cells:
        raise StoreError("no finished cell", where=str(results), hint="see `tabench status`")
    blocks = (b for c in cells for b in blocks_of(c, labels[c.experiment].get(c.cell_id)))
    rows = write_table(out, columns, blocks)
    if as_json:
        print_json({"out": str(out), "rows": rows, "cells": len(cells), "columns": [c.name for c in columns]})
    else:
        typer.echo(f"{out}: {rows:,} rows of {len(cells):,} cells, {bytes_text(out.stat().st_size)}")


def _all(results: Path) -> list[str]:
    found = [path.parent.name for path in sorted(results.glob("*/experiment.json"))]
    names = [name for name in found if any((results / name).glob("*/record.json"))]
    if not names:
        hint = "run an experiment first, or choose another --results"
        raise StoreError("no experiment with a finished cell", where=str(results), hint=hint)
    return names


def _spec(text: str) -> Path | None:
    try:
        return options.find_experiment(text)
    except SpecError:
        return None  # results without their file


def _stale(results: Path, report: Path) -> bool:
    page = report / "index.html"
    rendered = page.stat().st_mtime if page.is_file() else 0.0
    return any(path.stat().st_mtime > rendered for path in results.glob("*/record.json"))
