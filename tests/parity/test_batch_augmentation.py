"""A batch augmented by torch equals its images augmented one by one by NumPy, for every draw."""

from __future__ import annotations

import dataclasses

import numpy as np
import pytest
import torch
from batch_samples import assert_equal, samples_of, stacked
from hypothesis import given, settings
from hypothesis import strategies as st

from tabench.data.base import Augmentation
from tabench.data.flip_turn import FlipTurn, Warp, warp, warp_batch
from tabench.data.resampling import CLEAN, PAPER
from tabench.data.zoom_flip import FACTORS, Transform, ZoomFlip, window, zoom_flip, zoom_flip_batch

SEEDS = st.integers(0, 2**32)
SIZES = st.tuples(st.integers(4, 40), st.integers(4, 40))


@st.composite
def transforms(draw: st.DrawFn, height: int, width: int) -> Transform:
    factor = draw(st.sampled_from(FACTORS))
    rows, columns = window(height, width, factor)
    return Transform(
        factor,
        draw(st.integers(0, height - rows)),
        draw(st.integers(0, width - columns)),
        draw(st.booleans()),
    )


@pytest.mark.parametrize("way", [CLEAN, PAPER], ids=["clean", "paper"])
@given(st.data(), SEEDS, SIZES, st.integers(1, 4))
@settings(max_examples=40, deadline=None)
def test_zoom_and_flip(way, data, seed, size, count):
    samples = samples_of(seed, count, *size)
    drawn = [data.draw(transforms(*size)) for _ in samples]
    found = zoom_flip_batch(*stacked(samples), drawn, way)
    assert_equal(found, [zoom_flip(s, t, way) for s, t in zip(samples, drawn, strict=True)])


WARPS = st.builds(Warp, st.booleans(), st.floats(-20, 20), st.floats(0.75, 1.25))


@given(SEEDS, SIZES, st.lists(WARPS, min_size=1, max_size=4))
@settings(max_examples=60, deadline=None)
def test_flip_rotation_and_scale(seed, size, warps):
    samples = samples_of(seed, len(warps), *size, labels_only=True)
    found = warp_batch(*stacked(samples), warps)
    assert_equal(found, [warp(s, w) for s, w in zip(samples, warps, strict=True)])


@pytest.mark.parametrize("kind", [ZoomFlip(), ZoomFlip(PAPER), FlipTurn()], ids=["zoom", "paper", "turn"])
@given(SEEDS, st.integers(0, 300), st.lists(st.integers(0, 5000), min_size=1, max_size=4))
@settings(max_examples=40, deadline=None)
def test_the_recipes_own_draws(kind: Augmentation, seed: int, epoch: int, indices: list[int]):
    samples = samples_of(seed, len(indices), 24, 32, labels_only=isinstance(kind, FlipTurn))
    before = [dataclasses.replace(s, targets={k: v.copy() for k, v in s.targets.items()}) for s in samples]
    image, targets = stacked(samples)
    found = kind.batch(image, targets, seed, epoch, indices)
    expected = [kind.one(s, seed, epoch, index) for s, index in zip(samples, indices, strict=True)]
    assert_equal(found, expected)
    untouched, untouched_targets = stacked(before)
    assert torch.equal(image, untouched)
    assert all(torch.equal(targets[k], untouched_targets[k]) for k in targets)


def test_people_who_leave_the_image_leave_no_parts():
    """In some draws the corner's only pixel of a person turns out of the image: nothing is scored."""
    parts = np.zeros((24, 32), np.int64)
    parts[0, 0] = 3
    (sample,) = samples_of(0, 1, 24, 32, labels_only=True)
    sample = dataclasses.replace(sample, targets={**sample.targets, "parts": parts})
    image, targets = stacked([sample])
    found = [FlipTurn().batch(image, targets, 0, epoch, [0])[1]["parts"] for epoch in range(20)]
    empty = [bool((p == -1).all()) for p in found]
    assert 0 < sum(empty) < 20
    for epoch, p in enumerate(found):
        assert torch.equal(p[0], torch.from_numpy(FlipTurn().one(sample, 0, epoch, 0).targets["parts"]))


def test_full_size_images():
    samples = samples_of(1, 2, 288, 384)
    drawn = [Transform(1.2, 40, 60, flip=True), Transform(1.5, 96, 0)]
    found = zoom_flip_batch(*stacked(samples), drawn)
    assert_equal(found, [zoom_flip(s, t) for s, t in zip(samples, drawn, strict=True)])
