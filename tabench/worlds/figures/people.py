"""People: pieces of flesh, hair and cloth around a posed skeleton, labelled by body part."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from tabench.worlds.figures.names import PART_MARK
from tabench.worlds.figures.skeleton import SIDES, Body, Joints, Limb, Pose, joints
from tabench.worlds.figures.solids import bone, ellipsoid, frame, unit
from tabench.worlds.scenes.dice import Dice, Floats
from tabench.worlds.scenes.materials import Material, material
from tabench.worlds.scenes.palette import ACCENTS, FABRICS, Colour, shade
from tabench.worlds.scenes.thing import Thing

SKINS: tuple[Colour, ...] = (
    (0.93, 0.76, 0.66),
    (0.88, 0.68, 0.56),
    (0.80, 0.60, 0.46),
    (0.66, 0.46, 0.33),
    (0.50, 0.33, 0.24),
    (0.36, 0.24, 0.18),
)
HAIRS: tuple[Colour, ...] = (
    (0.10, 0.08, 0.07),
    (0.22, 0.14, 0.09),
    (0.38, 0.24, 0.13),
    (0.72, 0.56, 0.30),
    (0.60, 0.58, 0.55),
    (0.48, 0.20, 0.10),
)
TROUSERS: tuple[Colour, ...] = (
    (0.17, 0.22, 0.36),
    (0.28, 0.36, 0.52),
    (0.14, 0.14, 0.15),
    (0.42, 0.38, 0.30),
    (0.62, 0.55, 0.42),
    (0.33, 0.33, 0.35),
)


@dataclass(frozen=True)
class Looks:
    """What a person is made of and wears."""

    skin: Material
    hair: Material
    shirt: Material
    sleeve: Material
    cuff: Material
    trousers: Material
    calf: Material
    shoe: Material
    style: int  # 0 short hair, 1 long, 2 bald, 3 cap


def sample_body(dice: Dice) -> Body:
    """A grown-up, or one time in seven a child."""
    if dice.chance(0.14):
        stature = dice.uniform(1.05, 1.4)
        return Body(
            stature, dice.uniform(0.9, 1.1), 0.096 * stature, 0.05 * stature, 0.11 * dice.uniform(0.95, 1.0)
        )
    stature = dice.uniform(1.56, 1.9)
    return Body(
        stature,
        dice.uniform(0.88, 1.22),
        dice.uniform(0.093, 0.106) * stature,
        dice.uniform(0.050, 0.058) * stature,
        dice.uniform(0.064, 0.069) * stature,
    )


def sample_looks(dice: Dice) -> Looks:
    """Skin, hair and clothes."""
    skin = material(dice, "plain", shade(dice, SKINS, 0.03), gloss=0.1)
    pattern = dice.pick(("fabric", "fabric", "fabric", "plain", "stripes", "plaid"))
    colours = ACCENTS + FABRICS
    shirt = material(
        dice, pattern, shade(dice, colours), shade(dice, colours), scale=dice.uniform(0.05, 0.12)
    )
    if pattern in ("fabric", "plain"):
        shirt = material(dice, pattern, shade(dice, colours))
    cloth = material(dice, "fabric", shade(dice, TROUSERS + FABRICS[:4]))
    wears = dice.integer(0, 5)
    return Looks(
        skin,
        material(dice, "fabric", shade(dice, HAIRS, 0.03)),
        shirt,
        skin if wears == 0 else shirt,
        shirt if wears >= 3 else skin,
        cloth,
        skin if dice.chance(0.3) else cloth,
        material(dice, "plain", shade(dice, ((0.1, 0.1, 0.1), (0.3, 0.2, 0.14), (0.85, 0.85, 0.83)))),
        dice.pick((0, 0, 0, 1, 1, 1, 2, 3)),
    )


def person(dice: Dice, body: Body, pose: Pose) -> Thing:
    """A person as a thing; the footprint's size is that of someone standing."""
    looks, bones = sample_looks(dice), joints(body, pose)
    thing = Thing("person", 2.6 * body.shoulders + 0.1, 0.42, body.stature)
    _trunk(thing, body, looks, bones)
    _head(thing, body, looks, bones, pose)
    for k, (mark, side) in enumerate(zip("lr", SIDES, strict=True)):
        _arm(thing, body, looks, bones.arms[k], mark)
        _leg(thing, body, looks, bones.legs[k], mark, side, pose.toes[k])
    return thing


def _trunk(thing: Thing, body: Body, looks: Looks, bones: Joints) -> None:
    h, g = body.stature, body.girth
    label, axes = f"person{PART_MARK}torso", frame(bones.spine)

    def along(share: float, front: float = 0.0) -> Floats:
        return np.asarray(bones.hips + share * h * bones.spine + front * h * bones.front)

    hip = body.hips + 0.034 * h * g
    chest = body.shoulders - 0.002 * h
    waist = 0.5 * (hip + chest) * (0.86 + 0.16 * (g - 0.9))
    ellipsoid(thing, along(0.0), (hip, 0.062 * h * g, 0.068 * h), looks.trousers, label=label, axes=axes)
    bone(thing, along(0.0), along(0.105), (hip * 0.97, waist), looks.trousers, label=label, flat=0.68)
    bone(
        thing,
        along(0.045),
        along(0.15),
        (waist * 1.06, waist),
        looks.shirt,
        label=label,
        flat=0.70 + 0.1 * (g - 1),
    )
    bone(thing, along(0.13), along(0.247), (waist, chest), looks.shirt, label=label, flat=0.62)
    ellipsoid(
        thing,
        along(0.2, 0.006),
        (chest * 0.92, 0.064 * h * g, 0.085 * h),
        looks.shirt,
        label=label,
        axes=axes,
    )
    bone(thing, along(0.247), along(0.268), (chest, 0.82 * chest), looks.shirt, label=label, flat=0.6)
    bone(thing, along(0.268), along(0.306), (0.82 * chest, 0.042 * h), looks.shirt, label=label, flat=0.62)
    neck = f"person{PART_MARK}neck"
    bone(thing, bones.neck, along(0.29 + 0.062, 0.008), (0.036 * h, 0.031 * h), looks.skin, label=neck)


def _head(thing: Thing, body: Body, looks: Looks, bones: Joints, pose: Pose) -> None:
    r = body.head
    lean = 0.35 * pose.lean + pose.nod
    up = np.array([0.0, np.sin(lean), np.cos(lean)])
    right = np.array([np.cos(pose.turn), -np.sin(pose.turn), 0.0])
    right = unit(right - (right @ up) * up)
    face = np.cross(up, right)
    axes = np.stack([right, face, up], axis=1)
    centre = bones.neck + 0.036 * body.stature * bones.spine + 0.95 * r * up + 0.12 * r * face

    def at(x: float, y: float, z: float) -> Floats:
        return np.asarray(centre + r * (x * right + y * face + z * up))

    def part(name: str, where: Floats, half: tuple[float, float, float], skin: Material) -> None:
        casts = name in ("head", "hair")  # features are too small for shadows of their own
        label = f"person{PART_MARK}{name}"
        ellipsoid(thing, where, np.array(half) * r, skin, label=label, axes=axes, casts=casts)

    part("head", at(0, -0.06, 0.14), (0.74, 0.9, 0.86), looks.skin)
    part("head", at(0, 0.12, -0.25), (0.62, 0.72, 0.74), looks.skin)
    part("nose", at(0, 0.86, -0.12), (0.11, 0.17, 0.17), looks.skin)
    dark = material(Dice(0), "plain", (0.08, 0.06, 0.06))
    lips = material(Dice(0), "plain", (0.55, 0.22, 0.2))
    part("mouth", at(0, 0.74, -0.5), (0.25, 0.1, 0.07), lips)
    for mark, side in zip("lr", SIDES, strict=True):
        part(f"{mark}eye", at(side * 0.29, 0.74, 0.08), (0.13, 0.1, 0.08), dark)
        part(f"{mark}ebrow", at(side * 0.3, 0.78, 0.27), (0.18, 0.08, 0.04), looks.hair)
        part(f"{mark}ear", at(side * 0.72, -0.05, -0.05), (0.09, 0.16, 0.24), looks.skin)
    if looks.style != 2:
        crown = looks.shirt if looks.style == 3 else looks.hair
        part("hair", at(0, -0.2, 0.36), (0.81, 0.88, 0.76), crown)
        if looks.style == 3:
            part("hair", at(0, 0.75, 0.5), (0.6, 0.6, 0.07), crown)
        else:
            part("hair", at(0, -0.36, -0.02), (0.8, 0.72, 0.72), looks.hair)
    if looks.style == 1:
        part("hair", at(0, -0.62, -0.55), (0.72, 0.4, 1.05), looks.hair)
        for side in SIDES:
            part("hair", at(side * 0.66, -0.22, -0.45), (0.2, 0.36, 0.95), looks.hair)


def _arm(thing: Thing, body: Body, looks: Looks, limb: Limb, mark: str) -> None:
    h, g = body.stature, 0.7 + 0.3 * body.girth
    upper, lower, hand = (f"person{PART_MARK}{mark}{name}" for name in ("uarm", "larm", "hand"))
    loose = 1.08 if looks.sleeve is looks.shirt else 1.0
    ellipsoid(thing, limb.root, np.full(3, 0.0285 * h * g * loose), looks.sleeve, label=upper)
    bone(
        thing,
        limb.root,
        limb.middle,
        (0.0295 * h * g * loose, 0.0245 * h * g * loose),
        looks.sleeve,
        label=upper,
        knob=True,
    )
    full = 1.08 if looks.cuff is looks.shirt else 1.0
    bone(
        thing,
        limb.middle,
        limb.end,
        (0.025 * h * g * full, 0.0175 * h * g * full),
        looks.cuff,
        label=lower,
        knob=True,
    )
    way = unit(limb.end - limb.middle)
    axes = frame(way, (1.0, 0.0, 0.0))
    ellipsoid(
        thing, limb.end + 0.042 * h * way, (0.02 * h, 0.0135 * h, 0.05 * h), looks.skin, label=hand, axes=axes
    )


def _leg(thing: Thing, body: Body, looks: Looks, limb: Limb, mark: str, side: float, pitch: float) -> None:
    h, g = body.stature, 0.55 + 0.45 * body.girth
    upper, lower, foot = (f"person{PART_MARK}{mark}{name}" for name in ("uleg", "lleg", "foot"))
    knee = 0.034 * h * g
    bone(thing, limb.root, limb.middle, (0.054 * h * g, knee), looks.trousers, label=upper, knob=True)
    bare = looks.calf is looks.skin
    bulge = 0.034 * h * g * (0.95 if bare else 1.04)
    calf = limb.middle + 0.3 * (limb.end - limb.middle)
    thin = 0.021 * h * (1.0 if bare else 1.25)
    bone(thing, limb.middle, calf, (knee * (0.92 if bare else 1.0), bulge), looks.calf, label=lower)
    bone(thing, calf, limb.end, (bulge, thin), looks.calf, label=lower, knob=True)
    toe = np.array([side * 0.22, np.cos(pitch), -np.sin(pitch)])
    axes = frame(np.array([0.0, np.sin(pitch), np.cos(pitch)]), np.cross(unit(toe), [0.0, 0.0, 1.0]))
    middle = limb.end + 0.045 * h * unit(toe) - 0.6 * body.ankle * axes[:, 2]
    ellipsoid(thing, middle, (0.027 * h, 0.076 * h, 0.43 * body.ankle), looks.shoe, label=foot, axes=axes)
    ellipsoid(
        thing,
        limb.end - 0.3 * body.ankle * axes[:, 2],
        (0.026 * h, 0.034 * h, 0.7 * body.ankle),
        looks.shoe,
        label=foot,
        axes=axes,
    )
