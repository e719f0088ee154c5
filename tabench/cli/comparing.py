"""``tabench compare`` and ``tabench margins``: do runs reproduce the reference's, within what noise?"""

from __future__ import annotations

from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from tabench.cli import options
from tabench.cli.app import app, examples
from tabench.cli.options import option
from tabench.cli.output import print_json, print_table, say, tell
from tabench.cli.reporting import finished_experiments
from tabench.errors import SpecError, StoreError

if TYPE_CHECKING:
    from tabench.report.records.reproduced import Reproduced


@app.command(
    epilog=examples(
        "compare nyuv2                          with the reference that came with tabench",
        "compare nyuv2 --reference other/results --json",
        more="Exit code: 0 every method and metric is identical or equal within the noise of repeating, "
        "1 at least one is different, 2 none is, but runs are missing or a comparison is undecided.",
    )
)
def compare(
    experiments: options.FinishedArgument = None,
    reference: Annotated[
        Path | None,
        option(
            "Results folder to compare with. Default: reference/ in RESULTS, else what came with tabench.",
            metavar="DIR",
        ),
    ] = None,
    results: options.ResultsOption = options.RESULTS,
    as_json: options.JsonOption = False,
) -> None:
    """Say for every method and metric whether finished cells reproduce those of a reference.

    Only runs of the same cell are compared, image by image. How far repeats may be apart stands in the
    experiment file (`tabench margins`).
    """
    from tabench.report.records.reading import read_results
    from tabench.report.records.reproduced import EXIT_CODES, WORST, find_reference, reproduced

    names = [options.experiment_name(text) for text in experiments or finished_experiments(results)]
    found: dict[str, Reproduced] = {}
    for name in names:
        here = read_results(results, name)
        there = find_reference(here, reference)
        if there is not None:
            found[name] = reproduced(here, there)
        elif experiments:
            hint = "name a results folder that has them with --reference"
            raise StoreError("no reference records of this experiment", where=name, hint=hint)
    if not found:
        raise StoreError("no reference records of these experiments", where=str(results))
    if as_json:
        print_json({"experiments": [_facts(name, one) for name, one in found.items()]})
    else:
        for name, one in found.items():
            _print(name, one)
    raise typer.Exit(EXIT_CODES[min((one.word for one in found.values()), key=WORST.index)])


def _facts(name: str, found: Reproduced) -> dict[str, Any]:
    return {
        "experiment": name,
        "reference": str(found.reference.root),
        "verdict": found.word,
        "sentence": found.sentence,
        "margins": found.margins,
        "suspects": found.suspects,
        "runs": [asdict(row) for row in found.runs],
        "comparisons": [asdict(line) for line in found.lines],
    }


def _print(name: str, found: Reproduced) -> None:
    rows = []
    for line in found.lines:
        numbers = ""
        if (test := line.test) is not None:
            numbers = f"{test.difference:+.3g} ({test.low:+.3g} to {test.high:+.3g}), ±{test.margin:.3g}"
        told = [found.reference.title(line.method), line.metric, line.word, f"{line.runs}/{line.of}"]
        rows.append([*told, numbers, line.reason])
    heads = ("method", "metric", "verdict", "runs", "mean difference (90 % interval), margin", "why")
    print_table(heads, rows, state=2)
    for suspect in found.suspects:
        tell("differs", suspect)
    say(f"{name}: {found.sentence}")


@app.command(
    epilog=examples(
        "margins nyuv2 results results-2-threads results-other-machine >> experiments/nyuv2.toml",
        more="Each folder holds runs of the same cells: `tabench run nyuv2 --threads 2 --results DIR`.",
    )
)
def margins(
    experiment: options.ExperimentArgument,
    folders: Annotated[list[Path], typer.Argument(metavar="DIR", help="Two or more results folders.")],
    as_json: options.JsonOption = False,
) -> None:
    """Derive from repeated runs how far two runs of one cell may be apart: lines of the experiment file.

    Same cells and seeds, other machines or numbers of threads: the spread over seeds takes no part.
    """
    from tabench.report.records.margins import margins as derive
    from tabench.report.records.reading import read_results

    if len(folders) < 2:
        raise SpecError("one folder has no repeats", where="DIR...", hint="give two or more results folders")
    name = options.experiment_name(experiment)
    found = derive([read_results(folder, name) for folder in folders])
    if as_json:
        print_json(asdict(found))
    else:
        typer.echo(f"\n{found.toml}", nl=False)
