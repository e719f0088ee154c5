"""Angles against SciPy's rotations and their averages against NumPy."""

import math

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.spatial.transform import Rotation

from tabench.tasks.normals import Normals

PROTOCOLS = ("paper", "pixel")
KEYS = ["mean", "median", "within_11", "within_22", "within_30"]


def case_of(angles_by_image, seed=0):
    """Targets with random directions and predictions turned away by the given angles (degrees).

    NaN stands for an invalid pixel; images are one row high.
    """
    rng = np.random.default_rng(seed)
    angles = np.asarray(angles_by_image, dtype=np.float64)
    target = rng.normal(size=(*angles.shape, 3))
    target /= np.linalg.norm(target, axis=-1, keepdims=True)
    axis = np.cross(target, rng.normal(size=target.shape))
    axis /= np.linalg.norm(axis, axis=-1, keepdims=True)
    turn = Rotation.from_rotvec((axis * np.nan_to_num(np.radians(angles))[..., None]).reshape(-1, 3))
    prediction = turn.apply(target.reshape(-1, 3)).reshape(target.shape)
    target[np.isnan(angles)] = 0
    return [torch.from_numpy(np.moveaxis(a, -1, 1)[:, :, None, :].copy()) for a in (prediction, target)]


def evaluated(protocol, prediction, target, batch=1):
    evaluation = Normals(3).evaluation(protocol)
    ids = [f"val/{i}" for i in range(len(target))]
    for at in range(0, len(target), batch):
        part = slice(at, at + batch)
        evaluation.update(prediction[part], target[part], ids[part])
    return evaluation


def expected_of(angles):
    valid = angles[~np.isnan(angles)]
    if not valid.size:
        return None
    shares = [100 * np.mean(valid < limit) for limit in (11.25, 22.5, 30)]
    return dict(zip(KEYS, [np.mean(valid), np.median(valid), *shares], strict=True))


ANGLES = st.lists(
    # not 30: whether a rounded angle lies below a threshold that it equals is nobody's to say
    st.lists(
        st.one_of(st.just(math.nan), st.integers(1, 179).filter(lambda a: a != 30).map(float)),
        min_size=4,
        max_size=4,
    ),
    min_size=1,
    max_size=4,
)


@given(ANGLES, st.integers(0, 999), st.integers(1, 4))
@settings(max_examples=40, deadline=None)
def test_both_protocols_equal_numpy_on_known_angles(angles, seed, batch):
    prediction, target = case_of(angles, seed)
    rows = [expected_of(np.array(row)) for row in angles]
    seen = [row for row in rows if row]
    together = expected_of(np.array(angles))
    for key in KEYS:
        paper = np.mean([row[key] for row in seen]) if seen else math.nan
        pixel = together[key] if together else math.nan
        for protocol, value in (("paper", paper), ("pixel", pixel)):
            computed = evaluated(protocol, prediction, target, batch).compute()[key]
            assert computed == pytest.approx(value, abs=2e-5, nan_ok=True)


def test_papers_median_is_a_mean_of_medians():
    prediction, target = case_of([[1, 2, 90], [50, math.nan, math.nan]])
    assert evaluated("paper", prediction, target).compute()["median"] == pytest.approx(26)
    assert evaluated("pixel", prediction, target).compute()["median"] == pytest.approx(26, abs=1e-5)
    prediction, target = case_of([[1, 2, 90], [50, 60, 70]])
    assert evaluated("paper", prediction, target).compute()["median"] == pytest.approx(31)
    assert evaluated("pixel", prediction, target).compute()["median"] == pytest.approx(
        (50 + 60) / 2, abs=1e-5
    )


@pytest.mark.parametrize("protocol", PROTOCOLS)
def test_thresholds_are_strict_and_monotone(protocol):
    prediction, target = case_of([[11.2, 11.3, 22.4, 22.6, 29.9, 30.1]])
    value = evaluated(protocol, prediction, target).compute()
    assert value["within_11"] == pytest.approx(100 / 6)
    assert value["within_22"] == pytest.approx(300 / 6)
    assert value["within_30"] == pytest.approx(500 / 6)


@pytest.mark.parametrize("protocol", PROTOCOLS)
def test_equal_and_opposite_vectors_do_not_leave_the_domain_of_acos(protocol):
    target = torch.nn.functional.normalize(
        torch.randn(1, 3, 40, 40, generator=torch.Generator().manual_seed(0))
    )
    same = evaluated(protocol, target, target).compute()
    assert same["mean"] < 0.05  # float32 unit vectors: the dot product is 1 within 1e-7
    assert same["within_11"] == 100
    opposite = evaluated(protocol, -target, target).compute()
    assert opposite["mean"] == pytest.approx(180, abs=0.05)
    assert opposite["within_30"] == 0


def test_target_is_taken_as_stored():
    target = torch.zeros(1, 3, 1, 1)
    target[0, 2] = -0.5
    prediction = torch.zeros(1, 3, 1, 1)
    prediction[0, 2] = -1
    assert evaluated("paper", prediction, target).compute()["mean"] == pytest.approx(60)


@pytest.mark.parametrize("protocol", PROTOCOLS)
def test_channels_that_cancel_out_count_as_invalid_like_in_the_authors_code(protocol):
    target = torch.tensor([[1.0, -1, 0], [0, 0, -1]]).T.reshape(1, 3, 1, 2)
    prediction = torch.tensor([[0.0, 0, -1], [0, 0, -1]]).T.reshape(1, 3, 1, 2)
    assert evaluated(protocol, prediction, target).compute()["mean"] == 0


@pytest.mark.parametrize("protocol", PROTOCOLS)
def test_an_image_without_valid_pixels_changes_no_number(protocol):
    prediction, target = case_of([[5, 20, 40], [3, math.nan, 100]])
    plain = evaluated(protocol, prediction, target)
    more = evaluated(
        protocol, torch.cat([prediction, prediction[:1]]), torch.cat([target, torch.zeros_like(target[:1])])
    )
    assert more.compute() == plain.compute()
    assert more.per_image() == plain.per_image()
    assert more.notes() == ["images without a valid pixel, left out: 1"]
    nothing = evaluated(protocol, prediction, torch.zeros_like(target))
    assert list(nothing.compute()) == KEYS
    assert all(math.isnan(value) for value in nothing.compute().values())


def test_per_image_values_are_those_of_the_image_alone():
    prediction, target = case_of([[5, 20, 40], [3, 7, 100]])
    for protocol in PROTOCOLS:
        per_image = evaluated(protocol, prediction, target, 2).per_image()
        for i in range(2):
            alone = evaluated("paper", prediction[i : i + 1], target[i : i + 1]).compute()
            assert {key: per_image[key][f"val/{i}"] for key in KEYS} == alone


@pytest.mark.parametrize("protocol", PROTOCOLS)
def test_batch_size_and_order_change_no_bit(protocol):
    generator = torch.Generator().manual_seed(1)
    target = torch.nn.functional.normalize(torch.randn(7, 3, 13, 11, generator=generator))
    prediction = torch.nn.functional.normalize(torch.randn(7, 3, 13, 11, generator=generator))
    expected = evaluated(protocol, prediction, target).compute()
    for batch in (2, 7):
        assert evaluated(protocol, prediction, target, batch).compute() == expected
    assert evaluated(protocol, prediction.flip(0), target.flip(0), 3).compute() == expected
