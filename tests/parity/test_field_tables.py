"""The tables of LibMTL's and Vandenhende's code, computed here the way those codes accumulate."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt
import pytest
import torch

from tabench.tasks.base import Task
from tabench.tasks.distance import Depth
from tabench.tasks.normals import Normals
from tabench.tasks.segmentation import HumanParts, Segmentation

IMAGES, SIZE, CLASSES = 5, (7, 9), 4
BATCHES = (slice(0, 2), slice(2, 4), slice(4, 5))  # of unequal size, as the last one of a loader is
Array = npt.NDArray[np.float64]


def evaluated(
    task: Task, protocol: str, prediction: Array, target: npt.NDArray[np.generic]
) -> dict[str, float]:
    evaluation = task.evaluation(protocol)
    for part in BATCHES:
        ids = [f"val/{index}" for index in range(IMAGES)[part]]
        evaluation.update(torch.from_numpy(prediction[part]), torch.from_numpy(target[part]), ids)
    return evaluation.compute()


def labels(seed: int) -> tuple[Array, npt.NDArray[np.int64]]:
    rng = np.random.default_rng(seed)
    target = rng.integers(-1, CLASSES, (IMAGES, *SIZE))
    return rng.normal(size=(IMAGES, CLASSES, *SIZE)), target


def directions(seed: int) -> tuple[Array, Array]:
    """Unit vectors, of which the later images have ever more without a target."""
    rng = np.random.default_rng(seed)
    prediction, target = rng.normal(size=(2, IMAGES, 3, *SIZE))
    target += 2 * prediction
    prediction /= np.linalg.norm(prediction, axis=1, keepdims=True)
    target /= np.linalg.norm(target, axis=1, keepdims=True)
    target *= rng.random((IMAGES, 1, *SIZE)) > np.linspace(0, 0.9, IMAGES)[:, None, None, None]
    return prediction, target


def angles(prediction: Array, target: Array) -> Array:
    cosine = (prediction * target).sum(axis=1)[np.abs(target).sum(axis=1) > 0]
    return np.asarray(np.degrees(np.arccos(np.clip(cosine, -1, 1))))


@pytest.mark.parametrize("seed", range(3))
def test_libmtls_table_is_one_protocol(seed: int) -> None:
    scores, target = labels(seed)
    matrix = np.zeros((CLASSES, CLASSES))
    np.add.at(matrix, (target[target >= 0], scores.argmax(axis=1)[target >= 0]), 1)
    hit = np.diag(matrix)
    found = evaluated(Segmentation(CLASSES), "libmtl", scores, target)
    assert found["miou"] == pytest.approx(100 * np.mean(hit / (matrix.sum(0) + matrix.sum(1) - hit)))
    assert found["pacc"] == pytest.approx(100 * hit.sum() / matrix.sum())

    rng = np.random.default_rng(seed)
    depth = rng.uniform(0.5, 10, (IMAGES, 1, *SIZE))
    depth *= rng.random(depth.shape) > np.linspace(0, 0.9, IMAGES)[:, None, None, None]
    guess = depth + rng.normal(size=depth.shape)
    errors: list[tuple[float, float]] = []
    weights = []
    for part in BATCHES:  # a batch's mean over its valid pixels, weighed by their number
        valid = depth[part] != 0
        error = np.abs(guess[part] - depth[part])[valid]
        errors.append((float(error.mean()), float((error / depth[part][valid]).mean())))
        weights.append(valid.sum())
    absolute, relative = np.average(errors, axis=0, weights=weights)
    assert evaluated(Depth(1), "libmtl", guess, depth) == pytest.approx(
        {"abs_err": absolute, "rel_err": relative}
    )

    prediction, normals = directions(seed)
    every = np.concatenate([angles(prediction[part], normals[part]) for part in BATCHES])
    shares = [100 * np.mean(every < limit) for limit in (11.25, 22.5, 30)]
    found = evaluated(Normals(3), "libmtl", prediction, normals)
    assert list(found) == ["mean", "median", "within_11", "within_22", "within_30"]
    assert list(found.values()) == pytest.approx([np.mean(every), np.median(every), *shares], rel=1e-6)


def test_a_class_that_is_nowhere_leaves_libmtl_without_miou() -> None:
    scores, target = labels(0)
    scores[:, 3] = -9
    target[target == 3] = -1
    assert np.isnan(evaluated(Segmentation(CLASSES), "libmtl", scores, target)["miou"])
    assert evaluated(Segmentation(CLASSES), "pascal-rms", scores, target)["miou"] > 0
    assert "libmtl" not in HumanParts.supported


def test_the_mean_angle_and_the_root_mean_square_are_two_metrics_of_two_names() -> None:
    prediction, normals = directions(0)
    every = angles(prediction, normals)
    task = Normals(3)
    pascal, rms = (evaluated(task, protocol, prediction, normals) for protocol in ("pascal", "pascal-rms"))
    assert "rms" not in pascal
    assert rms == {**pascal, "rms": rms["rms"]}
    assert rms["rms"] == pytest.approx(np.sqrt(np.mean(every**2)))
    assert rms["rms"] > 1.05 * rms["mean"]
    assert [metric.key for metric in task.metrics_in("pascal-rms")] == list(rms)
    evaluation = task.evaluation("pascal-rms")
    evaluation.update(
        torch.from_numpy(prediction), torch.from_numpy(normals), [str(i) for i in range(IMAGES)]
    )
    alone = angles(prediction[:1], normals[:1])
    assert evaluation.per_image()["rms"]["0"] == pytest.approx(np.sqrt(np.mean(alone**2)))
    assert any("MTLoRA" in note and "pascal-rms" in note for note in evaluation.notes())
