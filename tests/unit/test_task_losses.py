import math

import numpy as np
import pytest
import torch
from torch.nn import functional as F

from tabench.catalog import TASKS
from tabench.tasks.depth import Depth
from tabench.tasks.disparity import Disparity
from tabench.tasks.distance import Distance
from tabench.tasks.normals import EPSILON, Normals
from tabench.tasks.segmentation import Segmentation

TASK_SHAPES = [(Segmentation, 5), (Depth, 1), (Disparity, 1), (Normals, 3)]


def target_of(task, seed=0, images=2, size=(4, 5)):
    rng = np.random.default_rng(seed)
    invalid = rng.random((images, *size)) < 0.3
    if isinstance(task, Segmentation):
        label = rng.integers(0, task.channels, (images, *size))
        label[invalid] = -1
        return torch.from_numpy(label)
    target = rng.uniform(0.2, 2, (images, task.channels, *size)).astype(np.float32)
    if isinstance(task, Normals):
        target /= np.linalg.norm(target, axis=1, keepdims=True)
    target[np.broadcast_to(invalid[:, None], target.shape)] = 0
    return torch.from_numpy(target)


def empty_like(task, target):
    return torch.full_like(target, -1) if isinstance(task, Segmentation) else torch.zeros_like(target)


def dense_loss(task, raw, target):
    """The definition, one valid pixel at a time, in float64."""
    total, valid = 0.0, 0
    for b in range(len(raw)):
        for y in range(raw.shape[2]):
            for x in range(raw.shape[3]):
                v = raw[b, :, y, x].double()
                if isinstance(task, Segmentation):
                    label = int(target[b, y, x])
                    if label == -1:
                        continue
                    total = total - (v[label] - torch.logsumexp(v, 0))
                else:
                    t = target[b, :, y, x].double()
                    if float(t.sum()) == 0:
                        continue
                    total = total + (
                        (v - t).abs().sum() if isinstance(task, Distance) else 1 - v @ t / v.norm()
                    )
                valid += 1
    return total / valid


@pytest.mark.parametrize(("kind", "channels"), TASK_SHAPES)
def test_loss_and_gradient_equal_the_definition(kind, channels):
    task = kind(channels)
    target = target_of(task)
    raw = torch.randn(2, channels, 4, 5, generator=torch.Generator().manual_seed(0), requires_grad=True)
    loss = task.loss(raw, target)
    (gradient,) = torch.autograd.grad(loss, raw)
    expected = dense_loss(task, raw, target)
    (expected_gradient,) = torch.autograd.grad(expected, raw)
    assert loss.item() == pytest.approx(expected.item(), rel=1e-6)
    torch.testing.assert_close(gradient, expected_gradient, rtol=1e-5, atol=1e-7)


@pytest.mark.parametrize(("kind", "channels"), TASK_SHAPES)
def test_no_valid_pixel_gives_zero_with_a_zero_gradient(kind, channels):
    task = kind(channels)
    raw = torch.randn(2, channels, 4, 5, requires_grad=True)
    loss = task.loss(raw, empty_like(task, target_of(task)))
    assert loss.item() == 0
    loss.backward()
    assert torch.equal(raw.grad, torch.zeros_like(raw))


@pytest.mark.parametrize(("kind", "channels"), TASK_SHAPES)
def test_invalid_pixels_and_images_change_nothing(kind, channels):
    task = kind(channels)
    target = target_of(task)
    raw = torch.randn(2, channels, 4, 5)
    invalid = target == -1 if isinstance(task, Segmentation) else target.sum(dim=1) == 0
    other = torch.where(invalid[:, None], torch.randn_like(raw) * 100, raw)
    assert torch.equal(task.loss(raw, target), task.loss(other, target))
    padded = torch.cat([target, empty_like(task, target)])
    torch.testing.assert_close(task.loss(torch.cat([raw, raw]), padded), task.loss(raw, target))


@pytest.mark.parametrize(("kind", "channels"), TASK_SHAPES)
def test_bfloat16_channels_are_computed_in_float32(kind, channels):
    task = kind(channels)
    target = target_of(task, size=(64, 64))
    raw = torch.randn(2, channels, 64, 64).bfloat16()
    with torch.autocast("cpu", dtype=torch.bfloat16):
        loss, prediction = task.loss(raw, target), task.activate(raw)
    assert loss.dtype == prediction.dtype == torch.float32
    torch.testing.assert_close(loss, task.loss(raw.float(), target))
    leaf = raw.clone().requires_grad_()
    task.loss(leaf, target).backward()
    assert leaf.grad.dtype == torch.bfloat16
    assert torch.isfinite(leaf.grad).all()


@pytest.mark.parametrize(("kind", "channels"), TASK_SHAPES)
@pytest.mark.parametrize("scale", [0.0, 1e-20, 1e4])
def test_extreme_channels_keep_loss_and_gradient_finite(kind, channels, scale):
    task = kind(channels)
    raw = (torch.randn(2, channels, 4, 5) * scale).requires_grad_()
    loss = task.loss(raw, target_of(task))
    loss.backward()
    assert math.isfinite(loss.item())
    assert torch.isfinite(raw.grad).all()
    assert float(raw.grad.abs().max()) <= 1 / EPSILON


def test_segmentation_equals_cross_entropy():
    task = Segmentation(5)
    raw, target = torch.randn(2, 5, 4, 5), target_of(task)
    torch.testing.assert_close(task.loss(raw, target), F.cross_entropy(raw, target, ignore_index=-1))
    torch.testing.assert_close(task.activate(raw).exp().sum(1), torch.ones(2, 4, 5))


def test_normals_loss_spans_zero_to_two():
    task = Normals(3)
    target = target_of(task)
    assert float(task.loss(target * 7, target)) == pytest.approx(0, abs=1e-6)
    assert float(task.loss(-target * 0.1, target)) == pytest.approx(2, abs=1e-6)
    torch.testing.assert_close(task.activate(torch.randn(2, 3, 4, 5)).norm(dim=1), torch.ones(2, 4, 5))


def test_losses_learn_their_target():
    for kind, channels in TASK_SHAPES:
        task = kind(channels)
        target = target_of(task)
        raw = torch.full((2, channels, 4, 5), 0.1, requires_grad=True)
        first = task.loss(raw, target).item()
        for _ in range(150):
            (gradient,) = torch.autograd.grad(task.loss(raw, target), raw)
            raw = (raw - 0.02 * gradient.sign()).detach().requires_grad_()
        assert task.loss(raw, target).item() < 0.3 * first


def test_registry_facts_agree_with_the_classes():
    for entry in TASKS.entries():
        if entry.source != "tabench":
            continue
        kind = TASKS.get(entry.name)
        assert (kind.name, kind.version, kind.needs) == (
            entry.name,
            entry.meta["version"],
            entry.meta["needs"],
        )
        assert len({metric.key for metric in kind.metrics}) == len(kind.metrics)
        assert {metric.better for metric in kind.metrics} <= {"higher", "lower"}
