"""Depth and disparity metrics against exact fractions and torchmetrics, on masks that are hard on them."""

import math
from fractions import Fraction

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from metering import evaluated
from torchmetrics.regression import MeanAbsoluteError, MeanAbsolutePercentageError

from tabench.tasks.distance import Depth, Disparity

PROTOCOLS = ("paper", "pixel")
SMALLEST = 2 / 65535  # the layout's least valid value: a 16-bit number other than 0 and 1


each_task = pytest.mark.parametrize("task", [Depth(1), Disparity(1)], ids=["depth", "disparity"])


def exact(protocol, prediction, target):
    """Both metrics by fractions; NaN where nothing is valid."""
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
        return [math.nan, math.nan]
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


@each_task
@pytest.mark.parametrize("protocol", PROTOCOLS)
@pytest.mark.parametrize("mask", masks().values(), ids=masks().keys())
@pytest.mark.parametrize("kind", ["random", "all wrong", "right", "tiny"])
def test_adversarial_masks_equal_exact_fractions(task, protocol, mask, kind):
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
    value = evaluated(task, protocol, prediction, target).compute()
    expected = exact(protocol, prediction, target)
    assert list(value) == ["abs_err", "rel_err"]
    assert list(value.values()) == pytest.approx(expected, rel=1e-13, nan_ok=True)
    if kind == "right" and mask.any():
        assert list(value.values()) == [0, 0]


@each_task
@settings(max_examples=60, deadline=None)
@given(st.integers(0, 2**32 - 1), st.integers(1, 4), st.floats(0, 1), st.integers(1, 4))
def test_any_mask_and_any_batch_equal_exact_fractions(task, seed, images, invalid, batch):
    rng = np.random.default_rng(seed)
    farthest = 10 if type(task) is Depth else 0.4922
    target = rng.uniform(SMALLEST, farthest, (images, 1, 3, 4)).astype(np.float32)
    target[rng.random(target.shape) < invalid] = 0
    prediction = torch.from_numpy(rng.normal(size=target.shape).astype(np.float32))
    for protocol in PROTOCOLS:
        expected = exact(protocol, prediction, torch.from_numpy(target))
        value = evaluated(task, protocol, prediction, torch.from_numpy(target), batch).compute()
        assert list(value.values()) == pytest.approx(expected, rel=1e-13, nan_ok=True)


def test_pixel_protocol_equals_torchmetrics_and_the_ratio_is_no_percentage():
    rng = np.random.default_rng(1)
    target = torch.from_numpy(rng.uniform(0.001, 0.4922, (2, 1, 8, 8)).astype(np.float32))
    target[:, :, :2] = SMALLEST
    target[:, :, 7] = 0
    prediction = target + 0.05
    value = evaluated(Disparity(1), "pixel", prediction, target).compute()
    valid = target > 0
    p, d = prediction[valid].double(), target[valid].double()
    assert value["abs_err"] == pytest.approx(float(MeanAbsoluteError()(p, d)), rel=1e-6)
    assert value["rel_err"] == pytest.approx(float(MeanAbsolutePercentageError()(p, d)), rel=1e-6)
    assert value["rel_err"] > 100  # a quarter of the pixels is nearly infinitely far


def test_disparity_measures_as_depth_does_but_says_that_it_is_something_else():
    rng = np.random.default_rng(2)
    target = torch.from_numpy(rng.uniform(0.01, 0.49, (3, 1, 4, 5)).astype(np.float32))
    prediction = torch.from_numpy(rng.uniform(0, 0.5, target.shape).astype(np.float32))
    depth, ours = (evaluated(task, "paper", prediction, target) for task in (Depth(1), Disparity(1)))
    assert ours.compute() == depth.compute()
    assert ours.per_image() == depth.per_image()
    assert depth.notes() == []
    (note,) = ours.notes()
    assert "not comparable" in note
    assert "NYUv2" in note
    assert {metric.unit for metric in Disparity.metrics} == {""}
    assert [metric.title for metric in Disparity.metrics] == ["Abs err", "Rel err (ratio)"]


def test_protocols_differ_where_images_have_unequal_numbers_of_valid_pixels():
    target = torch.zeros(3, 1, 2, 2)
    target[0] = 2
    target[1, 0, 0, 0] = 4
    prediction = torch.full_like(target, 3)
    paper, pixel = (evaluated(Depth(1), protocol, prediction, target) for protocol in PROTOCOLS)
    assert paper.compute() == {"abs_err": 1, "rel_err": (0.5 + 0.25) / 2}
    assert pixel.compute() == {"abs_err": 1, "rel_err": (4 * 0.5 + 0.25) / 5}
    assert paper.notes() == pixel.notes() == ["images without a valid pixel, left out: 1"]


def test_sums_are_kept_in_float64():
    """In float32 a sum of 1e8 metres would swallow each further millimetre."""
    target = torch.full((3, 1, 64, 64), 1e-3)
    prediction = target.clone()
    prediction[0] += 1e5
    value = evaluated(Depth(1), "pixel", prediction, target).compute()
    shifted = float(prediction[0, 0, 0, 0]) - float(target[0, 0, 0, 0])
    assert value["abs_err"] == pytest.approx(shifted / 3, rel=1e-14)
