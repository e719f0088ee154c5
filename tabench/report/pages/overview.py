"""The first page of a report: every experiment of the results folder, and every one rendered before."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass
from pathlib import Path

from tabench import __version__
from tabench.report.pages import paper
from tabench.report.pages.summary import FILE, Summary, plan_digest, read_summary
from tabench.report.pages.templating import environment
from tabench.store.atomic import write_bytes
from tabench.store.folders import ExperimentFolder
from tabench.text import counted

STATES = ("done", "failed", "partial", "running", "pending")


@dataclass(frozen=True)
class Waiting:
    """An experiment of the results folder that has no page yet."""

    name: str
    title: str
    profile: str
    states: str


@dataclass(frozen=True)
class Listed:
    """A rendered experiment.

    Attributes:
        folder: Its folder beside the overview.
        summary: What its page says.
        since: Runs that finished after it was rendered.
    """

    folder: str
    summary: Summary
    since: int


def experiments(results_dir: Path) -> list[str]:
    """Names of the experiments in a results folder."""
    if not results_dir.is_dir():
        return []
    return sorted(path.parent.name for path in results_dir.glob("*/experiment.json"))


def render_overview(results_dir: Path, reports_dir: Path) -> list[Path]:
    """Write ``index.html`` and ``paper/paper.tex``.

    Args:
        results_dir: Where experiments lie.
        reports_dir: Where their pages lie; every folder with a summary is listed.

    Raises:
        StoreError: A summary or an experiment's file is damaged, or a file cannot be written.
    """
    counts = {name: _counts(results_dir, name) for name in experiments(results_dir)}
    rendered = [_listed(path, results_dir, counts) for path in sorted(reports_dir.glob(f"*/{FILE}"))]
    rendered.sort(key=lambda entry: (entry.summary.table or "~", entry.folder))
    seen = {entry.summary.name for entry in rendered}
    waiting = [_waiting(results_dir, name, counts[name]) for name in counts if name not in seen]
    html = (
        environment()
        .get_template("overview.html.j2")
        .render(
            rendered=rendered,
            waiting=waiting,
            speed=(reports_dir / "bench" / "index.html").is_file(),
            version=__version__,
        )
    )
    place, tex = reports_dir / "index.html", reports_dir / "paper" / "paper.tex"
    write_bytes(place, html.encode())
    write_bytes(tex, paper.paper([(entry.folder, entry.summary) for entry in rendered]).encode())
    return [place, tex]


def _counts(results_dir: Path, name: str) -> Counter[str]:
    folder = ExperimentFolder(results_dir, name)
    ids = dict(folder.read_experiment().get("cells") or {})
    return Counter(folder.cell(cell_id).state() for cell_id in ids)


def _listed(path: Path, results_dir: Path, counts: dict[str, Counter[str]]) -> Listed:
    summary, since = read_summary(path), 0
    if summary.name in counts:
        plan = ExperimentFolder(results_dir, summary.name).read_experiment()
        if plan_digest(plan) == summary.plan:
            since = max(0, counts[summary.name]["done"] - summary.done)
    return Listed(path.parent.name, summary, since)


def _waiting(results_dir: Path, name: str, counts: Counter[str]) -> Waiting:
    plan = ExperimentFolder(results_dir, name).read_experiment()
    parts = [f"{counts['done']} of {counted(counts.total(), 'run')} done"]
    parts += [f"{counts[state]} {state}" for state in STATES[1:] if counts[state]]
    return Waiting(name, str(plan.get("title") or name), str(plan.get("profile") or ""), ", ".join(parts))
