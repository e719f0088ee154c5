"""A run's costs, gathered from its own events: they end up in run.json under "cost"."""

from __future__ import annotations

import math
import statistics
import time
from collections.abc import Callable, Mapping
from typing import Any

from tabench.events import Evaluated, Evaluating, Event, FinallyEvaluated, Step, UnitCost, Validated

Json = dict[str, Any]


class Meter:
    """Takes in a run's events and adds up what they tell about cost.

    Goes on from `earlier`, the "cost" of run.json as an earlier attempt left it. `whole` says whether all
    of them wrote it: a killed one did not, and its energy is lost. `energy` reads a running total in joules,
    None where nothing tells; `now` a clock in seconds.
    """

    def __init__(
        self,
        batch_size: int,
        earlier: Mapping[str, Any],
        *,
        whole: bool = True,
        energy: Callable[[], float | None] = lambda: None,
        now: Callable[[], float] = time.monotonic,
    ) -> None:
        self.batch_size = batch_size
        self.pace: dict[str, Json] = {unit: dict(seen) for unit, seen in earlier.get("pace", {}).items()}
        self.units: list[Json] = []
        self.measuring = 0.0
        self._energy, self._before = energy, energy()
        self._spent = float(earlier.get("energy_j") or 0.0) if whole else None
        self._now = now
        self._unit = ""
        self._stepped = self._heard = now()
        self._away = 0.0  # seconds since the last step that were not training
        self._images = 0

    def on_event(self, event: Event) -> None:
        """Take in an event; those that say nothing about cost are passed over."""
        time_of = self._now()
        match event:
            case Step():
                self._step(event.unit, time_of)
            case Evaluated():
                self._away += event.seconds
            case Validated():  # it tells no time of its own, but the events around it do
                self._away += time_of - self._heard
            case Evaluating():
                self._images = event.of
            case FinallyEvaluated():
                pace = self.pace.setdefault(event.unit, {})
                pace |= {"eval_images": self._images, "eval_s": round(event.seconds, 4)}
            case UnitCost():
                self.units.append(event.facts())
                self.measuring += event.seconds
        self._heard = time_of

    def _step(self, unit: str, time_of: float) -> None:
        if unit == self._unit:  # a unit's first step also reads, builds and warms up
            pace = self.pace.setdefault(unit, {})
            pace["train_images"] = pace.get("train_images", 0) + self.batch_size
            pace["train_s"] = round(pace.get("train_s", 0.0) + time_of - self._stepped - self._away, 4)
        self._unit, self._stepped, self._away = unit, time_of, 0.0

    def cost(self) -> Json:
        """The costs so far, of one image through all models of the cell; what is not known is None.

        "latency_s" and "latency_spread_s" are median and range; rates count an image once all models have
        seen it; "energy_j" is of the GPU over all attempts.
        """
        times = [unit["latency_s"] for unit in self.units if unit["latency_s"]]
        latency = [sum(parts) for parts in zip(*times, strict=False)] if len(times) == len(self.units) else []
        readings = (self._spent, self._energy(), self._before)
        spent, after, before = (math.nan if joules is None else joules for joules in readings)
        used = spent + after - before
        return {
            **{key: self._sum(key) for key in ("train_flops", "inference_flops", "stored", "weights_bytes")},
            "models": len(self.units) or None,
            "latency_s": round(statistics.median(latency), 6) if latency else None,
            "latency_spread_s": round(max(latency) - min(latency), 6) if latency else None,
            "latency_repeats": len(latency),
            "train_images_per_s": self._rate("train"),
            "eval_images_per_s": self._rate("eval"),
            "energy_j": None if math.isnan(used) else round(used, 1),
            "measuring_s": round(self.measuring, 3),
            "problems": [f"{unit['unit']}: {text}" for unit in self.units for text in unit["problems"]],
            "pace": self.pace,
        }

    def _sum(self, key: str) -> int | None:
        values = [unit[key] for unit in self.units]
        return sum(values) if values and None not in values else None

    def _rate(self, what: str) -> float | None:
        """Images a second through all models, one after the other."""
        seconds = 0.0
        for unit in self.units:
            pace = self.pace.get(unit["unit"], {})
            if not pace.get(f"{what}_images") or not pace.get(f"{what}_s"):
                return None
            seconds += pace[f"{what}_s"] / pace[f"{what}_images"]
        return round(1 / seconds, 3) if seconds else None
