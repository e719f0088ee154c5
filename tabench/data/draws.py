"""Random draws keyed by what they are for, never by a stream's position.

Resuming, prefetching or sharding cannot change a draw, since no draw depends on
how many were taken before it.
"""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

SHUFFLE, AUGMENT = 0, 1
HOLDOUT_SEED = 688  # the authors' code: np.random.seed(688); np.random.choice(795, 636, replace=False)


def generator(seed: int, *key: int) -> np.random.Generator:
    """Philox generator of a seed and a key such as (AUGMENT, epoch, index)."""
    return np.random.Generator(np.random.Philox(np.random.SeedSequence(seed, spawn_key=key)))


def shuffled(count: int, seed: int, epoch: int) -> npt.NDArray[np.int64]:
    """Order in which an epoch visits `count` images."""
    return generator(seed, SHUFFLE, epoch).permutation(count)


def training_part(count: int) -> npt.NDArray[np.int64]:
    """Positions of the images that stay in training when a validation part is held out.

    For 795 images these are the 636 of the authors' code, in its order; for any other
    number the same generator draws 80% (rounded).
    """
    legacy = np.random.RandomState(HOLDOUT_SEED)
    return legacy.choice(count, round(0.8 * count), replace=False).astype(np.int64)
