"""Pictures that a run keeps: lossless, evenly spread, and of the images that the report puts at its ends."""

from __future__ import annotations

import io
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image
from tiny_run import make_cell, make_context, make_unit, write_scenes, write_weights

from tabench.catalog import DATASETS
from tabench.engine.context import TrainContext, units_of
from tabench.engine.evaluate import Result, evaluate
from tabench.engine.pictures import extreme_images, merge_pictures, png, positions, save_extremes
from tabench.report.records.extremes import extremes
from tabench.runs.compute import make_tasks
from tabench.tasks.base import Task


@pytest.fixture(scope="module")
def context(tmp_path_factory: pytest.TempPathFactory) -> TrainContext:
    cell, scenes = make_cell("lora-hps"), DATASETS.get("scenes")
    (unit,) = units_of(cell, "shared")
    found = make_context(cell, unit, scenes, write_scenes(tmp_path_factory.mktemp("data")))
    found.tasks = make_tasks(cell, scenes)
    return found


def result(task: Task, values: dict[str, float], protocol: str = "") -> Result:
    per_image = {metric.key: values for metric in task.metrics}
    return Result(task.name, protocol or task.protocols[0], {}, per_image)


@pytest.mark.parametrize(
    ("count", "wanted", "expected"), [(32, 3, [5, 16, 26]), (2, 3, [0, 1]), (5, 1, [2]), (4, 0, [])]
)
def test_positions_are_the_middles_of_equal_parts(count: int, wanted: int, expected: list[int]) -> None:
    assert positions(count, wanted) == expected


@pytest.mark.parametrize("colours", [1, 2, 13, 256, 4000])
def test_png_is_lossless(colours: int) -> None:
    generator = np.random.default_rng(0)
    palette = generator.integers(0, 256, (colours, 3), dtype=np.uint8)
    pixels = palette[generator.integers(0, colours, (40, 60))]
    image = Image.open(io.BytesIO(png(pixels)))
    assert image.mode == ("P" if colours <= 256 else "RGB")
    assert np.array_equal(np.asarray(image.convert("RGB")), pixels)


def test_grey_stays_grey() -> None:
    pixels = np.arange(60, dtype=np.uint8).reshape(6, 10)
    image = Image.open(io.BytesIO(png(pixels)))
    assert image.mode == "L"
    assert np.array_equal(np.asarray(image), pixels)


def test_units_of_one_image_are_merged() -> None:
    parts = [
        [{"id": "val/0", "files": {"depth": {"pred": "a", "error": "b"}}}],
        [{"id": "val/0", "files": {"normals": {"pred": "c", "error": "d"}}}],
    ]
    (entry,) = merge_pictures(parts)
    assert set(entry["files"]) == {"depth", "normals"}


def test_the_direction_of_the_metric_decides(context: TrainContext) -> None:
    tasks = context.tasks
    values = {"a": 2.0, "b": 1.0, "c": 3.0}
    assert extreme_images(tasks["depth"], [result(tasks["depth"], values)]) == ["b", "c"]
    assert extreme_images(tasks["segmentation"], [result(tasks["segmentation"], values)]) == ["c", "b"]


def test_undefined_values_other_tasks_and_other_protocols_do_not_count(context: TrainContext) -> None:
    depth = context.tasks["depth"]
    others = [result(context.tasks["normals"], {"z": 0.0}), result(depth, {"y": 0.0}, "pixel")]
    assert extreme_images(depth, [*others, result(depth, {"a": 1.0, "b": float("nan")})]) == ["a", "a"]
    assert extreme_images(depth, others) == []
    assert extreme_images(depth, [result(depth, {"b": float("nan")})]) == []


def test_the_pictures_are_those_of_the_images_at_the_ends_of_the_report(
    context: TrainContext, tmp_path: Path
) -> None:
    tasks, split = context.tasks, context.evaluated
    _, model = make_unit(context.cell, write_weights(tmp_path / "w.safetensors"))
    results = evaluate(model, context)
    folder, truth = tmp_path / "pictures", tmp_path / "truth"
    save_extremes(model, context, results, folder, truth)
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
    context: TrainContext, tmp_path: Path
) -> None:
    split = context.evaluated
    _, model = make_unit(context.cell, write_weights(tmp_path / "w.safetensors"))
    results = [result(context.tasks["normals"], {split.ids[0]: 1.0, split.ids[1]: 2.0})]
    kept = tmp_path / f"{split.ids[0].replace('/', '_')}.normals.pred.png"
    kept.write_bytes(b"mine")
    save_extremes(model, context, results, tmp_path, tmp_path / "truth")
    assert kept.read_bytes() == b"mine"
    fresh = tmp_path / f"{split.ids[1].replace('/', '_')}.normals.pred.png"
    assert Image.open(io.BytesIO(fresh.read_bytes())).mode == "P"
