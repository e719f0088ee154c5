"""Random choices of a scene, keyed by (seed, split, index).

Everything is built from ``Generator.random`` over Philox: NumPy promises the stream of a
bit generator, not that of its distributions, and scenes must not change with NumPy.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import TypeVar

import numpy as np
import numpy.typing as npt

from tabench.errors import DataError

T = TypeVar("T")
Floats = npt.NDArray[np.float64]

SPLIT_KEYS = {"train": 0, "val": 1, "pretrain": 2}


class Dice:
    """Draws of one stream.

    Args:
        seed: Seed of the dataset.
        key: Path below the seed; different keys give independent streams.
    """

    def __init__(self, seed: int, *key: int) -> None:
        sequence = np.random.SeedSequence(seed, spawn_key=key)
        self._generator = np.random.Generator(np.random.Philox(sequence))

    def uniform(self, low: float, high: float) -> float:
        """A number in [low, high)."""
        return low + (high - low) * float(self._generator.random())

    def chance(self, probability: float) -> bool:
        """True with the given probability."""
        return float(self._generator.random()) < probability

    def integer(self, low: int, high: int) -> int:
        """A whole number in [low, high], both ends included."""
        return low + int((high - low + 1) * float(self._generator.random()))

    def pick(self, options: Sequence[T]) -> T:
        """One of the options, all equally likely."""
        return options[self.integer(0, len(options) - 1)]

    def uniforms(self, *shape: int) -> Floats:
        """An array of numbers in [0, 1)."""
        return self._generator.random(shape)


def scene_key(split: str, index: int) -> tuple[int, int]:
    """Stream key of a scene; keys of different splits never meet.

    Raises:
        DataError: The split is unknown or the index is negative.
    """
    if split not in SPLIT_KEYS:
        raise DataError(f"unknown split '{split}'", hint=f"known: {', '.join(SPLIT_KEYS)}")
    if index < 0:
        raise DataError(f"image index {index} is negative", where=split)
    return SPLIT_KEYS[split], index
