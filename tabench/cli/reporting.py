"""``tabench report``."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from tabench.cli import options
from tabench.cli.app import app, examples
from tabench.cli.options import option
from tabench.cli.output import print_json
from tabench.errors import SpecError, StoreError

if TYPE_CHECKING:
    from tabench.runs.executor import CellEvent, Listener

REPORTS = Path("reports")
OFTEN = 4  # a preview comes when so many times as many cells have ended


@app.command(
    epilog=examples(
        "report", "report nyuv2", "report nyuv2 --results results/reference --out reports/reference"
    )
)
def report(
    experiment: Annotated[
        list[str] | None,
        typer.Argument(
            metavar="[EXPERIMENT]...",
            help="TOML files, or names of results. Default: every experiment in the results folder.",
        ),
    ] = None,
    out: Annotated[
        Path | None, option("Where one experiment is written. Default: reports/NAME.", metavar="DIR")
    ] = None,
    all_runs: Annotated[
        bool, option("A page for every run, however many. Default: for at most 1000.", "--all-runs")
    ] = False,
    results: options.ResultsOption = options.RESULTS,
    as_json: options.JsonOption = False,
) -> None:
    """Render finished cells: pages, tables (LaTeX, CSV, Markdown), figures, and an overview of it all."""
    from tabench.store.atomic import check_writable

    if out is not None and len(experiment or []) != 1:
        there = ", ".join(_experiments(results)) or "none"
        hint = f"name one (in {results}: {there}), or leave --out away"
        raise SpecError("--out needs exactly one experiment", hint=hint)
    if experiment:
        found = {options.experiment_name(text): text for text in experiment}
    else:
        found = {name: name for name in finished_experiments(results)}
    places = {name: out or REPORTS / name for name in found}
    values = {name: _published(results, name, text) for name, text in found.items()}
    for place in places.values():
        check_writable(place)
    files = write_reports(results, places, values, as_json, all_runs=all_runs)
    if as_json:
        print_json({"files": [str(file) for file in files]})


def _experiments(results: Path) -> list[str]:
    return sorted(path.parent.name for path in results.glob("*/experiment.json"))


def finished_experiments(results: Path) -> list[str]:
    """Names of the experiments in a results folder that have a finished cell; says which have none.

    Raises StoreError: none has.
    """
    from tabench.store.flat_table import recorded_cells
    from tabench.store.folders import ExperimentFolder

    names = []
    for name in _experiments(results):
        if recorded_cells(ExperimentFolder(results, name)):
            names.append(name)
        else:
            typer.echo(f"{name}: no finished cell, left out", err=True)
    if not names:
        hint = "run an experiment first, or choose another --results"
        raise StoreError("no experiment with a finished cell", where=str(results), hint=hint)
    return names


def _published(results: Path, name: str, text: str) -> Path | None:
    """The file of published values of an experiment's own file; None leaves it to what the results hold.

    A file that is given decides. One that is found by the experiment's name does so in the experiments folder
    here; any other of that name may be of somebody else, and gives way to a copy beside the records. Raises
    SpecError: the experiment's file cannot be used; StoreError: there are no such results.
    """
    from tabench.spec.experiment import load_experiment
    from tabench.store.folders import ExperimentFolder

    plan = ExperimentFolder(results, name).read_experiment()
    try:
        path = options.find_experiment(text)
    except SpecError:
        return None  # results without their file
    experiment = load_experiment(path, names=False)
    if experiment.name != name:
        return None
    named = (plan.get("report") or {}).get("published")
    own = path.parent == Path("experiments") and experiment.report.published == named
    return experiment.published if path == Path(text) or own or not plan.get("published") else None


def write_reports(
    results: Path,
    places: dict[str, Path],
    published: dict[str, Path | None],
    as_json: bool,
    *,
    all_runs: bool = False,
) -> list[Path]:
    """Render experiments, by name; the overview above them is refreshed where a page lies in reports/."""
    from tabench.provenance.environment import usable_cores
    from tabench.report.records.collector import uncollected

    with uncollected():  # loads all that draws and tests
        from tabench.report.pages.overview import render_overview
        from tabench.report.pages.site import Page, write_all
        from tabench.report.records.reading import RUN_PAGES

    pages = []
    for name, out in places.items():
        inside = out.resolve().parent == REPORTS.resolve()
        limit = sys.maxsize if all_runs else RUN_PAGES
        pages.append(Page(results, name, out, published[name], inside, limit))
    files = []
    for page, written in zip(pages, write_all(pages, usable_cores()), strict=True):
        if not as_json:
            typer.echo(f"report: {written[0]} ({len(written)} files)")
        files += written + (render_overview(results, REPORTS) if page.overview else [])
    return files


@contextmanager
def previews(listener: Listener, name: str, results: Path) -> Iterator[Listener]:
    """Render what is there while cells run, after the first of them, the fourth, the sixteenth and so on.

    Another process does it, at a low priority: the cells hardly notice, and a report that fails stops none.

    Args:
        listener: Told of every event first.
        name: Name of the experiment.
        results: Folder of the results.
    """
    from tabench.events import Done

    ended, due = 0, 1
    rendering: subprocess.Popen[bytes] | None = None

    def heard(told: CellEvent) -> None:
        nonlocal ended, due, rendering
        listener(told)
        ended += isinstance(told.event, Done)
        if ended >= due and (rendering is None or rendering.poll() is not None):
            due = OFTEN * ended
            command = [sys.executable, "-m", "tabench", "report", name, "--results", str(results)]
            rendering = subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
            os.setpriority(os.PRIO_PROCESS, rendering.pid, 10)

    try:
        yield heard
    finally:
        if rendering is not None:
            rendering.wait()  # two reports at once would write the same files
