"""What verification counts while it reads a folder: one collector for each kind of array."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import numpy.typing as npt

from tabench.data.checks import UNIT_TOLERANCE

Stored = npt.NDArray[np.generic]


class Facts:
    """Nothing but the stored types; the other kinds count more.

    Attributes:
        dtypes: Types seen.
        without: Images without a single valid pixel.
    """

    def __init__(self) -> None:
        self.dtypes: set[str] = set()
        self.without = 0

    def collect(self, array: Stored) -> None:
        """Add an array that has the right shape and range."""

    def facts(self) -> dict[str, object]:
        """Numbers worth printing, by their names."""
        return {}


class LabelFacts(Facts):
    """Pixels of each class."""

    def __init__(self, class_names: Sequence[str]) -> None:
        super().__init__()
        self.class_names = class_names
        self.labels = np.zeros(len(class_names), np.int64)
        self.ignored = 0

    def collect(self, array: Stored) -> None:
        """Count a label map (H, W)."""
        labels = array.astype(np.int64)
        valid = labels[labels >= 0]
        self.labels += np.bincount(valid, minlength=self.labels.size)
        self.ignored += labels.size - valid.size
        self.without += int(valid.size == 0)

    def facts(self) -> dict[str, object]:
        """Class histogram."""
        counts, labelled = self.labels.tolist(), int(self.labels.sum())
        return {
            "class pixels": dict(zip(self.class_names, counts, strict=True)),
            "class share": {
                name: count / max(labelled, 1) for name, count in zip(self.class_names, counts, strict=True)
            },
            "ignored label pixels": self.ignored,
        }


class RangeFacts(Facts):
    """Range and number of the values above 0 ("depth" in metres, "disparity" without a unit)."""

    def __init__(self, kind: str) -> None:
        super().__init__()
        self.kind = kind
        self.valid = 0
        self.range = (np.inf, -np.inf)

    def collect(self, array: Stored) -> None:
        """Count a map (H, W, 1)."""
        values = array.astype(np.float64)
        values = values[values > 0]
        self.valid += values.size
        self.without += int(values.size == 0)
        if values.size:
            low, high = self.range
            self.range = (min(low, float(values.min())), max(high, float(values.max())))

    def facts(self) -> dict[str, object]:
        """Range and valid pixels."""
        unit = " (m)" if self.kind == "depth" else ""
        return {
            f"{self.kind} range{unit}": list(self.range) if self.valid else None,
            f"valid {self.kind} pixels": self.valid,
        }


class NormalFacts(Facts):
    """Lengths of the normals."""

    def __init__(self) -> None:
        super().__init__()
        self.valid = 0
        self.unit = 0
        self.zero_sum = 0

    def collect(self, array: Stored) -> None:
        """Count a map (H, W, 3)."""
        normals = array.astype(np.float32)
        vectors = normals[np.any(normals != 0, axis=2)]
        self.without += int(vectors.size == 0)
        length = np.linalg.norm(vectors.astype(np.float64), axis=1)
        unit = int(np.count_nonzero(np.abs(length - 1) <= UNIT_TOLERANCE))
        self.valid += len(length)
        self.unit += unit
        self.zero_sum += int(np.count_nonzero(vectors.sum(axis=1) == 0))

    def facts(self) -> dict[str, object]:
        """How many are valid, of length 1, and cancelled out."""
        return {
            "valid normal pixels": self.valid,
            "unit normal pixels": self.unit,
            "normals whose channels sum to 0 (counted invalid)": self.zero_sum,
        }


def facts_of(kind: str, class_names: Sequence[str]) -> Facts:
    """A fresh collector for a kind of array."""
    if kind == "label":
        return LabelFacts(class_names)
    if kind in ("depth", "disparity"):
        return RangeFacts(kind)
    return NormalFacts() if kind == "normal" else Facts()
