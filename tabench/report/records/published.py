"""Values printed in papers, as far as they could be verified, with the evidence for each."""

from __future__ import annotations

import csv
import io
import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import takewhile
from pathlib import Path
from typing import Protocol

import pandas as pd

from tabench.catalog import DATASETS, METHODS, TASKS
from tabench.errors import SpecError
from tabench.report.records.printed import near_metric, plain, printed_metric, wrong_unit
from tabench.report.records.reading import Results
from tabench.spec.experiment import read_values
from tabench.stats.seeds import default_tolerance
from tabench.store.folders import ExperimentFolder
from tabench.text import nearest, suggestion

COLUMNS = ("paper", "table", "dataset", "setting", "method", "metric", "value", "evidence", "source")
OPTIONAL = ("tolerance", "other")
EVIDENCE = ("primary", "secondary")  # read in the paper or its code; quoted by somebody else
BENCHMARKS = ("nyuv2", "cityscapes", "pascal_context")
# Names that papers give to methods of this package (the successor calls TA-LoRA "ToRA").
ALIASES = {"tora": "ta-lora", "talora": "ta-lora"}


class _Measured(Protocol):
    @property
    def id(self) -> str: ...
    @property
    def title(self) -> str: ...


@dataclass(frozen=True)
class Value:
    """One published value of a method of this package.

    Attributes:
        printed: As printed.
        tolerance: Largest difference that counts as agreement, in the metric's unit.
        given: Whether the file gives that tolerance; otherwise the default rule does.
        evidence: "primary" or "secondary".
        place: Paper, table and setting, one text.
    """

    printed: str
    tolerance: float
    given: bool
    evidence: str
    place: str


@dataclass(frozen=True)
class Published:
    """The rows of a published-numbers file.

    Attributes:
        frame: Columns as in the file, and `row`: the method's registry name or "".
        source: The file's name, for messages and notes.
    """

    frame: pd.DataFrame
    source: str

    def of_dataset(self, dataset: str) -> Published:
        """Only the rows of one dataset."""
        return Published(self.frame[self.frame["dataset"] == dataset], self.source)

    def ours(self) -> Published:
        """Only the rows of methods that the experiment has."""
        return Published(self.frame[self.frame["row"] != ""], self.source)

    def others(self) -> Published:
        """Only the rows of other models."""
        return Published(self.frame[self.frame["row"] == ""], self.source)

    def columns(self, measured: Sequence[_Measured]) -> list[str]:
        """Ids of measured columns that at least one row of an own method speaks about, in table order."""
        return [c.id for c in measured if any(_same(metric, c) for metric in self.ours().frame["metric"])]

    def find(self, method: str, column: _Measured) -> Value | None:
        """A method's published value; the first of the file if there are several, None if there is none."""
        mine = self.frame[self.frame["row"] == method]
        mine = mine[[_same(str(metric), column) for metric in mine["metric"]]]
        if mine.empty:
            return None
        row = mine.iloc[0]
        given = str(row["tolerance"])
        tolerance = float(given) if given else default_tolerance(str(row["value"]))
        place = f"{row['paper']}, {row['table']} ({row['setting']})"
        return Value(str(row["value"]), tolerance, bool(given), str(row["evidence"]), place)

    def notes(self) -> list[str]:
        """Where the values of own methods come from, one line a source."""
        lines = []
        for (paper, source, evidence), rows in self.ours().frame.groupby(
            ["paper", "source", "evidence"], sort=False
        ):
            names = ", ".join(
                dict.fromkeys(
                    f"{m} ({metric})" for m, metric in zip(rows["method"], rows["metric"], strict=True)
                )
            )
            lines.append(f"Published, {evidence} evidence: {paper}, {source}: {names}.")
        return lines


def read_published(results: Results, path: Path | None = None) -> Published | None:
    """Read the published values of an experiment; None if it names none, or none are at hand (see `lacking`).

    They are taken from `path`, else from the copy that the last run put beside its records, else from a file
    beside the results folder.

    Args:
        results: Name the file relative to the experiment's own (`report.published`), and hold the copy.
        path: The file itself, where the caller knows the experiment's file.

    Raises:
        SpecError: The file is missing, a column is, or a row cannot be used; names the file, the line and
            what to write.
    """
    named, kept = _named(results), results.experiment.get("published")
    if path is None and not kept:
        path = _beside(results, named)
    if path is not None and (path.is_file() or not kept or path.name != Path(named).name):
        rows, source = read_rows(path, [_dataset(results)]), path.name
    elif kept:
        where = f"{named} as kept in {ExperimentFolder(results.root, results.name).experiment_json}"
        rows, source = _rows(str(kept), where, [_dataset(results)]), Path(named).name
    else:
        return None
    known = {plain(text): m for m in results.methods for text in (m, results.title(m))} | ALIASES
    for row in rows:
        row["row"] = known.get(plain(row["method"].rpartition("+")[2]), "")
        _check_names(row, results, [*known, *map(plain, METHODS.names())])
    return Published(pd.DataFrame(rows, columns=[*COLUMNS, *OPTIONAL, "row"]), source)


def lacking(results: Results, published: Published | None) -> str:
    """What to say of published values that the experiment names and that are not at hand; "" if none lack."""
    named = _named(results)
    if published is not None or not named:
        return ""
    return (
        f"Published values are missing here: the experiment names {named}, and neither that file nor a copy "
        "beside the records is at hand. `tabench report FILE.toml` with the experiment's file shows them."
    )


def _named(results: Results) -> str:
    return str(results.report.get("published") or "")


def _dataset(results: Results) -> str:
    return str(results.first["data"]["name"])


def _beside(results: Results, named: str) -> Path | None:
    """The named file in the experiments folder here or beside the results folder."""
    places = (Path("experiments"), results.root.parent / "experiments", Path())
    return next((place / named for place in places if named and (place / named).is_file()), None)


def read_rows(path: Path, datasets: Sequence[str] = ()) -> list[dict[str, str]]:
    """The checked rows of a file of published values, blanks around every entry removed.

    Args:
        path: The file.
        datasets: Datasets that are known besides those that are installed here.

    Raises:
        SpecError: See `read_published`.
    """
    return _rows(read_values(path), str(path), datasets)


def _rows(text: str, source: str, datasets: Sequence[str]) -> list[dict[str, str]]:
    """The same of a text; each row has its "line" as well."""
    try:
        reader = csv.DictReader(io.StringIO(text, newline=""))
        _check_columns(reader.fieldnames or [], source)
        rows, seen = [], dict[tuple[str, ...], int]()
        for found in reader:
            where = f"{source}, line {reader.line_num}"
            row = {key: _entry(found, key, where) for key in (*COLUMNS, *OPTIONAL)}
            _check(row, where, datasets)
            same = tuple(row[key] for key in ("paper", "table", "dataset", "setting", "method", "metric"))
            if same in seen:
                raise SpecError(
                    f"{row['method']}, {row['metric']} stands in line {seen[same]} already",
                    where=where,
                    hint="remove one of the two lines, or tell them apart by their setting",
                )
            seen[same] = reader.line_num
            rows.append({**row, "where": where})
    except csv.Error as error:
        raise SpecError(f"not a CSV file: {error}", where=source) from error
    return rows


def _check_names(row: Mapping[str, str], results: Results, methods: Sequence[str]) -> None:
    """Refuse a metric that its task does not have, and a method that is nearly one that is known.

    Rows of other models are welcome, so a method's name may be any but for one slip of the pen.
    """
    task, _, key = row["metric"].rpartition(".")
    measured = {m["key"] for m in results.first["metrics"] if m["task"] == task}
    if measured and key not in measured and printed_metric(row["metric"]) is None:
        hint = suggestion(row["metric"], [f"{task}.{one}" for one in sorted(measured)], "it has")
        raise SpecError(f"task '{task}' has no metric '{key}'", where=row["where"], hint=hint)
    name = plain(row["method"].rpartition("+")[2])
    if row["row"] or row["other"] or name in methods:
        return
    close = next((known for known in methods if len(known) > 4 and one_slip(name, known)), None)
    if close:
        meant = next((m for m in (*METHODS.names(), *results.methods) if plain(m) == close), close)
        raise SpecError(
            f"unknown method '{row['method']}'",
            where=row["where"],
            hint=f"did you mean '{meant}'? If it is another model, write yes in a column 'other' of its line",
        )


def one_slip(one: str, other: str) -> bool:
    """Whether two names differ by one letter too many, too few or wrong, or by two in the other order."""
    for _ in range(2):  # what both begin with goes, then what both end with
        start = sum(1 for _ in takewhile(lambda pair: pair[0] == pair[1], zip(one, other, strict=False)))
        one, other = one[start:][::-1], other[start:][::-1]
    return max(len(one), len(other)) == 1 or (len(one) == len(other) == 2 and one == other[::-1])


def _check_columns(names: Sequence[str], source: str) -> None:
    known = (*COLUMNS, *OPTIONAL)
    columns = f"columns: {', '.join(COLUMNS)} and, if you like, {', '.join(OPTIONAL)}"
    for name in names:
        if name not in known:
            close = nearest(name, known)
            raise SpecError(
                f"unknown column '{name}'",
                where=f"{source}, line 1",
                hint=f"did you mean '{close}'?" if close else columns,
            )
    for name in COLUMNS:
        if name not in names:
            raise SpecError(f"column '{name}' is missing", where=f"{source}, line 1", hint=columns)


def _entry(found: Mapping[str | None, str | None], key: str, where: str) -> str:
    if None in found:
        raise SpecError(
            "more entries than columns", where=where, hint='put an entry with a comma in quotes: "a, b"'
        )
    text = found.get(key)
    if text is None and key not in OPTIONAL:
        raise SpecError(f"fewer entries than columns: no '{key}'", where=where, hint="add the missing commas")
    return (text or "").strip()


def _check(row: Mapping[str, str], where: str, known: Sequence[str]) -> None:
    for key in ("paper", "dataset", "method", "metric", "value", "source"):
        if not row[key]:
            raise SpecError(f"'{key}' is empty", where=where, hint="a value without it cannot be traced")
    datasets = sorted({*BENCHMARKS, *DATASETS.names(), *known})
    if row["dataset"] not in datasets:
        hint = suggestion(row["dataset"], datasets, "known datasets")
        raise SpecError(f"unknown dataset '{row['dataset']}'", where=where, hint=hint)
    metric = printed_metric(row["metric"])
    if metric is None and row["metric"].partition(".")[0] not in TASKS.names():  # "task.key" of any task
        raise SpecError(f"unknown metric '{row['metric']}'", where=where, hint=near_metric(row["metric"]))
    value = _number(row["value"], "value", where)
    if metric is not None and (why := wrong_unit(value, metric, row["dataset"])):
        raise SpecError(f"{row['metric']} = {row['value']} is in the wrong unit", where=where, hint=why)
    if row["tolerance"] and _number(row["tolerance"], "tolerance", where) < 0:
        raise SpecError(
            f"tolerance {row['tolerance']} is negative",
            where=where,
            hint="write 0 or more, or leave it empty",
        )
    if row["other"] not in ("", "yes"):
        raise SpecError(
            f"other '{row['other']}' is neither empty nor yes",
            where=where,
            hint="yes: a model of another name, however alike; else leave it empty",
        )
    if row["evidence"] not in EVIDENCE:
        raise SpecError(
            f"evidence '{row['evidence']}' is neither primary nor secondary",
            where=where,
            hint="primary: you read it in the paper or its code; secondary: somebody else quotes it",
        )


def _number(text: str, key: str, where: str) -> float:
    try:
        number = float(text)
    except ValueError:
        number = math.nan
    if not math.isfinite(number):
        raise SpecError(
            f"{key} '{text}' is not a number", where=where, hint="write digits with a decimal point: 52.1"
        )
    return number


def _same(metric: str, column: _Measured) -> bool:
    """Whether a printed name, or the column's own, means a measured column ("depth.abs_err")."""
    task, _, key = column.id.rpartition(".")
    if metric == column.id:
        return True
    found = printed_metric(metric)
    return found is not None and task in found.tasks and key in found.keys
