"""What the overview and the paper need to know of a rendered experiment, kept beside its page."""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from pydantic import BaseModel, ConfigDict, ValidationError

from tabench.errors import StoreError
from tabench.report.pages.content import Content
from tabench.report.pages.page import sections
from tabench.report.records import wording
from tabench.report.records.reading import Results
from tabench.report.tables import findings
from tabench.report.tables.table import Table
from tabench.store.encoding import read_json

FILE = "summary.json"


class Summary(BaseModel):
    """The content of summary.json.

    Attributes:
        name: Experiment name.
        title: Its title.
        profile: Profile that was run.
        table: What its table is called ("Table 1").
        plan: Digest of the ids of its cells: tells whether a results folder holds the same experiment.
        done: Runs that were finished when it was rendered.
        states: The same in words.
        headline: The page's headline.
        best: Best method, or "" where no Delta_b is defined.
        best_delta: Its Delta_b with the baseline, in words.
        data: Data and backbone, in words.
        warning: Why these are not the paper's numbers; "" if nothing speaks against it.
        short_warning: The same in one clause.
        sections: Element id and word of every section of the page.
        inputs: LaTeX files in tables/, without ending, in the order of a paper.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    name: str
    title: str
    profile: str
    table: str
    plan: str
    done: int
    states: str
    headline: str
    best: str
    best_delta: str
    data: str
    warning: str
    short_warning: str
    sections: tuple[tuple[str, str], ...]
    inputs: tuple[str, ...]


def summarise(content: Content, inputs: Sequence[str]) -> Summary:
    """Summarise a page that is about to be written."""
    results, tables = content.results, content.whole_tables
    data, backbone = results.first["data"], results.first["backbone"]
    best, delta = _best(results, tables)
    return Summary(
        name=results.name,
        title=str(results.experiment.get("title") or results.name),
        profile=results.profile,
        table=tables[0].title,
        plan=plan_digest(results.experiment),
        done=len(results.done),
        states=wording.states(results),
        headline=content.headline,
        best=best,
        best_delta=delta,
        data=f"{data['title']}, {backbone['name']}",
        warning=wording.warning(results),
        short_warning=wording.short_warning(results),
        sections=tuple((section.id, section.nav) for section in sections(content)),
        inputs=tuple(inputs),
    )


def read_summary(path: Path) -> Summary:
    """Read a summary.

    Raises:
        StoreError: It is torn or not a summary; says to render the experiment again.
    """
    hint = "render the experiment again with `tabench report`, or remove the folder"
    try:
        return Summary.model_validate(read_json(path, hint=hint))
    except ValidationError as error:
        first = error.errors(include_url=False)[0]
        key = ".".join(map(str, first["loc"]))
        raise StoreError(f"{key}: {first['msg']}", where=str(path), hint=hint) from error


def plan_digest(experiment: dict[str, Any]) -> str:
    """Digest of the ids that an experiment names."""
    ids = sorted(dict(experiment.get("cells") or {}))
    return hashlib.sha256(" ".join(ids).encode()).hexdigest()[:16]


def _best(results: Results, tables: Sequence[Table]) -> tuple[str, str]:
    for table in tables:
        best = findings.best_gain(table)
        if best is not None:
            method, column = best
            text = table.entry(method, column.id).text
            return results.title(method), f"Δ_b {text} % {column.title}"
    return "", ""
