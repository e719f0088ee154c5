"""Bodies of people: proportions, poses, and where they put the joints.

Lengths are shares of stature as anthropometry gives them (Drillis and Contini 1966):
hips at 0.53, shoulders at 0.82, chin at 0.87 of it. A pose says where the pelvis is, how the
trunk leans, and where hands and feet go; elbows and knees follow from two-bone
inverse kinematics. Arrays (2, 3) are left and right, x outwards where they are given for one side.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import NamedTuple

import numpy as np

from tabench.worlds.dice import Dice, Floats
from tabench.worlds.things import Point, unit

SIDES = (-1.0, 1.0)  # x of the left and the right: a person faces +y
_MIRROR = np.array([[-1.0, 1.0, 1.0], [1.0, 1.0, 1.0]])
_THIGH, _SHANK, _UPPER, _FORE = 0.24, 0.24, 0.175, 0.145
_TRUNK = 0.266  # hip joints to shoulder joints
_STANDING = 0.522  # height of the hip joints with straight legs
SHOULDERS, HIPS = 0.099, 0.053  # half the distance of the joints
ANKLE = 0.042  # height of the ankle above the sole


class Body(NamedTuple):
    """A person's build; lengths in metres."""

    stature: float  # height when standing
    girth: float  # thickness of trunk and limbs, 1 is average
    head: float  # half height of the head without hair


@dataclass(frozen=True, eq=False)
class Pose:
    """Where a person's ends are, in metres, the person facing +y; arrays (2, 3) for left and right."""

    hips: Floats  # (3,) middle between the hip joints
    lean: float  # trunk leaning forward, radians
    hands: Floats  # wrists
    feet: Floats  # ankles
    elbows: Floats  # directions that the elbows point to
    knees: Floats  # directions that the knees point to
    turn: float = 0.0  # head turned to its right, radians
    nod: float = 0.0  # head bowed, radians
    toes: tuple[float, float] = (0.0, 0.0)  # pitch of the feet, radians, positive with the heel up


class Limb(NamedTuple):
    """Three joints of an arm or a leg."""

    root: Floats
    middle: Floats
    end: Floats


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


def limbs(body: Body, pose: Pose) -> tuple[list[Limb], list[Limb]]:
    """Arms and legs, left and right, of a body in a pose."""
    h, roots = body.stature, shoulders(body, pose.hips, pose.lean)
    hips = pose.hips + HIPS * h * _MIRROR * [1.0, 0.0, 0.0]
    arms, legs = [], []
    for k in range(2):
        arms.append(two_bones(roots[k], pose.hands[k], _UPPER * h, _FORE * h, pose.elbows[k]))
        legs.append(two_bones(hips[k], pose.feet[k], _THIGH * h, _SHANK * h, pose.knees[k]))
    return arms, legs


def spine_of(lean: float) -> Floats:
    """Unit direction (3,) from the hips to the neck."""
    return np.array([0.0, np.sin(lean), np.cos(lean)])


def shoulders(body: Body, hips: Floats, lean: float) -> Floats:
    """The shoulder joints (2, 3), for placing hands before a pose is complete."""
    aside = SHOULDERS * _MIRROR * [1.0, 0.0, 0.0]
    return np.asarray(hips + body.stature * (_TRUNK * spine_of(lean) + aside))


# An idle hand: wrist from the shoulder in shares of stature, and the elbow's direction.
_GESTURES = (
    *(((0.03, 0.02, -0.3), (0.4, -1.0, 0.0)),) * 5,  # hangs
    ((0.005, 0.03, -0.216), (1.0, -0.35, 0.0)),  # on the hip
    ((0.1, 0.06, 0.17), (1.0, -0.1, -0.6)),  # waves
    ((0.17, 0.22, -0.02), (0.4, 0.0, -1.0)),  # points
    ((-0.05, 0.14, -0.12), (0.6, -0.3, -1.0)),  # holds something before the chest
    ((-0.035, 0.07, 0.075), (0.8, 0.1, -0.8)),  # at the ear
)


def sample_body(dice: Dice) -> Body:
    """A grown-up, or one time in seven a child."""
    if dice.chance(0.14):
        return Body(dice.uniform(1.05, 1.4), dice.uniform(0.9, 1.1), 0.11 * dice.uniform(0.95, 1.0))
    stature = dice.uniform(1.56, 1.9)
    return Body(stature, dice.uniform(0.88, 1.22), dice.uniform(0.064, 0.069) * stature)


def stand(dice: Dice, body: Body) -> Pose:
    """Upright, the weight on both legs or on one, each hand idle in a way of its own."""
    h, lean = body.stature, dice.uniform(-0.03, 0.06)
    hips = np.array([dice.uniform(-0.02, 0.02), 0.0, _STANDING * h * dice.uniform(0.985, 0.998)])
    spread = HIPS + dice.uniform(0.0, 0.05)
    feet = h * _MIRROR * [(spread, dice.uniform(-0.03, 0.05), ANKLE) for _ in SIDES]
    wrists, elbows = np.array([dice.pick(_GESTURES) for _ in SIDES]).swapaxes(0, 1)
    wrists[:, :2] += 0.05 * dice.uniforms(2, 2) - 0.025
    hands = shoulders(body, hips, lean) + h * _MIRROR * wrists
    turn, nod = dice.uniform(-0.6, 0.6), dice.uniform(-0.1, 0.3)
    return Pose(hips, lean, hands, feet, _MIRROR * elbows, _MIRROR * [0.15, 1.0, 0.0], turn, nod)


def walk(dice: Dice, body: Body) -> Pose:
    """One leg ahead, the other pushing off, arms swinging against them."""
    h, swing, lean = body.stature, dice.uniform(0.1, 0.2), dice.uniform(0.0, 0.12)
    hips = np.array([0.0, 0.0, _STANDING * h * (0.985 - 0.35 * swing**2)])
    steps = swing * dice.pick(SIDES) * np.array(SIDES)
    pitch = np.where(steps > 0, 0.0, 3.2 * swing)  # behind: the heel up, the toes down
    level = ANKLE + 0.1 * np.sin(pitch)
    feet = h * _MIRROR * np.stack([np.full(2, 0.8 * HIPS), steps, level], axis=1)
    angle, reach = -1.5 * steps, 0.94 * 0.32
    bend = 0.1 * (angle > 0)
    swung = [np.full(2, 0.04), reach * np.sin(angle) + bend / 2, bend - reach * np.cos(angle)]
    hands = shoulders(body, hips, lean) + h * _MIRROR * np.stack(swung, axis=1)
    turn, nod = dice.uniform(-0.4, 0.4), dice.uniform(-0.05, 0.2)
    elbows, knees = _MIRROR * [0.25, -1.0, -0.1], _MIRROR * [0.05, 1.0, 0.1]
    return Pose(hips, lean, hands, feet, elbows, knees, turn, nod, (float(pitch[0]), float(pitch[1])))


def sit(dice: Dice, body: Body, level: float, table: float | None = None) -> Pose:
    """On a seat of some height (metres), the hips over the origin; hands on a table top, if there is one."""
    h = body.stature
    lean = dice.uniform(-0.25, 0.0) if table is None else dice.uniform(-0.02, 0.15)
    hips = np.array([0.0, 0.0, level + 0.062 * h * body.girth])
    ahead, apart = _THIGH - 0.06 + 0.13 * dice.uniforms(2), HIPS + 0.06 * dice.uniforms(2)
    feet = h * _MIRROR * np.stack([apart, ahead, np.full(2, ANKLE)], axis=1)
    wide, near, far = (0.06, 0.1, 0.2) if table is None else (0.1, 0.2, 0.26)
    height = hips[2] + 0.075 * h if table is None else table + 0.03
    hands = _MIRROR * [(wide * h, dice.uniform(near, far) * h, height) for _ in SIDES]
    turn, nod = dice.uniform(-0.5, 0.5), dice.uniform(-0.05, 0.3)
    return Pose(hips, lean, hands, feet, _MIRROR * [0.5, -0.8, -0.3], _MIRROR * [0.15, 1.0, 0.9], turn, nod)
