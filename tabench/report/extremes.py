"""A run's best and worst images, by the values that its record keeps for every image."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from tabench.report import wording
from tabench.report.reading import Json

SHOWN = 3


@dataclass(frozen=True)
class Place:
    """One image in one task.

    Attributes:
        image: Image id.
        place: 1 is the best.
        of: Images that have a value.
        texts: The task's metrics as printed, in order; "n/a" where one is undefined.
    """

    image: str
    place: int
    of: int
    texts: tuple[str, ...]


@dataclass(frozen=True)
class Extremes:
    """A task's images in order of its first metric.

    Attributes:
        task: Task name.
        headings: The metrics' names with units.
        places: All images with a value, best first.
    """

    task: str
    headings: tuple[str, ...]
    places: Sequence[Place]

    @property
    def ends(self) -> list[Place]:
        """The best and the worst few, or all if they are few."""
        if len(self.places) <= 2 * SHOWN:
            return list(self.places)
        return [*self.places[:SHOWN], *self.places[-SHOWN:]]

    def of(self, image: str) -> Place | None:
        """Where an image stands."""
        return next((place for place in self.places if place.image == image), None)


def extremes(record: Json) -> list[Extremes]:
    """Order the images of every task that has values for each image."""
    ids: Sequence[str] = record["per_image"]["ids"]
    found = []
    for task, values in record["per_image"]["values"].items():
        metrics = _metrics(record, task, values)
        if not metrics:
            continue
        key, better = metrics[0]["key"], metrics[0]["better"]
        ranked = [i for i, value in enumerate(values[key]) if value is not None and math.isfinite(value)]
        ranked.sort(key=lambda i: (values[key][i] if better == "lower" else -values[key][i], ids[i]))
        places = [
            Place(ids[i], n, len(ranked), tuple(_text(values[m["key"]][i], m["digits"]) for m in metrics))
            for n, i in enumerate(ranked, 1)
        ]
        headings = tuple(f"{m['title']}{' (' + m['unit'] + ')' if m['unit'] else ''}" for m in metrics)
        found.append(Extremes(task, headings, places))
    return found


def _metrics(record: Json, task: str, values: Mapping[str, object]) -> list[Json]:
    """The task's metrics that have a value for each image, in the record's order."""
    known: dict[str, Json] = {}
    for metric in record["metrics"]:
        if metric["task"] == task and metric["key"] in values:
            known.setdefault(metric["key"], metric)
    return list(known.values())


def _text(value: float | None, digits: int) -> str:
    return "n/a" if value is None or not math.isfinite(value) else wording.number(value, digits)
