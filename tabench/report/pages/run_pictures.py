"""The pictures of one run's page: the saved images, and the best and worst ones."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property, lru_cache
from pathlib import Path

from tabench.report.figures.pictures import Album
from tabench.report.records.extremes import Extremes, Place
from tabench.report.records.reading import CellResult, Results
from tabench.store.folders import ExperimentFolder, file_stem


@dataclass(frozen=True)
class Shot:
    """A saved image in one task; a picture that was not saved is ""."""

    task: str
    truth: str
    prediction: str
    error: str
    place: str


@dataclass(frozen=True)
class End:
    """One of a task's best or worst images; a picture that was not saved is ""."""

    at: Place
    input: str
    truth: str
    prediction: str


@dataclass(frozen=True)
class Ends:
    """A task's best and worst images.

    Attributes:
        of: The task's images in order.
        rows: The images shown.
        best: Where no shown image has a picture, the best of those that have one.
        worst: And the worst of them.
    """

    of: Extremes
    rows: Sequence[End]
    best: Place | None
    worst: Place | None

    @property
    def pictured(self) -> bool:
        """Whether any of the images shown has a picture."""
        return any(end.prediction for end in self.rows)


@dataclass(frozen=True)
class RunPictures:
    """Finds a run's pictures and hands them to the album of all pages."""

    results: Results
    album: Album
    cell: CellResult

    def images(self, placed: Sequence[Extremes]) -> list[tuple[str, str, list[Shot]]]:
        """Id, input and one shot a task of every image that the record names."""
        found = []
        for picture in self.cell.record["pictures"]:
            image, shots = str(picture["id"]), []
            for task, files in picture["files"].items():
                place = next((e.of(image) for e in placed if e.task == task), None)
                text = f"{place.texts[0]}, place {place.place} of {place.of}" if place else ""
                prediction, error = self._saved(files["pred"]), self._saved(files["error"])
                shots.append(Shot(task, self._shared(image, task), prediction, error, text))
            found.append((image, self._shared(image, "input"), shots))
        return found

    def ends(self, task: Extremes) -> Ends:
        """A task's best and worst images, and what else to look at where none of them has a picture."""
        rows = []
        for place in task.ends:
            prediction = self._saved(f"{file_stem(place.image)}.{task.task}.pred.png")
            shown = self._shared(place.image, "input") if prediction else ""
            truth = self._shared(place.image, task.task) if prediction else ""
            rows.append(End(place, shown, truth, prediction))
        known = (task.of(str(picture["id"])) for picture in self.cell.record["pictures"])
        places = sorted((place for place in known if place is not None), key=lambda place: place.place)
        lacking = bool(places) and not any(end.prediction for end in rows)
        return Ends(task, rows, *((places[0], places[-1]) if lacking else (None, None)))

    @cached_property
    def _names(self) -> frozenset[str]:
        """Files there: one look into the folder instead of one at every file."""
        folder = self.cell.folder / "pictures"
        return frozenset(path.name for path in folder.iterdir()) if folder.is_dir() else frozenset()

    def _saved(self, name: str) -> str:
        return self.album.link(self.cell.folder / "pictures" / name) if name in self._names else ""

    def _shared(self, image: str, what: str) -> str:
        place = _truth(self.results.root, self.results.name, self.cell.content, image, what)
        return self.album.link(place)


@lru_cache(maxsize=4096)
def _truth(root: Path, name: str, data: str, image: str, what: str) -> Path:
    """A picture's place; all runs of an experiment ask for the same few."""
    return ExperimentFolder(root, name).truth_picture(data, image, what)
