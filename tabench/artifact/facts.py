"""What is known of what is packed, the ground of README and badges: experiments, claims, what both say."""

from __future__ import annotations

import json
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from tabench.errors import TabenchError
from tabench.report.records.judgement import obstacle
from tabench.report.records.published import read_published
from tabench.report.records.reading import Results, read_results
from tabench.report.records.reproduction import outside_code, reproduced
from tabench.report.tables.claims import claims_file, concerns, neighbours
from tabench.spec.claims import load_claims
from tabench.spec.expand import Resolved, expand
from tabench.spec.experiment import load_experiment


@dataclass(frozen=True)
class ExperimentFacts:
    """One packed experiment."""

    name: str  # its name
    title: str  # its title
    profile: str  # profile that was run
    spec: Path | None  # the experiment file, None if there is none
    planned: int  # cells of the experiment
    done: dict[str, str]  # cell id to label of cells with a valid record
    failed: dict[str, str]  # cell id to why, of cells whose last attempt failed
    missing: list[str]  # labels of cells that have neither
    under_way: list[str]  # labels of those that have begun: they are packed as if they had not
    synthetic: bool  # whether the data are synthetic
    data: str  # title of the data
    fingerprint: str  # identity of the data
    backbone: str  # name and note of the pretrained weights
    seeds: list[int]  # seeds with records
    machines: list[str]  # distinct "device, CPU, platform" of the runs
    outside: list[str]  # what the runs took from other packages, see `outside_code`
    environments: list[dict[str, Any]]  # distinct environments of the runs
    commits: list[str]  # commits the runs were made from; a "+" marks uncommitted changes
    named: int  # done cells that the experiment file expands to as it is, without options
    example: str  # id of the cheapest of them (else of the cheapest done cell), to be run again
    run: dict[str, Any]  # circumstances of the example's run
    # against the shipped reference runs of the same cells: "cells" and "numbers" compared, how many numbers
    # are "identical", and in how many cells the trained "weights" are; empty without them
    compared: dict[str, int]
    published: int  # rows of published values of this dataset, of any model
    obstacle: str  # why no published value can be judged by these runs ("synthetic data"), or ""
    reported: bool  # whether a rendered report is packed

    @property
    def exact(self) -> bool:
        """Whether the example's id comes out of the experiment file as it is."""
        return self.named > 0


def experiment_facts(results_dir: Path, name: str, spec: Path | None, reported: bool) -> ExperimentFacts:
    """Sum up an experiment's results; `spec` is its file, `reported` says whether a report is packed."""
    results = read_results(results_dir, name)
    first = results.first
    done = {cell.id: cell for cell in results.done}
    ids = _ids(results, spec)
    named = [cell for cell in results.done if cell.id in ids]
    example = min(named or results.done, key=lambda cell: (cell.run.get("wall_s") or float("inf"), cell.id))
    return ExperimentFacts(
        name=name,
        title=str(results.experiment.get("title") or name),
        profile=results.profile,
        spec=spec,
        planned=len(results.cells),
        done={cell.id: cell.label for cell in results.done},
        failed={
            c.id: str(c.failure.get("message") or "unknown").partition("\n")[0]
            for c in results.cells
            if c.state == "failed"
        },
        missing=[c.label for c in results.cells if c.state not in ("done", "failed")],
        under_way=[c.label for c in results.cells if c.state in ("partial", "running")],
        synthetic=bool(first["data"]["synthetic"]),
        data=str(first["data"]["title"]),
        fingerprint=str(first["data"]["fingerprint"]),
        backbone=f"{first['backbone']['name']} ({first['backbone']['note']})",
        seeds=sorted({cell.record["cell"]["seed"] for cell in done.values()}),
        machines=sorted({_machine(cell.run) for cell in done.values() if cell.run}),
        outside=outside_code(results),
        environments=_environments(results),
        commits=sorted({_commit(cell.run) for cell in done.values()} - {""}),
        named=len(named),
        example=example.id,
        run=example.run,
        compared=_compared(results),
        published=_published(results, spec),
        obstacle=obstacle(results),
        reported=reported,
    )


def _ids(results: Results, spec: Path | None) -> set[str]:
    """Ids that the experiment file expands to on the data and weights of the records."""
    if spec is None:
        return set()
    found: set[str] = set()
    inputs = {json.dumps([c.record["cell"][k] for k in ("dataset", "backbone", "evaluation")], sort_keys=True)
              for c in results.done}  # fmt: skip
    for text in sorted(inputs):
        dataset, backbone, evaluation = json.loads(text)
        resolved = Resolved(
            dataset_name=dataset["name"],
            fingerprint=dataset["fingerprint"],
            channels=dict(zip(dataset["tasks"], dataset["channels"], strict=True)),
            checkpoint_sha256=backbone["checkpoint"],
            protocols=evaluation["protocols"],
        )
        try:
            cells = expand(load_experiment(spec), results.profile, resolved)
        except TabenchError:  # run with options that the file does not hold
            continue
        found |= {cell.id for cell in cells}
    return found


def _machine(run: dict[str, Any]) -> str:
    environment = run.get("environment") or {}
    return ", ".join(
        str(part) for part in (run.get("device"), environment.get("cpu"), environment.get("platform")) if part
    )


def _environments(results: Results) -> list[dict[str, Any]]:
    """Each distinct environment once, without the commit, which `commits` holds."""
    found: dict[str, dict[str, Any]] = {}
    for cell in results.done:
        environment = {k: v for k, v in (cell.run.get("environment") or {}).items() if k != "git"}
        if environment:
            key = json.dumps(environment, sort_keys=True)
            held = found.setdefault(key, {"cells": [], **environment})
            held["cells"].append(cell.id)
    return [found[key] for key in sorted(found)]


def _commit(run: dict[str, Any]) -> str:
    git = (run.get("environment") or {}).get("git") or {}
    return f"{git.get('commit', '')}{'+' if git.get('dirty') else ''}"


def _compared(results: Results) -> dict[str, int]:
    keys, rows = ("cells", "numbers", "identical", "weights"), reproduced(results)
    return {key: sum(getattr(row, key) for row in rows) for key in keys} if rows else {}


def _published(results: Results, spec: Path | None) -> int:
    name = results.report.get("published")
    found = read_published(results, spec.parent / str(name) if spec is not None and name else None)
    return 0 if found is None else len(found.of_dataset(results.first["data"]["name"]).rows)


def packed_claims(results: Path, names: Iterable[str]) -> tuple[Path | None, list[Results]]:
    """The file of claims (None without one), and the runs of unpacked experiments that its claims name.

    Tables of claims come out the same elsewhere only if those records are there, too. Raises StoreError: one
    of the named experiments has no finished cell or a record that is not valid; SpecError: the file of
    claims cannot be used.
    """
    file = claims_file(results)
    if file is None:
        return None, []
    packed = {name: read_results(results, name) for name in names}
    found = [c for c in load_claims(file) if any(concerns(c, one) for one in packed.values())]
    runs: dict[str, Results] = {}
    for one in packed.values():
        runs |= neighbours(one, found)
    return file, [runs[name] for name in sorted(runs.keys() - packed.keys())]
