"""CityScapes' label ids as the 19 training classes and the 7 categories.

Source: the labels table of github.com/mcordts/cityscapesScripts. Labels that the official
evaluation ignores (parking, rail track, guard rail, bridge, tunnel, pole group, caravan,
trailer, and all of void) are ignored in both, as their category is there.
"""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from tabench.data.array_folders import IGNORE
from tabench.errors import DataError

CATEGORIES = ("flat", "construction", "object", "nature", "sky", "human", "vehicle")
HIGHEST = 33
# label id: (train id, category)
SCORED = {
    7: (0, "flat"),  # road
    8: (1, "flat"),  # sidewalk
    11: (2, "construction"),  # building
    12: (3, "construction"),  # wall
    13: (4, "construction"),  # fence
    17: (5, "object"),  # pole
    19: (6, "object"),  # traffic light
    20: (7, "object"),  # traffic sign
    21: (8, "nature"),  # vegetation
    22: (9, "nature"),  # terrain
    23: (10, "sky"),
    24: (11, "human"),  # person
    25: (12, "human"),  # rider
    26: (13, "vehicle"),  # car
    27: (14, "vehicle"),  # truck
    28: (15, "vehicle"),  # bus
    31: (16, "vehicle"),  # train
    32: (17, "vehicle"),  # motorcycle
    33: (18, "vehicle"),  # bicycle
}
TO_19 = np.full(HIGHEST + 1, IGNORE, dtype=np.float32)
TO_7 = np.full(HIGHEST + 1, IGNORE, dtype=np.float32)
for _id, (_train_id, _category) in SCORED.items():
    TO_19[_id] = _train_id
    TO_7[_id] = CATEGORIES.index(_category)


def map_labels(
    ids: npt.NDArray[np.generic], where: str
) -> tuple[npt.NDArray[np.float32], npt.NDArray[np.float32]]:
    """Label ids as (the 7 categories, the 19 training classes), -1 = ignore.

    Raises:
        DataError: An id that CityScapes does not have.
    """
    numbers = ids.astype(np.int64)
    if int(numbers.max()) > HIGHEST:
        raise DataError(
            f"label id {int(numbers.max())} is outside CityScapes' 0..{HIGHEST}",
            where=where,
            hint="take the *_gtFine_labelIds.png files of gtFine_trainvaltest.zip",
        )
    return TO_7[numbers], TO_19[numbers]
