"""A run's best and worst images, by the values that its record keeps for every image."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from tabench.report.records import wording
from tabench.report.records.reading import Json

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
        metrics: The task's metrics with a value for each image, in the record's order.
        ids: Image ids.
        values: Metric key to one value an image.
        order: Indices of the images that have a value, best first.
    """

    task: str
    metrics: Sequence[Json]
    ids: Sequence[str]
    values: Mapping[str, Sequence[float | None]]
    order: Sequence[int]

    @property
    def headings(self) -> list[str]:
        """The metrics' names with units."""
        return [f"{m['title']}{' (' + m['unit'] + ')' if m['unit'] else ''}" for m in self.metrics]

    @property
    def ends(self) -> list[Place]:
        """The best and the worst few, or all if they are few."""
        places = list(range(len(self.order)))
        if len(places) > 2 * SHOWN:
            places = places[:SHOWN] + places[-SHOWN:]
        return [self._place(place) for place in places]

    def of(self, image: str) -> Place | None:
        """Where an image stands."""
        found = (place for place, i in enumerate(self.order) if self.ids[i] == image)
        return next((self._place(place) for place in found), None)

    def _place(self, place: int) -> Place:
        i = self.order[place]
        texts = tuple(_text(self.values[m["key"]][i], m["digits"]) for m in self.metrics)
        return Place(self.ids[i], place + 1, len(self.order), texts)


def extremes(record: Json) -> list[Extremes]:
    """Order the images of every task that has values for each image."""
    ids: Sequence[str] = record["per_image"]["ids"]
    found = []
    for task, values in record["per_image"]["values"].items():
        metrics = _metrics(record, task, values)
        if not metrics:
            continue
        firsts, sign = values[metrics[0]["key"]], 1 if metrics[0]["better"] == "lower" else -1
        order = [i for i, value in enumerate(firsts) if value is not None and math.isfinite(value)]
        order.sort(key=lambda i, firsts=firsts, sign=sign: (sign * firsts[i], ids[i]))  # type: ignore[misc]
        found.append(Extremes(task, metrics, ids, values, order))
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
