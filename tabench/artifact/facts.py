"""What is known of what is packed, the ground of README and badges: experiments, claims, what both say."""

from __future__ import annotations

import json
from collections.abc import Iterable
from pathlib import Path
from typing import Any

from tabench.errors import TabenchError
from tabench.report.records.circumstances import outside_code
from tabench.report.records.judgement import obstacle
from tabench.report.records.published import read_published
from tabench.report.records.reading import Results, read_results
from tabench.report.records.reproduced import compared
from tabench.report.tables.claims import claims_file, concerns, neighbours
from tabench.spec.claims import load_claims
from tabench.spec.expand import Resolved, expand
from tabench.spec.experiment import load_experiment


class ExperimentFacts:
    """One packed experiment; `spec` is its file, `reported` says whether a rendered report is packed."""

    def __init__(self, results_dir: Path, name: str, spec: Path | None, reported: bool) -> None:
        results = read_results(results_dir, name)
        first, done, cells = results.first, results.done, results.cells
        self.name, self.spec, self.reported = name, spec, reported
        self.title = str(results.experiment.get("title") or name)
        self.profile = results.profile
        self.planned = len(cells)
        self.done = {cell.id: cell.label for cell in done}
        self.failed = {
            c.id: str(c.failure.get("message") or "unknown").partition("\n")[0]
            for c in cells
            if c.state == "failed"
        }
        self.missing = [c.label for c in cells if c.state not in ("done", "failed")]
        # they have begun, and are packed as if they had not
        self.under_way = [c.label for c in cells if c.state in ("partial", "running")]
        self.synthetic = bool(first["data"]["synthetic"])
        self.data = str(first["data"]["title"])
        self.fingerprint = str(first["data"]["fingerprint"])
        self.backbone = f"{first['backbone']['name']} ({first['backbone']['note']})"
        self.seeds = sorted({cell.record["cell"]["seed"] for cell in done})
        self.machines = sorted({_machine(cell.run) for cell in done if cell.run})
        self.outside = outside_code(results)
        self.environments = _environments(results)
        self.commits = sorted({_commit(cell.run) for cell in done} - {""})  # "+": with uncommitted changes
        ids = _ids(results, spec)
        named = [cell for cell in done if cell.id in ids]
        self.named = len(named)  # cells that the experiment file expands to as it is, without options
        self.exact = bool(named)  # the example is one of them
        # the cheapest cell, to be run again
        example = min(named or done, key=lambda cell: (cell.run.get("wall_s") or float("inf"), cell.id))
        self.example, self.run = example.id, example.run
        self.compared = _compared(results)
        self.published = _published(results, spec)
        self.obstacle = obstacle(results)  # why no published value can be judged by these runs, or ""


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


def _compared(results: Results) -> dict[str, Any]:
    """Against the reference runs of the same cells: what is compared, how much is equal, and the verdict."""
    if (found := compared(results)) is None or not found.compared:
        return {}
    keys = ("cells", "numbers", "identical", "weights")
    return {key: sum(getattr(row, key) for row in found.runs) for key in keys} | {"verdict": found.sentence}


def _published(results: Results, spec: Path | None) -> int:
    """Rows of published values of this dataset, of any model."""
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
