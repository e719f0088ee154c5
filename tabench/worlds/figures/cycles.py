"""Bicycles and motorbikes, and where their riders' hands and feet go; all face +y."""

from __future__ import annotations

from dataclasses import dataclass
from itertools import pairwise

import numpy as np

from tabench.worlds.figures.people import person, sample_body
from tabench.worlds.figures.poses import ride
from tabench.worlds.figures.skeleton import SIDES, Body
from tabench.worlds.figures.solids import block, bone, ellipsoid, wheel
from tabench.worlds.figures.vehicles import PAINTS
from tabench.worlds.scenes.dice import Dice, Floats
from tabench.worlds.scenes.materials import Material, material
from tabench.worlds.scenes.palette import shade
from tabench.worlds.scenes.thing import Thing

_RIM = 18  # straight pieces of a rim


@dataclass(frozen=True, eq=False)
class Mount:
    """A vehicle with its rider's places.

    Attributes:
        thing: The vehicle.
        seat: (3,) middle of the saddle.
        grips: Left and right wrist.
        rests: Left and right ankle.
        lean: Trunk of the rider forward, radians.
    """

    thing: Thing
    seat: Floats
    grips: tuple[Floats, Floats]
    rests: tuple[Floats, Floats]
    lean: float


def mounted(dice: Dice, mount: Mount, body: Body | None = None, spread: float = 0.15) -> Thing:
    """The vehicle with a rider on it."""
    body = body or sample_body(dice)
    seat = mount.seat
    shift = np.array([0.0, seat[1], 0.0])
    grips = (mount.grips[0] - shift, mount.grips[1] - shift)
    rests = (mount.rests[0] - shift, mount.rests[1] - shift)
    rider = person(dice, body, ride(dice, body, float(seat[2]), grips, rests, mount.lean, spread))
    mount.thing.include(rider, 0.0, float(seat[1]), 0.0, 0.0, "rider")
    mount.thing.height = float(seat[2]) + 0.55 * body.stature
    mount.thing.width = max(mount.thing.width, 0.7)
    return mount.thing


def _rim(thing: Thing, centre: Floats, radius: float, thick: float, skin: Material) -> None:
    angles = np.linspace(0.0, 2 * np.pi, _RIM + 1)
    ring = centre + radius * np.stack([0 * angles, np.cos(angles), np.sin(angles)], axis=-1)
    for a, b in pairwise(ring):
        bone(thing, a, b, (thick, thick), skin)


def bicycle(dice: Dice) -> Mount:
    """A city bicycle or a racer."""
    thing = Thing("bicycle", 0.55, 1.75, 1.05)
    paint = material(dice, "plain", shade(dice, PAINTS), gloss=0.5)
    black, metal = (
        material(dice, "plain", (0.09, 0.09, 0.09)),
        material(dice, "plain", (0.6, 0.6, 0.62), gloss=0.6),
    )
    racer = dice.chance(0.4)
    r, base = 0.34, 1.04
    rear, front = np.array([0.0, -base / 2, r]), np.array([0.0, base / 2, r])
    crank = np.array([0.0, -0.09, 0.29])
    saddle, head = np.array([0.0, -0.27, 0.9]), np.array([0.0, 0.34, 0.84])
    low_head = np.array([0.0, 0.385, 0.7])
    for hub in (rear, front):
        _rim(thing, hub, r - 0.02, 0.021, black)
        for angle in np.linspace(0.3, np.pi + 0.3, 4, endpoint=False):
            spoke = (r - 0.03) * np.array([0.0, np.cos(angle), np.sin(angle)])
            bone(thing, hub - spoke, hub + spoke, (0.005, 0.005), metal)
        wheel(thing, hub, 0.035, 0.09, metal)
    for a, b, thick in (
        (crank, saddle - np.array([0, 0, 0.08]), 0.019),
        (crank, low_head, 0.021),
        (saddle - np.array([0, 0, 0.14]), head - np.array([0, 0, 0.04]), 0.018),
        (low_head, head + np.array([0, -0.01, 0.05]), 0.022),
    ):
        bone(thing, a, b, (thick, thick), paint)
    for side in SIDES:
        out = np.array([side * 0.05, 0.0, 0.0])
        bone(thing, rear + out, crank + 0.4 * out, (0.012, 0.012), paint)
        bone(thing, rear + out, saddle - np.array([0, 0, 0.14]), (0.011, 0.011), paint)
        bone(thing, front + out, low_head, (0.013, 0.015), paint)
    bone(thing, saddle - np.array([0, -0.03, 0.16]), saddle, (0.015, 0.015), metal)
    ellipsoid(thing, saddle + np.array([0, 0.02, 0.0]), (0.075, 0.14, 0.03), black)
    high = 0.93 if racer else 1.04
    reach = 0.42 if racer else 0.3
    stem = np.array([0.0, reach - 0.02, high])
    bone(thing, head, stem, (0.014, 0.014), metal)
    bar = 0.21 if racer else 0.28
    grips = (np.array([-bar, reach - 0.03, high + 0.02]), np.array([bar, reach - 0.03, high + 0.02]))
    bone(thing, grips[0], stem, (0.013, 0.013), black)
    bone(thing, grips[1], stem, (0.013, 0.013), black)
    wheel(thing, crank + np.array([0.05, 0, 0]), 0.09, 0.01, metal)
    turn = dice.uniform(0.0, 2 * np.pi)
    rests = []
    for side in SIDES:
        way = side * 0.165 * np.array([0.0, np.cos(turn), np.sin(turn)])
        pedal = crank + way + np.array([side * 0.09, 0.0, 0.0])
        bone(thing, crank + np.array([side * 0.06, 0, 0]), pedal, (0.012, 0.012), metal)
        block(thing, pedal + np.array([side * 0.03, 0, 0]), (0.045, 0.035, 0.012), black)
        rests.append(pedal + np.array([side * 0.02, -0.05, 0.09]))
    return Mount(thing, saddle, grips, (rests[0], rests[1]), 0.75 if racer else 0.3)


def motorbike(dice: Dice) -> Mount:
    """A road motorbike."""
    thing = Thing("motorbike", 0.75, 2.1, 1.15)
    paint = material(dice, "plain", shade(dice, PAINTS), gloss=0.6)
    black, metal = (
        material(dice, "plain", (0.08, 0.08, 0.085)),
        material(dice, "plain", (0.62, 0.62, 0.64), gloss=0.7),
    )
    r = 0.32
    rear, front = np.array([0.0, -0.7, r]), np.array([0.0, 0.72, r])
    for hub in (rear, front):
        wheel(thing, hub, r, 0.14, black)
        wheel(thing, hub, 0.19, 0.15, metal)
    head = np.array([0.0, 0.42, 0.88])
    ellipsoid(thing, (0, 0.16, 0.8), (0.17, 0.32, 0.14), paint)
    ellipsoid(thing, (0, -0.3, 0.76), (0.16, 0.36, 0.075), black)
    bone(thing, (0, -0.35, 0.72), (0, -0.95, 0.82), (0.13, 0.07), paint, flat=0.6, knob=True)
    block(thing, (0, 0.03, 0.46), (0.17, 0.25, 0.17), metal)
    bone(thing, (0, -0.1, 0.45), (0, 0.25, 0.6), (0.19, 0.15), black)
    bone(thing, (0, -0.2, 0.6), rear, (0.09, 0.05), black)
    bone(thing, (0.16, 0.1, 0.28), (0.17, -0.85, 0.36), (0.035, 0.055), metal, knob=True)
    for side in SIDES:
        out = np.array([side * 0.11, 0, 0])
        bone(thing, front + out, head + 0.8 * out, (0.03, 0.035), metal)
    bone(
        thing,
        front + np.array([0, 0.0, 0.34]),
        front + np.array([0, 0.0, 0.36]),
        (0.1, 0.09),
        paint,
        flat=2.4,
    )
    ellipsoid(thing, head + np.array([0, 0.13, 0.02]), (0.13, 0.1, 0.12), paint)
    ellipsoid(
        thing,
        head + np.array([0, 0.19, 0.02]),
        (0.1, 0.06, 0.09),
        material(dice, "plain", (0.95, 0.94, 0.88), gloss=0.8),
    )
    bar = np.array([0.0, 0.28, 1.05])
    bone(thing, head, bar, (0.03, 0.025), metal)
    grips = (np.array([-0.34, 0.2, 1.06]), np.array([0.34, 0.2, 1.06]))
    for grip in grips:
        bone(thing, bar, grip, (0.016, 0.02), black, knob=True)
    rests = (np.array([-0.22, -0.02, 0.36]), np.array([0.22, -0.02, 0.36]))
    for rest in rests:
        bone(thing, (0.4 * rest[0], rest[1], 0.3), (rest[0] * 1.1, rest[1], 0.29), (0.025, 0.02), metal)
    return Mount(thing, np.array([0.0, -0.28, 0.82]), grips, rests, 0.3)
