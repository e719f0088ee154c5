"""Surface normals from a depth map: a plane fitted to every pixel's neighbourhood.

Under a pinhole camera a plane is linear in inverse depth, 1/z = a x' + b y' + c with
x' = (u - cx) / fx and y' = (v - cy) / fy, and (a, b, c) is its normal up to scale. The fit is
linear least squares in inverse depth, where the noise of a structured-light sensor is even,
over the neighbours whose depth is near the pixel's own: edges between surfaces are not
averaged away.
"""

from __future__ import annotations

from dataclasses import asdict, dataclass

import numpy as np
import numpy.typing as npt

Floats = npt.NDArray[np.float64]
RADIUS = 10  # of 3..12, the one nearest to the normals published for a frame of NYUv2 (median 2.1 degrees)
THRESHOLD = 0.05


@dataclass(frozen=True)
class Camera:
    """Pinhole intrinsics in pixels; (0, 0) is the centre of the first pixel."""

    fx: float  # focal length along the rows
    fy: float  # focal length along the columns
    cx: float  # column of the optical axis
    cy: float  # row of the optical axis


NYU_CAMERA = Camera(518.8579, 519.46961, 325.58245, 253.73617)  # colour camera, 640x480


def method(camera: Camera, radius: int = RADIUS, threshold: float = THRESHOLD) -> dict[str, object]:
    """What prepare.json says about how normals were estimated."""
    return {
        "method": "least-squares plane in inverse depth",
        "window": 2 * radius + 1,
        "relative depth threshold": threshold,
        "fewest pixels": fewest(radius),
        "camera": asdict(camera),
        "frame": "x right, y down, z forward; towards the camera",
    }


def fewest(radius: int) -> int:
    """Pixels that a plane needs: half of those that the window has in a corner of the image."""
    return (radius + 1) ** 2 // 2


def normals_from_depth(
    depth: Floats,
    camera: Camera,
    rows: npt.NDArray[np.int64] | None = None,
    cols: npt.NDArray[np.int64] | None = None,
    *,
    radius: int = RADIUS,
    threshold: float = THRESHOLD,
) -> npt.NDArray[np.float32]:
    """Unit normals of the surface seen at the pixels (rows x cols).

    Args:
        depth: (H, W) metres along the optical axis, 0 = invalid.
        camera: Intrinsics of that depth map.
        rows: Row numbers to compute; None takes all.
        cols: Column numbers to compute; None takes all.
        radius: The window is 2 * radius + 1 pixels wide.
        threshold: Neighbours farther than this share of the pixel's depth from it are left out.

    Returns:
        (rows, cols, 3) float32, x right, y down, z forward, pointing to the camera's side
        (n . p < 0 for the seen point p); (0, 0, 0) where the depth is invalid or fewer than
        `fewest(radius)` neighbours support the plane.
    """
    height, width = depth.shape
    rows = np.arange(height) if rows is None else rows
    cols = np.arange(width) if cols is None else cols
    inverse = np.zeros((height + 2 * radius, width + 2 * radius), dtype=np.float32)
    inside = inverse[radius : radius + height, radius : radius + width]
    np.divide(1.0, depth, out=inside, where=depth > 0, casting="same_kind")
    centre = inverse[np.ix_(rows + radius, cols + radius)]
    low, high = centre / (1 + threshold), centre / (1 - threshold)

    shape = (len(rows), len(cols))
    count, sx, sy, sxx, sxy, syy, sd, sxd, syd = (np.zeros(shape, np.float32) for _ in range(9))
    for dy in range(-radius, radius + 1):
        band = inverse[rows + radius + dy]
        pixels, px, pxx, pd, pxd = (np.zeros(shape, np.float32) for _ in range(5))  # of this row
        for dx in range(-radius, radius + 1):
            near = band[:, cols + radius + dx]
            taken = ((near >= low) & (near <= high) & (near > 0)).astype(np.float32)
            difference = (near - centre) * taken
            pixels += taken
            pd += difference
            px += np.float32(dx) * taken
            pxx += np.float32(dx * dx) * taken
            pxd += np.float32(dx) * difference
        row = np.float32(dy)
        for total, part in (
            *((count, pixels), (sx, px), (sy, row * pixels), (sd, pd), (sxd, pxd)),
            *((sxx, pxx), (sxy, row * px), (syy, row * row * pixels), (syd, row * pd)),
        ):
            total += part

    enough = (centre > 0) & (count >= fewest(radius))
    count = np.maximum(count, 1)
    cxx, cyy, cxy = sxx - sx * sx / count, syy - sy * sy / count, sxy - sx * sy / count
    cxd, cyd = sxd - sx * sd / count, syd - sy * sd / count
    determinant = np.where(enough, cxx * cyy - cxy * cxy, np.float32(1))
    slope_x = (cyy * cxd - cxy * cyd) / determinant
    slope_y = (cxx * cyd - cxy * cxd) / determinant
    level = centre + (sd - slope_x * sx - slope_y * sy) / count  # fitted inverse depth at the pixel
    across = (cols - camera.cx).astype(np.float32)[None, :]
    down = (rows - camera.cy).astype(np.float32)[:, None]
    plane = np.stack(
        [slope_x * camera.fx, slope_y * camera.fy, level - slope_x * across - slope_y * down], axis=-1
    )
    length = np.linalg.norm(plane, axis=-1, keepdims=True)
    good = (enough & (level > 0) & (length[..., 0] > 0))[..., None]
    normals = np.where(good, -plane / np.where(good, length, 1), 0)
    return normals.astype(np.float32)
