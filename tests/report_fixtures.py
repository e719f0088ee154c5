"""Made-up results in the record's schema, for tests of the report only. No value here was measured."""

from __future__ import annotations

import json
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image

from tabench.spec.cell import Cell

METHODS = ("ta-lora", "ta-lora-cp", "lora-stl", "lora-hps", "full-stl", "full-hps", "frozen")
QUALITY = dict(zip(METHODS, (0.80, 0.76, 0.74, 0.68, 0.77, 0.71, 0.40), strict=True))
TRAINED = dict(
    zip(METHODS, (1_310_000, 1_250_000, 1_900_000, 1_280_000, 9_100_000, 3_900_000, 1_120_000), strict=True)
)
METRICS = [  # task, key, title, unit, better, digits, value at quality 0, value at quality 1
    ("segmentation", "miou", "mIoU", "%", "higher", 2, 5.0, 80.0),
    ("segmentation", "pacc", "Pixel acc.", "%", "higher", 2, 20.0, 95.0),
    ("depth", "abs_err", "Abs. err.", "m", "lower", 4, 1.5, 0.1),
    ("depth", "rel_err", "Rel. err.", "", "lower", 4, 0.6, 0.05),
    ("normals", "mean", "Mean", "deg", "lower", 2, 60.0, 5.0),
    ("normals", "median", "Median", "deg", "lower", 2, 55.0, 3.0),
    ("normals", "within_11", "< 11.25°", "%", "higher", 2, 5.0, 90.0),
    ("normals", "within_22", "< 22.5°", "%", "higher", 2, 15.0, 95.0),
    ("normals", "within_30", "< 30°", "%", "higher", 2, 25.0, 98.0),
]
TASKS = ("segmentation", "depth", "normals")
FINGERPRINT = "f0e1d2c3b4a59687" * 4
IMAGES = ("val/3", "val/9", "val/15")
SIZE = (48, 64)


@cache
def cell_id(method: str, seed: int) -> str:
    return Cell.model_validate(cell(method, seed)).id


def record(method: str, seed: int, **changes: Any) -> dict[str, Any]:
    """One plausible record; `changes` replace top-level keys."""
    rng = np.random.default_rng([METHODS.index(method), seed])
    quality = QUALITY[method] + 0.01 * rng.standard_normal()

    def value(low: float, high: float, at: float) -> float:
        return float(f"{low + (high - low) * at:.8g}")

    metrics = [
        {"task": t, "key": k, "title": n, "unit": u, "better": b, "digits": d, "protocol": p, "version": 1,
         "value": value(lo, hi, quality + (0.01 if p == "pixel" else 0)), "notes": []}
        for p in ("paper", "pixel") for t, k, n, u, b, d, lo, hi in METRICS
    ]  # fmt: skip
    ids = [f"val/{i}" for i in range(16)]
    per_image = {
        task: {k: [value(lo, hi, quality + 0.05 * e) for e in rng.standard_normal(len(ids))]
               for t, k, _, _, _, _, lo, hi in METRICS if t == task}
        for task in TASKS
    }  # fmt: skip
    units = TASKS if method.endswith("stl") else ("all",)
    epochs = range(1, 11)
    train = [
        {"unit": u, "epoch": e, "step": 16 * e, "lr": 2e-3 * (1 - e / 11), "loss": 1.5 / e + 1 - quality,
         "terms": {t: (1.2 + i) / e + 1 - quality for i, t in enumerate(TASKS if u == "all" else (u,))}}
        for u in units for e in epochs
    ]  # fmt: skip
    curves = [
        {"epoch": e, "task": t, "key": k, "protocol": p,
         "value": value(lo, hi, quality * (1 - 0.6 ** e))}
        for e in epochs if e % 2 == 0 for p in ("paper", "pixel") for t, k, _, _, _, _, lo, hi in METRICS
    ]  # fmt: skip
    return {
        "record_version": 1, "cell_id": cell_id(method, seed), "label": f"{method} s{seed}",
        "cell": cell(method, seed),
        "data": {"name": "scenes", "title": "Synthetic rooms", "synthetic": True, "fingerprint": FINGERPRINT,
                 "counts": {"train": 64, "eval": 16}, "size": list(SIZE), "classes": ["bed", "wall"]},
        "backbone": {"name": "sam_vit_nano", "sha256": "ab" * 32, "note": "pretrained on synthetic scenes"},
        "parameters": {"groups": {"adapters": TRAINED[method] - 1_100_000, "norms": 1000, "embeddings": 4352,
                                  "decoders": 1_094_648, "encoder": 0},
                       "trained": TRAINED[method], "idle": 12, "idle_names": ["iou_head"],
                       "frozen": 2_500_000, "total": TRAINED[method] + 2_500_012},
        "metrics": metrics,
        "per_image": {"ids": ids, "values": per_image},
        "curves": {"train": train, "eval": curves},
        "selection": {"rule": "last", "epoch": 10},
        "pictures": [{"id": image, "files": {t: {"pred": f"{_flat(image)}.{t}.pred.png",
                                                 "error": f"{_flat(image)}.{t}.error.png"} for t in TASKS}}
                     for image in IMAGES],
        "legends": {"segmentation": {"bed": [200, 60, 60], "wall": [60, 60, 200]}},
        "weights_sha256": "cd" * 32,
    } | changes  # fmt: skip


def cell(method: str, seed: int) -> dict[str, Any]:
    return {
        "schema_version": 1,
        "dataset": {"name": "scenes", "fingerprint": FINGERPRINT, "tasks": list(TASKS), "channels": [2, 1, 3],
                    "train_split": "train", "eval_split": "val"},
        "backbone": {"name": "sam_vit_nano", "checkpoint": "ab" * 32, "pixel_norm": "sam"},
        "method": {"name": method, "params": {"rank": 16} if "lora" in method else {}},
        "train": {"epochs": 10, "batch_size": 4, "lr": 2e-3, "weight_decay": 1e-6, "warmup": 0.05,
                  "precision": "fp32", "augment": True, "max_steps": 0,
                  "task_weights": {"segmentation": 1, "depth": 1, "normals": 4}},
        "evaluation": {"protocols": dict.fromkeys(TASKS, 1), "selection": "last", "val_split": "", "every": 2,
                       "pictures": 3},
        "seed": seed,
    }  # fmt: skip


def run_facts(method: str, seed: int) -> dict[str, Any]:
    return {
        "environment": {"python": "3.11.9", "platform": "Linux", "cpu": "Example CPU",
                        "packages": {"torch": "2.9.0", "numpy": "2.1.0"},
                        "git": {"commit": "1234abcd", "dirty": False}},
        "started": "2026-01-01T00:00:00Z", "finished": "2026-01-01T00:02:00Z", "wall_s": 120.0 + seed,
        "train_s": 100.0, "eval_s": 18.0, "peak_rss_mb": 900.0 + METHODS.index(method), "attempts": 1,
        "resumed_from_step": [], "device": "cpu", "threads": 1,
    }  # fmt: skip


def write(path: Path, value: object) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(json.dumps(value), encoding="utf-8")


def write_results(
    root: Path,
    name: str = "nyuv2",
    seeds: tuple[int, ...] = (0, 1, 2),
    methods: tuple[str, ...] = METHODS,
    pictures: bool = True,
) -> Path:
    """Write a whole experiment and return its folder."""
    folder = root / name
    write(folder / "experiment.json", {
        "name": name, "title": "NYUv2: segmentation, depth and surface normals", "profile": "demo",
        "note": "Synthetic ray-cast rooms and a small SAM.", "table": "Table 1", "figure": "Figure 4",
        "report": {"baselines": ["lora-stl", "full-stl"], "grid": ["lora-hps", "lora-stl", "ta-lora"],
                   "published": "published/nyuv2.csv"},
        "cells": {cell_id(m, s): f"{m} s{s}" for m in methods for s in seeds},
    })  # fmt: skip
    for method in methods:
        for seed in seeds:
            home = folder / cell_id(method, seed)
            write(home / "record.json", record(method, seed))
            write(home / "run.json", run_facts(method, seed))
            events = [
                {"t": "2026-01-01T00:00:00Z", "event": "start"},
                {"t": "2026-01-01T00:02:00Z", "event": "done"},
            ]
            (home / "journal.jsonl").write_text("".join(json.dumps(e) + "\n" for e in events))
            if pictures and seed == seeds[0]:
                _pictures(home / "pictures", method)
    if pictures:
        _truth(folder / "truth" / FINGERPRINT[:12])
    return folder


def as_if_real(folder: Path) -> Path:
    """Turn made-up demo records into made-up records on the real data, so that a claim can be decided."""
    for path in folder.glob("*/record.json"):
        record = json.loads(path.read_text())
        record["data"] |= {"name": "nyuv2", "title": "NYUv2", "synthetic": False}
        record["backbone"]["name"] = "vit_l"
        path.write_text(json.dumps(record))
    plan = json.loads((folder / "experiment.json").read_text())
    (folder / "experiment.json").write_text(json.dumps(plan | {"profile": "paper"}))
    return folder


def _flat(image: str) -> str:
    return image.replace("/", "_")


def _pictures(folder: Path, method: str) -> None:
    folder.mkdir(parents=True, exist_ok=True)
    height, width = SIZE
    for n, image in enumerate(IMAGES):
        for m, task in enumerate(TASKS):
            rng = np.random.default_rng([METHODS.index(method), n, m])
            colours = np.kron(rng.integers(0, 255, (6, 8, 3)), np.ones((8, 8, 1))).astype(np.uint8)
            error = rng.uniform(0, 0.3, (height, width)) + 0.3 * (1 - QUALITY[method])
            if method != "ta-lora":
                error[8:24, 16:40] += 0.3
            Image.fromarray(colours).save(folder / f"{_flat(image)}.{task}.pred.png")
            Image.fromarray(np.round(255 * error).astype(np.uint8)).save(
                folder / f"{_flat(image)}.{task}.error.png"
            )


def _truth(folder: Path) -> None:
    folder.mkdir(parents=True, exist_ok=True)
    for n, image in enumerate(IMAGES):
        for m, kind in enumerate(("input", *TASKS)):
            rng = np.random.default_rng([99, n, m])
            colours = np.kron(rng.integers(0, 255, (3, 4, 3)), np.ones((16, 16, 1))).astype(np.uint8)
            Image.fromarray(colours).save(folder / f"{_flat(image)}.{kind}.png")
