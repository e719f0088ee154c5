"""The page of one run: everything that was recorded of it, behind every number it enters."""

from __future__ import annotations

import csv
import io
from collections.abc import Iterator
from dataclasses import dataclass
from functools import cached_property

from tabench import __version__
from tabench.report.figures.pictures import Album
from tabench.report.figures.sparks import sparks
from tabench.report.pages.run_pictures import RunPictures
from tabench.report.pages.templating import clock, environment
from tabench.report.records import wording
from tabench.report.records.circumstances import facts
from tabench.report.records.extremes import extremes
from tabench.report.records.reading import CellResult, Json, Results

RUNS_FILE = "tables/runs.csv"
EVENTS = 200  # the last events of a journal that a page shows
KIN = 40  # other runs of the same row that a page links to
_HEAD = (
    "started",
    "finished",
    "wall_s",
    "train_s",
    "eval_s",
    "device",
    "threads",
    "processes",
    "peak_rss_mb",
    "peak_gpu_mb",
)


@dataclass(frozen=True)
class RunPages:
    """The pages of an experiment's runs: of all, or of the listed ones where there are very many.

    Attributes:
        results: What was run.
        album: Takes the pictures that pages show.
        overview: Whether the overview of all experiments lies two folders up.
    """

    results: Results
    album: Album
    overview: bool = False

    def pages(self) -> Iterator[tuple[str, str]]:
        """Cell id and page, one after the other: thousands of them are never held at once."""
        cells = self.results.listed
        for i, cell in enumerate(cells):
            yield (
                cell.id,
                self._page(cell, cells[i - 1] if i else None, cells[i + 1] if i + 1 < len(cells) else None),
            )

    @cached_property
    def _kin(self) -> dict[str, list[CellResult]]:
        """Row key to its runs."""
        kin: dict[str, list[CellResult]] = {}
        for cell in self.results.listed:
            kin.setdefault(cell.method, []).append(cell)
        return kin

    @cached_property
    def _protocol(self) -> str:
        return str(self.results.first["metrics"][0]["protocol"]) if self.results.first["metrics"] else ""

    @cached_property
    def _warnings(self) -> tuple[str, str]:
        return wording.warning(self.results), wording.short_warning(self.results)

    def _page(self, cell: CellResult, before: CellResult | None, after: CellResult | None) -> str:
        record, whole = cell.record, cell.whole() if cell.record else {}
        placed = extremes(whole) if whole else []
        journal = cell.journal
        pictures = RunPictures(self.results, self.album, cell)
        known = facts(cell.run)
        warning, short_warning = self._warnings
        return environment().get_template("run.html.j2").render(
            results=self.results,
            cell=cell,
            title=self.results.title(cell.method),
            kin=self._kin[cell.method][:KIN],
            before=before,
            after=after,
            overview=self.overview,
            warning=warning,
            short_warning=short_warning,
            protocols=list(dict.fromkeys(m["protocol"] for m in record["metrics"])) if record else [],
            metrics=_metrics(record) if record else [],
            sparks=sparks(whole, self._protocol) if whole else [],
            spark_protocol=self._protocol,
            extremes=[pictures.ends(task) for task in placed],
            images=pictures.images(placed) if record else [],
            circumstances={key: known.pop(key) for key in _HEAD if key in known} | known,
            journal="".join(_line(event) for event in journal[-EVENTS:]),
            left_out=max(0, len(journal) - EVENTS),
            version=__version__,
        )  # fmt: skip


def _metrics(record: Json) -> list[Json]:
    """One row a metric: its names, its text in every protocol, and what the task said about it."""
    rows: dict[tuple[str, str], Json] = {}
    for m in record["metrics"]:
        fresh = {
            "task": m["task"],
            "title": m["title"],
            "unit": m["unit"],
            "better": m["better"],
            "in": {},
            "notes": [],
        }
        row = rows.setdefault((m["task"], m["key"]), fresh)
        text = wording.number(m["value"], m["digits"]) if m["value"] is not None else "n/a"
        row["in"][m["protocol"]] = (text, m["version"])
        row["notes"] += [f"{m['protocol']}: {note}" for note in m["notes"]]
    return list(rows.values())


def _clock(time: float) -> str:
    try:
        return clock(time)
    except (OverflowError, ValueError, OSError):  # a time that no calendar has
        return str(time)


def _line(event: Json) -> str:
    """A journal's line without the values that stand in the curves."""
    time = event.get("t")
    shown = _clock(time) if isinstance(time, int | float) else time or ""
    left_out = ("t", "event", "values", "terms")
    rest = "".join(f" {key}={value}" for key, value in event.items() if key not in left_out)
    return f"{shown} {event.get('event', '')}{rest}\n"


def runs_csv(results: Results) -> str:
    """Every run of the experiment, one a line: what the page's list leaves out."""
    text = io.StringIO()
    lines = csv.writer(text, lineterminator="\n")
    lines.writerow(["run", "row", "seed", "state", "wall_s", "failure"])
    for cell in results.cells:
        seed = "" if cell.seed is None else cell.seed
        wall, failure = cell.run.get("wall_s"), cell.failure.get("kind", "")
        row = [cell.id, results.title(cell.method), seed, cell.state, "" if wall is None else wall, failure]
        lines.writerow(row)
    return text.getvalue()
