"""Joint flip, rotation and scaling: against scipy, against themselves, and on vectors."""

import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy.ndimage import affine_transform

from tabench.data.base import Sample
from tabench.data.flip_turn import Warp, draw_warp, warp

HEIGHT, WIDTH = 21, 31


def sample(seed=0):
    rng = np.random.default_rng(seed)
    normal = rng.normal(size=(3, HEIGHT, WIDTH))
    normal /= np.linalg.norm(normal, axis=0)
    normal[:, :2] = 0
    return Sample(
        "train/0",
        rng.random((3, HEIGHT, WIDTH)).astype(np.float32),
        {
            "label": rng.integers(-1, 21, (HEIGHT, WIDTH)),
            "parts": rng.integers(0, 7, (HEIGHT, WIDTH)),
            "saliency": rng.integers(0, 2, (HEIGHT, WIDTH)),
            "edge": rng.integers(0, 2, (HEIGHT, WIDTH)),
            "normal": normal.astype(np.float32),
        },
    )


def matrix(drawn):
    """Maps (row, column) of a target pixel to its source, about the centre."""
    a = math.radians(drawn.degrees)
    inverse = np.array([[math.cos(a), math.sin(a)], [-math.sin(a), math.cos(a)]]) / drawn.scale
    centre = np.array([(HEIGHT - 1) / 2, (WIDTH - 1) / 2])
    return inverse, centre - inverse @ centre


@pytest.mark.parametrize("drawn", [Warp(False, 13, 1.2), Warp(False, -20, 0.75), Warp(False, 0, 1.25)])
def test_images_and_labels_move_as_scipys_affine_transform(drawn):
    before = sample()
    after = warp(before, drawn)
    move, offset = matrix(drawn)
    padded = np.pad(before.image, ((0, 0), (1, 1), (1, 1)))
    for channel in range(3):
        expected = affine_transform(
            padded[channel], move, offset + 1, output_shape=(HEIGHT, WIDTH), order=1, cval=0
        )
        np.testing.assert_allclose(after.image[channel], expected, atol=2e-5)
    for kind in ("label", "parts", "saliency", "edge"):
        expected = affine_transform(
            before.targets[kind], move, offset, order=0, cval=-1, mode="grid-constant"
        )
        apart = after.targets[kind] != expected
        assert apart.mean() < 0.01, kind  # ties between two pixels round either way
        assert after.targets[kind].dtype == before.targets[kind].dtype


def test_a_line_turns_counter_clockwise():
    image = np.zeros((3, 41, 41), np.float32)
    image[:, 20, 20:] = 1  # from the centre to the right
    turned = warp(Sample("a", image, {}), Warp(False, 20, 1)).image[0]
    rows, columns = np.nonzero(turned > 0.3)
    far = columns.argmax()
    assert rows[far] < 20  # up, as seen
    angle = math.degrees(math.atan2(20 - rows[far], columns[far] - 20))
    assert angle == pytest.approx(20, abs=2)


@given(st.floats(-20, 20), st.floats(0.75, 1.25), st.booleans())
def test_normals_turn_with_the_image(degrees, scale, flip):
    vector = np.array([0.6, -0.48, 0.64])  # x right, y down
    normal = np.repeat(vector[:, None, None], 25, 1).repeat(25, 2).astype(np.float32)
    before = Sample("a", np.zeros((3, 25, 25), np.float32), {"normal": normal})
    after = warp(before, Warp(flip, degrees, scale)).targets["normal"][:, 12, 12]
    x, y, z = vector * (-1 if flip else 1, 1, 1)
    # seen from the front, y up: a counter-clockwise turn adds to the angle
    angle = math.atan2(-y, x) + math.radians(degrees)
    long = math.hypot(x, y)
    np.testing.assert_allclose(after, [long * math.cos(angle), -long * math.sin(angle), z], atol=1e-5)


@given(st.integers(0, 2**31), st.floats(-20, 20), st.floats(0.75, 1.25), st.booleans())
def test_whatever_is_drawn_keeps_the_contract(seed, degrees, scale, flip):
    before = sample(seed % 7)
    after = warp(before, Warp(flip, degrees, scale))
    assert after.image.shape == before.image.shape
    assert after.image.dtype == np.float32
    assert after.image.min() >= 0
    assert after.image.max() <= 1
    for kind, array in after.targets.items():
        assert array.shape == before.targets[kind].shape
        assert array.dtype == before.targets[kind].dtype
        if kind != "normal":
            assert set(np.unique(array)) <= set(np.unique(before.targets[kind])) | {-1}
    length = np.linalg.norm(after.targets["normal"].astype(np.float64), axis=0)
    assert (np.isclose(length, 1, atol=1e-4) | (length == 0)).all()


def test_outside_is_black_and_unlabelled():
    before = sample()
    before.image[:] = 1
    after = warp(before, Warp(False, 0, 0.75))
    for kind in ("label", "parts", "saliency", "edge"):
        assert (after.targets[kind][0] == -1).all(), kind
        assert (after.targets[kind][:, 0] == -1).all(), kind
    assert (after.targets["normal"][:, 0] == 0).all()
    assert (after.image[:, 0] == 0).all()
    assert (after.image[:, 10, 15] == 1).all()


def test_flipping_twice_and_doing_nothing_give_the_same_bytes():
    before = sample()
    for after in (warp(warp(before, Warp(True)), Warp(True)), warp(before, Warp())):
        assert after.image.tobytes() == before.image.tobytes()
        assert all(after.targets[k].tobytes() == before.targets[k].tobytes() for k in before.targets)
    flipped = warp(before, Warp(True))
    assert np.array_equal(flipped.targets["normal"][0], 0 - before.targets["normal"][0, :, ::-1])
    assert np.array_equal(flipped.targets["parts"], before.targets["parts"][:, ::-1])


def test_draws_fill_their_ranges():
    drawn = [draw_warp(seed=3, epoch=1, index=index) for index in range(400)]
    assert drawn[5] == draw_warp(seed=3, epoch=1, index=5)
    assert len(set(drawn)) == 400
    for values, low, high in (([d.degrees for d in drawn], -20, 20), ([d.scale for d in drawn], 0.75, 1.25)):
        assert low <= min(values) < low + 0.05 * (high - low)
        assert high - 0.05 * (high - low) < max(values) <= high
    assert 160 < sum(d.flip for d in drawn) < 240
