"""Both augmentations: their draws, one image by NumPy against torch and SciPy, and batches against images."""

from __future__ import annotations

import dataclasses
import math
from itertools import pairwise

import numpy as np
import pytest
import torch
from batch_samples import assert_equal, samples_of, stacked
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.ndimage import affine_transform
from torch.nn.functional import interpolate

from tabench.data.base import Augmentation, Sample
from tabench.data.flip_turn import FlipTurn, Warp, draw_warp, warp
from tabench.data.resampling import CLEAN, PAPER, resize_bilinear, resize_nearest, resize_normals
from tabench.data.zoom_flip import (
    FACTORS,
    Transform,
    ZoomFlip,
    draw_transform,
    window,
    zoom_flip,
)

SEEDS = st.integers(0, 2**32)
SIZES = st.tuples(st.integers(4, 40), st.integers(4, 40))
WARPS = st.builds(Warp, st.booleans(), st.floats(-20, 20), st.floats(0.75, 1.25))
RECIPES = {"zoom": ZoomFlip(), "paper": ZoomFlip(PAPER), "turn": FlipTurn()}


def sample_of(seed: int, height: int = 21, width: int = 31, labels_only: bool = False) -> Sample:
    return samples_of(seed, 1, height, width, labels_only=labels_only)[0]


def same_bytes(a: Sample, b: Sample) -> bool:
    pairs = [(a.image, b.image), *((a.targets[kind], b.targets[kind]) for kind in b.targets)]
    return all(one.dtype == other.dtype and one.tobytes() == other.tobytes() for one, other in pairs)


@given(SEEDS, st.integers(0, 500), st.integers(0, 5000), SIZES)
@settings(max_examples=60, deadline=None)
def test_a_draw_depends_on_its_key_alone_and_stays_inside(seed, epoch, index, size):
    height, width = size
    drawn = draw_transform(height, width, seed=seed, epoch=epoch, index=index)
    draw_transform(height, width, seed=seed + 1, epoch=epoch, index=index)
    np.random.random()
    assert drawn == draw_transform(height, width, seed=seed, epoch=epoch, index=index)
    rows, columns = window(height, width, drawn.factor)
    assert 0 <= drawn.top <= height - rows
    assert 0 <= drawn.left <= width - columns


def test_seed_epoch_and_index_each_matter_and_the_laws_are_the_recipes():
    keys = ((0, 0), (0, 1), (1, 0), (1, 1))
    zooms = [[draw_transform(96, 128, seed=s, epoch=e, index=i) for i in range(150)] for s, e in keys]
    turns = [[draw_warp(seed=s, epoch=e, index=i) for i in range(150)] for s, e in keys]
    for one, other in (*pairwise(zooms), *pairwise(turns)):
        assert one != other
    flat = [draw for row in zooms for draw in row]
    for factor in FACTORS:  # 600 draws: standard deviation of a third is 0.019
        assert np.mean([d.factor == factor for d in flat]) == pytest.approx(1 / 3, abs=0.08)
    tops = [d.top for d in flat if d.factor == 1.5]
    assert min(tops) <= 2
    assert max(tops) >= 96 - 64 - 2
    turned = [draw for row in turns for draw in row]
    for values, low, high in (
        ([d.degrees for d in turned], -20, 20),
        ([d.scale for d in turned], 0.75, 1.25),
    ):
        assert low <= min(values) < low + 0.05 * (high - low)
        assert high - 0.05 * (high - low) < max(values) <= high
    for draws in (flat, turned):
        assert np.mean([d.flip for d in draws]) == pytest.approx(0.5, abs=0.08)


def test_known_draws_are_pinned():
    drawn = [draw_transform(288, 384, seed=0, epoch=e, index=i) for e, i in ((0, 0), (0, 1), (3, 17))]
    assert drawn == [
        Transform(1.5, top=30, left=72),
        Transform(1.2, top=21, left=51, flip=True),
        Transform(1.5, top=95, left=45, flip=True),
    ]


@pytest.mark.parametrize(
    ("augment", "nothing", "flip"),
    [(zoom_flip, Transform(), Transform(flip=True)), (warp, Warp(), Warp(True))],
    ids=["zoom", "turn"],
)
def test_flipping_twice_and_doing_nothing_give_the_same_bytes(augment, nothing, flip):
    sample = sample_of(1, labels_only=augment is warp)
    flipped = augment(sample, flip)
    assert same_bytes(augment(flipped, flip), sample)
    assert same_bytes(augment(sample, nothing), sample)
    np.testing.assert_array_equal(flipped.image, sample.image[..., ::-1])
    for kind in set(sample.targets) - {"normal"}:
        np.testing.assert_array_equal(flipped.targets[kind], sample.targets[kind][..., ::-1])
    normal = sample.targets["normal"] * np.array([-1, 1, 1])[:, None, None]
    np.testing.assert_array_equal(flipped.targets["normal"], normal[..., ::-1])


@pytest.mark.parametrize("name", RECIPES)
@given(SEEDS, st.integers(0, 300), st.lists(st.integers(0, 5000), min_size=1, max_size=4))
@settings(max_examples=30, deadline=None)
def test_the_recipes_keep_the_contract_and_batches_equal_their_images(name, seed, epoch, indices):
    kind: Augmentation = RECIPES[name]
    samples = samples_of(seed, len(indices), 24, 32, labels_only=name == "turn")
    before = [dataclasses.replace(s, targets={k: v.copy() for k, v in s.targets.items()}) for s in samples]
    image, targets = stacked(samples)
    expected = [kind.one(s, seed, epoch, index) for s, index in zip(samples, indices, strict=True)]
    assert_equal(kind.batch(image, targets, seed, epoch, indices), expected)
    untouched, untouched_targets = stacked(before)
    assert torch.equal(image, untouched)
    assert all(torch.equal(targets[k], untouched_targets[k]) for k in targets)
    for found, source in zip(expected, before, strict=True):
        assert found.image.shape == source.image.shape
        assert found.image.dtype == np.float32
        assert 0 <= found.image.min() <= found.image.max() <= 1
        for target, array in found.targets.items():
            assert array.shape == source.targets[target].shape
            assert array.dtype == source.targets[target].dtype
            assert array.flags["C_CONTIGUOUS"]
            if array.dtype == np.int64:
                assert set(np.unique(array)) <= set(np.unique(source.targets[target])) | {-1}
        length = np.linalg.norm(found.targets["normal"].astype(np.float64), axis=0)
        unit = (length == 0) | (np.abs(length - 1) < 1e-4)
        assert unit.all() or name == "paper"


@pytest.mark.parametrize("factor", [1.2, 1.5])
@pytest.mark.parametrize("size", [(288, 384), (128, 256), (24, 31)])
@pytest.mark.parametrize("way", [CLEAN, PAPER], ids=["clean", "paper"])
def test_zoom_equals_torch_on_the_crop(way, size, factor):
    """`PAPER` is what the released code calls: corners aligned, floor "nearest", normals left as mixed."""
    sample = sample_of(5, *size)
    rows, columns = window(*size, factor)
    found = zoom_flip(sample, Transform(factor, top=2, left=1), way)

    def resized(array, **how):
        # torch computes places in the type of the values: exact ones in double, the released code's in single
        kind = np.float32 if way is PAPER else np.float64
        part = np.ascontiguousarray(array[..., 2 : 2 + rows, 1 : 1 + columns], kind)
        return interpolate(torch.from_numpy(part).reshape(1, -1, rows, columns), size, **how)[0]

    bilinear = {"mode": "bilinear", "align_corners": way is PAPER}
    nearest = {"mode": "nearest" if way is PAPER else "nearest-exact"}
    np.testing.assert_allclose(found.image, resized(sample.image, **bilinear), rtol=0, atol=1e-6)
    np.testing.assert_array_equal(found.targets["label"], resized(sample.targets["label"], **nearest)[0])
    for kind in ("depth", "disparity"):  # the released code treats both alike
        expected = resized(sample.targets[kind], **nearest) / factor
        np.testing.assert_allclose(found.targets[kind], expected, rtol=1e-6)
    if way is PAPER:
        normal = found.targets["normal"]
        np.testing.assert_allclose(normal, resized(sample.targets["normal"], **bilinear), rtol=0, atol=1e-6)
        length = np.linalg.norm(normal, axis=0)
        assert ((length > 0.01) & (length < 0.99)).any(), "beside invalid pixels they are shorter, and count"


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


def test_invalid_normals_neither_spread_nor_bend_and_opposite_ones_leave_no_direction():
    normal = np.zeros((3, 8, 8), np.float32)
    direction = np.array([0.6, 0, -0.8], np.float32)[:, None, None]
    normal[:, :, 4:] = direction
    found = resize_normals(normal, 16, 16)
    np.testing.assert_array_equal(found[:, :, :8], 0)
    np.testing.assert_allclose(found[:, :, 8:], np.broadcast_to(direction, (3, 16, 8)), atol=1e-6)
    opposite = np.array([[[0, 0]], [[0, 0]], [[-1, 1]]], np.float32)
    np.testing.assert_array_equal(resize_normals(opposite, 1, 3)[2, 0], [-1, 0, 1])


@pytest.mark.parametrize("drawn", [Warp(False, 13, 1.2), Warp(False, -20, 0.75), Warp(False, 0, 1.25)])
def test_images_and_labels_move_as_scipys_affine_transform(drawn):
    before = sample_of(0, labels_only=True)
    after = warp(before, drawn)
    size = before.image.shape[1:]
    a = math.radians(drawn.degrees)
    move = np.array([[math.cos(a), math.sin(a)], [-math.sin(a), math.cos(a)]]) / drawn.scale
    centre = (np.array(size) - 1) / 2
    offset = centre - move @ centre
    padded = np.pad(before.image, ((0, 0), (1, 1), (1, 1)))
    for channel in range(3):
        expected = affine_transform(padded[channel], move, offset + 1, output_shape=size, order=1, cval=0)
        np.testing.assert_allclose(after.image[channel], expected, atol=2e-5)
    for kind in ("label", "parts", "saliency", "edge"):
        target = before.targets[kind]
        expected = affine_transform(target, move, offset, order=0, cval=-1, mode="grid-constant")
        assert (after.targets[kind] != expected).mean() < 0.01, kind  # ties of two pixels round either way


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


def test_outside_is_black_and_unlabelled():
    before = sample_of(0, labels_only=True)
    before.image[:] = 1
    after = warp(before, Warp(False, 0, 0.75))
    for kind in ("label", "parts", "saliency", "edge"):
        assert (after.targets[kind][0] == -1).all(), kind
        assert (after.targets[kind][:, 0] == -1).all(), kind
    assert (after.targets["normal"][:, 0] == 0).all()
    assert (after.image[:, 0] == 0).all()
    assert (after.image[:, 10, 15] == 1).all()


def test_people_who_leave_the_image_leave_no_parts():
    """In some draws the corner's only pixel of a person turns out of the image: nothing is scored."""
    parts = np.zeros((24, 32), np.int64)
    parts[0, 0] = 3
    sample = sample_of(0, 24, 32, labels_only=True)
    sample = dataclasses.replace(sample, targets={**sample.targets, "parts": parts})
    image, targets = stacked([sample])
    found = [FlipTurn().batch(image, targets, 0, epoch, [0])[1]["parts"] for epoch in range(20)]
    assert 0 < sum(bool((p == -1).all()) for p in found) < 20
    for epoch, p in enumerate(found):
        assert torch.equal(p[0], torch.from_numpy(FlipTurn().one(sample, 0, epoch, 0).targets["parts"]))
