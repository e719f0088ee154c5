"""A small experiment, its cells and a whole record, shared by the tests of spec and store."""

from __future__ import annotations

import copy
from pathlib import Path
from typing import Any

from tabench.spec.cell import Cell
from tabench.spec.expand import Resolved, expand
from tabench.spec.experiment import Experiment, load_experiment
from tabench.store.atomic import write_bytes
from tabench.store.record import Record, load_record, record_bytes

TEXT = """
schema = 1
name = "small"
title = "Small"

[axes]
methods = ["ta-lora", "lora-stl", "frozen"]
seeds = [0, 1]

[report]
baselines = ["lora-stl"]
published = "published/small.csv"

[profiles.demo]
note = "not the paper's numbers"
backbone = { name = "sam_vit_nano", pixel_norm = "sam" }
evaluation = { every = 1 }

[profiles.demo.dataset]
name = "scenes"
tasks = ["segmentation", "depth", "normals"]
generate = { seed = 0, train = 4, val = 2, height = 48, width = 64 }

[profiles.demo.train]
epochs = 2
lr = 2e-3
task_weights = { segmentation = 1, depth = 1, normals = 4 }

[profiles.demo.methods]
ta-lora = { ranks = [8, 8, 3] }
"""

RESOLVED = Resolved(
    dataset_name="scenes",
    fingerprint="f" * 64,
    channels={"segmentation": 13, "depth": 1, "normals": 3},
    checkpoint_sha256="a" * 64,
    protocols={"segmentation": 1, "depth": 1, "normals": 1},
)


def write(folder: Path, text: str = TEXT) -> Path:
    path = folder / "small.toml"
    path.write_text(text, encoding="utf-8")
    return path


def small(folder: Path) -> Experiment:
    return load_experiment(write(folder))


def cells(folder: Path, *overrides: str) -> list[Cell]:
    return expand(small(folder), "demo", RESOLVED, overrides)


def save_record(path: Path, content: dict[str, Any]) -> Record:
    """Write a record as a run does."""
    write_bytes(path, record_bytes(path, content))
    return load_record(path)


def record(cell: Cell, images: int = 2) -> dict[str, Any]:
    """What the engine hands to `record_bytes` for a depth-only cell, with floats of full length."""
    third = 1 / 3
    return copy.deepcopy(
        {
            "record_version": 1,
            "cell_id": cell.id,
            "cell": cell.model_dump(mode="json"),
            "label": cell.label,
            "data": {
                "name": "scenes",
                "title": "Synthetic rooms",
                "synthetic": True,
                "fingerprint": "f" * 64,
                "counts": {"train": 4, "eval": images},
                "size": [48, 64],
                "classes": ["wall", "floor"],
            },
            "backbone": {"name": "sam_vit_nano", "sha256": "a" * 64, "note": ""},
            "parameters": {
                "groups": {"adapters": 10, "norms": 2, "embeddings": 3, "decoders": 20, "encoder": 0},
                "trained": 35,
                "idle": 5,
                "idle_names": ["decoder.iou"],
                "frozen": 60,
                "total": 100,
            },
            "metrics": [
                {
                    "task": "depth",
                    "key": "abs_err",
                    "title": "Abs. err.",
                    "unit": "m",
                    "better": "lower",
                    "digits": 4,
                    "protocol": "paper",
                    "version": 1,
                    "value": third,
                    "notes": ["none skipped"],
                }
            ],
            "per_image": {
                "ids": [f"val/{i}" for i in range(images)],
                "values": {"depth": {"abs_err": [third * i for i in range(images)]}},
            },
            "curves": {
                "train": [
                    {
                        "unit": "all",
                        "epoch": 1,
                        "step": 1,
                        "lr": 1e-3,
                        "loss": third,
                        "terms": {"depth": third},
                    }
                ],
                "eval": [
                    {"epoch": 1, "task": "depth", "key": "abs_err", "protocol": "paper", "value": third}
                ],
            },
            "selection": {"rule": "last", "epoch": 2},
            "pictures": [
                {"id": "val/0", "files": {"depth": {"pred": "val_0.depth.pred.png", "error": "e.png"}}}
            ],
            "legends": {"segmentation": {"wall": [1, 2, 3]}},
            "weights_sha256": "b" * 64,
        }
    )
