"""What every registered task must do, whoever wrote it."""

from __future__ import annotations

import math

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from torch import Tensor

from tabench.catalog import DATASETS, TASKS
from tabench.tasks.base import Task
from tabench.tasks.parts import from_bytes, to_bytes

SIZE = (12, 16)
IMAGES = 4
IDS = [f"val/{number}" for number in range(IMAGES + 1)]  # one more for an image put beside them
CLASSED, BINARY = ("label", "parts"), ("saliency", "edge")  # kinds of integer targets with -1 = ignore
CHANNELS = {
    "label": 5,
    "parts": 4,
    "depth": 1,
    "disparity": 1,
    "normal": 3,
    "saliency": 1,
    "edge": 1,
}  # for tasks that no dataset gives a number of channels
every_task = pytest.mark.parametrize("name", TASKS.names())
every_protocol = pytest.mark.parametrize("protocol", ["paper", "pixel", "pascal"])


def make(name: str, protocol: str = "paper") -> Task:
    kind = TASKS.get(name)
    if protocol not in kind.supported:
        pytest.skip(f"'{name}' has no metric in the protocol '{protocol}'")
    if kind.needs not in CHANNELS:
        pytest.skip(f"no made-up target of the kind '{kind.needs}'")
    counts = [DATASETS.get(dataset).task_channels.get(name) for dataset in DATASETS.names()]
    channels = next((count for count in counts if count), CHANNELS[kind.needs])
    return kind(channels, [f"class {number}" for number in range(channels)])


def target_of(task: Task, valid: float = 0.8) -> Tensor:
    """Targets of IMAGES images; a pixel has one with probability `valid`."""
    rng = np.random.default_rng(0)
    nothing = rng.random((IMAGES, *SIZE)) >= valid
    if task.needs in CLASSED + BINARY:
        label = rng.integers(0, 2 if task.needs in BINARY else task.channels, (IMAGES, *SIZE))
        label[nothing] = -1
        return torch.from_numpy(label)
    target = rng.normal(size=(IMAGES, CHANNELS[task.needs], *SIZE)).astype(np.float32)
    if task.needs == "normal":
        target /= np.linalg.norm(target, axis=1, keepdims=True)
    else:
        target = np.abs(target) + 0.5
    target *= ~nothing[:, None]
    return torch.from_numpy(target)


def labelled(task: Task, target: Tensor) -> Tensor:
    """(B, H, W) mask of the pixels that have a target."""
    return target != -1 if task.needs in CLASSED + BINARY else target.abs().sum(dim=1) > 0


def raw_of(task: Task, seed: int = 1) -> Tensor:
    return torch.randn(IMAGES, task.channels, *SIZE, generator=torch.Generator().manual_seed(seed))


def fitted(task: Task, target: Tensor) -> Tensor:
    """Raw channels that the task's own loss was minimised over, pixel by pixel."""
    raw = raw_of(task).requires_grad_()
    optimiser = torch.optim.Adam([raw], lr=0.1)
    for step in range(300):
        optimiser.param_groups[0]["lr"] = 0.1 * (1 - step / 300)
        optimiser.zero_grad()
        (task.loss(raw, target) * target.numel()).backward()
        optimiser.step()
    return raw.detach()


def measure(task: Task, raw: Tensor, target: Tensor, protocol: str, batch: int = 9) -> dict[str, float]:
    evaluation = task.evaluation(protocol)
    for at in range(0, len(raw), batch):
        part = slice(at, at + batch)
        evaluation.update(task.activate(raw[part]), target[part], IDS[at : min(at + batch, len(raw))])
    return evaluation.compute()


@every_task
def test_the_registry_says_what_the_class_says(name: str) -> None:
    entry, kind = TASKS.entry(name), TASKS.get(name)
    assert kind.name == name
    assert isinstance(kind.version, int)
    for key, value in entry.meta.items():
        assert getattr(kind, key) == value, key
    if entry.source == "tabench":
        assert set(entry.meta) == {"version", "needs", "supported"}
    assert len({metric.key for metric in kind.metrics}) == len(kind.metrics) > 0
    assert {metric.better for metric in kind.metrics} <= {"higher", "lower"}
    assert {metric.unit for metric in kind.metrics} <= {"%", "m", "deg", ""}
    assert kind.protocols
    assert set(kind.protocols) <= set(kind.supported)
    task = make(name)
    task.follow(("pascal", "pixel"))
    assert task.protocols == tuple(p for p in ("pascal", "pixel") if p in kind.supported)
    task.follow(("of another package",))
    assert task.protocols


@every_task
@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16])
def test_the_activation_keeps_the_shape_in_float32(name: str, dtype: torch.dtype) -> None:
    task = make(name)
    prediction = task.activate(raw_of(task).to(dtype))
    assert prediction.shape == (IMAGES, task.channels, *SIZE)
    assert prediction.dtype == torch.float32
    assert prediction.isfinite().all()


@every_task
def test_the_loss_is_zero_with_a_gradient_where_nothing_is_labelled(name: str) -> None:
    task = make(name)
    raw = raw_of(task).requires_grad_()
    loss = task.loss(raw, target_of(task, valid=0.0))
    assert loss.shape == ()
    assert loss.item() == 0
    loss.backward()
    assert raw.grad is not None
    assert torch.equal(raw.grad, torch.zeros_like(raw))


@every_task
def test_the_loss_sees_labelled_pixels_alone_and_falls(name: str) -> None:
    task = make(name)
    target, raw = target_of(task), raw_of(task)
    loss = task.loss(raw, target)
    assert loss.shape == ()
    assert math.isfinite(loss.item())
    elsewhere = torch.where(labelled(task, target)[:, None], raw, raw_of(task, seed=2) * 100)
    assert not torch.equal(elsewhere, raw)
    assert torch.equal(task.loss(elsewhere, target), loss)
    assert task.loss(fitted(task, target), target) < 0.5 * loss


@every_task
@every_protocol
def test_every_declared_metric_is_computed_and_points_the_right_way(name: str, protocol: str) -> None:
    task = make(name, protocol)
    target = target_of(task)
    at_random = measure(task, raw_of(task), target, protocol)
    right = measure(task, fitted(task, target), target, protocol)
    for metric in task.metrics:
        assert math.isfinite(at_random[metric.key]), metric.key
        sign = 1 if metric.better == "higher" else -1
        assert sign * right[metric.key] > sign * at_random[metric.key], metric.key
        if metric.unit == "%":
            assert 0 <= right[metric.key] <= 100
    assert set(at_random) == set(right) == {metric.key for metric in task.metrics}


@every_task
@every_protocol
def test_nothing_labelled_gives_no_number(name: str, protocol: str) -> None:
    task = make(name, protocol)
    nothing = measure(task, raw_of(task), target_of(task, valid=0.0), protocol)
    assert set(nothing) == {metric.key for metric in task.metrics}
    assert all(math.isnan(value) for value in nothing.values())


@every_task
@every_protocol
def test_an_image_without_a_label_changes_no_number_but_is_noted(name: str, protocol: str) -> None:
    task = make(name, protocol)
    target, raw = target_of(task), raw_of(task)
    empty = target_of(task, valid=0.0)[:1]
    assert measure(task, torch.cat([raw, raw[:1]]), torch.cat([target, empty]), protocol) == measure(
        task, raw, target, protocol
    )
    evaluation = task.evaluation(protocol)
    evaluation.update(task.activate(raw[:2]), torch.cat([target[:1], empty]), IDS[:2])
    assert all(set(values) == set(IDS[:1]) for values in evaluation.per_image().values())
    assert any("1" in note for note in evaluation.notes())


@every_task
@every_protocol
@pytest.mark.parametrize("batch", [1, 3])
def test_the_batch_size_changes_no_number(name: str, protocol: str, batch: int) -> None:
    task = make(name, protocol)
    target, raw = target_of(task), raw_of(task)
    assert measure(task, raw, target, protocol, batch) == measure(task, raw, target, protocol)


@every_task
@every_protocol
@given(process_of=st.lists(st.integers(0, 2), min_size=IMAGES + 1, max_size=IMAGES + 1))
def test_however_images_are_dealt_to_processes_the_merged_numbers_are_those_of_one(
    name: str, protocol: str, process_of: list[int]
) -> None:
    task = make(name, protocol)
    target = torch.cat([target_of(task), target_of(task, valid=0.0)[:1]])
    prediction = task.activate(torch.cat([raw_of(task), raw_of(task)[:1]]))
    whole = task.evaluation(protocol)
    if not whole.mergeable:
        pytest.skip(f"'{name}' is evaluated by one process")
    whole.update(prediction, target, IDS)
    meters = [task.evaluation(protocol) for _ in range(3)]
    for image, process in enumerate(process_of):
        part = slice(image, image + 1)
        meters[process].update(prediction[part], target[part], IDS[part])
    chief, *others = meters
    for other in others:
        chief.absorb(from_bytes(to_bytes(other.parts())), IDS)
    assert chief.compute() == whole.compute()
    assert chief.notes() == whole.notes()
    assert chief.per_image() == whole.per_image()
    assert [list(held) for held in chief.per_image().values()] == [
        list(held) for held in whole.per_image().values()
    ]


@every_task
@every_protocol
def test_an_image_that_two_processes_measured_is_refused(name: str, protocol: str) -> None:
    task = make(name, protocol)
    one, other = task.evaluation(protocol), task.evaluation(protocol)
    if not one.mergeable:
        pytest.skip(f"'{name}' is evaluated by one process")
    for meter in (one, other):
        meter.update(task.activate(raw_of(task)), target_of(task), IDS[:IMAGES])
    with pytest.raises(ValueError, match="evaluated twice"):
        one.absorb(other.parts(), IDS)


@every_task
@every_protocol
def test_each_image_has_its_own_values(name: str, protocol: str) -> None:
    task = make(name, protocol)
    target, prediction = target_of(task), task.activate(raw_of(task))
    evaluation = task.evaluation(protocol)
    evaluation.update(prediction, target, IDS[:IMAGES])
    values = evaluation.per_image()
    assert set(values) <= {metric.key for metric in task.metrics}
    assert values
    for of_images in values.values():
        assert list(of_images) == IDS[:IMAGES]
        assert all(math.isfinite(value) for value in of_images.values())
    alone = task.evaluation(protocol)
    alone.update(prediction[2:3], target[2:3], IDS[2:3])
    assert alone.per_image() == {key: {IDS[2]: of_images[IDS[2]]} for key, of_images in values.items()}


@every_task
def test_pictures(name: str) -> None:
    task = make(name)
    target = target_of(task)
    mask = labelled(task, target)[0].numpy()
    prediction = task.activate(raw_of(task))[0].numpy()
    stored = target[0].numpy()
    for picture in (task.colour_prediction(prediction), task.colour_target(stored)):
        assert picture.shape == (*SIZE, 3)
        assert picture.dtype == np.uint8
        assert len(np.unique(picture.reshape(-1, 3), axis=0)) > 1
    black = (task.colour_target(stored) == 0).all(axis=2)
    assert black[~mask].all()
    error = task.error_map(prediction, stored)
    assert error.shape == SIZE
    assert error.dtype == np.float32
    np.testing.assert_array_equal(np.isnan(error), ~mask)
    assert ((error[mask] >= 0) & (error[mask] <= 1)).all()
    right = task.error_map(task.activate(fitted(task, target))[0].numpy(), stored)
    assert right[mask].mean() < 0.5 * error[mask].mean()


@every_task
def test_the_legend_shows_colours_of_the_pictures(name: str) -> None:
    task = make(name)
    legend = task.legend()
    assert set(legend) <= set(task.classes)
    assert len(set(legend.values())) == len(legend)
    assert all(len(colour) == 3 and all(0 <= part <= 255 for part in colour) for colour in legend.values())
    drawn = {
        tuple(colour) for colour in task.colour_target(target_of(task)[0].numpy()).reshape(-1, 3).tolist()
    }
    assert not legend or drawn - {(0, 0, 0)} <= set(legend.values())
