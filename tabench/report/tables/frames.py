"""Records to one tidy frame a table; every output format prints the texts that stand in it."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from functools import cached_property

import pandas as pd

from tabench.report.records import wording
from tabench.report.records.judgement import judge
from tabench.report.records.published import Published
from tabench.report.records.reading import Results
from tabench.report.records.scores import DELTA_DIGITS, Point, deltas, metric_points, parameter_points
from tabench.stats.ranking import rank
from tabench.stats.seeds import t_interval


@dataclass(frozen=True)
class Column:
    """One column of a results table.

    Attributes:
        id: Stable name ("depth.abs_err", "delta.lora-stl", "parameters", "published.miou").
        group: Heading it stands under ("Depth").
        title: Its own heading ("Abs. err.").
        unit: "%", "m", "deg", "M" or "".
        better: "higher", "lower", or "" where no value is better.
        digits: Decimals shown.
    """

    id: str
    group: str
    title: str
    unit: str
    better: str
    digits: int

    @property
    def signed(self) -> bool:
        """Whether a plus sign is shown."""
        return self.id.startswith("delta.")

    @property
    def heading(self) -> str:
        """Title, unit and arrow in one text, for formats with one heading line."""
        unit = f" ({self.unit})" if self.unit else ""
        arrow = wording.ARROWS[self.better]
        return f"{self.title}{unit}{' ' + arrow if arrow else ''}"


@dataclass(frozen=True)
class Entry:
    """One cell of a table.

    Attributes:
        method: Row key.
        column: Column id.
        mean: Mean over seeds, or None.
        sd: Sample standard deviation over seeds; None with fewer than two.
        half: Half width of the 95% t-interval of the mean; None with fewer than two seeds.
        shown: The text every format prints for the mean ("n/a" where there is none).
        shown_sd: The text of the standard deviation, or "".
        rank: 1 best, 2 second, 0 otherwise.
        reason: Why there is no value, or what to know about it; "" otherwise.
        points: The values behind it, one a run.
    """

    method: str
    column: str
    mean: float | None
    sd: float | None
    half: float | None
    shown: str
    shown_sd: str
    rank: int
    reason: str
    points: tuple[Point, ...] = ()

    @property
    def text(self) -> str:
        """Mean and standard deviation, for example "51.80 ± 0.12"."""
        return f"{self.shown} ± {self.shown_sd}" if self.shown_sd else self.shown


@dataclass(frozen=True)
class Table:
    """A results table: `frame` holds every value and every text that is printed.

    Attributes:
        name: File stem ("table1").
        number: What it is called ("Table 1").
        caption: One sentence.
        protocol: "paper", "pascal" or "pixel".
        warning: Why these are not the paper's numbers; "" if nothing speaks against it.
        columns: Columns from left to right.
        methods: Row keys from top to bottom.
        titles: Row key to the name shown (with † where seeds are missing).
        seeds: Row key to "3" or "2 of 3".
        frame: Tidy data frame, one line an entry, its columns the fields of `Entry`.
        notes: Lines printed underneath.
        experiment: Experiment name; with `name` the label to refer to the table by.
    """

    name: str
    number: str
    caption: str
    protocol: str
    warning: str
    columns: Sequence[Column]
    methods: Sequence[str]
    titles: dict[str, str]
    seeds: dict[str, str]
    frame: pd.DataFrame
    notes: Sequence[str]
    experiment: str = ""

    @property
    def label(self) -> str:
        """A name that is unique over experiments, for example "nyuv2-table1"."""
        return f"{self.experiment}-{self.name}" if self.experiment else self.name

    @cached_property
    def _entries(self) -> dict[tuple[str, str], Entry]:
        whole = self.frame.astype(object).where(self.frame.notna(), None)
        rows = [Entry(**{str(key): value for key, value in row.items()}) for row in whole.to_dict("records")]
        return {(entry.method, entry.column): entry for entry in rows}

    def entry(self, method: str, column: str) -> Entry:
        """The entry of a row and a column."""
        return self._entries[method, column]

    @property
    def groups(self) -> list[tuple[str, list[Column]]]:
        """Neighbouring columns under their common heading."""
        groups: list[tuple[str, list[Column]]] = []
        for column in self.columns:
            if not groups or groups[-1][0] != column.group:
                groups.append((column.group, []))
            groups[-1][1].append(column)
        return groups


def results_table(results: Results, protocol: str, published: Published | None = None) -> Table:
    """Build the table of all metrics of all tasks, Delta_b and trained parameters.

    Args:
        results: What was run.
        protocol: "paper", "pascal" or "pixel".
        published: Values to print beside them; None where they are not comparable.
    """
    columns = columns_of(results, protocol)
    entries = [entry for column in columns for entry in _column(results, protocol, column)]
    if published is not None:
        extra, more = _published(results, protocol, published, columns)
        columns, entries = [*columns, *extra], [*entries, *more]
    titles, seeds = row_texts(results)
    number = str(results.experiment.get("table") or "Table 1")
    return Table(
        name=stem(number) if protocol in wording.MAIN else f"{stem(number)}_{protocol}",
        number=number if protocol in wording.MAIN else f"{number} ({protocol} protocol)",
        caption=wording.caption(results, protocol),
        protocol=protocol,
        warning=wording.short_warning(results),
        columns=columns,
        methods=results.methods,
        titles=titles,
        seeds=seeds,
        frame=tidy(entries, results.methods, columns),
        notes=wording.footnotes(results, protocol) + (published.notes() if published is not None else []),
        experiment=results.name,
    )


def protocols_of(results: Results) -> list[str]:
    """Every protocol that the runs were measured in, the dataset's main one first."""
    found = dict.fromkeys(str(metric["protocol"]) for metric in results.first["metrics"])
    return sorted(found, key=lambda protocol: protocol not in wording.MAIN)


def stem(number: str) -> str:
    """A table's number as a file stem: "Table 4" is "table4"."""
    return "".join(letter for letter in number.lower() if letter.isascii() and letter.isalnum()) or "table1"


def row_texts(results: Results) -> tuple[dict[str, str], dict[str, str]]:
    """Row key to the name shown (with † where seeds are missing), and to "3" or "2 of 3"."""
    titles, seeds = {}, {}
    for method in results.methods:
        have, want = len(results.of(method)), results.planned(method)
        seeds[method] = str(have) if have == want else f"{have} of {want}"
        titles[method] = results.title(method) + ("" if have == want else " †")
    return titles, seeds


def columns_of(results: Results, protocol: str) -> list[Column]:
    """Metrics of the protocol, Delta_b against each baseline of the experiment, parameters."""
    columns = [
        Column(
            f"{m['task']}.{m['key']}",
            m["task"].replace("_", " ").capitalize(),
            m["title"],
            m["unit"],
            m["better"],
            m["digits"],
        )
        for m in results.first["metrics"]
        if m["protocol"] == protocol
    ]
    for baseline in results.baselines:
        title = f"vs {results.title(baseline)}"
        columns.append(Column(f"delta.{baseline}", "Δ_b", title, "%", "higher", DELTA_DIGITS))
    return [*columns, Column("parameters", "Trained", "Params", "M", "", 3)]


def _column(results: Results, protocol: str, column: Column) -> list[Entry]:
    entries = []
    for method in results.methods:
        if column.id == "parameters":
            points, reason = parameter_points(results, method), ""
        elif column.id.startswith("delta."):
            points, reason = deltas(results, method, column.id.removeprefix("delta."), protocol)
            reason = "the baseline itself" if column.id == f"delta.{method}" else reason
        else:
            points, reason = metric_points(results, method, column.id, protocol)
        if not results.of(method):
            reason = "no finished run"
        entries.append(entry_of(method, column, points, reason, fixed=column.id == f"delta.{method}"))
    return ranked(entries, column)


def ranked(entries: Sequence[Entry], column: Column) -> list[Entry]:
    """Mark the best and the second of a column, by the numbers as they are shown."""
    shown = [None if e.mean is None else float(e.shown) for e in entries]
    ranks = rank(shown, column.better) if column.better else [0] * len(entries)
    return [replace(e, rank=r) for e, r in zip(entries, ranks, strict=True)]


def entry_of(
    method: str, column: Column, points: Sequence[Point], reason: str, *, fixed: bool = False
) -> Entry:
    """Summarise a row's runs in one column; `fixed` values have no spread (a baseline against itself)."""
    if not points:
        return Entry(method, column.id, None, None, None, "n/a", "", 0, reason)
    interval = t_interval([point.value for point in points])
    several = len(points) > 1 and column.id != "parameters" and not fixed
    return Entry(
        method,
        column.id,
        interval.mean,
        interval.sd if several else None,
        interval.half_width if several else None,
        wording.number(interval.mean, column.digits, signed=column.signed),
        wording.number(interval.sd, column.digits) if several else "",
        0,
        reason,
        tuple(points),
    )


def _published(
    results: Results, protocol: str, published: Published, measured: Sequence[Column]
) -> tuple[list[Column], list[Entry]]:
    columns, entries = [], []
    named = published.columns(measured)
    for column in (column for column in measured if column.id in named):
        columns.append(replace(column, id=f"published.{column.id}", group="Published", better=""))
        columns.append(Column(f"evidence.{column.id}", "Published", "Evidence", "", "", 0))
        columns.append(Column(f"verdict.{column.id}", "Published", "Verdict", "", "", 0))
        for method in results.methods:
            judged = judge(results, method, column, protocol, published)
            reason = "" if judged.printed else "no published value could be verified"
            for key, text in (
                (f"published.{column.id}", judged.printed or "not known"),
                (f"evidence.{column.id}", judged.evidence),
                (f"verdict.{column.id}", judged.word),
            ):
                entries.append(Entry(method, key, None, None, None, text, "", 0, judged.why or reason))
    return columns, entries


def tidy(entries: Sequence[Entry], methods: Sequence[str], columns: Sequence[Column]) -> pd.DataFrame:
    """Entries as a frame, row by row and from left to right."""
    rows = {method: i for i, method in enumerate(methods)}
    places = {column.id: i for i, column in enumerate(columns)}
    ordered = sorted(entries, key=lambda e: (rows[e.method], places[e.column]))
    return pd.DataFrame([vars(entry) for entry in ordered])
