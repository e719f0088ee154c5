"""How an array of a sample is stored in a pack: in the narrowest form that gives back the same bytes."""

from __future__ import annotations

from dataclasses import dataclass
from typing import cast

import numpy as np
import numpy.typing as npt

from tabench.data.base import Array

Values = npt.NDArray[np.generic]


@dataclass(frozen=True)
class Form:
    """One way to store arrays of one type.

    Attributes:
        name: "unit8" (k / 255 as k), "int8", "float16", or "same".
        stored: NumPy name of the stored type.
        given: NumPy name of the type it stands for.
    """

    name: str
    stored: str
    given: str

    def encode(self, array: Values) -> Values | None:
        """The array as stored, C-contiguous; None if this form would change a single bit of it."""
        if self.name == "same":
            return np.ascontiguousarray(array)
        with np.errstate(over="ignore", invalid="ignore"):  # what does not fit is found below
            if self.name == "unit8":
                stored: Values = np.rint(cast(Array, array) * np.float32(255)).astype(np.uint8)
            else:
                stored = np.ascontiguousarray(array).astype(self.stored)
        same = self.decode(stored).tobytes() == np.ascontiguousarray(array).tobytes()
        return stored if same else None

    def decode(self, stored: Values) -> Values:
        """The array as it was given: `stored` itself in the form "same", else a fresh one."""
        if self.name == "unit8":
            unit: Array = stored.astype(np.float32) / np.float32(255)
            return unit
        return stored.astype(self.given, copy=False)


def forms_of(kind: str, dtype: np.dtype[np.generic]) -> list[Form]:
    """The forms to try, the narrowest first; the last one takes everything."""
    narrower = []
    if kind == "image" and dtype == np.float32:
        narrower.append(Form("unit8", "uint8", "float32"))
    if dtype == np.float32:
        narrower.append(Form("float16", "float16", "float32"))
    if dtype == np.int64:
        narrower.append(Form("int8", "int8", "int64"))
    return [*narrower, Form("same", dtype.name, dtype.name)]
