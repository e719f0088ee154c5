"""Bodies of people: proportions, poses, and where they put the joints.

Lengths are shares of stature as anthropometry gives them (Drillis and Contini 1966):
hips at 0.53, shoulders at 0.82, chin at 0.87 of it. A pose says where the pelvis is, how the
trunk leans, and where hands and feet go; elbows and knees follow from two-bone
inverse kinematics.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from tabench.worlds.figures.solids import Point, unit
from tabench.worlds.scenes.dice import Floats

LEFT, RIGHT = 0, 1
SIDES = (-1.0, 1.0)  # x of the left and the right: a person faces +y


@dataclass(frozen=True)
class Body:
    """A person's build; lengths in metres.

    Attributes:
        stature: Height when standing.
        girth: Thickness of trunk and limbs, 1 is average.
        shoulders: Half the distance of the shoulder joints.
        hips: Half the distance of the hip joints.
        head: Half height of the head without hair.
    """

    stature: float
    girth: float
    shoulders: float
    hips: float
    head: float

    @property
    def thigh(self) -> float:
        """Hip to knee."""
        return 0.24 * self.stature

    @property
    def shank(self) -> float:
        """Knee to ankle."""
        return 0.24 * self.stature

    @property
    def ankle(self) -> float:
        """Height of the ankle above the sole."""
        return 0.042 * self.stature

    @property
    def upper_arm(self) -> float:
        """Shoulder to elbow."""
        return 0.175 * self.stature

    @property
    def forearm(self) -> float:
        """Elbow to wrist."""
        return 0.145 * self.stature

    @property
    def standing(self) -> float:
        """Height of the hip joints with straight legs."""
        return self.thigh + self.shank + self.ankle

    @property
    def trunk(self) -> float:
        """Hip joints to shoulder joints."""
        return 0.266 * self.stature


@dataclass(frozen=True, eq=False)
class Pose:
    """Where a person's ends are, in metres, the person facing +y.

    Attributes:
        hips: (3,) middle between the hip joints.
        lean: Trunk leaning forward, radians.
        hands: Left and right wrist.
        feet: Left and right ankle.
        elbows: Directions that the elbows point to.
        knees: Directions that the knees point to.
        turn: Head turned to its right, radians.
        nod: Head bowed, radians.
        toes: Pitch of the feet, radians, positive with the heel up.
    """

    hips: Floats
    lean: float
    hands: tuple[Floats, Floats]
    feet: tuple[Floats, Floats]
    elbows: tuple[Floats, Floats]
    knees: tuple[Floats, Floats]
    turn: float = 0.0
    nod: float = 0.0
    toes: tuple[float, float] = (0.0, 0.0)


@dataclass(frozen=True, eq=False)
class Limb:
    """Three joints of an arm or a leg."""

    root: Floats
    middle: Floats
    end: Floats


@dataclass(frozen=True, eq=False)
class Joints:
    """A posed skeleton.

    Attributes:
        hips: Middle of the hip joints.
        spine: Unit vector along the trunk.
        front: Unit vector out of the chest.
        neck: Base of the neck.
        arms: Left and right.
        legs: Left and right.
    """

    hips: Floats
    spine: Floats
    front: Floats
    neck: Floats
    arms: tuple[Limb, Limb]
    legs: tuple[Limb, Limb]


def two_bones(root: Floats, target: Point, first: float, second: float, pole: Point) -> Limb:
    """Bend a limb of two bones towards a target; it stretches out straight if that is too far.

    Args:
        root: (3,) where it hangs.
        target: (3,) where its end should be.
        first: Length of the bone at the root.
        second: Length of the other bone.
        pole: Direction that the middle joint gives way to.
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
    spine = np.array([0.0, np.sin(pose.lean), np.cos(pose.lean)])
    front = np.array([0.0, np.cos(pose.lean), -np.sin(pose.lean)])
    top = pose.hips + body.trunk * spine
    arms, legs = [], []
    for k, side in enumerate(SIDES):
        shoulder = top + side * body.shoulders * np.array([1.0, 0.0, 0.0])
        arms.append(two_bones(shoulder, pose.hands[k], body.upper_arm, body.forearm, pose.elbows[k]))
        hip = pose.hips + side * body.hips * np.array([1.0, 0.0, 0.0])
        legs.append(two_bones(hip, pose.feet[k], body.thigh, body.shank, pose.knees[k]))
    neck = top + 0.036 * body.stature * spine
    return Joints(pose.hips, spine, front, neck, (arms[0], arms[1]), (legs[0], legs[1]))


def shoulder(body: Body, hips: Floats, lean: float, side: float) -> Floats:
    """A shoulder joint, for placing hands before a pose is complete."""
    spine = np.array([0.0, np.sin(lean), np.cos(lean)])
    return np.asarray(hips + body.trunk * spine + side * body.shoulders * np.array([1.0, 0.0, 0.0]))
