"""Bodies of people: proportions, poses, and where they put the joints.

Lengths are shares of stature as anthropometry gives them (Drillis and Contini 1966):
hips at 0.53, shoulders at 0.82, chin at 0.87 of it. A pose says where the pelvis is, how the
trunk leans, and where hands and feet go; elbows and knees follow from two-bone
inverse kinematics.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np

from tabench.worlds.dice import Dice, Floats
from tabench.worlds.things import Point, unit

SIDES = (-1.0, 1.0)  # x of the left and the right: a person faces +y
_BONE = {"thigh": 0.24, "shank": 0.24, "upper": 0.175, "fore": 0.145}
_TRUNK = 0.266  # hip joints to shoulder joints
_STANDING = 0.522  # height of the hip joints with straight legs
SHOULDERS, HIPS = 0.099, 0.053  # half the distance of the joints
ANKLE = 0.042  # height of the ankle above the sole
Pair = Sequence[Floats]  # left and right


@dataclass(frozen=True)
class Body:
    """A person's build; lengths in metres."""

    stature: float  # height when standing
    girth: float  # thickness of trunk and limbs, 1 is average
    head: float  # half height of the head without hair


@dataclass(frozen=True, eq=False)
class Pose:
    """Where a person's ends are, in metres, the person facing +y."""

    hips: Floats  # (3,) middle between the hip joints
    lean: float  # trunk leaning forward, radians
    hands: Pair  # left and right wrist
    feet: Pair  # left and right ankle
    elbows: Pair  # directions that the elbows point to
    knees: Pair  # directions that the knees point to
    turn: float = 0.0  # head turned to its right, radians
    nod: float = 0.0  # head bowed, radians
    toes: Sequence[float] = (0.0, 0.0)  # pitch of the feet, radians, positive with the heel up


class Limb(NamedTuple):
    """Three joints of an arm or a leg."""

    root: Floats
    middle: Floats
    end: Floats


class Joints(NamedTuple):
    """A posed skeleton: the trunk's direction, the base of the neck, limbs left and right."""

    spine: Floats
    neck: Floats
    arms: list[Limb]
    legs: list[Limb]


def two_bones(root: Floats, target: Point, first: float, second: float, pole: Point) -> Limb:
    """Bend a limb of two lengths from its root to a target (3,), its middle joint giving way to the pole.

    It stretches out straight if the target is too far.
    """
    way = np.asarray(target, dtype=np.float64) - root
    distance = float(np.clip(np.linalg.norm(way), abs(first - second) + 1e-3, 0.999 * (first + second)))
    along = unit(way)
    across = np.asarray(pole, dtype=np.float64)
    across = unit(across - (across @ along) * along)
    reach = (first**2 - second**2 + distance**2) / (2 * distance)
    aside = np.sqrt(max(first**2 - reach**2, 0.0))
    return Limb(root, root + reach * along + aside * across, root + distance * along)


def joints(body: Body, pose: Pose) -> Joints:
    """Where a pose puts a body's joints."""
    h, spine = body.stature, _spine(pose.lean)
    bone = {name: share * h for name, share in _BONE.items()}
    arms, legs = [], []
    for k, side in enumerate(SIDES):
        root = shoulder(body, pose.hips, pose.lean, side)
        arms.append(two_bones(root, pose.hands[k], bone["upper"], bone["fore"], pose.elbows[k]))
        hip = pose.hips + side * HIPS * h * _v(1, 0, 0)
        legs.append(two_bones(hip, pose.feet[k], bone["thigh"], bone["shank"], pose.knees[k]))
    neck = pose.hips + (_TRUNK + 0.036) * h * spine
    return Joints(spine, neck, arms, legs)


def shoulder(body: Body, hips: Floats, lean: float, side: float) -> Floats:
    """A shoulder joint, for placing hands before a pose is complete."""
    return np.asarray(
        hips + _TRUNK * body.stature * _spine(lean) + side * SHOULDERS * body.stature * _v(1, 0, 0)
    )


def _spine(lean: float) -> Floats:
    return np.array([0.0, np.sin(lean), np.cos(lean)])


def _v(x: float, y: float, z: float) -> Floats:
    return np.array([x, y, z], dtype=np.float64)


def _pair(x: float, y: float, z: float) -> Pair:
    """The same vector for both sides, mirrored; x is outwards."""
    return _v(-x, y, z), _v(x, y, z)


# An idle hand: wrist from the shoulder in shares of stature (x outwards), and the elbow's direction.
_GESTURES = (
    *(((0.03, 0.02, -0.3), (0.4, -1.0, 0.0)),) * 5,  # hangs
    ((0.005, 0.03, -0.216), (1.0, -0.35, 0.0)),  # on the hip
    ((0.1, 0.06, 0.17), (1.0, -0.1, -0.6)),  # waves
    ((0.17, 0.22, -0.02), (0.4, 0.0, -1.0)),  # points
    ((-0.05, 0.14, -0.12), (0.6, -0.3, -1.0)),  # holds something before the chest
    ((-0.035, 0.07, 0.075), (0.8, 0.1, -0.8)),  # at the ear
)


def _gesture(dice: Dice, body: Body, hips: Floats, lean: float, side: float) -> Pair:
    """Wrist and elbow direction of an arm that has nothing to do."""
    wrist, elbow = (np.array(vector) * [side, 1.0, 1.0] for vector in dice.pick(_GESTURES))
    shift = _v(side * dice.uniform(-0.02, 0.03), dice.uniform(-0.02, 0.03), 0.0)
    return shoulder(body, hips, lean, side) + body.stature * (wrist + shift), elbow


def sample_body(dice: Dice) -> Body:
    """A grown-up, or one time in seven a child."""
    if dice.chance(0.14):
        return Body(dice.uniform(1.05, 1.4), dice.uniform(0.9, 1.1), 0.11 * dice.uniform(0.95, 1.0))
    stature = dice.uniform(1.56, 1.9)
    return Body(stature, dice.uniform(0.88, 1.22), dice.uniform(0.064, 0.069) * stature)


def stand(dice: Dice, body: Body) -> Pose:
    """Upright, the weight on both legs or on one."""
    h, lean = body.stature, dice.uniform(-0.03, 0.06)
    hips = _v(dice.uniform(-0.02, 0.02), 0.0, _STANDING * body.stature * dice.uniform(0.985, 0.998))
    spread = dice.uniform(0.0, 0.05) * h
    left, right = (_v(s * (HIPS * h + spread), dice.uniform(-0.03, 0.05) * h, ANKLE * h) for s in SIDES)
    (one, elbow), (other, bend) = (_gesture(dice, body, hips, lean, side) for side in SIDES)
    turn, nod = dice.uniform(-0.6, 0.6), dice.uniform(-0.1, 0.3)
    return Pose(hips, lean, (one, other), (left, right), (elbow, bend), _pair(0.15, 1.0, 0.0), turn, nod)


def walk(dice: Dice, body: Body) -> Pose:
    """One leg ahead, the other pushing off, arms swinging against them."""
    h, swing, lean = body.stature, dice.uniform(0.1, 0.2), dice.uniform(0.0, 0.12)
    ahead = dice.pick(SIDES)
    hips = _v(0.0, 0.0, _STANDING * body.stature * (0.985 - 0.35 * swing**2))
    feet, hands, toes = [], [], []
    for side in SIDES:
        step = side * ahead * swing
        pitch = 0.0 if step > 0 else 3.2 * swing  # behind: the heel up, the toes down
        feet.append(h * _v(0.8 * side * HIPS, step, ANKLE + 0.1 * np.sin(pitch)))
        toes.append(pitch)
        reach, angle = 0.94 * 0.32 * h, -1.5 * step
        bend = 0.1 * h if angle > 0 else 0.0
        swung = _v(side * 0.04 * h, reach * np.sin(angle) + bend / 2, bend - reach * np.cos(angle))
        hands.append(shoulder(body, hips, lean, side) + swung)
    turn, nod = dice.uniform(-0.4, 0.4), dice.uniform(-0.05, 0.2)
    elbows, knees = _pair(0.25, -1.0, -0.1), _pair(0.05, 1.0, 0.1)
    return Pose(hips, lean, hands, feet, elbows, knees, turn, nod, toes)


def sit(dice: Dice, body: Body, level: float, table: float | None = None) -> Pose:
    """On a seat of some height (metres), the hips over the origin; hands on a table top, if there is one."""
    h = body.stature
    lean = dice.uniform(-0.25, 0.0) if table is None else dice.uniform(-0.02, 0.15)
    hips = _v(0.0, 0.0, level + 0.062 * h * body.girth)
    feet, hands = [], []
    for side in SIDES:
        ahead = (_BONE["thigh"] + dice.uniform(-0.06, 0.07)) * h
        feet.append(_v(side * (HIPS + dice.uniform(0.0, 0.06)) * h, ahead, ANKLE * h))
        if table is not None:
            hands.append(_v(side * 0.1 * h, dice.uniform(0.2, 0.26) * h, table + 0.03))
        else:
            hands.append(_v(side * 0.06 * h, dice.uniform(0.1, 0.2) * h, hips[2] + 0.075 * h))
    turn, nod = dice.uniform(-0.5, 0.5), dice.uniform(-0.05, 0.3)
    return Pose(hips, lean, hands, feet, _pair(0.5, -0.8, -0.3), _pair(0.15, 1.0, 0.9), turn, nod)


def ride(dice: Dice, body: Body) -> Pose:
    """On the bicycle among the prefabs, whose origin is the pose's."""
    lean = dice.uniform(0.25, 0.5)
    hips = _v(0.0, -0.25, 0.9 + 0.055 * body.stature)
    feet = _v(-0.11, -0.25, 0.5), _v(0.11, -0.03, 0.26)
    nod = dice.uniform(-0.1, 0.15) + 0.6 * lean
    knees = _pair(0.15, 1.0, 0.3)
    return Pose(hips, lean, _pair(0.28, 0.24, 1.08), feet, _pair(0.8, -0.3, -0.5), knees, nod=nod)
