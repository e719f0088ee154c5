"""Disparity metrics against exact fractions and torchmetrics, on masks that are hard on them."""

import math
from fractions import Fraction

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torchmetrics.regression import MeanAbsoluteError, MeanAbsolutePercentageError

from tabench.tasks.distance import Depth, Disparity

PROTOCOLS = ("paper", "pixel")
SMALLEST = 2 / 65535  # the layout's least valid value: a 16-bit number other than 0 and 1


def evaluated(protocol, prediction, target, batch=1):
    evaluation = Disparity(1).evaluation(protocol)
    ids = [f"val/{i}" for i in range(len(target))]
    for at in range(0, len(target), batch):
        part = slice(at, at + batch)
        evaluation.update(prediction[part], target[part], ids[part])
    return evaluation


def exact(protocol, prediction, target):
    """Both metrics as fractions; None where nothing is valid."""
    images = []
    for p_image, d_image in zip(prediction, target, strict=True):
        pairs = [
            (Fraction(float(p)), Fraction(float(d)))
            for p, d in zip(p_image.flatten(), d_image.flatten(), strict=True)
            if float(d) != 0
        ]
        if pairs:
            images.append([(abs(p - d), abs(p - d) / d) for p, d in pairs])
    if not images:
        return None
    if protocol == "pixel":
        images = [[pair for image in images for pair in image]]
    means = [[sum(pair[at] for pair in image) / len(image) for at in (0, 1)] for image in images]
    return [float(sum(mean[at] for mean in means) / len(means)) for at in (0, 1)]


def masks():
    """Which pixels of three images are valid: the cases that break careless means."""
    nothing = np.zeros((3, 1, 4, 6), dtype=bool)
    one = nothing.copy()
    one[1, 0, 2, 3] = True
    lopsided = nothing.copy()
    lopsided[0] = True
    lopsided[2, 0, 0, 0] = True
    return {
        "all invalid": nothing,
        "one pixel": one,
        "a whole image and a pixel": lopsided,
        "all valid": ~nothing,
    }


@pytest.mark.parametrize("protocol", PROTOCOLS)
@pytest.mark.parametrize("mask", masks().values(), ids=masks().keys())
@pytest.mark.parametrize("kind", ["random", "all wrong", "right", "tiny"])
def test_adversarial_masks_equal_exact_fractions(protocol, mask, kind):
    rng = np.random.default_rng(0)
    target = rng.uniform(SMALLEST, 0.4922, mask.shape)
    if kind == "tiny":
        target[:] = SMALLEST
    target = torch.from_numpy(np.where(mask, target, 0).astype(np.float32))
    prediction = torch.from_numpy(rng.uniform(-0.1, 0.6, mask.shape).astype(np.float32))
    if kind == "all wrong":
        prediction = torch.full_like(target, 1e4)
    elif kind == "right":
        prediction = torch.where(target > 0, target, 7.0)
    expected = exact(protocol, prediction, target)
    value = evaluated(protocol, prediction, target).compute()
    if expected is None:
        assert all(math.isnan(v) for v in value.values())
        return
    assert list(value.values()) == pytest.approx(expected, rel=1e-13)
    if kind == "right":
        assert list(value.values()) == [0, 0]


@settings(max_examples=60)
@given(st.integers(0, 2**32 - 1), st.integers(1, 4), st.floats(0, 1), st.integers(1, 4))
def test_any_mask_and_any_batch_equal_exact_fractions(seed, images, invalid, batch):
    rng = np.random.default_rng(seed)
    target = rng.uniform(SMALLEST, 0.4922, (images, 1, 3, 4)).astype(np.float32)
    target[rng.random(target.shape) < invalid] = 0
    prediction = torch.from_numpy(rng.normal(size=target.shape).astype(np.float32))
    for protocol in PROTOCOLS:
        expected = exact(protocol, prediction, torch.from_numpy(target))
        value = evaluated(protocol, prediction, torch.from_numpy(target), batch).compute()
        if expected is None:
            assert all(math.isnan(v) for v in value.values())
        else:
            assert list(value.values()) == pytest.approx(expected, rel=1e-12)


def test_pixel_protocol_equals_torchmetrics_and_the_ratio_is_no_percentage():
    rng = np.random.default_rng(1)
    target = torch.from_numpy(rng.uniform(0.001, 0.4922, (2, 1, 8, 8)).astype(np.float32))
    target[:, :, :2] = SMALLEST
    prediction = target + 0.05
    value = evaluated("pixel", prediction, target).compute()
    p, d = prediction.double(), target.double()
    assert value["abs_err"] == pytest.approx(float(MeanAbsoluteError()(p, d)), rel=1e-6)
    assert value["rel_err"] == pytest.approx(float(MeanAbsolutePercentageError()(p, d)), rel=1e-6)
    assert value["rel_err"] > 100  # a quarter of the pixels is nearly infinitely far


def test_it_measures_as_depth_does_but_says_that_it_is_something_else():
    rng = np.random.default_rng(2)
    target = torch.from_numpy(rng.uniform(0.01, 0.49, (3, 1, 4, 5)).astype(np.float32))
    prediction = torch.from_numpy(rng.uniform(0, 0.5, target.shape).astype(np.float32))
    ours = evaluated("paper", prediction, target)
    depth = Depth(1).evaluation("paper")
    depth.update(prediction, target, [f"val/{i}" for i in range(3)])
    assert ours.compute() == depth.compute()
    assert ours.per_image() == depth.per_image()
    assert depth.notes() == []
    (note,) = ours.notes()
    assert "not comparable" in note
    assert "NYUv2" in note
    assert {metric.unit for metric in Disparity.metrics} == {""}
    assert [metric.title for metric in Disparity.metrics] == ["Abs err", "Rel err (ratio)"]
