"""The page of an experiment: everything it shows is inside the one file, only run pages lie beside it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from tabench import __version__
from tabench.report.pages.sections import Content, Shown
from tabench.report.pages.templating import environment
from tabench.report.records import wording
from tabench.report.tables import cost, findings

LISTED = 12  # runs that a number's card lists; all of them stand in the CSV file and in the list of runs


def page(
    content: Content, sections: Sequence[Shown], names: Mapping[str, object], *, overview: bool = False
) -> str:
    """Fill the page.

    Args:
        content: What is known.
        sections: The sections to show (`sections.shown`).
        names: What their templates need.
        overview: Whether the overview of all experiments lies one folder up.
    """
    results = content.results
    return (
        environment()
        .get_template("index.html.j2")
        .render(
            names,
            sections=sections,
            results=results,
            record=results.first,
            tables=content.tables,
            carded=[*content.tables, *([content.definitions] if content.definitions is not None else [])],
            listed=LISTED,
            overview=overview,
            headline=findings.headline(results, list(content.tables)),
            warning=wording.warning(results),
            short_warning=wording.short_warning(results),
            states=wording.states(results),
            arrows=wording.ARROWS,
            total_wall=cost.total_wall(results),
            version=__version__,
        )
    )
