"""What rooms are filled with: things made of labelled pieces."""

from __future__ import annotations

from dataclasses import dataclass, field, replace

import numpy as np

from tabench.worlds.scenes.materials import Material
from tabench.worlds.scenes.shapes import BALL, BOX, CYLINDER, Shape, yaw_matrix


@dataclass(frozen=True, eq=False)
class Piece:
    """One primitive with what the renderer must know.

    Attributes:
        shape: Its geometry.
        label: Its class name.
        material: Its surface.
        group: Pieces of one thing with the same group are one instance.
        casts: Whether it throws shadows.
        glass: Whether a depth sensor sees nothing there.
    """

    shape: Shape
    label: str
    material: Material
    group: str = ""
    casts: bool = True
    glass: bool = False


@dataclass(frozen=True)
class Top:
    """A level surface that small things can stand on, in the thing's frame (metres)."""

    x: float
    y: float
    z: float
    width: float
    depth: float
    clear: float = 0.5


@dataclass
class Thing:
    """A thing in its own frame: centre of its footprint at 0, front towards +y, z up.

    Attributes:
        label: Class of its pieces unless they say otherwise.
        width: Extent along x in metres.
        depth: Extent along y in metres.
        height: Extent along z in metres.
    """

    label: str
    width: float
    depth: float
    height: float
    pieces: list[Piece] = field(default_factory=list)
    tops: list[Top] = field(default_factory=list)

    def box(
        self,
        at: tuple[float, float, float],
        size: tuple[float, float, float],
        material: Material,
        *,
        label: str | None = None,
        group: str = "",
        glass: bool = False,
        casts: bool = True,
    ) -> None:
        """Add a box by the middle of its lower face and its full size."""
        self._add(BOX, at, size, material, label, group, glass, casts)

    def ball(
        self,
        at: tuple[float, float, float],
        size: tuple[float, float, float],
        material: Material,
        *,
        label: str | None = None,
        group: str = "",
        casts: bool = True,
    ) -> None:
        """Add an ellipsoid by its lowest point and its full size."""
        self._add(BALL, at, size, material, label, group, False, casts)

    def cylinder(
        self,
        at: tuple[float, float, float],
        size: tuple[float, float, float],
        material: Material,
        *,
        label: str | None = None,
        group: str = "",
        casts: bool = True,
    ) -> None:
        """Add an upright (elliptic) cylinder by the middle of its foot and its full size."""
        self._add(CYLINDER, at, size, material, label, group, False, casts)

    def moved(self, x: float, y: float, z: float, yaw: float) -> list[Piece]:
        """The pieces in room coordinates."""
        turn, shift = yaw_matrix(yaw), np.array([x, y, z])
        return [replace(piece, shape=piece.shape.moved(turn, shift)) for piece in self.pieces]

    def include(self, other: Thing, x: float, y: float, z: float, yaw: float, group: str) -> None:
        """Put another thing onto or into this one, as instances of its own."""
        for piece in other.moved(x, y, z, yaw):
            self.pieces.append(replace(piece, group=f"{group}/{piece.group}"))

    def _add(
        self,
        kind: int,
        at: tuple[float, float, float],
        size: tuple[float, float, float],
        material: Material,
        label: str | None,
        group: str,
        glass: bool,
        casts: bool,
    ) -> None:
        centre = np.array([at[0], at[1], at[2] + size[2] / 2])
        shape = Shape(kind, centre, np.eye(3), np.array(size) / 2)
        self.pieces.append(Piece(shape, label or self.label, material, group, casts, glass))
