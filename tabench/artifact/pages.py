"""README.md and BADGES.md of an artifact."""

from __future__ import annotations

import re
from pathlib import Path

import jinja2

from tabench import __version__
from tabench.artifact.badges import Archive, badges

TEMPLATES = Path(__file__).parent / "templates"


def readme(archive: Archive) -> str:
    """The page that leads a stranger from checking to running a cell again."""
    return (
        _environment()
        .get_template("README.md.j2")
        .render(
            experiments=archive.experiments,
            version=__version__,
            commit=archive.commit,
            pinned=archive.pinned,
            beside=archive.beside,
            reference=archive.count("results/reference/") > 0,
            reported=any(e.reported for e in archive.experiments),
        )
    )


def badge_page(archive: Archive) -> str:
    """The badges with their evidence."""
    return _environment().get_template("BADGES.md.j2").render(badges=badges(archive))


def _environment() -> jinja2.Environment:
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
