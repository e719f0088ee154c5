"""Scenes are functions of (seed, split, index); splits never share a stream."""

import numpy as np
import pytest

from tabench.errors import DataError
from tabench.worlds.scenes import make_scene
from tabench.worlds.scenes.dice import SPLIT_KEYS, Dice, scene_key
from tabench.worlds.scenes.rooms import sample_scene

DRAWN = [0.9060999392139949, 2.0, 2.0]
SIZE = [5.718299817641984, 3.776225698850562, 2.5964994256867353]
CENTRES = [126.84940800153274, 112.82949891042212, 53.0983898606306]
PIECES = 74


def test_same_key_same_arrays():
    first, second = make_scene(3, "train", 5, 48, 64), make_scene(3, "train", 5, 48, 64)
    assert first.keys() == {"image", "label", "depth", "normal", "instance"}
    for kind in first:
        np.testing.assert_array_equal(first[kind], second[kind])


@pytest.mark.parametrize("other", [(4, "train", 5), (3, "val", 5), (3, "pretrain", 5), (3, "train", 6)])
def test_another_key_another_room(other):
    here, there = make_scene(3, "train", 5, 24, 32), make_scene(*other, 24, 32)
    assert (here["depth"] != there["depth"]).mean() > 0.5


def test_split_streams_never_meet():
    keys = {scene_key(split, i) for split in SPLIT_KEYS for i in range(300)}
    assert len(keys) == 300 * len(SPLIT_KEYS)
    first = {tuple(Dice(0, *key, 0).uniforms(4)) for key in keys}
    assert len(first) == len(keys)


def test_size_does_not_change_the_room():
    small, large = make_scene(1, "val", 2, 24, 32), make_scene(1, "val", 2, 72, 96)
    # the centres of the small image's pixels are pixels of the one three times its size
    np.testing.assert_array_equal(small["instance"], large["instance"][::3, ::3])
    both = (small["depth"] > 0) & (large["depth"][::3, ::3] > 0)
    np.testing.assert_allclose(small["depth"][both], large["depth"][::3, ::3][both], rtol=1e-5)


def test_known_draws_stay_known():
    """Published scenes change if any of these does: raise GENERATOR then."""
    dice = Dice(0, 0, 0, 0)
    drawn = [dice.uniform(0, 1), float(dice.integer(0, 9)), dice.pick((1.0, 2.0, 3.0))]
    scene = sample_scene(Dice(0, 0, 0, 0))
    assert drawn == pytest.approx(DRAWN, abs=1e-12)
    assert scene.size == pytest.approx(SIZE, abs=1e-9)
    assert len(scene.pieces) == PIECES
    assert sum(piece.shape.centre for piece in scene.pieces) == pytest.approx(CENTRES, abs=1e-6)


def test_unknown_split_and_index():
    with pytest.raises(DataError, match="unknown split 'test'"):
        make_scene(0, "test", 0, 24, 32)
    with pytest.raises(DataError, match="negative"):
        make_scene(0, "train", -1, 24, 32)
