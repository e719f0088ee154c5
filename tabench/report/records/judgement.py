"""One published value against one method's runs, or why the two say nothing about one another."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Protocol

from tabench.report.records import wording
from tabench.report.records.published import Published
from tabench.report.records.reading import Results
from tabench.report.records.scores import metric_points
from tabench.stats.seeds import Verdict, verdict
from tabench.text import counted

NO_VERDICT = "no verdict"


class _Column(Protocol):
    @property
    def id(self) -> str: ...
    @property
    def title(self) -> str: ...
    @property
    def digits(self) -> int: ...


@dataclass(frozen=True)
class Judgement:
    """What is said about one method in one metric.

    Attributes:
        method: Row key.
        column: Column id ("depth.abs_err").
        printed: The published value as printed; "" where none is known.
        evidence: "primary", "secondary" or "".
        place: Paper, table and setting of the published value, or "".
        tolerance: The largest difference of a match as text, with "(default)" if the file gives none.
        found: The arithmetic's outcome; it stands even where no verdict is given.
        word: The verdict in words: "match", "off by +1.20", "no verdict: synthetic data", ...
        why: What the verdict rests on, or why there is none.
    """

    method: str
    column: str
    printed: str
    evidence: str
    place: str
    tolerance: str
    found: Verdict
    word: str
    why: str


def obstacle(results: Results) -> str:
    """Why runs of this experiment say nothing about a paper's numbers, in a few words; "" if they may."""
    data, backbone = results.first["data"], results.first["backbone"]["name"]
    if data["synthetic"]:
        return "synthetic data"
    if wording.short_warning(results):
        return f"stand-in model {backbone}"
    if results.profile and results.profile != "paper":
        return f"profile “{results.profile}”, not the paper's"
    return ""


def judge(
    results: Results, method: str, column: _Column, protocol: str, published: Published | None
) -> Judgement:
    """Judge a method in a metric.

    Args:
        results: What was run.
        method: Row key.
        column: A metric's column.
        protocol: Protocol of the measured values.
        published: Rows of any dataset; those of another one than the runs' are never compared.
    """
    known = published.find(method, column) if published is not None else None
    points, undefined = metric_points(results, method, column.id, protocol)
    values = [point.value for point in points]
    found = verdict(values, float(known.printed) if known else None, known.tolerance if known else None)
    why_not = obstacle(results) if known else ""
    word = f"{NO_VERDICT}: {why_not}" if why_not else _word(found, column.digits)
    tolerance = ""
    if known:
        tolerance = f"±{known.tolerance:.2g}" + ("" if known.given else " (default)")
    return Judgement(
        method,
        column.id,
        known.printed if known else "",
        known.evidence if known else "",
        known.place if known else "",
        tolerance,
        found,
        word,
        "it neither confirms nor contradicts" if why_not else _reason(found, undefined, column.digits),
    )


def _word(found: Verdict, digits: int) -> str:
    if found.word != "off by" or found.difference is None:
        return found.word
    return f"off by {wording.number(found.difference, digits, signed=True)}"


def _reason(found: Verdict, undefined: str, digits: int) -> str:
    if found.word == "not known":
        return "no published value could be verified"
    if found.word == "not run":
        return undefined or "no finished run"
    if found.low is None or found.high is None:
        return "one run: no interval, only the tolerance decides"
    ends = [wording.number(end, digits) for end in (found.low, found.high)]
    return f"95 % t-interval of {counted(found.n, 'run')}: {ends[0]} to {ends[1]}"
