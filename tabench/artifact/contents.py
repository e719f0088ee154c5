"""Which files an artifact holds, and the part of requirements.lock that its reports need."""

from __future__ import annotations

import os
import re
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from importlib.metadata import PackageNotFoundError, requires
from pathlib import Path

from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

from tabench.artifact.archive import Member
from tabench.artifact.facts import ExperimentFacts, packed_claims
from tabench.artifact.pages import pages
from tabench.errors import StoreError
from tabench.provenance.environment import capture
from tabench.report.pages.summary import FILE as SUMMARY
from tabench.report.pages.summary import plan_digest, read_summary
from tabench.report.records.reading import Results, read_results
from tabench.report.records.reproduced import readable_reference
from tabench.report.tables.claims import FILE
from tabench.spec.toml import read_toml
from tabench.store.encoding import dumps, read_bytes
from tabench.store.folders import ExperimentFolder
from tabench.store.index import read_index

ROOT = Path(__file__).parents[2]
FROM_ROOT = ("LICENSE", "CITATION.cff", "requirements.lock", "pyproject.toml")
LEFT_OUT = ("checkpoint", "__pycache__")  # folders
# what rendering a report imports, without torch
REPORT_PACKAGES = ("fonttools", "jinja2", "markupsafe", "matplotlib", "numpy", "packaging", "pandas",
                   "pillow", "pydantic", "pydantic-core", "rich", "scipy", "seaborn", "typer")  # fmt: skip


@dataclass(frozen=True)
class Contents:
    """All members of an artifact, and what is known of its experiments."""

    members: list[Member]  # the files
    experiments: tuple[ExperimentFacts, ...]  # the packed experiments
    # names of experiments of which only records are packed, because the claims speak of them
    beside: tuple[str, ...]


def contents(results: Path, specs: Mapping[str, Path | None], reports: Path) -> Contents:
    """Gather the members of an artifact; `specs` is experiment name to its file, None where there is none.

    Raises StoreError: an experiment has no finished cell, a record is not valid, a report is of other cells,
    or the checkout lacks a file; SpecError: a file of claims or of published values cannot be used.
    """
    claims, neighbours = packed_claims(results, specs)
    members = {m.name: m for m in _of_checkout()}
    for name, spec in specs.items():
        folder = Path(results) / name
        members |= {m.name: m for m in _of_results(folder, f"results/{name}", results)}
        here = read_results(Path(results), name)
        reference = readable_reference(here)
        # the tables compare with it, wherever it was found
        if reference is not None and {cell.id for cell in reference.done} & {cell.id for cell in here.done}:
            members |= {m.name: m for m in _of_records(reference, f"results/reference/{name}")}
        _check_report(Path(results), name, reports / name)
        members |= {m.name: m for m in _of_folder(reports / name, f"reports/{name}")}
        if spec is not None:
            members |= {m.name: m for m in _of_spec(spec)}
    if claims is not None:
        name = f"experiments/{FILE.as_posix()}"
        members[name] = Member(name, claims)
    for neighbour in neighbours:
        members |= {m.name: m for m in _of_records(neighbour, f"results/{neighbour.name}")}
    facts = tuple(
        ExperimentFacts(results, name, spec, any(n.startswith(f"reports/{name}/tables/") for n in members))
        for name, spec in specs.items()
    )
    environment = capture()
    lock = cut_lock(ROOT / "requirements.lock")
    runs = {e.name: {"commits": e.commits, "environments": e.environments} for e in facts}
    made = {
        "requirements-report.txt": lock,
        "ENVIRONMENT.json": dumps({"written_on": environment, "runs": runs}),
    }
    names = frozenset({*members, *made, "README.md", "BADGES.md"})
    citation = (ROOT / "CITATION.cff").read_text(encoding="utf-8")
    git = environment["git"] or {"commit": "", "dirty": False}
    commit = f"{git['commit']}{'+' if git['dirty'] else ''}"
    pinned = sum(not line.startswith(" ") for line in lock.splitlines())
    beside = tuple(neighbour.name for neighbour in neighbours)
    made |= pages(names, citation, pinned, commit, facts, beside)
    members |= {name: Member(name, text.encode()) for name, text in made.items()}
    return Contents(sorted(members.values(), key=lambda m: m.name), facts, beside)


def _check_report(results: Path, name: str, report: Path) -> None:
    """Refuse a report of other cells, which readers would take for the report of these records.

    Raises StoreError: it is one.
    """
    summary = report / SUMMARY
    if not summary.is_file():
        return
    if read_summary(summary).plan != plan_digest(ExperimentFolder(results, name).read_experiment()):
        raise StoreError(
            f"this report is of other cells than those in {results / name}",
            where=str(report),
            hint=f"tabench report {name} --results {results}, then export again; or give --reports the "
            "folder that has their report",
        )


def _of_checkout() -> Iterator[Member]:
    for name in FROM_ROOT:
        if not (ROOT / name).is_file():
            hint = "run the command from a checkout of tabench (pip install -e .), which has all of them"
            raise StoreError(f"lacks {name}", where=str(ROOT), hint=hint)
        yield Member(name, ROOT / name)
    yield from _of_folder(ROOT / "tabench", "tabench")
    yield from (m for m in _of_folder(ROOT / "docs", "docs") if m.name.endswith(".md"))


def _of_results(folder: Path, prefix: str, results: Path) -> Iterator[Member]:
    """An experiment's finished and failed cells, its pictures of the truth, and its description."""
    index = read_index(results, folder.name)
    for path in sorted(folder.iterdir()) if folder.is_dir() else []:
        if path.is_dir():
            if path.name == "truth" or index.state(path.name) in ("done", "failed"):
                yield from _of_folder(path, f"{prefix}/{path.name}")
        elif not _hidden(path.name):
            yield Member(f"{prefix}/{path.name}", path)


def _of_records(runs: Results, prefix: str) -> Iterator[Member]:
    """What claims and comparisons read of an experiment that is not packed itself: plan and records."""
    yield Member(f"{prefix}/experiment.json", runs.root / runs.name / "experiment.json")
    for cell in runs.done:
        for path in (cell.folder / "record.json", cell.folder / "run.json"):
            if path.is_file():
                yield Member(f"{prefix}/{cell.id}/{path.name}", path)


def _of_spec(spec: Path) -> Iterator[Member]:
    """An experiment file, the file it is based on, and what lies beside it: published values and claims."""
    yield Member(f"experiments/{spec.name}", spec)
    base = read_toml(spec).get("base")
    if isinstance(base, str):
        yield Member(f"experiments/{base}", spec.parent / base)
    yield from _of_folder(spec.parent / "published", "experiments/published")
    yield from _of_folder(spec.parent / "claims", "experiments/claims")
    for path in sorted(spec.parent.glob("claims*.*")):
        if path.is_file():
            yield Member(f"experiments/{path.name}", path)


def _of_folder(folder: Path, prefix: str) -> Iterator[Member]:
    """All files below a folder but checkpoints, trained weights, claims of processes and hidden files."""
    for place, folders, files in os.walk(folder):
        here = Path(place)
        for name in folders:
            if (here / name).is_symlink():
                hint = "an artifact holds files only: put the folder itself there"
                raise StoreError("is a link to a folder", where=str(here / name), hint=hint)
        folders[:] = sorted(name for name in folders if name not in LEFT_OUT and not _hidden(name))
        for name in sorted(files):
            if not _hidden(name) and (here / name).is_file():
                inside = (here / name).relative_to(folder).as_posix()
                yield Member(f"{prefix}/{inside}", here / name)


def _hidden(name: str) -> bool:
    weights = name.startswith("weights-") and name.endswith(".safetensors")
    return weights or name.startswith(".") or name == "claim.json" or name.endswith((".pyc", ".tmp"))


def cut_lock(lock: Path, roots: Iterable[str] = REPORT_PACKAGES) -> str:
    """The lines of a lock file that pin some packages and all they need, on any system; hashes are kept.

    What a package needs is read from its installed metadata; markers of systems are kept as the lock has
    them. Raises StoreError: the lock cannot be read, lacks one of the packages, or holds an address.
    """
    blocks = _blocks(read_bytes(lock).decode())
    wanted = _closure([canonicalize_name(name) for name in roots], set(blocks))
    missing = sorted(canonicalize_name(name) for name in roots if canonicalize_name(name) not in blocks)
    if missing:
        hint = "write it again with `nox -s lock`"
        raise StoreError(f"does not pin {', '.join(missing)}", where=str(lock), hint=hint)
    text = "".join(block for name in sorted(wanted & set(blocks)) for block in blocks[name])
    if "://" in text or " @ " in text:
        raise StoreError("holds an address", where=str(lock), hint="take versions from an index only")
    return text


def _blocks(text: str) -> dict[str, list[str]]:
    """Package to its pins with their hashes: several where versions depend on Python's."""
    blocks: dict[str, list[str]] = {}
    for block, name in re.findall(r"^(([\w.-]+)==.*\n?(?: .*\n?)*)", text, re.MULTILINE | re.ASCII):
        blocks.setdefault(canonicalize_name(name), []).append(block)
    return blocks


def _closure(roots: list[str], locked: set[str]) -> set[str]:
    found: set[str] = set()
    pending = list(roots)
    while pending:
        name = pending.pop()
        if name in found:
            continue
        found.add(name)
        try:
            lines = requires(name) or []
        except PackageNotFoundError:  # of another system: it needs nothing that the lock would not name
            continue
        for need in map(Requirement, lines):
            wanted = need.marker is None or "extra" not in str(need.marker)
            if wanted and canonicalize_name(need.name) in locked:
                pending.append(canonicalize_name(need.name))
    return found
