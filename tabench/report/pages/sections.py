"""The sections of an experiment's page, in order.

A section is a function from what is known to the names its partial template needs, or to None
where there is nothing to show. To add one, write both and add a line to `SECTIONS`.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property

from tabench.report.figures import paper_figures
from tabench.report.pages.extras import Extras
from tabench.report.records import grid, reproduction, wording
from tabench.report.records.circumstances import circumstances
from tabench.report.records.published import Published
from tabench.report.records.reading import Results
from tabench.report.tables.factor_table import factor_rows
from tabench.report.tables.frames import Table

Context = Mapping[str, object]


@dataclass(frozen=True)
class Picture:
    """A figure as SVG, with its caption."""

    caption: str
    svg: bytes


@dataclass(frozen=True)
class Content:
    """What sections are made of.

    Attributes:
        results: What was run.
        tables: Results tables, the main protocol first.
        grid: The qualitative grid, or None.
        pictures: Stem to figure.
        published: Published values of other data or models, shown apart from the results.
        definitions: Delta_b under every definition, or None.
        extras: Verdicts, claims, paired tests and costs.
    """

    results: Results
    tables: Sequence[Table]
    grid: grid.Grid | None
    pictures: Mapping[str, Picture]
    published: Published | None
    definitions: Table | None
    extras: Extras | None = None

    @cached_property
    def parts(self) -> Extras:
        """`extras`, or what can be computed without the caller's."""
        return self.extras or Extras(self.results, self.published)


@dataclass(frozen=True)
class Section:
    """One section.

    Attributes:
        id: Element id, and what links to it are called.
        nav: Its word in the page's navigation ("{figure}" is the experiment's name of its figure).
        heading: Its heading.
        template: File in templates/.
        context: Names the template needs, or None to leave the section out.
    """

    id: str
    nav: str
    heading: str
    template: str
    context: Callable[[Content], Context | None]


def _pictures(content: Content) -> Context | None:
    if content.grid is None:
        return None
    return {"grid": content.grid, "grid_caption": grid.caption(content.results, content.grid)}


def _curves(content: Content) -> Context | None:
    elsewhere = (*paper_figures.METHOD, *paper_figures.FACTORS)
    found = {stem: picture for stem, picture in content.pictures.items() if stem not in elsewhere}
    return {"curves": found} if found else None


def _method(content: Content) -> Context | None:
    found = {stem: content.pictures[stem] for stem in paper_figures.METHOD if stem in content.pictures}
    return {"method_figures": found} if found else None


def _factors(content: Content) -> Context | None:
    rows = [row for row in factor_rows(content.parts.factors) if content.parts.shows(row.method)]
    found = {stem: content.pictures[stem] for stem in paper_figures.FACTORS if stem in content.pictures}
    return {"factor_rows": rows, "factor_figures": found} if rows else None


def _definitions(content: Content) -> Context | None:
    return {"definitions": content.definitions} if content.definitions is not None else None


def _reproduced(content: Content) -> Context | None:
    rows = reproduction.reproduced(content.results)
    return None if rows is None else {"reproduced": rows}


def _data(content: Content) -> Context | None:
    found = wording.data_warnings(content.results)
    return {"data_warnings": found} if found else None


def _how(content: Content) -> Context:
    return {
        "protocols": wording.PROTOCOLS,
        "selections": wording.SELECTIONS,
        "circumstances": circumstances(content.results),
    }


SECTIONS: Sequence[Section] = (
    Section("results", "Results", "Results", "results.html.j2", lambda c: {"published": c.published}),
    Section("pictures", "{figure}", "{figure}: what the methods see", "grid.html.j2", _pictures),
    Section("curves", "Curves", "Curves", "curves.html.j2", _curves),
    Section("delta-b", "Δ_b", "How Δ_b depends on its definition", "definitions.html.j2", _definitions),
    Section("method", "Figures 1 to 3", "Figures 1 to 3: SAM, mSAM, factors", "method.html.j2", _method),
    Section("factors", "Factors", "What the factors learned", "factors.html.j2", _factors),
    Section("claims", "Claims", "Do the claims hold?", "claims.html.j2", lambda c: c.parts.claims_context()),
    Section(
        *("verdicts", "Verdicts", "Against published values", "verdicts.html.j2"),
        lambda c: c.parts.verdicts_context(),
    ),
    Section("cost", "Cost", "Cost", "cost.html.j2", lambda c: c.parts.cost_context()),
    Section("sure", "How sure", "How sure", "sure.html.j2", lambda c: c.parts.sure_context()),
    Section("reproduced", "Reproduced?", "Reproduced?", "reproduced.html.j2", _reproduced),
    Section("data", "Data", "Warnings about the data", "data.html.j2", _data),
    Section("how", "How this was run", "How this was run", "how.html.j2", _how),
    Section("runs", "All runs", "All runs", "runs.html.j2", lambda c: {}),
)


@dataclass(frozen=True)
class Shown:
    """A section that has something to show, with its words filled in."""

    id: str
    nav: str
    heading: str
    template: str


def shown(content: Content) -> tuple[list[Shown], dict[str, object]]:
    """The sections to show, and the names all their templates need."""
    found: list[Shown] = []
    names: dict[str, object] = {}
    figure = str(content.results.experiment.get("figure") or "Pictures")
    for section in SECTIONS:
        context = section.context(content)
        if context is not None:
            nav, heading = (text.replace("{figure}", figure) for text in (section.nav, section.heading))
            found.append(Shown(section.id, nav, heading, section.template))
            names |= context
    return found, names
