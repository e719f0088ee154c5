"""What arrays of each kind cannot hold, and what they can but hardly do: one set of checks for all who ask.

`tabench data verify` and `prepare` look at every image, a run at a few of each split. Impossible is an error
that names the image; possible but suspicious is a warning. Both say what is likely wrong.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from hashlib import sha256

import numpy as np
import numpy.typing as npt

from tabench.errors import DataError
from tabench.text import few

Values = npt.NDArray[np.generic]

LONGEST = 1.5  # of a normal or its components: more is another unit or scale, not a long vector
UNIT_TOLERANCE = 0.05  # resampled normals are a little shorter than 1
UNIT_SHARE = 0.99  # below this share of unit normals the report warns
GREYS = 1e-3  # share of normals that may be greys of a picture
GREY_LENGTH = 0.02  # of (128, 128, 128) decoded, and a little more
FAR = 100.0  # metres; no median depth of a picture that a person took indoors or in a street is farther
SLACK = 1.1  # times the largest published depth
DARK = 2 / 255  # the largest value of images that were divided by 255 twice
MANY = 8  # images from which on it is told that something never occurs
ALL = 100  # images from which on every class may be expected
THINNED = 4  # of the rows and columns, one that tells a picture from others
MOSTLY = 0.8  # share of salient pixels from which on they may be the background


class Check:
    """Looks at one kind of array, image by image; the subclasses know what it cannot hold.

    Attributes:
        kind: "image", "label", "depth", ...; what messages call it.
        images: Looked at.
        without: Images without a valid pixel.
    """

    def __init__(self, kind: str) -> None:
        self.kind = kind
        self.images = 0
        self.without = 0
        self.span = (np.inf, -np.inf)

    def look(self, array: Values) -> str | None:
        """Add an array as a `Sample` has it; returns what is impossible in it, in one sentence."""
        self.images += 1
        valid = self._valid(array)
        if valid.size == 0:
            self.without += 1
            return None
        low, high = float(valid.min()), float(valid.max())
        self.span = (min(low, self.span[0]), max(high, self.span[1]))
        return self._fault(valid, low, high)

    def problems(self) -> list[str]:
        """What is impossible in all images together."""
        return []

    def warnings(self) -> list[str]:
        """What is suspicious in all images together."""
        if self.images and self.without == self.images:
            return [f"no image has a valid pixel of '{self.kind}'"]
        if self.images > 1 and self.span[0] == self.span[1]:
            return [f"every valid pixel of '{self.kind}' is {self.span[0]:.4g}, in all {self.images} images"]
        return []

    def _valid(self, array: Values) -> Values:
        """Its valid values, in any shape."""
        return array

    def _fault(self, valid: Values, low: float, high: float) -> str | None:
        return None


class ImageCheck(Check):
    """Images (3, H, W) in 0..1."""

    def __init__(self) -> None:
        super().__init__("image")

    def _fault(self, valid: Values, low: float, high: float) -> str | None:
        if not (low >= -1e-3 and high <= 1 + 1e-3):  # NaN is neither
            scaled = "; divide by 255" if low >= 0 and 1 < high <= 255 else ""
            return f"values in {low:.4g}..{high:.4g}, expected 0..1{scaled}"
        return None

    def problems(self) -> list[str]:
        """Everything black."""
        if self.images and self.span[1] <= DARK:
            return [f"no image has a value above {self.span[1]:.4g} of 1: divided by 255 twice?"]
        return []


class LabelCheck(Check):
    """Classes (H, W), -1 = ignore.

    Args:
        kind: As the sample calls them.
        classes: Number of classes; 0 where it is not known.
    """

    def __init__(self, kind: str, classes: int) -> None:
        super().__init__(kind)
        self.classes = classes
        self.seen = np.zeros(classes, bool)

    def _valid(self, array: Values) -> Values:
        return np.asarray(array[array != -1])

    def _fault(self, valid: Values, low: float, high: float) -> str | None:
        if low < 0 or (self.classes and high >= self.classes):
            return f"labels {low:g}..{high:g} outside -1..{self.classes - 1}"
        if self.classes:
            self.seen |= np.bincount(valid.astype(np.int64), minlength=self.classes) > 0
        return None

    def warnings(self) -> list[str]:
        """Only the last class is nowhere: labels may be one too low."""
        found = super().warnings()
        if self.classes and self.images >= ALL and self.seen[:-1].all() and not self.seen[-1:].any():
            found.append(
                f"of all {self.classes} classes only the last is nowhere: is each label one too low?"
            )
        return found


class SaliencyCheck(LabelCheck):
    """Salient pixels (H, W): 1, 0, or -1 = ignore."""

    def __init__(self) -> None:
        super().__init__("saliency", 2)
        self.empty = 0
        self.salient = self.pixels = 0

    def look(self, array: Values) -> str | None:
        """See `Check.look`."""
        salient = int(np.count_nonzero(array == 1))
        self.empty += salient == 0
        self.salient += salient
        self.pixels += array.size
        return super().look(array)

    def problems(self) -> list[str]:
        """Nothing is salient: a prediction of nothing would be perfect."""
        if self.images and self.empty == self.images:
            return [
                f"no pixel is salient in any of {self.images} images, so predicting nothing would score "
                "100: salient is what is stored brighter than 127 of 255"
            ]
        return []

    def warnings(self) -> list[str]:
        """Few salient images, or hardly anything else."""
        found = (
            [f"{self.empty} of {self.images} images have no salient pixel"]
            if 2 * self.empty > self.images
            else []
        )
        if self.salient > MOSTLY * self.pixels:
            found.append(f"{100 * self.salient / self.pixels:.0f} % of all pixels are salient: inverted?")
        return found


class RangeCheck(Check):
    """Depth in metres or disparity without a unit, (1, H, W), 0 = invalid.

    Args:
        kind: "depth" or "disparity".
        largest: The largest published value; 0 where it is not known.
    """

    def __init__(self, kind: str, largest: float) -> None:
        super().__init__(kind)
        self.largest = largest

    def _valid(self, array: Values) -> Values:
        return np.asarray(array[array != 0])

    def _fault(self, valid: Values, low: float, high: float) -> str | None:
        if not (low > 0 and np.isfinite(high)):
            return f"{self.kind} {low:.4g}..{high:.4g}, expected finite numbers above 0, or 0 where invalid"
        if self.kind == "disparity":
            if self.largest and high > 2 * self.largest:
                return f"disparity up to {high:.4g}, published is {self.largest:g}: metres, or pixels?"
            return None
        middle = float(np.median(valid.astype(np.float64))) if high > FAR else 0.0
        if middle > FAR:
            unit, scale = ("millimetres", 1000) if middle > 10 * FAR else ("centimetres", 100)
            return f"median depth {middle:.4g} m: {unit}? divide by {scale}"
        return None

    def warnings(self) -> list[str]:
        """Values beyond what is published, or all below 1 m."""
        found, high = super().warnings(), self.span[1]
        slack = SLACK if self.kind == "depth" else 1 + 2e-4  # the published disparity has four digits
        if self.largest and high > slack * self.largest:
            found.append(f"{self.kind} up to {high:.4g}, published is {self.largest:g}: another scale?")
        if self.kind == "depth" and 0 < high <= 1:
            found.append(f"depth up to {high:.4g} m: scaled to 0..1?")
        return found


class NormalCheck(Check):
    """Unit vectors (3, H, W), (0, 0, 0) = invalid."""

    def __init__(self) -> None:
        super().__init__("normal")
        self.valid = self.unit = 0
        self.low = np.full(3, np.inf)
        self.high = np.full(3, -np.inf)

    def look(self, array: Values) -> str | None:
        """See `Check.look`."""
        self.images += 1
        vectors = array.astype(np.float64)[:, np.any(array != 0, axis=0)]  # (3, pixels)
        count = vectors.shape[1]
        if count == 0:
            self.without += 1
            return None
        length = np.linalg.norm(vectors, axis=0)
        unit = np.abs(length - 1) <= UNIT_TOLERANCE
        self.valid += count
        self.unit += int(unit.sum())
        self.low, self.high = (
            np.minimum(self.low, vectors.min(axis=1)),
            np.maximum(self.high, vectors.max(axis=1)),
        )
        self.span = (float(self.low.min()), float(self.high.max()))
        if not length.max() <= LONGEST or 2 * unit.sum() < count:
            coded = "; coded as 0..1? take 2 n - 1" if vectors.min() >= 0 and vectors.max() <= 1 else ""
            return (
                f"normals of length {length.min():.3g}..{length.max():.3g}, {unit.sum()} of {count} "
                f"within {UNIT_TOLERANCE} of 1; expected unit vectors in -1..1 or (0, 0, 0){coded}"
            )
        alike = (vectors[0] == vectors[1]) & (vectors[1] == vectors[2])
        greys = int(np.count_nonzero((alike & ~unit) | (length < GREY_LENGTH)))
        if greys > GREYS * count:
            return (
                f"{greys} of {count} normals are no directions but greys of a picture, decoded, as of a "
                "border: set them to (0, 0, 0)"
            )
        return None

    def problems(self) -> list[str]:
        """No component below 0."""
        if self.valid and self.low.min() >= 0 and self.high.min() > 0.05:
            return [
                f"no normal in {self.images} images has a negative component: coded as 0..1? take 2 n - 1"
            ]
        return []

    def warnings(self) -> list[str]:
        """Normals that are too short, all alike, or of one side."""
        if not self.valid:
            return super().warnings()
        found = []
        if self.unit < UNIT_SHARE * self.valid:
            share = 100 * self.unit / self.valid
            found.append(f"only {share:.2f}% of the normals are within {UNIT_TOLERANCE} of length 1")
        if self.images > 1 and (self.low == self.high).all():
            found.append(f"every normal is the same, in all {self.images} images")
        elif self.images >= MANY:
            sides = {"negative": self.low[0] >= 0, "positive": self.high[0] <= 0}
            found += [f"no normal has a {side} x" for side, never in sides.items() if never]
        return found


class Checks:
    """The checks of all kinds of a split.

    Args:
        class_names: Names of the classes of "label".
        largest: Kind to the largest published value.
    """

    def __init__(self, class_names: Sequence[str], largest: Mapping[str, float]) -> None:
        self.classes = len(class_names)
        self.largest = largest
        self.kinds: dict[str, Check] = {}
        self.pictures: dict[bytes, str] = {}

    def look(self, name: str, kind: str, array: Values) -> str | None:
        """Add an array of an image as a `Sample` has it; returns what is impossible in it."""
        if kind == "image":
            self.pictures[sha256(array[:, ::THINNED, ::THINNED].tobytes()).digest()] = name
        if kind not in self.kinds:
            self.kinds[kind] = self._made(kind)
        return self.kinds[kind].look(array)

    def problems(self) -> list[str]:
        """What is impossible in all images together."""
        return [line for check in self.kinds.values() for line in check.problems()]

    def warnings(self) -> list[str]:
        """What is suspicious in all images together."""
        return [line for check in self.kinds.values() for line in check.warnings()]

    def _made(self, kind: str) -> Check:
        if kind == "image":
            return ImageCheck()
        if kind == "normal":
            return NormalCheck()
        if kind == "saliency":
            return SaliencyCheck()
        if kind in ("depth", "disparity"):
            return RangeCheck(kind, self.largest.get(kind, 0.0))
        return LabelCheck(kind, self.classes if kind == "label" else 0)


def refuse_impossible(
    arrays: Mapping[str, Values], class_names: Sequence[str], largest: Mapping[str, float], where: str
) -> None:
    """Check the arrays of one image, by kind and as a `Sample` has them.

    Raises:
        DataError: One holds what it cannot hold.
    """
    checks = Checks(class_names, largest)
    for kind, array in arrays.items():
        problem = checks.look(where, kind, array)
        if problem:
            raise DataError(
                problem, where=f"{where}, {kind}", hint="this is not what the dataset holds there"
            )


def twins(one: Checks, other: Checks) -> list[str]:
    """A warning if two splits hold the same picture."""
    shared = [
        f"{one.pictures[key]} and {name}" for key, name in other.pictures.items() if key in one.pictures
    ]
    return [f"{len(shared)} images are in both splits: {few(shared)}"] if shared else []
