"""The qualitative grid: the box rule against brute force, missing pictures, the seed shown."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import numpy as np
import pytest
import report_fixtures as made
from hypothesis import given
from hypothesis import strategies as st

from tabench.report.records.grid import best_window, caption, read_grid
from tabench.report.records.reading import read_results


def brute_force(errors: np.ndarray, baselines: list[np.ndarray]) -> float:
    height, width = errors.shape
    h, w = height // 4, width // 4
    best = -np.inf
    for top in range(0, height - h + 1, height // 16):
        for left in range(0, width - w + 1, width // 16):
            window = np.s_[top : top + h, left : left + w]
            best = max(best, min(b[window].mean() for b in baselines) - errors[window].mean())
    return float(best)


@given(st.integers(0, 2**32 - 1), st.sampled_from([(16, 32), (24, 40), (33, 50)]))
def test_the_box_is_the_best_window(seed: int, size: tuple[int, int]) -> None:
    rng = np.random.default_rng(seed)
    errors, first, second = rng.uniform(size=(3, *size))
    box = best_window(errors, [first, second])
    expected = brute_force(errors, [first, second])
    if expected <= 0:
        assert box is None
        return
    assert box is not None
    assert box.gain == pytest.approx(expected)
    window = np.s_[box.top : box.top + box.height, box.left : box.left + box.width]
    assert min(first[window].mean(), second[window].mean()) - errors[window].mean() == pytest.approx(expected)
    assert (box.height, box.width) == (size[0] // 4, size[1] // 4)
    assert box.top + box.height <= size[0]
    assert box.left + box.width <= size[1]


def test_no_box_where_a_baseline_is_nowhere_worse() -> None:
    same = np.full((32, 32), 0.5)
    assert best_window(same, [same, same + 0.1]) is None
    assert best_window(same, []) is None


def test_a_planted_gain_is_found() -> None:
    errors, baseline = np.full((64, 64), 0.5), np.full((64, 64), 0.5)
    errors[32:48, 12:28] = 0.1
    box = best_window(errors, [baseline])
    assert box is not None
    assert (box.top, box.left, box.height, box.width) == (32, 12, 16, 16)


def test_rows_follow_images_then_tasks_and_boxes_sit_on_the_planted_gain(tmp_path: Path) -> None:
    made.write_results(tmp_path, seeds=(0, 1))
    results = read_results(tmp_path, "nyuv2")
    grid = read_grid(results)
    assert grid is not None
    assert [(row.image, row.task) for row in grid.rows] == [(i, t) for i in made.IMAGES for t in made.TASKS]
    assert grid.seed == 0
    assert set(grid.inputs) == set(made.IMAGES)
    assert list(grid.images) == list(made.IMAGES)
    for row in grid.rows:
        assert row.box is not None
        assert 8 <= row.box.top <= 12
        assert 16 <= row.box.left <= 24
    text = caption(results, grid)
    assert "evenly spaced" in text
    assert "LoRA-HPS, LoRA-STL" in text


def test_missing_pictures_leave_holes_not_errors(tmp_path: Path) -> None:
    folder = made.write_results(tmp_path, seeds=(0,))
    shutil.rmtree(folder / made.cell_id("lora-stl", 0) / "pictures")
    shutil.rmtree(folder / "truth")
    grid = read_grid(read_results(tmp_path, "nyuv2"))
    assert grid is not None
    assert grid.inputs == {}
    assert all(row.truth is None and "lora-stl" not in row.predictions for row in grid.rows)
    assert all(row.box is None for row in grid.rows)


def test_the_lowest_seed_that_all_methods_finished_is_shown(tmp_path: Path) -> None:
    folder = made.write_results(tmp_path, seeds=(0, 1))
    shutil.rmtree(folder / made.cell_id("lora-hps", 0))
    grid = read_grid(read_results(tmp_path, "nyuv2"))
    assert grid is not None
    assert grid.seed == 1


def test_no_grid_without_saved_pictures(tmp_path: Path) -> None:
    folder = made.write_results(tmp_path, seeds=(0,), methods=("ta-lora",), pictures=False)
    path = folder / made.cell_id("ta-lora", 0) / "record.json"
    path.write_text(json.dumps(made.record("ta-lora", 0, pictures=[])))
    assert read_grid(read_results(tmp_path, "nyuv2")) is None
