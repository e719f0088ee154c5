"""The CityScapes camera pair: its lens, and from depth to the disparity a matcher would store.

Calibration as published with the dataset: focal length 2262.52 pixels in pictures of 2048x1024, baseline
0.209313 m. The matcher knows at most 126 pixels; the layout stores pixels / 256, so 0..0.4922.
"""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from tabench.worlds.camera import Lens
from tabench.worlds.dice import Dice, Floats
from tabench.worlds.patterns import lattice_hash, value_noise

LENS = Lens(2262.52, 2265.3017905988554, 1096.98, 513.137, 1024, 2048)
BASELINE = 0.209313
MOST = 126 / 256  # above, a point is too near for the matcher
_SCALE = 1 / 256
_BLOTS = 35  # periods of the blots' noise across a picture

Mask = npt.NDArray[np.bool_]


def disparity_of(depth: Floats) -> Floats:
    """Stored disparity of points at a depth in metres along the optical axis."""
    return LENS.fx * BASELINE * _SCALE / depth


def unmatched(disparity: Floats) -> Mask:
    """Pixels of the left picture (H, W) that the right camera does not see, or that are too near.

    A point of column u lies in the right picture at u - disparity: outside it if that is
    negative, and hidden if something that is further right here, so nearer, lies left of it there.
    """
    width = disparity.shape[1]
    columns = np.arange(width) - disparity / _SCALE * width / LENS.width
    beyond = np.full((len(columns), 1), np.inf)
    nearest = np.minimum.accumulate(columns[:, ::-1], axis=1)[:, ::-1]
    hidden = columns >= np.concatenate([nearest[:, 1:], beyond], axis=1) + 1e-9
    return np.asarray(hidden | (columns < -0.5) | (disparity > MOST))


def speckles(dice: Dice, height: int, width: int) -> Mask:
    """Small blots and single pixels where a matcher fails for no visible reason, (H, W)."""
    pixels = np.indices((height, width, 1), dtype=np.int64).reshape(3, -1).T
    blots = value_noise(
        pixels.astype(np.float64) * (_BLOTS / width), dice.integer(0, 2**31 - 1)
    ) > dice.uniform(0.86, 0.93)
    single = lattice_hash(pixels, dice.integer(0, 2**31 - 1)) < 0.004
    return np.asarray((blots | single).reshape(height, width))
