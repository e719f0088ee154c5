"""The benchmark's files, read and grouped by machine."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

from tabench.catalog import METHODS
from tabench.errors import StoreError, TabenchError
from tabench.store.encoding import read_json

BENCH_VERSION: Final = 1  # of the files, and of how they are measured
REHEARSAL = "A rehearsal: tiny models on a CPU. These numbers say nothing about any GPU."
HINT = "measure it again: `tabench bench --again`, or remove the file"
Json = dict[str, Any]


@dataclass(frozen=True)
class Measurement:
    """One job's figures."""

    content: Json  # what its file holds
    job: Json  # what was measured
    parts: Json  # the figures: "time", "memory-plain", "memory-fast"
    size: Json  # the geometry

    @property
    def precision(self) -> str:
        """Precision of the forward pass: "fp32" or "bf16"."""
        return str(self.job["precision"])

    @property
    def run_as(self) -> str:
        """Precision, and how steps are cut where that is not the harness's choice: "bf16, together"."""
        passes = str(self.job["passes"])
        return self.precision if passes == "chosen" else f"{self.precision}, {passes}"

    @property
    def kernels(self) -> Json:
        """What attention ran by on a GPU: grids, such as "64x64", to what was chosen and why."""
        found: Json = self.parts.get("time", {}).get("kernels", {})
        return found

    @property
    def images(self) -> int:
        """Images of a batch."""
        return int(self.job["batch"])

    def memory(self, way: str, work: str) -> float | None:
        """Peak over base of a path in MB; None where it is not measured or did not fit."""
        part = f"memory-{way}"
        found = (self.parts.get(part) or self.parts.get("time", {}).get(part) or {}).get(work, {})
        return None if "over_base_mb" not in found else float(found["over_base_mb"])

    def memory_share(self, work: str) -> float | None:
        """Peak over base, fast over plain; None where one is not known."""
        plain, fast = self.memory("plain", work), self.memory("fast", work)
        return fast / plain if plain and fast is not None else None

    def ran_out(self) -> list[str]:
        """What had no memory: "plain train", "fast evaluate"."""
        time = self.parts.get("time", {})
        return [
            f"{way}, {work}"
            for work, figures in time.items()
            if isinstance(figures, dict) and not work.startswith("memory-")
            for way, timed in figures.items()
            if isinstance(timed, dict) and "error" in timed
        ]


@dataclass(frozen=True)
class Machine:
    """All measurements of one machine, in the order of their sizes, batches and methods."""

    folder: str
    name: str
    measurements: list[Measurement]

    @property
    def rehearsal(self) -> bool:
        """Whether only small models were run on a CPU, to try the command."""
        return any(m.content.get("place", {}).get("rehearsal", False) for m in self.measurements)

    @property
    def weights(self) -> list[str]:
        """What was run with: "random", or by size "vit_l: SAM's own"."""
        told = {(str(m.size["name"]), str(m.parts.get("time", {}).get("weights"))) for m in self.measurements}
        own = sorted(f"{size}: {weights}" for size, weights in told if weights not in ("None", "random"))
        return [*own, "else random"] if own else ["random"]

    @property
    def warning(self) -> str:
        """What stands under every table."""
        if self.rehearsal:
            return REHEARSAL
        if self.weights == ["random"]:
            return "Random weights and images."
        return f"Random images. Weights: {', '.join(self.weights)}."

    @property
    def on_gpu(self) -> bool:
        """Whether it is a GPU, or rehearses one."""
        return self.rehearsal or any(
            str(m.content["place"]["device"]).startswith("cuda") for m in self.measurements
        )

    def of(self, kind: str, *, curve: bool = False) -> list[Measurement]:
        """The measurements of a kind, points of growth curves apart, with their times there."""
        return [
            m
            for m in self.measurements
            if m.job["kind"] == kind and bool(m.job["axis"]) == curve and "time" in m.parts
        ]


def read_machines(folder: Path) -> list[Machine]:
    """Read every measurement in `<folder>/<machine>/`; files of other formats are left alone.

    Raises StoreError: a file is damaged.
    """
    found = []
    for place in sorted(path for path in folder.glob("*") if path.is_dir()):
        read = [_read(path) for path in sorted(place.glob("*.json"))]
        known = [measurement for measurement in read if measurement is not None]
        if known:
            name = str(max(known, key=lambda m: str(m.content["measured"])).content["machine"])
            found.append(Machine(place.name, name, sorted(known, key=_order)))
    return found


def title_of(method: str) -> str:
    """A method's name in tables; its registry name where it is not installed here."""
    try:
        return METHODS.get(method).title
    except TabenchError:
        return method


def _read(path: Path) -> Measurement | None:
    content = read_json(path, HINT)
    if not isinstance(content, dict) or content.get("bench_version") != BENCH_VERSION:
        return None
    missing = [
        key for key in ("job", "parts", "size", "machine", "measured", "environment") if key not in content
    ]
    if missing:
        raise StoreError(f"misses '{missing[0]}'", where=str(path), hint=HINT)
    found = Measurement(content, content["job"], content["parts"], content["size"])
    try:
        _order(found)
        sound = isinstance(found.parts, dict) and isinstance(found.content["environment"], dict)
    except (KeyError, TypeError, ValueError, AttributeError, OverflowError):
        sound = False
    if not sound:
        raise StoreError("holds values that no measurement has", where=str(path), hint=HINT)
    return found


def _order(m: Measurement) -> tuple[Any, ...]:
    names = METHODS.names()
    method = str(m.job["method"])
    rank = names.index(method) if method in names else len(names)
    size = (int(m.size["width"]), int(m.size["depth"]), int(m.size["input"]))
    passes = str(m.job["passes"])
    return (*size, int(m.job["batch"]), m.precision, rank, method, passes, m.job["axis"], m.job["value"])
