"""Where things stand before the camera: in view, free, and not hidden behind each other."""

from __future__ import annotations

from dataclasses import dataclass, field

import numpy as np

from tabench.worlds.camera import Camera
from tabench.worlds.dice import Dice
from tabench.worlds.floorplan import FloorPlan, Spot
from tabench.worlds.placing import Furnisher
from tabench.worlds.things import Scene, Thing

_TRIES = 30
_TALL, _WIDE = 1.08, 0.81  # focal length in picture heights and in picture widths
_CLOSER = 1.15  # footprints are a little wider than what stands on them
_HIDDEN = 0.45  # share of a thing's angular width that nearer ones may cover


@dataclass
class Stage:
    """A scene that is being composed.

    Attributes:
        dice: Random choices.
        scene: What is filled.
        plan: Its floor plan, with the place of the camera.
        seen: Angular intervals (radians, low, high) and distances of what stands in view.
    """

    dice: Dice
    scene: Scene
    plan: FloorPlan
    seen: list[tuple[float, float, float]] = field(default_factory=list)

    @property
    def furnisher(self) -> Furnisher:
        """Places furniture along the walls of the same scene."""
        return Furnisher(self.dice, self.scene, self.plan)

    def focus(self, thing: Thing, fill: float, turn: float) -> None:
        """Place the subject and aim the camera at it; the first thing to be placed.

        Args:
            thing: The subject; there may be no room for it.
            fill: Share of the picture's height or width that it should take, as its footprint says.
            turn: Its front's angle to the camera, radians.
        """
        c, s = abs(np.cos(turn)), abs(np.sin(turn))
        across, near = thing.width * c + thing.depth * s, 0.5 * (thing.depth * c + thing.width * s)
        wanted = max(_TALL * thing.height, _WIDE * across) / (_CLOSER * fill)
        for attempt in range(_TRIES):
            distance = float(max(wanted, near + 0.6) * (1.0 + 0.04 * attempt))
            if self._try(thing, distance, self.dice.uniform(-0.25, 0.25), turn):
                self._aim(thing.height, distance)
                return

    def place(
        self,
        thing: Thing,
        near: float,
        far: float,
        *,
        turn: float | None = None,
        aside: float = 0.48,
    ) -> bool:
        """Place a thing somewhere in view between two distances; False if there is no room."""
        for _ in range(_TRIES):
            angle = self.dice.uniform(-np.pi, np.pi) if turn is None else turn
            if self._try(thing, self.dice.uniform(near, far), self.dice.uniform(-aside, aside), angle):
                return True
        return False

    def _aim(self, height: float, distance: float) -> None:
        """Bring the camera down to what is low, and pitch it so that the subject is in the picture."""
        camera = self.scene.camera
        position = camera.position.copy()
        position[2] = min(position[2], max(0.35, height * self.dice.uniform(1.1, 2.2)))
        middle = height * self.dice.uniform(0.42, 0.58)
        if _TALL * height / distance > 0.95:  # too large: rather the head than the feet
            middle = height - 0.42 * distance / _TALL
        yaw = float(np.arctan2(camera.axes[1, 2], camera.axes[0, 2]))
        pitch = float(np.arctan2(middle - position[2], distance)) + self.dice.uniform(-0.05, 0.05)
        self.scene.camera = Camera.looking(position, yaw, pitch, self.dice.uniform(-0.03, 0.03))

    def _try(self, thing: Thing, distance: float, angle: float, turn: float) -> bool:
        gaze = float(np.arctan2(self.plan.gaze[1], self.plan.gaze[0])) + angle
        x = self.plan.eye[0] + distance * float(np.cos(gaze))
        y = self.plan.eye[1] + distance * float(np.sin(gaze))
        # its front turned from the camera by an angle
        yaw = float(np.arctan2(x - self.plan.eye[0], self.plan.eye[1] - y)) + turn
        half = 0.5 * (thing.width * abs(np.cos(turn)) + thing.depth * abs(np.sin(turn)))
        spread = float(np.arctan2(half, distance))
        low, high = angle - spread, angle + spread
        for other_low, other_high, other in self.seen:
            common = min(high, other_high) - max(low, other_low)
            behind = (high - low) if distance > other else (other_high - other_low)
            if common > _HIDDEN * behind:
                return False
        spot = Spot(x, y, thing.width / 2, thing.depth / 2, yaw)
        if not self.plan.fits(spot, 0.5):
            return False
        self.plan.spots.append(spot)
        self.seen.append((low, high, distance))
        self.scene.put(thing, x, y, 0.0, yaw)
        return True
