"""The camera: its lens (NYUv2's unless told otherwise) at any size, and where it stands."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from tabench.worlds.dice import Floats

_NEAR = 0.05


@dataclass(frozen=True)
class Lens:
    """Focal lengths and centre in pixels, for pictures of one size."""

    fx: float
    fy: float
    cx: float
    cy: float
    height: int
    width: int


NYU_LENS = Lens(518.8579, 519.46961, 325.58245, 253.73617, 480, 640)  # the colour camera's calibration


def intrinsics(height: int, width: int, lens: Lens = NYU_LENS) -> tuple[float, float, float, float]:
    """(fx, fy, cx, cy) in pixels of a lens, scaled to a size."""
    return (
        lens.fx * width / lens.width,
        lens.fy * height / lens.height,
        lens.cx * width / lens.width,
        lens.cy * height / lens.height,
    )


@dataclass(frozen=True, eq=False)
class Camera:
    """A pinhole camera in room coordinates (z up)."""

    position: Floats  # (3,) metres
    axes: Floats  # (3, 3), columns: right, down, forward
    lens: Lens = NYU_LENS  # what it sees with

    @staticmethod
    def looking(position: Floats, yaw: float, pitch: float, roll: float, lens: Lens = NYU_LENS) -> Camera:
        """A camera by angles in radians: yaw from +x, pitch up, roll clockwise."""
        forward = np.array([np.cos(yaw) * np.cos(pitch), np.sin(yaw) * np.cos(pitch), np.sin(pitch)])
        right = np.array([np.sin(yaw), -np.cos(yaw), 0.0])
        down = np.cross(forward, right)
        c, s = np.cos(roll), np.sin(roll)
        axes = np.stack([c * right + s * down, c * down - s * right, forward], axis=1)
        return Camera(position, axes, lens)

    def rays(self, height: int, width: int) -> Floats:
        """(H, W, 3) ray directions in the room; their parameter is z-depth in metres."""
        fx, fy, cx, cy = intrinsics(height, width, self.lens)
        v, u = np.mgrid[0:height, 0:width]
        local = np.stack([(u - cx) / fx, (v - cy) / fy, np.ones((height, width))], axis=-1)
        return np.asarray(local @ self.axes.T, dtype=np.float64)

    def window(self, corners: Floats, height: int, width: int) -> tuple[slice, slice] | None:
        """Rows and columns that can see the hull of some corners; None if none can."""
        local = (corners - self.position) @ self.axes
        z = local[:, 2]
        if z.max() <= _NEAR:
            return None
        if z.min() <= _NEAR:
            return slice(0, height), slice(0, width)
        fx, fy, cx, cy = intrinsics(height, width, self.lens)
        u, v = fx * local[:, 0] / z + cx, fy * local[:, 1] / z + cy
        left, right = max(int(np.floor(u.min())), 0), min(int(np.ceil(u.max())) + 1, width)
        top, bottom = max(int(np.floor(v.min())), 0), min(int(np.ceil(v.max())) + 1, height)
        if left >= right or top >= bottom:
            return None
        return slice(top, bottom), slice(left, right)
