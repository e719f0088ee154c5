"""Figures are functions of (seed, split, index), whatever the size."""

import numpy as np
import pytest

from tabench.errors import DataError
from tabench.worlds.figures import make_figure
from tabench.worlds.figures.make import sample_scene


def test_same_key_same_picture():
    first, second = make_figure(3, "train", 5, 24, 32), make_figure(3, "train", 5, 24, 32)
    for field in ("image", "semseg", "saliency", "normal", "depth", "context"):
        np.testing.assert_array_equal(getattr(first, field), getattr(second, field))
    assert [(a.number, sorted(a.parts)) for a in first.objects] == [
        (b.number, sorted(b.parts)) for b in second.objects
    ]


@pytest.mark.parametrize("other", [(4, "train", 5), (3, "val", 5), (3, "train", 6)])
def test_another_key_another_picture(other):
    here, there = make_figure(3, "train", 5, 24, 32), make_figure(*other, 24, 32)
    assert (here.depth != there.depth).mean() > 0.5


@pytest.mark.parametrize("index", range(6))
def test_size_does_not_change_the_picture(index):
    small, large = make_figure(1, "val", index, 24, 32), make_figure(1, "val", index, 72, 96)
    # the centres of the small picture's pixels are pixels of the one three times its size
    for field in ("saliency", "context"):
        np.testing.assert_array_equal(getattr(small, field), getattr(large, field)[::3, ::3])
    np.testing.assert_allclose(small.depth, large.depth[::3, ::3], rtol=1e-9)
    np.testing.assert_allclose(small.normal, large.normal[::3, ::3], atol=1e-9)
    parts = {name for item in small.objects for name in item.parts}
    assert parts <= {name for item in large.objects for name in item.parts}


KNOWN = {
    0: (196, [11923.055808161142, 3078.935865381395, 471.88657744136646]),
    1: (116, [338.49277516015115, 300.93809255123386, 75.06976055098929]),
    2: (139, [8369.414189697793, 1497.782437107488, 429.7936148454109]),
    3: (54, [159.68783534847174, 202.43688018777192, 47.989752608194365]),
    4: (133, [472.9833758138714, 468.02298436092786, 126.67159983457869]),
}


@pytest.mark.parametrize("index", sorted(KNOWN))
def test_known_scenes_stay_known(index):
    """Published figures change if any of these does: raise GENERATOR then."""
    pieces, centres = KNOWN[index]
    scene = sample_scene(0, "train", index)
    assert len(scene.pieces) == pieces
    assert sum(piece.shape.centre for piece in scene.pieces) == pytest.approx(centres, abs=1e-5)


def test_unknown_split_and_index():
    with pytest.raises(DataError, match="unknown split 'test'"):
        make_figure(0, "test", 0, 24, 32)
    with pytest.raises(DataError, match="negative"):
        make_figure(0, "train", -1, 24, 32)
