"""What is measured on a device equals what NumPy measures on the CPU, in every task and protocol.

The CPU stands in for the device here; `tests/gpu` has a real one.
"""

from __future__ import annotations

import math

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Tensor

from tabench.catalog import TASKS
from tabench.engine.evaluate import _leaders
from tabench.errors import DivergedError
from tabench.tasks import accumulator, averaging
from tabench.tasks.averaging import medians
from tabench.tasks.base import Evaluation, Task

CHANNELS = {"segmentation": 5, "human_parts": 4, "depth": 1, "disparity": 1, "normals": 3}
CHANNELS |= {"saliency": 1, "edges": 1}
IMAGES = 5
PAIRS = [(name, protocol) for name in CHANNELS for protocol in TASKS.get(name).supported]


def case_of(name: str, seed: int, size: tuple[int, int] = (9, 13)) -> tuple[Task, Tensor, Tensor]:
    """A task with predictions and targets of five images; the third has no valid pixel, the fourth one."""
    generator = torch.Generator().manual_seed(seed)
    task = TASKS.get(name)(CHANNELS[name])
    raw = torch.randn(IMAGES, CHANNELS[name], *size, generator=generator)
    if task.needs in ("depth", "disparity", "normal"):
        target = torch.randn(IMAGES, CHANNELS[name], *size, generator=generator)
        target = (
            torch.nn.functional.normalize(target, dim=1) if task.needs == "normal" else target.abs() + 0.1
        )
        target[:, :, :2] = 0
        target[2] = 0
        target[3, :, :-1] = 0
        target[3, :, :, 1:] = 0
    else:
        target = torch.randint(-1, max(CHANNELS[name], 2), (IMAGES, *size), generator=generator)
        target[2] = -1
        target[3, :-1] = -1
        target[3, :, 1:] = -1
    return task, task.activate(raw), target


def measure(meter: Evaluation, prediction: Tensor, target: Tensor, batch: int) -> None:
    for at in range(0, IMAGES, batch):
        part = slice(at, at + batch)
        meter.update(prediction[part], target[part], [str(n) for n in range(IMAGES)][part])


@pytest.fixture
def there(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(accumulator, "measured_on_device", lambda prediction: True)


def assert_same(found: Evaluation, expected: Evaluation) -> None:
    for one, other in ((found.compute(), expected.compute()), *zip_images(found, expected)):
        assert list(one) == list(other)
        for key, value in other.items():
            assert one[key] == pytest.approx(value, rel=1e-12, abs=1e-12, nan_ok=True), key
    assert found.notes() == expected.notes()


def zip_images(found: Evaluation, expected: Evaluation) -> list[tuple[dict[str, float], dict[str, float]]]:
    one, other = found.per_image(), expected.per_image()
    assert list(one) == list(other)
    return [(one[key], other[key]) for key in other]


@pytest.mark.parametrize(("name", "protocol"), PAIRS)
@pytest.mark.parametrize("batch", [1, 2, IMAGES])
def test_a_device_gives_the_same_metrics(name, protocol, batch, there, monkeypatch):
    for seed in range(3):
        task, prediction, target = case_of(name, seed)
        found, expected = task.evaluation(protocol), task.evaluation(protocol)
        measure(found, prediction, target, batch)
        with monkeypatch.context() as here:
            here.setattr(accumulator, "measured_on_device", lambda prediction: False)
            measure(expected, prediction, target, batch)
        assert_same(found, expected)
        assert_same(found, expected)  # asking again changes nothing


@pytest.mark.parametrize("name", CHANNELS)
def test_protocols_share_what_they_measure(name):
    task, prediction, target = case_of(name, 7)
    apart = [task.evaluation(protocol) for protocol in task.supported]
    shared = [task.evaluation(protocol) for protocol in task.supported]
    leaders = _leaders(shared)
    assert leaders == shared[:1]
    for meter in [*leaders, *apart]:
        measure(meter, prediction, target, 2)
    for found, expected in zip(shared, apart, strict=True):
        assert found.compute() == pytest.approx(expected.compute(), rel=0, nan_ok=True)
        assert found.per_image() == expected.per_image()
        assert found.notes() == expected.notes()


def test_what_differs_is_measured_apart():
    depth, normals, parts = (TASKS.get(name)(CHANNELS[name]) for name in ("depth", "normals", "human_parts"))
    others = [depth.evaluation("paper"), normals.evaluation("paper"), parts.evaluation("paper")]
    assert _leaders(others) == others
    seven = TASKS.get("human_parts")(7).evaluation("pixel")
    assert not seven.follow(others[2])
    edges, saliency = (TASKS.get(name)(1).evaluation("pixel") for name in ("edges", "saliency"))
    assert not edges.follow(saliency)  # other thresholds
    began, late = depth.evaluation("paper"), depth.evaluation("pixel")
    measure(began, *case_of("depth", 0)[1:], 1)
    assert not late.follow(began)


@pytest.mark.parametrize(("name", "protocol"), PAIRS)
@pytest.mark.parametrize("value", [math.nan, math.inf, -math.inf])
def test_a_prediction_that_is_not_finite_is_named_with_the_results(name, protocol, value, there):
    task, prediction, target = case_of(name, 0)
    prediction[1, 0, 3, 3] = value
    for result in ("compute", "per_image", "notes"):
        meter = task.evaluation(protocol)
        measure(meter, prediction, target, 2)
        with pytest.raises(DivergedError) as caught:
            getattr(meter, result)()
        assert caught.value.where == "1"


def test_values_are_fetched_when_they_grow_large(there, monkeypatch):
    task, prediction, target = case_of("normals", 0)
    kept, expected = task.evaluation("pixel"), task.evaluation("pixel")
    measure(expected, prediction, target, 1)
    monkeypatch.setattr(averaging, "KEPT_ON_DEVICE", 100)
    measure(kept, prediction, target, 1)
    assert kept.compute() == expected.compute()


@given(st.lists(st.lists(st.floats(0, 180), max_size=9), min_size=1, max_size=4))
@settings(max_examples=100, deadline=None)
def test_medians_equal_numpys(rows):
    values = torch.full((len(rows), 9), math.inf, dtype=torch.float64)
    for at, row in enumerate(rows):
        values[at, 9 - len(row) :] = torch.tensor(row, dtype=torch.float64)
    found = medians(values, torch.tensor([len(row) for row in rows]))
    for value, row in zip(found.tolist(), rows, strict=True):
        if row:
            assert value == pytest.approx(float(np.median(row)), rel=1e-15)


@pytest.mark.parametrize("place", [False, True])
def test_the_first_of_equal_scores_wins(place, monkeypatch):
    monkeypatch.setattr(accumulator, "measured_on_device", lambda prediction: place)
    task = TASKS.get("segmentation")(5)
    prediction = torch.zeros(1, 5, 4, 6)
    prediction[:, :2] = -1  # classes 2, 3 and 4 are equal
    meter = task.evaluation("pixel")
    meter.update(prediction, torch.full((1, 4, 6), 2), ["0"])
    assert meter.compute()["pacc"] == 100
