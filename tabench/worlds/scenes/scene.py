"""A furnished room, ready to be rendered."""

from __future__ import annotations

from dataclasses import dataclass, field

from tabench.worlds.scenes.camera import Camera
from tabench.worlds.scenes.dice import Floats
from tabench.worlds.scenes.thing import Piece, Thing


@dataclass(frozen=True, eq=False)
class Light:
    """A lamp or a window.

    Attributes:
        points: (k, 3) positions it shines from, in equal shares.
        normal: (3,) direction a window faces; None shines everywhere.
        power: (3,) linear colour times strength.
        distant: Whether it is too far off, as the sun, to lose strength on the way.
    """

    points: Floats
    normal: Floats | None
    power: Floats
    distant: bool = False


@dataclass
class Scene:
    """A room with a camera.

    Attributes:
        size: (3,) inner extents in metres.
        camera: Where it is seen from.
        pieces: Primitives in room coordinates.
        instances: Instance number of each piece, from 1.
        things: Number of the thing each piece belongs to, for culling.
        lights: What lights it.
        scatter: Light that comes from everywhere, as a multiple of a white wall.
    """

    size: Floats
    camera: Camera
    pieces: list[Piece] = field(default_factory=list)
    instances: list[int] = field(default_factory=list)
    things: list[int] = field(default_factory=list)
    lights: list[Light] = field(default_factory=list)
    scatter: float = 0.2

    def put(self, thing: Thing, x: float, y: float, z: float, yaw: float) -> None:
        """Add a thing; each of its groups of one class becomes an instance."""
        first, number = max(self.instances, default=0) + 1, max(self.things, default=-1) + 1
        known: dict[tuple[str, str], int] = {}
        for piece in thing.moved(x, y, z, yaw):
            key = (piece.group, piece.label)
            self.instances.append(known.setdefault(key, first + len(known)))
            self.things.append(number)
            self.pieces.append(piece)
