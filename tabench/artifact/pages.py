"""README.md of an artifact, and BADGES.md: the evidence for each of ACM's badges, and where there is none."""

from __future__ import annotations

import re
from collections.abc import Sequence
from pathlib import Path

import jinja2

from tabench import __version__
from tabench.artifact.facts import ExperimentFacts

TEMPLATES = Path(__file__).parent / "templates"
_PLACE = r"^(?:repository-artifact|repository-code|url):\s*\"?([^\"\s]+)"


def pages(
    names: frozenset[str],
    citation: str,
    pinned: int,
    commit: str,
    experiments: Sequence[ExperimentFacts],
    beside: Sequence[str] = (),
) -> dict[str, str]:
    """README.md, which leads a stranger from checking to running a cell again, and BADGES.md, the evidence.

    A committee awards the badges; the page says what speaks for each point. `names` are those of all members,
    `pinned` is the number of distributions in requirements-report.txt, `commit` that of the sources ("+" with
    uncommitted changes, "" outside a checkout), `beside` the experiments of which only records are packed.
    """

    def cites(pattern: str) -> list[str]:
        return [found.strip() for found in re.findall(pattern, citation, re.MULTILINE)]

    facts = {
        "names": names,
        "experiments": experiments,
        "version": __version__,
        "commit": commit,
        "pinned": pinned,
        "beside": beside,
        "reference": any(name.startswith("results/reference/") for name in names),
        "tests": any(name.startswith("tests/") for name in names),
        "reported": any(e.reported for e in experiments),
        "doi": cites(r"^doi:\s*\S+|type:\s*doi"),
        "places": cites(_PLACE),
        "licence": next(iter(cites(r"^license:\s*\"?([^\"\n]+)")), ""),
        "docs": sorted(name for name in names if re.fullmatch(r"docs/.*\.md", name)),
    }
    found = _templates()
    return {page: found.get_template(f"{page}.j2").render(facts) for page in ("README.md", "BADGES.md")}


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
