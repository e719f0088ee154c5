"""The page of an experiment: everything it shows is inside the one file, only run pages lie beside it."""

from __future__ import annotations

from dataclasses import dataclass, replace

from tabench import __version__
from tabench.report.pages.content import Content
from tabench.report.pages.templating import environment
from tabench.report.records import wording
from tabench.report.tables import claims

LISTED = 12  # runs that a number's card lists; all of them stand in the CSV file and in the list of runs


@dataclass(frozen=True)
class Section:
    """One section.

    Attributes:
        id: Element id, what links to it are called, and the name of its template.
        nav: Its word in the page's navigation ("{figure}" is the experiment's name of its figure).
        needs: Property of `Content` without which it is left out; "" if it always has something to show.
        heading: Its heading, where that is not `nav`.
    """

    id: str
    nav: str
    needs: str = ""
    heading: str = ""


SECTIONS = (
    Section("results", "Results"),
    Section("pictures", "{figure}", "grid", "{figure}: what the methods see"),
    Section("curves", "Curves", "curves"),
    Section("delta-b", "Δ_b", "definitions", "How Δ_b depends on its definition"),
    Section("method", "Figures 1 to 3", "method_figures", "Figures 1 to 3: SAM, mSAM, factors"),
    Section("factors", "Factors", "learned", "What the factors learned"),
    Section("claims", "Claims", "claims", "Do the claims hold?"),
    Section("verdicts", "Verdicts", "verdicts", "Against published values"),
    Section("cost", "Cost"),
    Section("sure", "How sure"),
    Section("reproduced", "Reproduced?", "reproduced"),
    Section("data", "Data", "data_warnings", "Warnings about the data"),
    Section("how", "How this was run"),
    Section("runs", "All runs"),
)


def sections(content: Content) -> list[Section]:
    """The sections that have something to show, with their words filled in."""
    figure = str(content.results.experiment.get("figure") or "Pictures")
    found = []
    for section in SECTIONS:
        if not section.needs or getattr(content, section.needs):
            nav, heading = (t.replace("{figure}", figure) for t in (section.nav, section.heading))
            found.append(replace(section, nav=nav, heading=heading or nav))
    return found


def page(content: Content, *, overview: bool = False) -> str:
    """Fill the page.

    Args:
        content: What is known.
        overview: Whether the overview of all experiments lies one folder up.
    """
    results = content.results
    return environment().get_template("index.html.j2").render(
        c=content,
        sections=sections(content),
        results=results,
        record=results.first,
        listed=LISTED,
        overview=overview,
        warning=wording.warning(results),
        constant=wording.constant_warning(results),
        short_warning=wording.short_warning(results),
        states=wording.states(results),
        wording=wording,
        claim_rule=claims.RULE,
        version=__version__,
    )  # fmt: skip
