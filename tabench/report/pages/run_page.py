"""The page of one run: everything that was recorded of it, behind every number it enters."""

from __future__ import annotations

import csv
import io
from collections.abc import Iterator, Sequence
from functools import lru_cache
from pathlib import Path

from tabench import __version__
from tabench.report.figures.pictures import Album
from tabench.report.figures.sparks import sparks
from tabench.report.pages.templating import clock, environment
from tabench.report.records import wording
from tabench.report.records.circumstances import facts
from tabench.report.records.extremes import Extremes, extremes
from tabench.report.records.reading import CellResult, Json, Results
from tabench.store.folders import ExperimentFolder, file_stem

RUNS_FILE = "tables/runs.csv"
EVENTS = 200  # the last events of a journal that a page shows
KIN = 40  # other runs of the same row that a page links to
_HEAD = (
    *("started", "finished", "wall_s", "train_s", "eval_s", "device", "threads", "processes"),
    *("peak_rss_mb", "peak_gpu_mb"),
)


class RunPages:
    """The pages of an experiment's runs: of all, or of the listed ones where there are very many.

    Args:
        results: What was run.
        album: Takes the pictures that pages show.
        overview: Whether the overview of all experiments lies two folders up.
    """

    def __init__(self, results: Results, album: Album, overview: bool = False) -> None:
        self.results, self.album, self.overview = results, album, overview
        self._warnings = wording.warning(results), wording.short_warning(results)
        metrics = results.first["metrics"]
        self._protocol = str(metrics[0]["protocol"]) if metrics else ""
        self._kin: dict[str, list[CellResult]] = {}
        for cell in results.listed:
            self._kin.setdefault(cell.method, []).append(cell)

    def pages(self) -> Iterator[tuple[str, str]]:
        """Cell id and page, one after the other: thousands of them are never held at once."""
        cells = [None, *self.results.listed, None]
        for before, cell, after in zip(cells, cells[1:], cells[2:], strict=False):
            assert cell is not None
            yield cell.id, self._page(cell, before, after)

    def _page(self, cell: CellResult, before: CellResult | None, after: CellResult | None) -> str:
        record, whole = cell.record, cell.whole() if cell.record else {}
        placed = extremes(whole) if whole else []
        pictures = _Pictures(self.results, self.album, cell)
        journal, known = cell.journal, facts(cell.run)
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
            unrepeated=wording.unrepeated(record) if record else "",
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


class _Pictures:
    """A run's pictures as its page's template reads them; one that was not saved is ""."""

    def __init__(self, results: Results, album: Album, cell: CellResult) -> None:
        self.results, self.album, self.cell = results, album, cell
        self.folder = cell.folder / "pictures"
        # one look into the folder instead of one at every file
        self.names = {path.name for path in self.folder.iterdir()} if self.folder.is_dir() else set()

    def images(self, placed: Sequence[Extremes]) -> list[tuple[str, str, list[Json]]]:
        """Id, input and one shot a task of every image that the record names."""
        found = []
        for picture in self.cell.record["pictures"]:
            image, shots = str(picture["id"]), []
            for task, files in picture["files"].items():
                place = next((e.of(image) for e in placed if e.task == task), None)
                text = f"{place.texts[0]}, place {place.place} of {place.of}" if place else ""
                saved = {"prediction": self._saved(files["pred"]), "error": self._saved(files["error"])}
                shots.append({"task": task, "truth": self._shared(image, task), "place": text, **saved})
            found.append((image, self._shared(image, "input"), shots))
        return found

    def ends(self, task: Extremes) -> Json:
        """A task's best and worst images, and what else to look at where none of them has a picture."""
        rows = []
        for place in task.ends:
            prediction = self._saved(f"{file_stem(place.image)}.{task.task}.pred.png")
            names = {"input": "input", "truth": task.task}
            kept = {key: self._shared(place.image, what) if prediction else "" for key, what in names.items()}
            rows.append({"at": place, "prediction": prediction, **kept})
        pictured = any(row["prediction"] for row in rows)
        known = (task.of(str(picture["id"])) for picture in self.cell.record["pictures"])
        places = sorted((place for place in known if place is not None), key=lambda place: place.place)
        best, worst = (places[0], places[-1]) if places and not pictured else (None, None)
        return {"of": task, "rows": rows, "pictured": pictured, "best": best, "worst": worst}

    def _saved(self, name: str) -> str:
        return self.album.link(self.folder / name) if name in self.names else ""

    def _shared(self, image: str, what: str) -> str:
        return self.album.link(_truth(self.results.root, self.results.name, self.cell.content, image, what))


@lru_cache(maxsize=4096)
def _truth(root: Path, name: str, data: str, image: str, what: str) -> Path:
    """A picture's place; all runs of an experiment ask for the same few."""
    return ExperimentFolder(root, name).truth_picture(data, image, what)


def _metrics(record: Json) -> list[Json]:
    """One row a metric: its names, its text in every protocol, and what the task said about it."""
    rows: dict[tuple[str, str], Json] = {}
    for m in record["metrics"]:
        fresh = {key: m[key] for key in ("task", "title", "unit", "better")} | {"in": {}, "notes": []}
        row = rows.setdefault((m["task"], m["key"]), fresh)
        text = wording.number(m["value"], m["digits"]) if m["value"] is not None else "n/a"
        row["in"][m["protocol"]] = (text, m["version"])
        row["notes"] += [f"{m['protocol']}: {note}" for note in m["notes"]]
    return list(rows.values())


def _line(event: Json) -> str:
    """A journal's line without the values that stand in the curves."""
    time = event.get("t")
    left_out = ("t", "event", "values", "terms")
    rest = "".join(f" {key}={value}" for key, value in event.items() if key not in left_out)
    shown = time or ""
    if isinstance(time, int | float):
        try:
            shown = clock(time)
        except (OverflowError, ValueError, OSError):  # a time that no calendar has
            shown = str(time)
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
