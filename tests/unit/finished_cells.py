"""Finished cells without a run: a checked record, pictures that are pictures, checksums."""

from __future__ import annotations

import io
from pathlib import Path

import spec_samples as samples
from PIL import Image

from tabench.spec.cell import Cell
from tabench.store.atomic import write_bytes, write_json
from tabench.store.checksums import write_sums
from tabench.store.folders import CellFolder, ExperimentFolder
from tabench.store.record import Record, record_bytes


def png() -> bytes:
    buffer = io.BytesIO()
    Image.new("RGB", (8, 6), (1, 2, 3)).save(buffer, format="PNG")
    return buffer.getvalue()


def finish(root: Path, cell: Cell, experiment: str = "small", value: float | None = None) -> CellFolder:
    """Write a cell as a run leaves it; `value` changes its first metric."""
    content = samples.record(cell)
    if value is not None:
        content["metrics"][0]["value"] = value
    folder = CellFolder(root, experiment, content["cell_id"])
    for picture in content["pictures"]:
        for files in picture["files"].values():
            for name in files.values():
                write_bytes(folder.pictures / name, png())
    write_json(folder.factors, {"a": 1})
    write_json(folder.run, {"wall_s": 3.0})
    folder.journal("start", attempt=1)
    write_bytes(ExperimentFolder(root, experiment).truth(content["data"]["fingerprint"]) / "v.png", png())
    record = record_bytes(folder.record, content)
    write_sums(folder, record)
    write_bytes(folder.record, record)
    name_cells(ExperimentFolder(root, experiment), folder.cell_id)
    return folder


def name_cells(experiment: ExperimentFolder, *ids: str) -> None:
    """Add cells to experiment.json."""
    there = experiment.experiment_json.is_file()
    known = experiment.read_experiment()["cells"] if there else {}
    experiment.write_experiment(
        {"name": experiment.experiment, "cells": {**known, **{i: f"label {i}" for i in ids}}}
    )


def no_weights(folder: CellFolder, record: Record) -> None:
    raise AssertionError("no weights were kept")
