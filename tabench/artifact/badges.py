"""The evidence for each badge of ACM's artifact review (version 1.1), and where there is none.

Badges are awarded by a committee. This only says what in the archive speaks for each point.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass

from tabench.artifact.facts import ExperimentFacts
from tabench.artifact.outcomes import main_claims, published_numbers
from tabench.report.tables.claims import Assessed


@dataclass(frozen=True)
class Point:
    """One point of a badge.

    Attributes:
        asks: What the badge asks for.
        evidence: What the archive holds for it; empty if nothing.
        lacks: What is not there and would be needed.
    """

    asks: str
    evidence: tuple[str, ...] = ()
    lacks: tuple[str, ...] = ()


@dataclass(frozen=True)
class Badge:
    """A badge and its points."""

    name: str
    meaning: str
    points: tuple[Point, ...]


@dataclass(frozen=True)
class Archive:
    """What badges ask of the archive as a whole.

    Attributes:
        names: Names of all members.
        citation: Text of CITATION.cff.
        pinned: Distributions in requirements-report.txt.
        commit: Commit of the sources, "+" with uncommitted changes; "" outside a checkout.
        experiments: The packed experiments.
        beside: Names of experiments of which only records are packed, because the claims speak of them.
        claims: The claims, each with what the packed runs say.
    """

    names: frozenset[str]
    citation: str
    pinned: int
    commit: str
    experiments: tuple[ExperimentFacts, ...]
    beside: tuple[str, ...] = ()
    claims: Sequence[Assessed] = ()

    def count(self, prefix: str, suffix: str = "") -> int:
        """Members whose name begins and ends so."""
        return sum(name.startswith(prefix) and name.endswith(suffix) for name in self.names)


def badges(archive: Archive) -> list[Badge]:
    """All badges with the evidence of an archive."""
    return [
        _available(archive),
        _functional(archive),
        _reusable(archive),
        _reproduced(archive),
        _replicated(archive),
    ]


def _available(archive: Archive) -> Badge:
    doi = re.search(r"^doi:\s*(\S+)|type:\s*doi", archive.citation, re.MULTILINE)
    places = re.findall(
        r"^(?:repository-artifact|repository-code|url):\s*\"?([^\"\s]+)", archive.citation, re.MULTILINE
    )
    return Badge(
        "Artifacts Available",
        "The artifact lies in a public archival repository under a permanent identifier.",
        (
            Point(
                "A DOI or another permanent identifier",
                ("CITATION.cff names a DOI",) if doi else (),
                () if doi else ("deposit the archive and put its DOI into CITATION.cff",),
            ),
            Point(
                "A public place",
                tuple(f"CITATION.cff names {place}" for place in places),
                () if places else ("CITATION.cff names no repository",),
            ),
            Point("A licence that allows its use", _licence(archive)),
        ),
    )


def _functional(archive: Archive) -> Badge:
    consistent, complete, missing = [], [], []
    for e in archive.experiments:
        consistent.append(f"{e.name}: {len(e.done)} records whose id is the sha256 of their own cell")
        if e.spec is not None:
            consistent.append(
                f"{e.name}: {e.named} of these ids come out of experiments/{e.spec.name} as it is"
            )
        if e.commits:
            consistent.append(
                f"{e.name}: made at {', '.join(e.commits)}; "
                f"the sources here are of {archive.commit or 'unknown'}"
            )
        complete.append(f"{e.name}: {len(e.done)} of {e.planned} cells have a record, {len(e.failed)} failed")
        if e.missing:
            missing.append(f"{e.name}: not run: {', '.join(e.missing)}")
        missing += [f"{e.name}: {cell} failed: {why}" for cell, why in e.failed.items()]
    return Badge(
        "Artifacts Evaluated - Functional",
        "The artifact is documented, consistent, complete and can be exercised.",
        (
            Point(
                "Documented", ("README.md: contents, and each step from checking to running a cell again",)
            ),
            Point("Consistent: it belongs to the results", tuple(consistent)),
            Point("Complete, as far as possible", tuple(complete), tuple(missing)),
            Point(
                "Exercisable: it can be run",
                (
                    f"tables are rendered again from the records with {archive.pinned} pinned distributions, "
                    "without torch and without a GPU (README.md, step 2)",
                    "a cell is trained and evaluated again by one command (README.md, step 3)",
                ),
            ),
            Point(
                "Verification and validation",
                (
                    "SHA256SUMS covers every other file",
                    "every record was checked against its schema when the archive was written",
                ),
            ),
        ),
    )


def _reusable(archive: Archive) -> Badge:
    docs = sorted(name for name in archive.names if name.startswith("docs/") and name.endswith(".md"))
    inputs = [
        f"{e.name}: the data are generated from a recipe in the experiment file"
        if e.synthetic
        else f"{e.name}: the data are not in the archive; their fingerprint {e.fingerprint[:16]} is checked"
        for e in archive.experiments
    ]
    return Badge(
        "Artifacts Evaluated - Reusable",
        "Beyond functional: documented and structured so well that others can build on it.",
        (
            Point("A licence that allows reuse", _licence(archive)),
            Point("How to extend it", tuple(f"{name}" for name in docs)),
            Point(
                "Pinned dependencies",
                ("requirements.lock: every version with the sha256 of its files",)
                if "requirements.lock" in archive.names
                else (),
            ),
            Point("Inputs that can be had", tuple(inputs)),
            Point(
                "A test suite",
                ("tests/",) if archive.count("tests/") else (),
                () if archive.count("tests/") else ("the tests are in the source repository only",),
            ),
        ),
    )


def _reproduced(archive: Archive) -> Badge:
    again, lacks = [], []
    for e in archive.experiments:
        if e.compared is None:
            lacks.append(f"{e.name}: no second run of the same cells to compare with")
            continue
        c = e.compared
        again.append(
            f"{e.name}: {c.cells} cells were run a second time; {c.identical} of {c.numbers} numbers are "
            f"equal, the trained weights of {c.weights} cells are equal bit by bit"
        )
    spread = [
        f"{e.name}: {len(e.seeds)} seeds ({', '.join(map(str, e.seeds))}) on {len(e.machines)} kind(s) of "
        "machine"
        for e in archive.experiments
    ]
    agrees, differs = published_numbers(archive.experiments)
    supported, open_ = main_claims(archive.claims)
    if not archive.claims:
        open_.append("no file of claims is packed, or none of them is about these methods")
    return Badge(
        "Results Reproduced",
        "Others than the authors obtained the main results with the authors' artifacts.",
        (
            Point(
                "By another team",
                (),
                ("records do not say who ran them: a statement of that team is needed",),
            ),
            Point("The same cells, run again", tuple(again), tuple(lacks)),
            Point("Repeated under other seeds (by the same hands)", tuple(spread)),
            Point("The published numbers, within their tolerance", tuple(agrees), tuple(differs)),
            Point("The main claims, each by its test (docs/claims.md)", tuple(supported), tuple(open_)),
        ),
    )


def _replicated(archive: Archive) -> Badge:
    evidence, lacks = [], []
    for e in archive.experiments:
        if e.synthetic:
            lacks.append(f"{e.name}: ran on synthetic data, which says nothing about published numbers")
        elif not e.published:
            lacks.append(f"{e.name}: no published value of this dataset is at hand")
        else:
            evidence.append(
                f"{e.name}: {e.published} published values stand beside the measured ones in its tables"
            )
    return Badge(
        "Results Replicated",
        "Others than the authors obtained the main results without the authors' artifacts.",
        (
            Point(
                "By another team",
                (),
                ("records do not say who ran them: a statement of that team is needed",),
            ),
            Point("Comparison with the published numbers", tuple(evidence), tuple(lacks)),
        ),
    )


def _licence(archive: Archive) -> tuple[str, ...]:
    found = re.search(r"^license:\s*\"?([^\"\n]+)", archive.citation, re.MULTILINE)
    return (f"LICENSE ({found[1].strip()})" if found else "LICENSE",) if "LICENSE" in archive.names else ()
