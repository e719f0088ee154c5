"""Depth metrics against torchmetrics, NumPy and exact fractions."""

import math
from fractions import Fraction

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torchmetrics.regression import MeanAbsoluteError, MeanAbsolutePercentageError

from tabench.errors import DivergedError
from tabench.tasks.distance import Depth

PROTOCOLS = ("paper", "pixel")


def random_case(seed, images=3, size=(6, 5), invalid=0.3):
    rng = np.random.default_rng(seed)
    prediction = rng.uniform(-1, 10, (images, 1, *size)).astype(np.float32)
    target = rng.uniform(0.1, 10, (images, 1, *size)).astype(np.float32)
    target[rng.random(target.shape) < invalid] = 0
    return torch.from_numpy(prediction), torch.from_numpy(target)


def evaluated(protocol, prediction, target, batch=1):
    evaluation = Depth(1).evaluation(protocol)
    ids = [f"val/{i}" for i in range(len(target))]
    for at in range(0, len(target), batch):
        part = slice(at, at + batch)
        evaluation.update(prediction[part], target[part], ids[part])
    return evaluation


def exact(prediction, target):
    """Sums of |p - d| and |p - d| / d and the number of valid pixels, as fractions."""
    pairs = [
        (Fraction(float(p)), Fraction(float(d)))
        for p, d in zip(prediction.flatten(), target.flatten(), strict=True)
    ]
    valid = [(p, d) for p, d in pairs if d]
    return sum(abs(p - d) for p, d in valid), sum(abs(p - d) / d for p, d in valid), len(valid)


@given(st.integers(0, 10**6), st.floats(0, 1), st.integers(1, 4))
@settings(max_examples=30, deadline=None)
def test_both_protocols_equal_exact_arithmetic(seed, invalid, batch):
    prediction, target = random_case(seed, size=(2, 3), invalid=invalid)
    sums = [exact(p, t) for p, t in zip(prediction, target, strict=True)]
    seen = [s for s in sums if s[2]]
    pixels = sum(s[2] for s in seen)
    for at, key in enumerate(("abs_err", "rel_err")):
        paper = float(sum(s[at] / s[2] for s in seen) / len(seen)) if seen else math.nan
        pixel = float(sum(s[at] for s in seen) / pixels) if seen else math.nan
        for protocol, expected in (("paper", paper), ("pixel", pixel)):
            value = evaluated(protocol, prediction, target, batch).compute()[key]
            assert value == pytest.approx(expected, rel=1e-13, nan_ok=True)


def test_pixel_protocol_equals_torchmetrics_on_valid_pixels():
    prediction, target = random_case(1)
    valid = target > 0
    p, d = prediction[valid].double(), target[valid].double()
    value = evaluated("pixel", prediction, target).compute()
    assert value["abs_err"] == pytest.approx(float(MeanAbsoluteError()(p, d)), rel=1e-6)
    assert value["rel_err"] == pytest.approx(float(MeanAbsolutePercentageError()(p, d)), rel=1e-6)


def test_protocols_differ_where_images_have_unequal_numbers_of_valid_pixels():
    target = torch.zeros(2, 1, 2, 2)
    target[0] = 2
    target[1, 0, 0, 0] = 4
    prediction = torch.full_like(target, 3)
    assert evaluated("paper", prediction, target).compute() == {"abs_err": 1, "rel_err": (0.5 + 0.25) / 2}
    assert evaluated("pixel", prediction, target).compute() == {"abs_err": 1, "rel_err": (4 * 0.5 + 0.25) / 5}


@pytest.mark.parametrize("protocol", PROTOCOLS)
def test_an_image_without_valid_pixels_changes_no_number(protocol):
    prediction, target = random_case(2)
    plain = evaluated(protocol, prediction, target)
    more = evaluated(
        protocol, torch.cat([prediction, prediction[:1]]), torch.cat([target, torch.zeros_like(target[:1])])
    )
    assert more.compute() == plain.compute()
    assert more.per_image() == plain.per_image()
    assert (plain.notes(), more.notes()) == ([], ["images without a valid pixel, left out: 1"])


@pytest.mark.parametrize("protocol", PROTOCOLS)
def test_nothing_valid_or_nothing_seen_is_nan(protocol):
    zeros = torch.zeros(2, 1, 3, 3)
    for evaluation in (evaluated(protocol, zeros, zeros), Depth(1).evaluation(protocol)):
        assert [math.isnan(v) for v in evaluation.compute().values()] == [True, True]
        assert list(evaluation.compute()) == ["abs_err", "rel_err"]
        assert evaluation.per_image() == {"abs_err": {}, "rel_err": {}}


@pytest.mark.parametrize("protocol", PROTOCOLS)
def test_batch_size_and_order_change_no_bit(protocol):
    prediction, target = random_case(3, images=9, size=(31, 17))
    expected = evaluated(protocol, prediction, target).compute()
    for batch in (2, 4, 9):
        assert evaluated(protocol, prediction, target, batch).compute() == expected
    assert evaluated(protocol, prediction.flip(0), target.flip(0), 3).compute() == expected


def test_sums_are_kept_in_float64():
    """In float32 a sum of 1e8 metres would swallow each further millimetre."""
    target = torch.full((3, 1, 64, 64), 1e-3)
    prediction = target.clone()
    prediction[0] += 1e5
    value = evaluated("pixel", prediction, target).compute()
    shifted = float(prediction[0, 0, 0, 0]) - float(target[0, 0, 0, 0])
    assert value["abs_err"] == pytest.approx(shifted / 3, rel=1e-14)


def test_predictions_that_are_not_finite_are_refused():
    prediction, target = random_case(4)
    prediction[2, 0, 0, 0] = math.inf
    with pytest.raises(DivergedError, match=r"^val/2: "):
        evaluated("paper", prediction, target, 3)
