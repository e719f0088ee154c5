"""Four-legged animals: one plan, each kind with its own measures."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from tabench.worlds.figures.skeleton import SIDES, two_bones
from tabench.worlds.figures.solids import bone, ellipsoid, frame
from tabench.worlds.scenes.dice import Dice, Floats
from tabench.worlds.scenes.materials import Material, material
from tabench.worlds.scenes.palette import Colour, shade
from tabench.worlds.scenes.thing import Thing


@dataclass(frozen=True)
class Plan:
    """Measures of a four-legged animal, in shares of its height at the withers.

    Attributes:
        label: Class name.
        height: Withers above the ground in metres, least and most.
        length: Breast to rump.
        chest: Radius of the trunk at the breast.
        belly: Radius at the loin.
        neck: Length of the neck.
        rise: Angle of the neck above the horizontal, radians.
        thick: Radius of the neck.
        head: Length of skull and muzzle together.
        leg: Radius of the upper leg.
        tail: Length of the tail.
        tail_up: Angle of the tail above the horizontal, radians.
        coats: Colours.
        patterns: Surface patterns.
    """

    label: str
    height: tuple[float, float]
    length: float
    chest: float
    belly: float
    neck: float
    rise: float
    thick: float
    head: float
    leg: float
    tail: float
    tail_up: float
    coats: tuple[Colour, ...]
    patterns: tuple[str, ...]


_BROWNS: tuple[Colour, ...] = (
    (0.42, 0.25, 0.14),
    (0.28, 0.17, 0.11),
    (0.60, 0.42, 0.26),
    (0.15, 0.12, 0.11),
    (0.72, 0.68, 0.62),
)
PLANS = {
    "dog": Plan(
        "dog",
        (0.42, 0.65),
        1.05,
        0.215,
        0.165,
        0.32,
        0.85,
        0.115,
        0.46,
        0.085,
        0.5,
        0.7,
        (*_BROWNS, (0.72, 0.55, 0.32)),
        ("fur", "fur", "patches"),
    ),
    "cat": Plan(
        "cat",
        (0.26, 0.31),
        1.2,
        0.21,
        0.2,
        0.22,
        0.75,
        0.13,
        0.42,
        0.075,
        0.95,
        0.9,
        ((0.5, 0.45, 0.4), (0.75, 0.5, 0.28), (0.14, 0.13, 0.13), (0.74, 0.72, 0.69)),
        ("tabby", "tabby", "fur", "patches"),
    ),
    "horse": Plan(
        "horse",
        (1.4, 1.65),
        1.0,
        0.19,
        0.175,
        0.46,
        0.85,
        0.095,
        0.42,
        0.072,
        0.42,
        -1.2,
        _BROWNS,
        ("fur", "fur", "fur", "patches"),
    ),
    "cow": Plan(
        "cow",
        (1.25, 1.45),
        1.12,
        0.25,
        0.235,
        0.3,
        0.3,
        0.125,
        0.4,
        0.075,
        0.5,
        -1.4,
        ((0.16, 0.13, 0.12), (0.45, 0.26, 0.15), (0.30, 0.18, 0.12)),
        ("patches", "patches", "fur"),
    ),
    "sheep": Plan(
        "sheep",
        (0.65, 0.8),
        1.05,
        0.29,
        0.28,
        0.22,
        0.55,
        0.14,
        0.34,
        0.055,
        0.16,
        -1.0,
        ((0.78, 0.75, 0.68), (0.70, 0.66, 0.59)),
        ("wool",),
    ),
}


def animal(dice: Dice, kind: str, *, grazing: bool = False) -> Thing:
    """A standing or walking four-legged animal that faces +y."""
    plan = PLANS[kind]
    h = dice.uniform(*plan.height)
    coat = material(
        dice, dice.pick(plan.patterns), shade(dice, plan.coats, 0.04), (0.8, 0.78, 0.74), scale=0.18 * h
    )
    thing = Thing(kind, 0.5 * h, plan.length * h + 0.5 * h, h * 1.3)
    fore, rear = 0.5 * plan.length * h, -0.5 * plan.length * h
    high = h * (1.0 - plan.chest)
    shoulder = np.array([0.0, fore - plan.chest * h, high])
    loin = np.array([0.0, rear + plan.belly * h, high + 0.02 * h])
    ellipsoid(thing, shoulder, (0.92 * plan.chest * h, plan.chest * h, plan.chest * h), coat)
    bone(thing, shoulder, loin, (plan.chest * h * 0.95, plan.belly * h), coat, flat=1.04)
    ellipsoid(thing, loin, (0.95 * plan.belly * h, 1.05 * plan.belly * h, 1.02 * plan.belly * h), coat)
    _legs(thing, dice, plan, h, shoulder, loin, coat)
    rise = -0.7 if grazing else plan.rise + dice.uniform(-0.15, 0.2)
    _head(thing, dice, plan, h, shoulder, rise, coat)
    _tail(thing, dice, plan, h, loin, coat)
    return thing


def _legs(
    thing: Thing, dice: Dice, plan: Plan, h: float, shoulder: Floats, loin: Floats, coat: Material
) -> None:
    step = dice.pick((0.02, 0.05, 0.12)) * h
    dark = coat if plan.label in ("dog", "cat") else material(dice, "plain", (0.13, 0.11, 0.1))
    thin = 0.52 * plan.leg * h
    skin = material(dice, "plain", (0.16, 0.14, 0.13)) if plan.label == "sheep" else coat
    for root, radius, knees in ((shoulder, plan.chest, 1.0), (loin, plan.belly, -1.0)):
        for side in SIDES:
            swing = side * knees * step
            hip = root + np.array([side * 0.55 * radius * h, 0.0, -0.25 * radius * h])
            paw = np.array([hip[0], root[1] + swing, 0.06 * h])
            length = float(hip[2] - paw[2]) * 1.03
            bend = np.array([0.0, 1.0 if knees > 0 else -1.0, 0.0])
            limb = two_bones(hip, paw, 0.5 * length, 0.52 * length, bend)
            wide = plan.leg * h * (1.25 if knees < 0 else 1.0)
            bone(
                thing,
                limb.root,
                limb.middle,
                (wide, thin * 1.15),
                coat if plan.label != "sheep" else skin,
                knob=True,
            )
            bone(thing, limb.middle, limb.end, (thin * 1.1, thin * 0.85), skin, knob=True)
            ellipsoid(
                thing,
                limb.end + np.array([0.0, 0.03 * h, -0.025 * h]),
                (thin * 1.1, thin * 1.6, 0.035 * h),
                dark,
            )


def _head(
    thing: Thing, dice: Dice, plan: Plan, h: float, shoulder: Floats, rise: float, coat: Material
) -> None:
    base = shoulder + np.array([0.0, 0.4 * plan.chest * h, 0.35 * plan.chest * h])
    up = np.array([0.0, np.cos(rise), np.sin(rise)])
    poll = base + plan.neck * h * up
    bone(thing, base, poll, (plan.thick * 1.35 * h, plan.thick * 0.9 * h), coat, flat=1.25, knob=True)
    pitch = min(rise - 1.0, 0.0) if plan.label in ("horse", "cow", "sheep") else -0.15
    pitch = -1.1 if rise < 0 else pitch
    ahead = np.array([0.0, np.cos(pitch), np.sin(pitch)])
    over = np.array([0.0, -np.sin(pitch), np.cos(pitch)])
    size = plan.head * h
    bare = material(dice, "plain", (0.2, 0.17, 0.16)) if plan.label == "sheep" and dice.chance(0.5) else coat
    skull = poll + 0.16 * size * ahead
    round_head = plan.label in ("cat", "dog")
    broad = 0.4 if plan.label == "cat" else 0.3 if round_head else 0.235
    ellipsoid(thing, skull, (broad * size, 0.36 * size, broad * 1.05 * size), bare, axes=frame(over))
    nose = skull + (0.42 if plan.label == "cat" else 0.66) * size * ahead - 0.1 * size * over
    bone(thing, skull, nose, (0.9 * broad * size, 0.5 * broad * size), bare, knob=True)
    black = material(dice, "plain", (0.07, 0.06, 0.06))
    ellipsoid(
        thing, nose + 0.5 * broad * size * ahead + 0.03 * size * over, np.full(3, 0.22 * broad * size), black
    )
    for side in SIDES:
        right = np.array([side, 0.0, 0.0])
        eye = skull + 0.85 * broad * size * right + 0.16 * size * ahead + 0.3 * broad * size * over
        ellipsoid(thing, eye, np.full(3, 0.045 * size), black)
        foot = skull + 0.7 * broad * size * right - 0.1 * size * ahead + 0.7 * broad * size * over
        _ear(thing, plan.label, foot, side, size, over, bare)
        if plan.label == "cow":
            pale = material(dice, "plain", (0.85, 0.8, 0.68))
            bone(
                thing, foot, foot + 0.3 * size * (0.8 * right + 0.7 * over), (0.05 * size, 0.015 * size), pale
            )
    if plan.label == "horse":
        mane = material(dice, "fabric", shade(dice, _BROWNS[:4], 0.03))
        back = np.array([0.0, -np.sin(rise), np.cos(rise)])
        start, end = base + 1.0 * plan.thick * h * back, poll + 0.9 * plan.thick * h * back
        bone(thing, start, end, (0.03 * h, 0.03 * h), mane, flat=2.2, knob=True)


def _ear(
    thing: Thing, kind: str, foot: Floats, side: float, size: float, over: Floats, coat: Material
) -> None:
    right = np.array([side, 0.0, 0.0])
    if kind in ("cat", "horse"):
        tip = foot + (0.3 if kind == "cat" else 0.2) * size * over + 0.05 * size * right
        bone(
            thing,
            foot - 0.05 * size * over,
            tip,
            (0.12 * size if kind == "cat" else 0.07 * size, 0.01 * size),
            coat,
            flat=0.4,
        )
    elif kind == "dog":
        ellipsoid(
            thing,
            foot + 0.08 * size * right - 0.14 * size * over,
            (0.06 * size, 0.11 * size, 0.2 * size),
            coat,
        )
    else:
        ellipsoid(
            thing,
            foot + 0.16 * size * right - 0.1 * size * over,
            (0.17 * size, 0.05 * size, 0.08 * size),
            coat,
        )


def _tail(thing: Thing, dice: Dice, plan: Plan, h: float, loin: Floats, coat: Material) -> None:
    root = loin + np.array([0.0, -0.95 * plan.belly * h, 0.5 * plan.belly * h])
    angle = plan.tail_up + dice.uniform(-0.4, 0.3)
    middle = root + 0.5 * plan.tail * h * np.array([0.15, -np.cos(angle), np.sin(angle)])
    end = middle + 0.5 * plan.tail * h * np.array([0.2, -np.cos(angle + 0.4), np.sin(angle + 0.4)])
    thick = {"horse": 0.05, "cow": 0.022, "sheep": 0.06}.get(plan.label, 0.04) * h
    hair = material(dice, "fabric", (0.14, 0.11, 0.1)) if plan.label == "horse" else coat
    bone(thing, root, middle, (thick, thick), hair, knob=True)
    bone(thing, middle, end, (thick, 0.5 * thick), hair, knob=True)
