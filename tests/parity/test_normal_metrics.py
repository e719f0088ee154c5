"""Angles against SciPy's rotations and their averages against NumPy."""

import math

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from metering import evaluated
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
            computed = evaluated(Normals(3), protocol, prediction, target, batch).compute()[key]
            assert computed == pytest.approx(value, abs=2e-5, nan_ok=True)


@pytest.mark.parametrize(
    ("angles", "paper", "pixel"),
    [([[1, 2, 90], [50, math.nan, math.nan]], 26, 26), ([[1, 2, 90], [50, 60, 70]], 31, 55)],
)
def test_papers_median_is_a_mean_of_medians(angles, paper, pixel):
    for protocol, median in (("paper", paper), ("pixel", pixel)):
        value = evaluated(Normals(3), protocol, *case_of(angles)).compute()
        assert value["median"] == pytest.approx(median, abs=1e-5)


@pytest.mark.parametrize("protocol", PROTOCOLS)
def test_thresholds_are_strict_and_monotone(protocol):
    prediction, target = case_of([[11.2, 11.3, 22.4, 22.6, 29.9, 30.1]])
    value = evaluated(Normals(3), protocol, prediction, target).compute()
    assert value["within_11"] == pytest.approx(100 / 6)
    assert value["within_22"] == pytest.approx(300 / 6)
    assert value["within_30"] == pytest.approx(500 / 6)


@pytest.mark.parametrize("protocol", PROTOCOLS)
def test_equal_and_opposite_vectors_do_not_leave_the_domain_of_acos(protocol):
    target = torch.nn.functional.normalize(
        torch.randn(1, 3, 40, 40, generator=torch.Generator().manual_seed(0))
    )
    same = evaluated(Normals(3), protocol, target, target).compute()
    assert same["mean"] < 0.05  # float32 unit vectors: the dot product is 1 within 1e-7
    assert same["within_11"] == 100
    opposite = evaluated(Normals(3), protocol, -target, target).compute()
    assert opposite["mean"] == pytest.approx(180, abs=0.05)
    assert opposite["within_30"] == 0


def test_target_is_taken_as_stored():
    target = torch.zeros(1, 3, 1, 1)
    target[0, 2] = -0.5
    prediction = torch.zeros(1, 3, 1, 1)
    prediction[0, 2] = -1
    assert evaluated(Normals(3), "paper", prediction, target).compute()["mean"] == pytest.approx(60)


@pytest.mark.parametrize("protocol", PROTOCOLS)
def test_channels_that_cancel_out_count_as_invalid_like_in_the_authors_code(protocol):
    target = torch.tensor([[1.0, -1, 0], [0, 0, -1]]).T.reshape(1, 3, 1, 2)
    prediction = torch.tensor([[0.0, 0, -1], [0, 0, -1]]).T.reshape(1, 3, 1, 2)
    assert evaluated(Normals(3), protocol, prediction, target).compute()["mean"] == 0
