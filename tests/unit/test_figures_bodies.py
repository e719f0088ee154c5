"""Bodies: limbs keep their lengths, people their proportions, sitters their seats."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from tabench.worlds.figures import household
from tabench.worlds.figures.cycles import bicycle, motorbike, mounted
from tabench.worlds.figures.people import person, sample_body
from tabench.worlds.figures.poses import sit, stand, walk
from tabench.worlds.figures.skeleton import joints, two_bones
from tabench.worlds.scenes.dice import Dice
from tabench.worlds.scenes.shapes import BALL

PARTS = {"head", "torso", "neck"} | {
    side + part
    for side in "lr"
    for part in ("uarm", "larm", "hand", "uleg", "lleg", "foot", "eye", "ear", "ebrow")
}
coordinate = st.floats(-2, 2)
point = st.tuples(coordinate, coordinate, coordinate).map(np.array)


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
    for k in range(25):
        dice = Dice(3, k)
        body = sample_body(dice)
        someone = person(dice, body, pose(dice, body))
        _, top = extent(pieces_of(someone, "head", "hair"), 2)
        assert 0.95 * body.stature < top < 1.08 * body.stature  # hair, and children's larger heads
        sole, _ = extent(pieces_of(someone, "lfoot", "rfoot"), 2)
        assert abs(sole) < 0.02
        assert 1.0 < body.stature < 1.95


def test_heads_are_a_seventh_to_a_quarter_of_the_height():
    for k in range(25):
        body = sample_body(Dice(4, k))
        assert 1 / 8 < 2 * body.head / body.stature < 1 / 4.4


def test_every_part_is_on_its_side():
    for k in range(10):
        dice = Dice(5, k)
        body = sample_body(dice)
        someone = person(dice, body, stand(dice, body))
        held = {piece.label.partition("/")[2] for piece in someone.pieces}
        assert held >= PARTS | {"nose", "mouth"}
        for part in ("uarm", "uleg", "lleg", "foot"):  # someone who faces +y has the left at -x
            left = np.mean([p.shape.centre[0] for p in pieces_of(someone, "l" + part)])
            right = np.mean([p.shape.centre[0] for p in pieces_of(someone, "r" + part)])
            assert left < 0 < right
        assert corners(pieces_of(someone, "nose"))[:, 1].max() > 0


def test_limbs_hang_together():
    """Each limb starts where the one before it ends: no gap between arm, forearm and hand."""
    for k, pose in enumerate([stand, walk, lambda dice, body: sit(dice, body, 0.45)] * 4):
        dice = Dice(6, k)
        body = sample_body(dice)
        bones = joints(body, pose(dice, body))
        for limb, first, second in [
            *((arm, body.upper_arm, body.forearm) for arm in bones.arms),
            *((leg, body.thigh, body.shank) for leg in bones.legs),
        ]:
            assert np.linalg.norm(limb.middle - limb.root) == pytest.approx(first)
            assert np.linalg.norm(limb.end - limb.middle) == pytest.approx(second)
        knees = [leg.middle[1] for leg in bones.legs]
        assert min(knees) > bones.hips[1] - 0.3 * body.stature


def test_sitters_are_on_their_seats():
    for k in range(12):
        dice = Dice(7, k)
        seat = household.chair(dice, occupied=True) if k % 2 else household.sofa(dice, 1)
        level = household.top_of(seat.pieces[4]) if seat.pieces[4].label == "sofa" else None
        torso = corners(pieces_of(seat, "torso"))[:, 2].min()
        if level is not None:
            assert abs(torso - level) < 0.06
        assert 0.3 < torso < 0.55
        assert corners(pieces_of(seat, "lfoot", "rfoot"))[:, 2].min() > -0.03
        assert {piece.label.partition("/")[0] for piece in seat.pieces} >= {"person"}


@pytest.mark.parametrize("make", [bicycle, motorbike])
def test_riders_hold_the_bars(make):
    for k in range(6):
        mount = make(Dice(8, k))
        grips = np.stack(mount.grips)
        whole = mounted(Dice(8, k), mount)
        hands = np.stack([pieces_of(whole, name)[0].shape.centre for name in ("lhand", "rhand")])
        assert np.linalg.norm(hands - grips, axis=-1).max() < 0.25
        assert hands[0, 0] < 0 < hands[1, 0]
