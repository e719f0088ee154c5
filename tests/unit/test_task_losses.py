import math

import numpy as np
import pytest
import torch
from torch.nn import functional as F

from tabench.catalog import TASKS
from tabench.tasks.distance import Depth, Disparity, Distance
from tabench.tasks.normals import EPSILON, Normals
from tabench.tasks.segmentation import Segmentation

TASK_SHAPES = [(Segmentation, 5), (Depth, 1), (Disparity, 1), (Normals, 3)]
BINARY = {"saliency": None, "edges": 0.95}


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
def test_channels_in_double_precision_have_a_loss_in_double_precision(kind, channels):
    task, generator = kind(channels), torch.Generator().manual_seed(0)
    raw = torch.randn(2, channels, 4, 5, generator=generator, dtype=torch.float64)
    target = target_of(task)
    target = target.double() if target.is_floating_point() else target
    assert task.activate(raw).dtype == torch.float64
    assert task.loss(raw, target).item() == pytest.approx(float(dense_loss(task, raw, target)), rel=1e-14)


@pytest.mark.parametrize("name", BINARY)
def test_binary_losses_keep_double_precision_too(name):
    raw = torch.randn(2, 1, 4, 5, generator=torch.Generator().manual_seed(0), dtype=torch.float64)
    target = torch.randint(-1, 2, (2, 4, 5), generator=torch.Generator().manual_seed(1))
    yes, no = raw[:, 0][target == 1], raw[:, 0][target == 0]
    weight = BINARY[name] or len(no) / (len(yes) + len(no))
    total = weight * F.softplus(-yes).sum() + (1 - weight) * F.softplus(no).sum()
    found = TASKS.get(name)(1).loss(raw, target)
    assert found.item() == pytest.approx(total.item() / (len(yes) + len(no)), rel=1e-14)


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


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
def test_the_gradient_of_a_normal_is_tangent_and_bounded_however_short_it_is(dtype):
    generator = torch.Generator().manual_seed(0)
    target = target_of(Normals(3), images=1).to(dtype)
    valid = target.sum(dim=1, keepdim=True) != 0
    drawn = torch.randn(target.shape, generator=generator, dtype=torch.float64)
    direction = drawn / drawn.norm(dim=1, keepdim=True)
    rounding = 1e-5 if dtype == torch.float32 else 1e-12
    expected = float(Normals(3).loss(direction.to(dtype), target))
    tangent = target.double() - direction * (direction * target).sum(dim=1, keepdim=True)
    for length in (1e3, 1.0, 2e-6, EPSILON, 0.9e-6, 1e-7, 1e-20, 1e-30):
        raw = (direction * length).to(dtype).requires_grad_()
        loss = Normals(3).loss(raw, target)
        assert loss.item() == pytest.approx(expected, rel=rounding)
        (gradient,) = torch.autograd.grad(loss, raw)
        wanted = -tangent * valid / valid.sum() / max(length, EPSILON)
        torch.testing.assert_close(
            gradient.double(), wanted, rtol=rounding, atol=rounding * float(wanted.abs().max())
        )


@pytest.mark.parametrize("shortest", [0, EPSILON, 1e-4])  # with vectors of 0, and of which no entry is longer
@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
def test_longer_normals_have_the_bits_of_torchs_normalize(dtype, shortest):
    raw = torch.randn(2, 3, 40, 50, dtype=dtype, generator=torch.Generator().manual_seed(0))
    even = torch.full_like(raw, shortest)  # longer than its entries
    raw = torch.cat([raw, raw * 1e-4, even])
    results = []
    for scaled in (Normals(3).activate, lambda x: F.normalize(x, dim=1, eps=EPSILON)):
        leaf = raw.clone().requires_grad_()
        value = scaled(leaf)
        (value * torch.linspace(-1, 2, raw.numel(), dtype=dtype).view_as(raw)).sum().backward()
        results.append((value.detach(), leaf.grad))
    assert torch.equal(results[0][0], results[1][0])
    assert torch.equal(results[0][1], results[1][1])
