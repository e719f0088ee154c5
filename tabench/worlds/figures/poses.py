"""How people stand, walk, sit and ride."""

from __future__ import annotations

import numpy as np

from tabench.worlds.figures.skeleton import SIDES, Body, Pose, shoulder
from tabench.worlds.figures.solids import Point
from tabench.worlds.scenes.dice import Dice, Floats

_FORWARD = np.array([0.0, 1.0, 0.0])


def _v(x: float, y: float, z: float) -> Floats:
    return np.array([x, y, z])


def _pair(x: float, y: float, z: float) -> tuple[Floats, Floats]:
    """The same vector for both sides, mirrored; x is outwards."""
    return _v(-x, y, z), _v(x, y, z)


def _gesture(dice: Dice, body: Body, hips: Floats, lean: float, side: float) -> tuple[Floats, Floats]:
    """Wrist and elbow direction of an arm that has nothing to do."""
    at, h = shoulder(body, hips, lean, side), body.stature
    kind = dice.integer(0, 9)
    if kind <= 4:  # hangs
        drop = (body.upper_arm + body.forearm) * dice.uniform(0.93, 0.99)
        out, fore = dice.uniform(0.02, 0.16) * drop, dice.uniform(-0.02, 0.16) * drop
        return at + _v(side * out, fore, -np.sqrt(drop**2 - out**2 - fore**2)), _v(side * 0.4, -1.0, 0.0)
    if kind == 5:  # on the hip
        return hips + _v(side * (body.hips + 0.05 * h), 0.01 * h, 0.05 * h), _v(side, -0.35, 0.0)
    if kind == 6:  # raised to wave
        return at + _v(side * 0.1 * h, 0.06 * h, dice.uniform(0.1, 0.24) * h), _v(side, -0.1, -0.6)
    if kind == 7:  # stretched out
        return at + _v(side * dice.uniform(0.08, 0.26) * h, 0.22 * h, -0.02 * h), _v(side * 0.4, 0.0, -1.0)
    if kind == 8:  # holds something before the chest
        return at + _v(-side * 0.05 * h, 0.14 * h, -0.12 * h), _v(side * 0.6, -0.3, -1.0)
    return at + _v(-side * 0.035 * h, 0.07 * h, 0.075 * h), _v(side * 0.8, 0.1, -0.8)  # to the ear


def stand(dice: Dice, body: Body) -> Pose:
    """Upright, the weight on both legs or on one."""
    lean = dice.uniform(-0.03, 0.06)
    hips = _v(dice.uniform(-0.02, 0.02), 0.0, body.standing * dice.uniform(0.985, 0.998))
    spread = dice.uniform(0.0, 0.05) * body.stature
    feet = []
    for side in SIDES:
        feet.append(_v(side * (body.hips + spread), dice.uniform(-0.03, 0.05) * body.stature, body.ankle))
    arms = [_gesture(dice, body, hips, lean, side) for side in SIDES]
    return Pose(
        hips,
        lean,
        (arms[0][0], arms[1][0]),
        (feet[0], feet[1]),
        (arms[0][1], arms[1][1]),
        _pair(0.15, 1.0, 0.0),
        turn=dice.uniform(-0.6, 0.6),
        nod=dice.uniform(-0.1, 0.3),
    )


def walk(dice: Dice, body: Body) -> Pose:
    """One leg ahead, the other pushing off, arms swinging against them."""
    h, swing = body.stature, dice.uniform(0.1, 0.2)
    ahead = dice.pick((-1.0, 1.0))
    lean = dice.uniform(0.0, 0.12)
    hips = _v(0.0, 0.0, body.standing * (0.985 - 0.35 * swing**2))
    feet, hands, toes = [], [], []
    for side in SIDES:
        step = side * ahead * swing
        lift = 0.0 if step > 0 else 0.1 * float(np.sin(3.2 * swing))  # the heel up, the toes down
        feet.append(_v(side * body.hips * 0.8, step * h, body.ankle + lift * h))
        toes.append(0.0 if step > 0 else 3.2 * swing)
        at = shoulder(body, hips, lean, side)
        reach = 0.94 * (body.upper_arm + body.forearm)
        angle = -1.5 * step
        bend = 0.1 if angle > 0 else 0.0
        hands.append(
            at
            + _v(side * 0.04 * h, reach * np.sin(angle) + bend * h * 0.5, -reach * np.cos(angle) + bend * h)
        )
    return Pose(
        hips,
        lean,
        (hands[0], hands[1]),
        (feet[0], feet[1]),
        _pair(0.25, -1.0, -0.1),
        _pair(0.05, 1.0, 0.1),
        turn=dice.uniform(-0.4, 0.4),
        nod=dice.uniform(-0.05, 0.2),
        toes=(toes[0], toes[1]),
    )


def sit(dice: Dice, body: Body, level: float, floor: float = 0.0, table: float | None = None) -> Pose:
    """On a seat of some height, the hips over the origin; feet on the floor or hanging.

    Args:
        dice: Random choices.
        body: Who sits.
        level: Height of the seat in metres.
        floor: Height of what the feet stand on.
        table: Height of a table top before the person, for the hands.
    """
    h = body.stature
    lean = dice.uniform(-0.25, 0.0) if table is None else dice.uniform(-0.02, 0.15)
    hips = _v(0.0, 0.0, level + 0.062 * h * body.girth)
    feet, hands = [], []
    for side in SIDES:
        ahead = body.thigh + dice.uniform(-0.06, 0.07) * h
        feet.append(_v(side * (body.hips + dice.uniform(0.0, 0.06) * h), ahead, floor + body.ankle))
        if table is not None:
            hands.append(_v(side * 0.1 * h, dice.uniform(0.2, 0.26) * h, table + 0.03))
        elif dice.chance(0.75):
            hands.append(_v(side * 0.06 * h, dice.uniform(0.1, 0.2) * h, hips[2] + 0.075 * h))
        else:
            hands.append(_gesture(dice, body, hips, lean, side)[0])
    return Pose(
        hips,
        lean,
        (hands[0], hands[1]),
        (feet[0], feet[1]),
        _pair(0.5, -0.8, -0.3),
        _pair(0.15, 1.0, 0.9),
        turn=dice.uniform(-0.5, 0.5),
        nod=dice.uniform(-0.05, 0.3),
    )


def ride(
    dice: Dice,
    body: Body,
    saddle: float,
    grips: tuple[Point, Point],
    feet: tuple[Point, Point],
    lean: float,
    spread: float = 0.2,
) -> Pose:
    """Astride something, hands on its grips and feet on its rests.

    Args:
        dice: Random choices.
        body: Who rides.
        saddle: Height of the saddle, which is over the origin.
        grips: Left and right wrist.
        feet: Left and right ankle.
        lean: Trunk forward, radians.
        spread: How far the knees point outwards.
    """
    left, right = (np.asarray(foot, dtype=np.float64) for foot in feet)
    one, other = (np.asarray(grip, dtype=np.float64) for grip in grips)
    return Pose(
        _v(0.0, 0.0, saddle + 0.055 * body.stature),
        lean,
        (one, other),
        (left, right),
        _pair(0.8, -0.3, -0.5),
        _pair(spread, 1.0, 0.3),
        turn=dice.uniform(-0.3, 0.3),
        nod=dice.uniform(-0.1, 0.15) + 0.6 * lean,
    )
