"""People: flesh, hair and cloth around a posed skeleton, labelled by PASCAL-Part's body parts."""

from __future__ import annotations

import numpy as np

from tabench.worlds.bodies import ANKLE, SHOULDERS, SIDES, Body, Joints, Limb, Pose, joints
from tabench.worlds.dice import Dice, Floats
from tabench.worlds.surfaces import Material, material
from tabench.worlds.things import Thing, frame, unit

Feature = tuple[str, tuple[float, float, float], tuple[float, float, float], str]
# Shares of stature along the spine, widths there, depth as a share of the width, and cloth.
_TRUNK = (
    (0.0, 0.105, 0.085, 0.079, 0.68, "trousers"),
    (0.045, 0.15, 0.084, 0.079, 0.7, "shirt"),
    (0.13, 0.247, 0.079, 0.097, 0.62, "shirt"),
    (0.247, 0.268, 0.097, 0.08, 0.6, "shirt"),
    (0.268, 0.306, 0.08, 0.042, 0.62, "shirt"),
)
# Ellipsoids in units of the head's half height (x right, y ahead, z up); capitals are on both sides.
_FACE = (
    ("head", (0, -0.06, 0.14), (0.74, 0.9, 0.86), "skin"),
    ("head", (0, 0.12, -0.25), (0.62, 0.72, 0.74), "skin"),
    ("nose", (0, 0.86, -0.12), (0.11, 0.17, 0.17), "skin"),
    ("mouth", (0, 0.74, -0.5), (0.25, 0.1, 0.07), "lips"),
    ("EYE", (0.29, 0.74, 0.08), (0.13, 0.1, 0.08), "black"),
    ("EBROW", (0.3, 0.78, 0.27), (0.18, 0.08, 0.04), "hair"),
    ("EAR", (0.72, -0.05, -0.05), (0.09, 0.16, 0.24), "skin"),
)
_SHORT = (
    ("hair", (0, -0.2, 0.36), (0.81, 0.88, 0.76), "hair"),
    ("hair", (0, -0.36, -0.02), (0.8, 0.72, 0.72), "hair"),
)
_LONG = (
    *_SHORT,
    ("hair", (0, -0.62, -0.55), (0.72, 0.4, 1.05), "hair"),
    ("hair", (-0.66, -0.22, -0.45), (0.2, 0.36, 0.95), "hair"),
    ("hair", (0.66, -0.22, -0.45), (0.2, 0.36, 0.95), "hair"),
)
_CAP = (
    ("hair", (0, -0.2, 0.36), (0.81, 0.88, 0.76), "shirt"),
    ("hair", (0, 0.75, 0.5), (0.6, 0.6, 0.07), "shirt"),
)
_STYLES = (_SHORT, _SHORT, _SHORT, _LONG, _LONG, _LONG, (), _CAP)
_SMALL = ("nose", "mouth", "EYE", "EBROW", "EAR")  # too small to be seen from far off, or to cast a shadow


def person(dice: Dice, body: Body, pose: Pose, *, fine: bool = True) -> Thing:
    """A person as a thing; its footprint is that of someone standing. Without `fine` the face is bare."""
    names = ("skin", "hair", "shirt", "trousers", "shoe", "lips", "black")
    looks = {name: material(dice, name) for name in names}
    wears = dice.integer(0, 5)
    looks["sleeve"] = looks["skin" if wears == 0 else "shirt"]
    looks["cuff"] = looks["shirt" if wears >= 3 else "skin"]
    looks["calf"] = looks["skin" if dice.chance(0.3) else "trousers"]
    head: tuple[Feature, ...] = (*_FACE, *dice.pick(_STYLES))
    thing, bones = (
        Thing("person", 2.6 * SHOULDERS * body.stature + 0.1, 0.42, body.stature),
        joints(body, pose),
    )
    _trunk(thing, body, looks, pose, bones)
    _head(thing, body, looks, pose, bones, [part for part in head if fine or part[0] not in _SMALL])
    for k, (mark, side) in enumerate(zip("lr", SIDES, strict=True)):
        _arm(thing, body, looks, bones.arms[k], mark)
        _leg(thing, body, looks, bones.legs[k], mark, side, pose.toes[k])
    return thing


def _trunk(thing: Thing, body: Body, looks: dict[str, Material], pose: Pose, bones: Joints) -> None:
    h, g, spine, label = body.stature, body.girth, bones.spine, "person/torso"
    front = np.array([0.0, spine[2], -spine[1]])

    def along(share: float, ahead: float = 0.0) -> Floats:
        return np.asarray(pose.hips + h * (share * spine + ahead * front))

    axes = frame(spine)
    hip, chest = np.array([0.088, 0.062 * g, 0.068]) * h, np.array([0.09, 0.064 * g, 0.085]) * h
    thing.ball(along(0.0), hip, looks["trousers"], axes, label=label)
    thing.ball(along(0.2, 0.006), chest, looks["shirt"], axes, label=label)
    for start, end, first, last, flat, cloth in _TRUNK:
        wide = 1.0 if start > 0.2 else g
        radii = (first * h * wide, last * h * wide)
        thing.rod(along(start), along(end), radii, looks[cloth], flat=flat, label=label)
    thing.rod(bones.neck, along(0.352, 0.008), (0.036 * h, 0.031 * h), looks["skin"], label="person/neck")


def _head(
    thing: Thing, body: Body, looks: dict[str, Material], pose: Pose, bones: Joints, parts: list[Feature]
) -> None:
    r, lean = body.head, 0.35 * pose.lean + pose.nod
    up = np.array([0.0, np.sin(lean), np.cos(lean)])
    axes = frame(up, (np.cos(pose.turn), -np.sin(pose.turn), 0.0))
    centre = bones.neck + 0.036 * body.stature * bones.spine + 0.95 * r * up + 0.12 * r * axes[:, 1]
    for name, at, half, skin in parts:
        for mark, side in zip("lr", SIDES, strict=True) if name.isupper() else (("", 1.0),):
            place = centre + r * axes @ (np.array(at) * [side, 1.0, 1.0])
            label, casts = f"person/{mark}{name.lower()}", name not in _SMALL
            thing.ball(place, r * np.array(half), looks[skin], axes, label=label, casts=casts)


def _arm(thing: Thing, body: Body, looks: dict[str, Material], limb: Limb, mark: str) -> None:
    h = body.stature
    g = h * (0.7 + 0.3 * body.girth)
    upper, lower, hand = (f"person/{mark}{name}" for name in ("uarm", "larm", "hand"))
    loose = 1.08 if looks["sleeve"] is looks["shirt"] else 1.0
    full = 1.08 if looks["cuff"] is looks["shirt"] else 1.0
    thing.ball(limb.root, np.full(3, 0.0285 * g * loose), looks["sleeve"], label=upper)
    radii = (0.0295 * g * loose, 0.0245 * g * loose)
    thing.rod(limb.root, limb.middle, radii, looks["sleeve"], knob=True, label=upper)
    radii = (0.025 * g * full, 0.0175 * g * full)
    thing.rod(limb.middle, limb.end, radii, looks["cuff"], knob=True, label=lower)
    way = unit(limb.end - limb.middle)
    palm = np.array([0.02, 0.0135, 0.05]) * h
    thing.ball(limb.end + 0.042 * h * way, palm, looks["skin"], frame(way), label=hand)


def _leg(
    thing: Thing, body: Body, looks: dict[str, Material], limb: Limb, mark: str, side: float, pitch: float
) -> None:
    h = body.stature
    g = h * (0.55 + 0.45 * body.girth)
    upper, lower, foot = (f"person/{mark}{name}" for name in ("uleg", "lleg", "foot"))
    thin = 0.021 * h * (1.0 if looks["calf"] is looks["skin"] else 1.25)
    calf = limb.middle + 0.3 * (limb.end - limb.middle)
    thing.rod(limb.root, limb.middle, (0.054 * g, 0.034 * g), looks["trousers"], knob=True, label=upper)
    thing.rod(limb.middle, calf, (0.033 * g, 0.034 * g), looks["calf"], label=lower)
    thing.rod(calf, limb.end, (0.034 * g, thin), looks["calf"], knob=True, label=lower)
    toe = np.array([side * 0.22, np.cos(pitch), -np.sin(pitch)])
    axes = frame(np.array([0.0, np.sin(pitch), np.cos(pitch)]), np.cross(unit(toe), [0.0, 0.0, 1.0]))
    ahead = limb.end + 0.045 * h * unit(toe) - 0.6 * ANKLE * h * axes[:, 2]
    heel = limb.end - 0.3 * ANKLE * h * axes[:, 2]
    for centre, long, high in ((ahead, 0.076, 0.43), (heel, 0.034, 0.7)):
        thing.ball(centre, (0.027 * h, long * h, high * ANKLE * h), looks["shoe"], axes, label=foot)
