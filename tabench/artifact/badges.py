"""README.md and BADGES.md of an artifact: the evidence for ACM's badges (version 1.1), or that there is none.

Badges are awarded by a committee. This only says what in the archive speaks for each point.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path

import jinja2

from tabench import __version__
from tabench.artifact.facts import ExperimentFacts, main_claims, published_numbers
from tabench.report.tables.claims import Assessed

TEMPLATES = Path(__file__).parent / "templates"


@dataclass(frozen=True)
class Archive:
    """What the pages ask of the archive as a whole.

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

    def has(self, prefix: str) -> bool:
        """Whether a member's name begins so."""
        return any(name.startswith(prefix) for name in self.names)

    @property
    def licence(self) -> list[str]:
        """The packed licence, with its name where the citation gives it."""
        found = re.search(r"^license:\s*\"?([^\"\n]+)", self.citation, re.MULTILINE)
        name = f"LICENSE ({found[1].strip()})" if found else "LICENSE"
        return [name] if "LICENSE" in self.names else []


@dataclass(frozen=True)
class Point:
    """One point of a badge.

    Attributes:
        asks: What the badge asks for.
        evidence: What the archive holds for it; empty if nothing.
        lacks: What is not there and would be needed.
    """

    asks: str
    evidence: Sequence[str] = ()
    lacks: Sequence[str] = ()


@dataclass(frozen=True)
class Badge:
    """A badge and its points."""

    name: str
    meaning: str
    points: Sequence[Point]


_OTHERS = Point(
    "By another team", (), ["records do not say who ran them: a statement of that team is needed"]
)


def badges(archive: Archive) -> list[Badge]:
    """All badges with the evidence of an archive."""
    return [
        Badge(
            "Artifacts Available",
            "The artifact lies in a public archival repository under a permanent identifier.",
            _available(archive),
        ),
        Badge(
            "Artifacts Evaluated - Functional",
            "The artifact is documented, consistent, complete and can be exercised.",
            _functional(archive),
        ),
        Badge(
            "Artifacts Evaluated - Reusable",
            "Beyond functional: documented and structured so well that others can build on it.",
            _reusable(archive),
        ),
        Badge(
            "Results Reproduced",
            "Others than the authors obtained the main results with the authors' artifacts.",
            [_OTHERS, *_reproduced(archive)],
        ),
        Badge(
            "Results Replicated",
            "Others than the authors obtained the main results without the authors' artifacts.",
            [_OTHERS, _replicated(archive.experiments)],
        ),
    ]


def _available(archive: Archive) -> list[Point]:
    doi = re.search(r"^doi:\s*(\S+)|type:\s*doi", archive.citation, re.MULTILINE)
    address = r"^(?:repository-artifact|repository-code|url):\s*\"?([^\"\s]+)"
    places = re.findall(address, archive.citation, re.MULTILINE)
    return [
        Point(
            "A DOI or another permanent identifier",
            ["CITATION.cff names a DOI"] if doi else [],
            [] if doi else ["deposit the archive and put its DOI into CITATION.cff"],
        ),
        Point(
            "A public place",
            [f"CITATION.cff names {place}" for place in places],
            [] if places else ["CITATION.cff names no repository"],
        ),
        Point("A licence that allows its use", archive.licence),
    ]


def _functional(archive: Archive) -> list[Point]:
    consistent, complete, missing = [], [], []
    for e in archive.experiments:
        consistent.append(f"{e.name}: {len(e.done)} records whose id is the sha256 of their own cell")
        if e.spec is not None:
            origin = f"experiments/{e.spec.name}"
            consistent.append(f"{e.name}: {e.named} of these ids come out of {origin} as it is")
        if e.commits:
            here = archive.commit or "unknown"
            consistent.append(f"{e.name}: made at {', '.join(e.commits)}; the sources here are of {here}")
        complete.append(f"{e.name}: {len(e.done)} of {e.planned} cells have a record, {len(e.failed)} failed")
        if e.missing:
            missing.append(f"{e.name}: not run: {', '.join(e.missing)}")
        missing += [f"{e.name}: {cell} failed: {why}" for cell, why in e.failed.items()]
    return [
        Point("Documented", ["README.md: contents, and each step from checking to running a cell again"]),
        Point("Consistent: it belongs to the results", consistent),
        Point("Complete, as far as possible", complete, missing),
        Point(
            "Exercisable: it can be run",
            [
                f"tables are rendered again from the records with {archive.pinned} pinned distributions, "
                "without torch and without a GPU (README.md, step 2)",
                "a cell is trained and evaluated again by one command (README.md, step 3)",
            ],
        ),
        Point(
            "Verification and validation",
            [
                "SHA256SUMS covers every other file",
                "every record was checked against its schema when the archive was written",
            ],
        ),
    ]


def _reusable(archive: Archive) -> list[Point]:
    pins = "requirements.lock"
    inputs = [
        f"{e.name}: the data are generated from a recipe in the experiment file"
        if e.synthetic
        else f"{e.name}: the data are not in the archive; their fingerprint {e.fingerprint[:16]} is checked"
        for e in archive.experiments
    ]
    tested = archive.has("tests/")
    return [
        Point("A licence that allows reuse", archive.licence),
        Point("How to extend it", sorted(n for n in archive.names if re.fullmatch(r"docs/.*\.md", n))),
        Point(
            "Pinned dependencies",
            [f"{pins}: every version with the sha256 of its files"] if pins in archive.names else [],
        ),
        Point("Inputs that can be had", inputs),
        Point(
            "A test suite",
            ["tests/"] if tested else [],
            [] if tested else ["the tests are in the source repository only"],
        ),
    ]


def _reproduced(archive: Archive) -> list[Point]:
    again, lacks = [], []
    for e in archive.experiments:
        if (c := e.compared) is None:
            lacks.append(f"{e.name}: no second run of the same cells to compare with")
        else:
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
    supported, unclear = main_claims(archive.claims)
    if not archive.claims:
        unclear.append("no file of claims is packed, or none of them is about these methods")
    return [
        Point("The same cells, run again", again, lacks),
        Point("Repeated under other seeds (by the same hands)", spread),
        Point("The published numbers, within their tolerance", agrees, differs),
        Point("The main claims, each by its test (docs/claims.md)", supported, unclear),
    ]


def _replicated(experiments: Iterable[ExperimentFacts]) -> Point:
    evidence, lacks = [], []
    for e in experiments:
        if e.synthetic:
            lacks.append(f"{e.name}: ran on synthetic data, which says nothing about published numbers")
        elif not e.published:
            lacks.append(f"{e.name}: no published value of this dataset is at hand")
        else:
            beside = "published values stand beside the measured ones in its tables"
            evidence.append(f"{e.name}: {e.published} {beside}")
    return Point("Comparison with the published numbers", evidence, lacks)


def readme(archive: Archive) -> str:
    """The page that leads a stranger from checking to running a cell again."""
    facts = {
        "experiments": archive.experiments,
        "version": __version__,
        "commit": archive.commit,
        "pinned": archive.pinned,
        "beside": archive.beside,
        "reference": archive.has("results/reference/"),
        "reported": any(e.reported for e in archive.experiments),
    }
    return _templates().get_template("README.md.j2").render(facts)


def badge_page(archive: Archive) -> str:
    """The badges with their evidence."""
    return _templates().get_template("BADGES.md.j2").render(badges=badges(archive))


def _templates() -> jinja2.Environment:
    environment = jinja2.Environment(
        loader=jinja2.FileSystemLoader(TEMPLATES),
        autoescape=False,  # Markdown; texts of records pass through `plain`
        undefined=jinja2.StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
        keep_trailing_newline=True,
    )
    environment.filters["plain"] = plain
    return environment


def plain(text: object) -> str:
    """A text of a record that Markdown and HTML show as it is, on one line."""
    return re.sub(r"([\\`*_\[\]<>|#&])", r"\\\1", " ".join(str(text).split()))
