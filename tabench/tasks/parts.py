"""What an accumulator measured, as arrays that can be sent to another process; see `Evaluation.parts`."""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping, Sequence
from typing import Any, TypeVar

import numpy as np
import numpy.typing as npt
from safetensors.numpy import load, save

from tabench.tasks.base import Parts

Value = TypeVar("Value")


def to_bytes(parts: Parts) -> bytes:
    """Arrays in the form of safetensors: numbers and shapes, nothing that executes."""
    return save({name: np.ascontiguousarray(array) for name, array in parts.items()})


def from_bytes(content: bytes) -> Parts:
    """The inverse of `to_bytes`."""
    return load(content)


def named(words: Iterable[str]) -> npt.NDArray[np.uint8]:
    """Image ids as an array of bytes."""
    return np.frombuffer(json.dumps(list(words)).encode(), dtype=np.uint8)


def names(array: npt.NDArray[Any]) -> list[str]:
    """The inverse of `named`."""
    return [str(word) for word in json.loads(array.tobytes())]


def sorted_by(order: Sequence[str], held: Mapping[str, Value]) -> dict[str, Value]:
    """The same entries in the order of a split's ids."""
    return {image_id: held[image_id] for image_id in order if image_id in held}
