"""People: flesh, hair and cloth around a posed skeleton, labelled by PASCAL-Part's body parts."""

from __future__ import annotations

import numpy as np

from tabench.worlds.bodies import (
    ANKLE,
    SHOULDERS,
    SIDES,
    Body,
    Pose,
    limbs,
    sample_body,
    spine_of,
    stand,
    walk,
)
from tabench.worlds.dice import Dice
from tabench.worlds.surfaces import material
from tabench.worlds.things import Thing, frame, unit

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
    ("head", (0, -0.06, 0.14), (0.74, 0.9, 0.86), "skins"),
    ("head", (0, 0.12, -0.25), (0.62, 0.72, 0.74), "skins"),
    ("nose", (0, 0.86, -0.12), (0.11, 0.17, 0.17), "skins"),
    ("mouth", (0, 0.74, -0.5), (0.25, 0.1, 0.07), "8c3833"),
    ("EYE", (0.29, 0.74, 0.08), (0.13, 0.1, 0.08), "121214"),
    ("EBROW", (0.3, 0.78, 0.27), (0.18, 0.08, 0.04), "hair"),
    ("EAR", (0.72, -0.05, -0.05), (0.09, 0.16, 0.24), "skins"),
)
_SHORT = (
    ("hair", (0, -0.2, 0.36), (0.81, 0.88, 0.76), "hair"),
    ("hair", (0, -0.36, -0.02), (0.8, 0.72, 0.72), "hair"),
)
_LONG = (
    *_SHORT,
    ("hair", (0, -0.62, -0.55), (0.72, 0.4, 1.05), "hair"),
    ("HAIR", (0.66, -0.22, -0.45), (0.2, 0.36, 0.95), "hair"),
)
_CAP = (
    ("hair", (0, -0.2, 0.36), (0.81, 0.88, 0.76), "shirt"),
    ("hair", (0, 0.75, 0.5), (0.6, 0.6, 0.07), "shirt"),
)
_STYLES = (_SHORT, _SHORT, _SHORT, _LONG, _LONG, _LONG, (), _CAP)
_SMALL = ("nose", "mouth", "EYE", "EBROW", "EAR")  # too small to be seen from far off, or to cast a shadow


def pedestrian(dice: Dice, *, fine: bool = True) -> Thing:
    """Someone standing or walking."""
    body = sample_body(dice)
    return person(dice, body, stand(dice, body) if dice.chance(0.4) else walk(dice, body), fine=fine)


def person(dice: Dice, body: Body, pose: Pose, *, fine: bool = True) -> Thing:
    """A person as a thing; its footprint is that of someone standing. Without `fine` the face is bare."""
    names = ("skins", "hair", "shirt", "trousers", "shoes", "8c3833", "121214")
    looks = {name: material(dice, name) for name in names}
    wears = dice.integer(0, 5)
    bare_arm, bare_hand, bare_calf = wears == 0, wears < 3, dice.chance(0.3)
    sleeve, cuff = looks["skins" if bare_arm else "shirt"], looks["skins" if bare_hand else "shirt"]
    calf, legs_in = looks["skins" if bare_calf else "trousers"], looks["trousers"]
    h, girth, r = body
    thing = Thing("person", 2.6 * SHOULDERS * h + 0.1, 0.42, h)

    spine = spine_of(pose.lean)
    axes = frame(spine)
    hip, chest = np.array([0.088, 0.062 * girth, 0.068]) * h, np.array([0.09, 0.064 * girth, 0.085]) * h
    thing.ball(pose.hips, hip, looks["trousers"], axes, label="person/torso")
    ahead = 0.006 * axes[:, 1]
    thing.ball(pose.hips + h * (0.2 * spine + ahead), chest, looks["shirt"], axes, label="person/torso")
    for start, end, first, last, flat, cloth in _TRUNK:
        radii = np.array([first, last]) * h * (1.0 if start > 0.2 else girth)
        ends = pose.hips + h * start * spine, pose.hips + h * end * spine
        thing.rod(*ends, radii, looks[cloth], flat=flat, label="person/torso")
    neck = pose.hips + 0.302 * h * spine
    top = neck + h * (0.05 * spine + ahead)
    thing.rod(neck, top, (0.036 * h, 0.031 * h), looks["skins"], label="person/neck")

    bow = 0.35 * pose.lean + pose.nod
    up = spine_of(bow)
    axes = frame(up, (np.cos(pose.turn), -np.sin(pose.turn), 0.0))
    centre = neck + 0.036 * h * spine + 0.95 * r * up + 0.12 * r * axes[:, 1]
    for name, at, half, skin in (*_FACE, *dice.pick(_STYLES)):
        if name in _SMALL and not fine:
            continue
        for mark, side in zip("lr", SIDES, strict=True) if name.isupper() else (("", 1.0),):
            place = centre + r * axes @ (np.array(at) * [side, 1.0, 1.0])
            label = "person/hair" if name == "HAIR" else f"person/{mark}{name.lower()}"
            size = r * np.array(half)
            thing.ball(place, size, looks[skin], axes, label=label, casts=name not in _SMALL)

    arms, legs = limbs(body, pose)
    for k, (mark, side) in enumerate(zip("lr", SIDES, strict=True)):
        root, elbow, wrist = arms[k]
        g, label = h * (0.7 + 0.3 * girth), f"person/{mark}uarm"
        wide, narrow = g * (1.0 if bare_arm else 1.08), g * (1.0 if bare_hand else 1.08)
        thing.ball(root, np.full(3, 0.0285 * wide), sleeve, label=label)
        thing.rod(root, elbow, (0.0295 * wide, 0.0245 * wide), sleeve, knob=True, label=label)
        label = f"person/{mark}larm"
        thing.rod(elbow, wrist, (0.025 * narrow, 0.0175 * narrow), cuff, knob=True, label=label)
        way, palm = unit(wrist - elbow), np.array([0.02, 0.0135, 0.05]) * h
        thing.ball(wrist + 0.042 * h * way, palm, looks["skins"], frame(way), label=f"person/{mark}hand")

        root, knee, ankle = legs[k]
        g, label = h * (0.55 + 0.45 * girth), f"person/{mark}uleg"
        thing.rod(root, knee, (0.054 * g, 0.034 * g), legs_in, knob=True, label=label)
        below, label = knee + 0.3 * (ankle - knee), f"person/{mark}lleg"
        thing.rod(knee, below, (0.033 * g, 0.034 * g), calf, label=label)
        thin = 0.021 * h * (1.0 if bare_calf else 1.25)
        thing.rod(below, ankle, (0.034 * g, thin), calf, knob=True, label=label)
        pitch = pose.toes[k]
        toe = unit([side * 0.22, np.cos(pitch), -np.sin(pitch)])
        axes = frame((0.0, np.sin(pitch), np.cos(pitch)), np.cross(toe, [0.0, 0.0, 1.0]))
        for out, down, long, high in ((0.045, 0.6, 0.076, 0.43), (0.0, 0.3, 0.034, 0.7)):
            place = ankle + out * h * toe - down * ANKLE * h * axes[:, 2]
            size = h * np.array([0.027, long, high * ANKLE])
            thing.ball(place, size, looks["shoes"], axes, label=f"person/{mark}foot")
    return thing
