"""README.md of an artifact, and BADGES.md: the evidence for each of ACM's badges, and where there is none."""

from __future__ import annotations

import re
from dataclasses import dataclass
from pathlib import Path

import jinja2

from tabench import __version__
from tabench.artifact.facts import ExperimentFacts

TEMPLATES = Path(__file__).parent / "templates"
_PLACE = r"^(?:repository-artifact|repository-code|url):\s*\"?([^\"\s]+)"


@dataclass(frozen=True)
class Archive:
    """What the pages ask of the archive as a whole."""

    names: frozenset[str]  # names of all members
    citation: str  # text of CITATION.cff
    pinned: int  # distributions in requirements-report.txt
    commit: str  # commit of the sources, "+" with uncommitted changes; "" outside a checkout
    experiments: tuple[ExperimentFacts, ...]
    # names of experiments of which only records are packed, because the claims speak of them
    beside: tuple[str, ...] = ()

    def has(self, prefix: str) -> bool:
        """Whether a member's name begins so."""
        return any(name.startswith(prefix) for name in self.names)

    def cites(self, pattern: str) -> list[str]:
        """What the lines of the citation that fit a pattern say."""
        return [found.strip() for found in re.findall(pattern, self.citation, re.MULTILINE)]


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
    """The badges with their evidence. A committee awards them; this says what speaks for each point."""
    facts = {
        "archive": archive,
        "doi": archive.cites(r"^doi:\s*\S+|type:\s*doi"),
        "places": archive.cites(_PLACE),
        "licence": next(iter(archive.cites(r"^license:\s*\"?([^\"\n]+)")), ""),
        "docs": sorted(name for name in archive.names if re.fullmatch(r"docs/.*\.md", name)),
    }
    return _templates().get_template("BADGES.md.j2").render(facts)


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
