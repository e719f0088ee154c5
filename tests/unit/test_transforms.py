from itertools import pairwise

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch.nn.functional import interpolate

from tabench.data.base import Sample
from tabench.data.resampling import PAPER, resize_bilinear, resize_nearest, resize_normals
from tabench.data.zoom_flip import FACTORS, Transform, draw_transform, window
from tabench.data.zoom_flip import zoom_flip as augment

SEEDS = st.integers(0, 2**32)
SIZES = st.tuples(st.integers(4, 24), st.integers(4, 24))


def sample_of(seed: int, height: int = 12, width: int = 16) -> Sample:
    rng = np.random.default_rng(seed)
    normal = rng.normal(size=(3, height, width))
    normal /= np.linalg.norm(normal, axis=0)
    normal[:, rng.random((height, width)) < 0.2] = 0
    depth = rng.uniform(0.5, 9, (1, height, width))
    depth[:, rng.random((height, width)) < 0.2] = 0
    return Sample(
        "train/0",
        rng.random((3, height, width)).astype(np.float32),
        {
            "label": rng.integers(-1, 13, (height, width)),
            "depth": depth.astype(np.float32),
            "normal": normal.astype(np.float32),
        },
    )


def assert_same(a: Sample, b: Sample) -> None:
    np.testing.assert_array_equal(a.image, b.image)
    assert a.targets.keys() == b.targets.keys()
    for kind in a.targets:
        np.testing.assert_array_equal(a.targets[kind], b.targets[kind])
        assert a.targets[kind].dtype == b.targets[kind].dtype


@given(SEEDS, st.integers(0, 500), st.integers(0, 5000), SIZES)
@settings(max_examples=60, deadline=None)
def test_a_draw_depends_on_its_key_alone_and_stays_inside(seed, epoch, index, size):
    height, width = size
    drawn = draw_transform(height, width, seed=seed, epoch=epoch, index=index)
    draw_transform(height, width, seed=seed + 1, epoch=epoch, index=index)
    np.random.random()
    assert drawn == draw_transform(height, width, seed=seed, epoch=epoch, index=index)
    rows, columns = window(height, width, drawn.factor)
    assert drawn.factor in FACTORS
    assert 0 <= drawn.top <= height - rows
    assert 0 <= drawn.left <= width - columns


def test_seed_epoch_and_index_each_matter_and_the_laws_are_the_recipes():
    draws = [
        [draw_transform(96, 128, seed=s, epoch=e, index=i) for i in range(150)]
        for s, e in ((0, 0), (0, 1), (1, 0), (1, 1))
    ]
    for one, other in pairwise(draws):
        assert one != other
    flat = [draw for row in draws for draw in row]
    for factor in FACTORS:  # 600 draws: standard deviation of a third is 0.019
        assert np.mean([d.factor == factor for d in flat]) == pytest.approx(1 / 3, abs=0.08)
    assert np.mean([d.flip for d in flat]) == pytest.approx(0.5, abs=0.08)
    tops = [d.top for d in flat if d.factor == 1.5]
    assert min(tops) <= 2
    assert max(tops) >= 96 - 64 - 2


def test_known_draws_are_pinned():
    drawn = [draw_transform(288, 384, seed=0, epoch=e, index=i) for e, i in ((0, 0), (0, 1), (3, 17))]
    assert drawn == [
        Transform(1.5, top=30, left=72),
        Transform(1.2, top=21, left=51, flip=True),
        Transform(1.5, top=95, left=45, flip=True),
    ]


@given(SEEDS)
@settings(max_examples=30, deadline=None)
def test_flipping_twice_is_the_identity(seed):
    sample = sample_of(seed)
    flipped = augment(sample, Transform(flip=True))
    assert_same(augment(flipped, Transform(flip=True)), sample)
    np.testing.assert_array_equal(flipped.image, sample.image[..., ::-1])
    np.testing.assert_array_equal(flipped.targets["label"], sample.targets["label"][:, ::-1])
    np.testing.assert_array_equal(flipped.targets["depth"], sample.targets["depth"][..., ::-1])
    np.testing.assert_array_equal(flipped.targets["normal"][0], -sample.targets["normal"][0, :, ::-1])
    np.testing.assert_array_equal(flipped.targets["normal"][1:], sample.targets["normal"][1:, :, ::-1])


@given(SEEDS, st.integers(0, 20))
@settings(max_examples=30, deadline=None)
def test_augmenting_keeps_the_contract_and_the_source(seed, index):
    sample = sample_of(seed)
    kept = sample_of(seed)
    result = augment(sample, draw_transform(12, 16, seed=seed, epoch=1, index=index))
    assert_same(sample, kept)
    assert result.image.shape == (3, 12, 16)
    assert result.image.dtype == np.float32
    assert result.image.min() >= 0
    assert result.image.max() <= 1
    for kind, array in result.targets.items():
        assert array.shape == sample.targets[kind].shape
        assert array.dtype == sample.targets[kind].dtype
        assert array.flags["C_CONTIGUOUS"]
    length = np.linalg.norm(result.targets["normal"], axis=0)
    assert np.all((length == 0) | (np.abs(length - 1) < 1e-5))
    assert set(np.unique(result.targets["label"])) <= set(np.unique(sample.targets["label"]))


def test_no_transform_changes_nothing():
    assert_same(augment(sample_of(1), Transform()), sample_of(1))


@pytest.mark.parametrize("factor", [1.2, 1.5])
def test_zoom_equals_torch_on_the_crop(factor):
    sample = sample_of(3, 24, 30)
    rows, columns = window(24, 30, factor)
    result = augment(sample, Transform(factor, top=2, left=1))

    def crop(array):
        return torch.from_numpy(np.ascontiguousarray(array[..., 2 : 2 + rows, 1 : 1 + columns]))[None]

    image = interpolate(crop(sample.image).double(), (24, 30), mode="bilinear", align_corners=False)[0]
    np.testing.assert_allclose(result.image, image, atol=1e-6)
    depth = interpolate(crop(sample.targets["depth"]), (24, 30), mode="nearest-exact")[0] / factor
    np.testing.assert_allclose(result.targets["depth"], depth, rtol=1e-6)
    label = interpolate(crop(sample.targets["label"][None]).double(), (24, 30), mode="nearest-exact")[0, 0]
    np.testing.assert_array_equal(result.targets["label"], label)


@pytest.mark.parametrize("factor", [1.2, 1.5])
@pytest.mark.parametrize("size", [(288, 384), (128, 256), (24, 31)])
def test_the_papers_zoom_is_that_of_torch_interpolate(size, factor):
    """What the released code calls: corners aligned, floor "nearest", and normals left as they are mixed."""
    sample = sample_of(5, *size)
    rows, columns = window(*size, factor)
    result = augment(sample, Transform(factor, top=2, left=1), PAPER)

    def resized(array, **how):
        part = np.ascontiguousarray(array[..., 2 : 2 + rows, 1 : 1 + columns], np.float32)
        return interpolate(torch.from_numpy(part).reshape(1, -1, rows, columns), size, **how)[0]

    for found, source in [(result.image, sample.image), (result.targets["normal"], sample.targets["normal"])]:
        expected = resized(source, mode="bilinear", align_corners=True)
        torch.testing.assert_close(torch.from_numpy(found), expected, rtol=0, atol=1e-6)
    label = resized(sample.targets["label"], mode="nearest")[0]
    np.testing.assert_array_equal(result.targets["label"], label)
    depth = resized(sample.targets["depth"], mode="nearest") / factor
    np.testing.assert_array_equal(result.targets["depth"], depth)
    length = np.linalg.norm(result.targets["normal"], axis=0)
    assert ((length > 0.01) & (length < 0.99)).any(), "beside invalid pixels normals are shorter, and count"
    flipped = augment(sample, Transform(factor, top=2, left=1, flip=True), PAPER).targets["normal"]
    np.testing.assert_array_equal(flipped[1:, :, ::-1], result.targets["normal"][1:])
    np.testing.assert_array_equal(flipped[0, :, ::-1], -result.targets["normal"][0])


@given(st.integers(1, 600), st.integers(1, 600))
@settings(max_examples=60, deadline=None)
def test_the_papers_pixels_are_torchs_at_any_size(source, size):
    line = torch.arange(source, dtype=torch.float32)[None, None]
    np.testing.assert_array_equal(PAPER.nearest(size, source), interpolate(line, size, mode="nearest")[0, 0])
    low, high, share = PAPER.bilinear(size, source)
    expected = interpolate(line, size, mode="linear", align_corners=True)[0, 0]
    np.testing.assert_allclose(low * (1 - share) + high * share, expected, rtol=1e-6, atol=1e-6)


@given(SIZES, SIZES, SEEDS)
@settings(max_examples=40, deadline=None)
def test_resizing_equals_torch(source, size, seed):
    array = np.random.default_rng(seed).random((2, *source)).astype(np.float32)
    tensor = torch.from_numpy(array)[None].double()
    bilinear = interpolate(tensor, size, mode="bilinear", align_corners=False)[0]
    np.testing.assert_allclose(resize_bilinear(array, *size), bilinear, atol=2e-6)
    nearest = resize_nearest(array, *size)
    assert nearest.shape == (2, *size)
    assert set(nearest.ravel().tolist()) <= set(array.ravel().tolist())


def test_invalid_normals_neither_spread_nor_bend_their_neighbours():
    normal = np.zeros((3, 8, 8), np.float32)
    direction = np.array([0.6, 0, -0.8], np.float32)
    normal[:, :, 4:] = direction[:, None, None]
    result = resize_normals(normal, 16, 16)
    np.testing.assert_array_equal(result[:, :, :8], 0)
    np.testing.assert_allclose(
        result[:, :, 8:], np.broadcast_to(direction[:, None, None], (3, 16, 8)), atol=1e-6
    )


def test_opposite_normals_leave_no_direction():
    normal = np.zeros((3, 1, 2), np.float32)
    normal[2, 0] = [-1, 1]
    result = resize_normals(normal, 1, 3)
    np.testing.assert_array_equal(result[2, 0], [-1, 0, 1])


def test_disparity_is_zoomed_and_divided_as_depth_is():
    """The released code treats both alike, though a nearer point has the larger disparity."""
    values = np.random.default_rng(0).uniform(0, 0.49, (1, 12, 18)).astype(np.float32)
    values[:, :4] = 0
    sample = Sample("x", np.zeros((3, 12, 18), np.float32), {"depth": values, "disparity": values})
    for transform in (Transform(1.2, 1, 2), Transform(1.5, 0, 3, flip=True), Transform(flip=True)):
        targets = augment(sample, transform).targets
        np.testing.assert_array_equal(targets["disparity"], targets["depth"])
    assert float(augment(sample, Transform(1.5, 4, 4)).targets["disparity"].max()) <= 0.49 / 1.5
