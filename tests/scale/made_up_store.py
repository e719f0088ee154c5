"""A results folder of thousands of made-up runs: the shipped records with other seeds and other values.

No value in it was measured, and its title and data say so. Shapes, sizes and files are those of real runs.
"""

from __future__ import annotations

import argparse
import copy
import hashlib
import json
import os
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from tabench.spec.cell import Cell

REFERENCE = Path(__file__).parents[2] / "results" / "reference" / "nyuv2"
LONG_AGO = 1_700_000_000  # seconds since 1970; an index keeps what has not changed lately
TITLE = "Made-up runs: no value here was measured"


@dataclass(frozen=True)
class Base:
    """A shipped run that made-up ones are copied from."""

    folder: Path
    record: dict[str, Any]
    sums: dict[str, str]

    @classmethod
    def read(cls, folder: Path) -> Base:
        """Read a cell's folder."""
        record, sums = (
            json.loads((folder / f"{name}.json").read_bytes()) for name in ("record", "checksums")
        )
        return cls(folder, record, sums)


@dataclass(frozen=True)
class Shape:
    """What is made up.

    Attributes:
        cells: About how many cells; a whole number of seeds for each row.
        images: Evaluated images, each with a value a metric.
        epochs: Epochs in the curves.
        rows: Rows of the table: seven methods, and beyond them variants of TA-LoRA.
        done: Share of cells with a record.
        pictures: Whether each run has the pictures of the shipped one (as hard links).
    """

    cells: int = 20_000
    images: int = 48
    epochs: int = 6
    rows: int = 7
    done: float = 1.0
    pictures: bool = False

    @property
    def seeds(self) -> int:
        """Seeds of each row."""
        return max(1, -(-self.cells // self.rows))


def make(results: Path, shape: Shape) -> Path:
    """Write an experiment named "nyuv2" of this shape; its folder.

    The cells are those that `tabench plan nyuv2 --profile demo --set axes.seeds=[...]` expands to.
    """
    folder = results / "nyuv2"
    folder.mkdir(parents=True)
    plan = json.loads((REFERENCE / "experiment.json").read_bytes())
    bases = {label: Base.read(REFERENCE / cell_id) for cell_id, label in plan["cells"].items()}
    labels: dict[str, str] = {}
    for n, (base, label, cell) in enumerate(_cells(bases, shape)):
        labels[cell.id] = label
        if n < shape.done * shape.seeds * shape.rows:
            _write(folder / cell.id, base, label, cell, shape, np.random.default_rng([n, 7]))
    about = plan | {"title": TITLE, "note": "Copies of the shipped runs with values drawn at random."}
    (folder / "experiment.json").write_text(json.dumps(about | {"cells": labels}))
    if shape.pictures:
        for source in sorted((REFERENCE / "truth").glob("*/*.png")):
            _link(source, folder / source.relative_to(REFERENCE))
    return folder


def _cells(bases: dict[str, Base], shape: Shape) -> Iterator[tuple[Base, str, Cell]]:
    methods = list(dict.fromkeys(label.partition(" ")[0] for label in bases))
    rows: list[tuple[str, dict[str, Any]]] = [(method, {}) for method in methods[: shape.rows]]
    rows += [("ta-lora", {"orthogonality": (n + 2) / 1000}) for n in range(shape.rows - len(methods))]
    for method, params in rows:
        for seed in range(shape.seeds):
            base = bases[f"{method} s{seed % 3}"]
            content = copy.deepcopy(base.record["cell"])
            content["seed"] = seed
            content["method"]["params"] |= params
            shown = f" (orthogonality={params['orthogonality']})" if params else ""
            yield base, f"{method}{shown} s{seed}", Cell.model_validate(content)


def _write(home: Path, base: Base, label: str, cell: Cell, shape: Shape, rng: np.random.Generator) -> None:
    home.mkdir()
    text = json.dumps(_record(base.record, label, cell, shape, rng)).encode()
    sums = {name: text for name, text in base.sums.items() if shape.pictures or not name.startswith("pict")}
    sums["record.json"] = hashlib.sha256(text).hexdigest()
    files = {"record.json": text, "checksums.json": json.dumps(sums).encode()}
    for name in ("run.json", "journal.jsonl", "architecture.json", "factors.json"):
        if (base.folder / name).is_file():
            files[name] = (base.folder / name).read_bytes()
    for name, data in files.items():
        (home / name).write_bytes(data)
        os.utime(home / name, (LONG_AGO, LONG_AGO))
    if shape.pictures:
        for source in sorted((base.folder / "pictures").iterdir()):
            _link(source, home / "pictures" / source.name)


def _record(
    base: dict[str, Any], label: str, cell: Cell, shape: Shape, rng: np.random.Generator
) -> dict[str, Any]:
    shift = 1 + 0.02 * float(rng.standard_normal())
    metrics = [
        m if m["value"] is None else m | {"value": _digits(m["value"] * (1 + 0.02 * rng.standard_normal()))}
        for m in base["metrics"]
    ]
    ids, values = base["per_image"]["ids"], base["per_image"]["values"]
    more = np.arange(shape.images) % len(ids)
    made = {
        task: {key: [_digits(column[i] * shift) if column[i] is not None else None for i in more]
               for key, column in metrics.items()}
        for task, metrics in values.items()
    }  # fmt: skip
    train, late = base["curves"]["train"], base["curves"]["eval"]
    last = max(point["epoch"] for point in train)
    turns = range(-(-shape.epochs // last))
    curves = {
        "train": [p | {"epoch": p["epoch"] + t * last} for t in turns for p in train],
        "eval": [p | {"epoch": p["epoch"] + t * last} for t in turns for p in late],
    }
    names = [ids[i] if n < len(ids) else f"{ids[i]}+{n}" for n, i in enumerate(more)]
    return base | {
        "cell_id": cell.id,
        "cell": cell.model_dump(mode="json"),
        "label": label,
        "data": base["data"] | {"title": "made-up numbers", "counts": {"train": 128, "eval": shape.images}},
        "metrics": metrics,
        "per_image": {"ids": names, "values": made},
        "curves": curves,
        "pictures": base["pictures"] if shape.pictures else [],
    }


def _digits(value: float) -> float:
    return float(f"{value:.8g}")


def _link(source: Path, path: Path) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    os.link(source, path)


def options(parser: argparse.ArgumentParser) -> None:
    """Add the options that describe a shape."""
    given = Shape()
    parser.add_argument("--cells", type=int, default=given.cells, help="about how many runs")
    parser.add_argument("--images", type=int, default=given.images, help="evaluated images of each")
    parser.add_argument("--epochs", type=int, default=given.epochs, help="epochs in the curves of each")
    parser.add_argument("--rows", type=int, default=given.rows, help="rows of the table; above 7, variants")
    parser.add_argument("--done", type=float, default=given.done, help="share of cells with a record")
    parser.add_argument("--pictures", action="store_true", help="with the pictures that runs keep")


def shape_of(given: argparse.Namespace) -> Shape:
    """The shape that those options describe."""
    return Shape(given.cells, given.images, given.epochs, given.rows, given.done, given.pictures)


if __name__ == "__main__":
    asked = argparse.ArgumentParser(description=__doc__)
    asked.add_argument("results", type=Path, help="a new folder")
    options(asked)
    found = asked.parse_args()
    sys.stdout.write(f"{make(found.results, shape_of(found))}\n")
