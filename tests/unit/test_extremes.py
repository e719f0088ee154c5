"""Pictures of the best and the worst image: the same images that the report puts at the ends."""

from __future__ import annotations

import io
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from PIL import Image
from tiny_run import make_cell, make_unit, write_scenes, write_weights

from tabench.catalog import DATASETS
from tabench.data.base import Split
from tabench.engine.evaluate import Result, evaluate
from tabench.engine.extremes import extreme_images, save_extremes
from tabench.report.records.extremes import extremes
from tabench.runs.compute import make_tasks
from tabench.tasks.base import Task

CPU = torch.device("cpu")


@pytest.fixture(scope="module")
def tasks() -> dict[str, Task]:
    cell = make_cell("lora-hps")
    return make_tasks(cell, DATASETS.get(cell.dataset.name))


@pytest.fixture(scope="module")
def split(tmp_path_factory: pytest.TempPathFactory) -> Split:
    cell = make_cell("lora-hps")
    root = write_scenes(tmp_path_factory.mktemp("data"))
    return DATASETS.get(cell.dataset.name).split(root, cell.dataset.eval_split)


def result(task: Task, values: dict[str, float], protocol: str = "") -> Result:
    per_image = {metric.key: values for metric in task.metrics}
    return Result(task.name, protocol or task.protocols[0], {}, per_image)


def test_the_direction_of_the_metric_decides(tasks: dict[str, Task]) -> None:
    values = {"a": 2.0, "b": 1.0, "c": 3.0}
    assert extreme_images(tasks["depth"], [result(tasks["depth"], values)]) == ["b", "c"]
    assert extreme_images(tasks["segmentation"], [result(tasks["segmentation"], values)]) == ["c", "b"]


def test_undefined_values_other_tasks_and_other_protocols_do_not_count(tasks: dict[str, Task]) -> None:
    depth = tasks["depth"]
    others = [result(tasks["normals"], {"z": 0.0}), result(depth, {"y": 0.0}, "pixel")]
    assert extreme_images(depth, [*others, result(depth, {"a": 1.0, "b": float("nan")})]) == ["a", "a"]
    assert extreme_images(depth, others) == []
    assert extreme_images(depth, [result(depth, {"b": float("nan")})]) == []


def test_the_pictures_are_those_of_the_images_at_the_ends_of_the_report(
    tasks: dict[str, Task], split: Split, tmp_path: Path
) -> None:
    unit, model = make_unit(make_cell("lora-hps"), write_weights(tmp_path / "w.safetensors"))
    results = evaluate(model, unit, tasks, split, CPU)
    folder, truth = tmp_path / "pictures", tmp_path / "truth"
    save_extremes(model, unit, tasks, split, results, CPU, folder, truth)
    record: dict[str, Any] = {
        "metrics": [
            {"task": t.name, "key": m.key, "better": m.better, "digits": m.digits, "title": "", "unit": ""}
            for t in tasks.values()
            for m in t.metrics
        ],
        "per_image": {
            "ids": split.ids,
            "values": {
                r.task: {k: [v.get(i) for i in split.ids] for k, v in r.per_image.items()}
                for r in results
                if r.protocol == tasks[r.task].protocols[0]
            },
        },
    }
    ends = {(e.task, e.ids[i].replace("/", "_")) for e in extremes(record) for i in (e.order[0], e.order[-1])}
    assert {path.name for path in folder.iterdir()} == {f"{image}.{task}.pred.png" for task, image in ends}
    inputs = {f"{image}.input.png" for _, image in ends}
    assert {path.name for path in truth.iterdir()} == inputs | {f"{i}.{task}.png" for task, i in ends}
    for index, image in enumerate(split.ids):
        path = truth / f"{image.replace('/', '_')}.input.png"
        if path.exists():
            shown = np.asarray(Image.open(path)).transpose(2, 0, 1) / 255
            assert np.abs(shown - split.load(index).image).max() <= 0.5 / 255 + 1e-6


def test_a_picture_that_is_there_stays_and_a_new_one_has_a_palette(
    tasks: dict[str, Task], split: Split, tmp_path: Path
) -> None:
    unit, model = make_unit(make_cell("lora-hps"), write_weights(tmp_path / "w.safetensors"))
    results = [result(tasks["normals"], {split.ids[0]: 1.0, split.ids[1]: 2.0})]
    kept = tmp_path / f"{split.ids[0].replace('/', '_')}.normals.pred.png"
    kept.write_bytes(b"mine")
    save_extremes(model, unit, tasks, split, results, CPU, tmp_path, tmp_path / "truth")
    assert kept.read_bytes() == b"mine"
    fresh = tmp_path / f"{split.ids[1].replace('/', '_')}.normals.pred.png"
    assert Image.open(io.BytesIO(fresh.read_bytes())).mode == "P"
