"""Bodies: limbs keep their lengths, people their proportions, sitters their seats."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from tabench.data.pascal.classes import PART_INDEX
from tabench.worlds.bodies import sample_body, stand, two_bones, walk
from tabench.worlds.dice import Dice
from tabench.worlds.figures.settings import seat
from tabench.worlds.people import person
from tabench.worlds.shapes import BALL

point = st.tuples(*[st.floats(-2, 2)] * 3).map(np.array)


def pieces_of(thing, *parts):
    return [p for p in thing.pieces if p.label.partition("/")[2] in parts]


def corners(pieces):
    return np.concatenate([piece.shape.corners() for piece in pieces])


def extent(pieces, axis):
    """Least and greatest coordinate of some ellipsoids along an axis, from their support function."""
    reach = [np.linalg.norm(p.shape.axes[axis] * p.shape.half) for p in pieces]
    middle = [p.shape.centre[axis] for p in pieces]
    assert all(p.shape.kind == BALL for p in pieces)
    return min(np.subtract(middle, reach)), max(np.add(middle, reach))


@given(root=point, target=point, pole=point, lengths=st.tuples(st.floats(0.1, 1), st.floats(0.1, 1)))
def test_two_bones_keep_their_lengths_and_reach(root, target, pole, lengths):
    limb = two_bones(root, target, *lengths, pole)
    first, second = np.linalg.norm(limb.middle - root), np.linalg.norm(limb.end - limb.middle)
    way = np.linalg.norm(target - root)
    if way < 1e-3 or np.linalg.norm(np.cross(pole, target - root)) < 1e-3:
        return  # no direction to bend in
    assert first == pytest.approx(lengths[0], rel=1e-6)
    assert second == pytest.approx(lengths[1], rel=1e-6)
    if abs(lengths[0] - lengths[1]) + 0.002 < way < 0.998 * sum(lengths):
        np.testing.assert_allclose(limb.end, target, atol=1e-9)
    along = (target - root) / way
    aside = (limb.middle - root) - ((limb.middle - root) @ along) * along
    assert aside @ pole >= -1e-9  # the middle joint gives way towards the pole


@pytest.mark.parametrize("pose", [stand, walk])
def test_people_on_their_feet_have_their_height_and_touch_the_ground(pose):
    for k in range(10):
        dice = Dice(3, k)
        body = sample_body(dice)
        someone = person(dice, body, pose(dice, body))
        _, top = extent(pieces_of(someone, "head", "hair"), 2)
        assert 0.95 * body.stature < top < 1.08 * body.stature  # hair, and children's larger heads
        sole, _ = extent(pieces_of(someone, "lfoot", "rfoot"), 2)
        assert abs(sole) < 0.02
        assert 1.0 < body.stature < 1.95
        assert 1 / 8 < 2 * body.head / body.stature < 1 / 4.4


def test_every_part_is_on_its_side():
    for k in range(10):
        dice = Dice(5, k)
        body = sample_body(dice)
        someone = person(dice, body, stand(dice, body))
        held = {piece.label.partition("/")[2] for piece in someone.pieces}
        assert held | {"hair"} == set(PART_INDEX)
        for part in ("uarm", "uleg", "lleg", "foot"):  # someone who faces +y has the left at -x
            left = np.mean([p.shape.centre[0] for p in pieces_of(someone, "l" + part)])
            right = np.mean([p.shape.centre[0] for p in pieces_of(someone, "r" + part)])
            assert left < 0 < right
        assert corners(pieces_of(someone, "nose"))[:, 1].max() > 0


def test_sitters_are_on_their_seats():
    for k, name in enumerate(["chair", "sofa", "armchair"] * 4):
        thing = seat(Dice(7, k), name, 1)
        torso = corners(pieces_of(thing, "torso"))[:, 2].min()
        assert 0.3 < torso < 0.6
        level = max(
            p.shape.centre[2] + p.shape.half[2]
            for p in thing.pieces
            if abs(p.shape.centre[1]) < 0.13
            and p.label in ("chair", "sofa")
            and p.shape.half[0] > 0.15
            and p.shape.half[1] > 0.15
        )
        assert abs(torso - level) < 0.06
        assert corners(pieces_of(thing, "lfoot", "rfoot"))[:, 2].min() > -0.03
