"""What arrays of each kind cannot hold, what they can but hardly do, and what they hold: one set of checks.

`tabench data verify` and `prepare` look at every image, a run at a few of each split. Impossible is an error
that names the image; possible but suspicious is a warning. Both say what is likely wrong.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Collection, Iterator, Mapping, Sequence
from hashlib import sha256
from pathlib import Path

import numpy as np
import numpy.typing as npt

from tabench.data.base import DatasetDef, Sample, Split
from tabench.errors import DataError
from tabench.text import few

Values = npt.NDArray[np.generic]

FARTHEST = float(np.finfo(np.float32).max)
LONGEST = 1.5  # of a normal or its components: more is another unit or scale, not a long vector
UNIT_TOLERANCE = 0.05  # resampled normals are a little shorter than 1
UNIT_SHARE = 0.99  # below this share of unit normals the report warns
GREYS = 1e-3  # share of normals that may be greys of a picture
GREY_LENGTH = 0.02  # of (128, 128, 128) decoded, and a little more
FAR = 100.0  # metres; no median depth of a picture that a person took indoors or in a street is farther
SLACK = {"depth": 1.1, "disparity": 1 + 2e-4}  # times the largest published one, which has four digits
DARK = 2 / 255  # the largest value of images that were divided by 255 twice
MANY = 8  # images from which on it is told that something never occurs
ALL = 100  # images from which on every class may be expected
LOOKS = 16  # images of a split that are looked at before a run
HINT = "`tabench data verify NAME --root ROOT` looks at every image"
THINNED = 4  # of the rows and columns, one that tells a picture from others
MOSTLY = 0.8  # share of salient pixels from which on they may be the background


def out_of_range(kind: str, low: float, high: float) -> str | None:
    """What is impossible in values from `low` to `high`, in one sentence; None if nothing is."""
    unit = " m" if kind == "depth" else ""
    if kind == "image" and not (low >= -1e-3 and high <= 1 + 1e-3):  # NaN is neither
        scaled = "; divide by 255" if low >= 0 and 1 < high <= 255 else ""
        return f"values in {low:.4g}..{high:.4g}, expected 0..1{scaled}"
    if kind in SLACK and low < 0:
        return f"negative {kind} {low:.4g}{unit} (0 marks invalid pixels)"
    if kind in SLACK and not high <= FARTHEST:
        return f"{kind} {high:.4g}{unit}, which float32 cannot hold"
    if kind == "normal" and not max(-low, high) <= LONGEST:
        return f"components in {low:.4g}..{high:.4g}, expected unit vectors in -1..1"
    return None


class Check:
    """Looks at one kind of array, image by image; the subclasses know what it cannot hold.

    Args:
        kind: "image", "label", "depth", ...; what messages call it.
        class_names: Names of the classes, where it has some.
        largest: The largest published value; 0 where it is not known.

    Attributes:
        counts: Images looked at ("images"), those without a valid pixel ("without"), valid pixels ("valid"),
            and what subclasses count.
        low: The smallest valid value, or one a channel.
        high: The largest.
    """

    def __init__(self, kind: str, class_names: Sequence[str] = (), largest: float = 0.0) -> None:
        self.kind, self.class_names, self.largest = kind, class_names, largest
        self.counts: Counter[str | int] = Counter()
        self.low, self.high = np.full(1, np.inf), np.full(1, -np.inf)

    def look(self, array: Values) -> str | None:
        """Add an array as a `Sample` has it; returns what is impossible in it, in one sentence."""
        self.counts["images"] += 1
        valid = self._valid(array)
        if valid.size == 0:
            self.counts["without"] += 1
            return None
        self.counts["valid"] += valid.shape[-1]
        low, high = valid.min(axis=-1, keepdims=True), valid.max(axis=-1, keepdims=True)
        self.low, self.high = np.minimum(self.low, low.ravel()), np.maximum(self.high, high.ravel())
        return self._fault(valid, float(low.min()), float(high.max()))

    def problems(self) -> list[str]:
        """What is impossible in all images together."""
        return []

    def warnings(self) -> list[str]:
        """What is suspicious in all images together."""
        images = self.counts["images"]
        if images and self.counts["without"] == images:
            return [f"no image has a valid pixel of '{self.kind}'"]
        if images > 1 and (self.low == self.high).all():
            return [f"every valid pixel of '{self.kind}' is {self.low[0]:.4g}, in all {images} images"]
        return []

    def _valid(self, array: Values) -> Values:
        """Its valid values, in one row, or in one a channel."""
        return array.ravel()

    def _fault(self, valid: Values, low: float, high: float) -> str | None:
        return out_of_range(self.kind, low, high)


class ImageCheck(Check):
    """Images (3, H, W) in 0..1."""

    def problems(self) -> list[str]:
        """Everything black."""
        if self.counts["images"] and self.high[0] <= DARK:
            return [f"no image has a value above {self.high[0]:.4g} of 1: divided by 255 twice?"]
        return []


class LabelCheck(Check):
    """Classes (H, W), -1 = ignore; `class_names` is empty where they are not known."""

    def _valid(self, array: Values) -> Values:
        self.counts["ignored"] += int(np.count_nonzero(array == -1))
        return np.asarray(array[array != -1])

    def _fault(self, valid: Values, low: float, high: float) -> str | None:
        classes = len(self.class_names)
        if low < 0 or (classes and high >= classes):
            return f"labels {low:g}..{high:g} outside -1..{classes - 1}"
        if classes:
            self.counts.update(dict(enumerate(np.bincount(valid.astype(np.int64)).tolist())))
        return None

    def warnings(self) -> list[str]:
        """Only the last class is nowhere: labels may be one too low."""
        found, classes = super().warnings(), len(self.class_names)
        seen = [self.counts[number] > 0 for number in range(classes)]
        if classes and self.counts["images"] >= ALL and all(seen[:-1]) and not seen[-1]:
            found.append(f"of all {classes} classes only the last is nowhere: is each label one too low?")
        return found


class SaliencyCheck(LabelCheck):
    """Salient pixels (H, W): 1, 0, or -1 = ignore."""

    def look(self, array: Values) -> str | None:
        """See `Check.look`."""
        self.counts["empty"] += not (array == 1).any()
        return super().look(array)

    def problems(self) -> list[str]:
        """Nothing is salient: a prediction of nothing would be perfect."""
        images = self.counts["images"]
        if images and self.counts["empty"] == images:
            return [
                f"no pixel is salient in any of {images} images, so predicting nothing would score "
                "100: salient is what is stored brighter than 127 of 255"
            ]
        return []

    def warnings(self) -> list[str]:
        """Few salient images, or hardly anything else."""
        empty, images = self.counts["empty"], self.counts["images"]
        found = [f"{empty} of {images} images have no salient pixel"] if 2 * empty > images else []
        if self.share() > MOSTLY:
            found.append(f"{100 * self.share():.0f} % of all pixels are salient: inverted?")
        return found

    def share(self) -> float:
        """Salient pixels among all."""
        return self.counts[1] / max(self.counts["valid"] + self.counts["ignored"], 1)


class RangeCheck(Check):
    """Depth in metres or disparity without a unit, (1, H, W), 0 = invalid."""

    def _valid(self, array: Values) -> Values:
        return np.asarray(array[array != 0])

    def _fault(self, valid: Values, low: float, high: float) -> str | None:
        problem = super()._fault(valid, low, high)
        if problem is None and self.kind == "disparity" and 0 < 2 * self.largest < high:
            return f"disparity up to {high:.4g}, published is {self.largest:g}: metres, or pixels?"
        if problem is None and self.kind == "depth" and high > FAR:
            middle = float(np.median(valid.astype(np.float64)))
            if middle > FAR:
                unit, scale = ("millimetres", 1000) if middle > 10 * FAR else ("centimetres", 100)
                return f"median depth {middle:.4g} m: {unit}? divide by {scale}"
        return problem

    def warnings(self) -> list[str]:
        """Values beyond what is published, or all below 1 m."""
        found, high = super().warnings(), self.high[0]
        if self.largest and high > SLACK[self.kind] * self.largest:
            found.append(f"{self.kind} up to {high:.4g}, published is {self.largest:g}: another scale?")
        if self.kind == "depth" and 0 < high <= 1:
            found.append(f"depth up to {high:.4g} m: scaled to 0..1?")
        return found


class NormalCheck(Check):
    """Unit vectors (3, H, W), (0, 0, 0) = invalid."""

    def _valid(self, array: Values) -> Values:
        vectors = array[:, np.any(array != 0, axis=0)]  # (3, pixels)
        return vectors.astype(np.float64)

    def _fault(self, valid: Values, low: float, high: float) -> str | None:
        vectors, count = np.asarray(valid, np.float64), valid.shape[1]
        length = np.linalg.norm(vectors, axis=0)
        unit = np.abs(length - 1) <= UNIT_TOLERANCE
        self.counts["unit"] += int(unit.sum())
        if not length.max() <= LONGEST or 2 * unit.sum() < count:
            coded = "; coded as 0..1? take 2 n - 1" if low >= 0 and high <= 1 else ""
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
        if self.counts["valid"] and self.low.min() >= 0 and self.high.min() > 0.05:
            images = self.counts["images"]
            return [f"no normal in {images} images has a negative component: coded as 0..1? take 2 n - 1"]
        return []

    def warnings(self) -> list[str]:
        """Normals that are too short, all alike, or of one side."""
        valid, unit, images = (self.counts[key] for key in ("valid", "unit", "images"))
        if not valid:
            return super().warnings()
        found = []
        if unit < UNIT_SHARE * valid:
            share = 100 * unit / valid
            found.append(f"only {share:.2f}% of the normals are within {UNIT_TOLERANCE} of length 1")
        if images > 1 and (self.low == self.high).all():
            found.append(f"every normal is the same, in all {images} images")
        elif images >= MANY:
            sides = {"negative": self.low[0] >= 0, "positive": self.high[0] <= 0}
            found += [f"no normal has a {side} x" for side, never in sides.items() if never]
        return found


CHECKS: Mapping[str, type[Check]] = {
    "image": ImageCheck,
    "normal": NormalCheck,
    "saliency": SaliencyCheck,
    "depth": RangeCheck,
    "disparity": RangeCheck,
}  # the others are labels


class Checks:
    """The checks of all kinds of a split; `largest` are published values of kinds."""

    def __init__(self, class_names: Sequence[str], largest: Mapping[str, float]) -> None:
        self.classes = {"saliency": ("not salient", "salient"), "label": class_names}
        self.largest = largest
        self.kinds: dict[str, Check] = {}
        self.pictures: dict[bytes, str] = {}

    def look(self, name: str, kind: str, array: Values) -> str | None:
        """Add an array of an image as a `Sample` has it; returns what is impossible in it."""
        if kind == "image":
            self.pictures[sha256(array[:, ::THINNED, ::THINNED].tobytes()).digest()] = name
        if kind not in self.kinds:
            make = CHECKS.get(kind, LabelCheck)
            self.kinds[kind] = make(kind, self.classes.get(kind, ()), self.largest.get(kind, 0.0))
        return self.kinds[kind].look(array)

    def faults(self, sample: Sample, kinds: Collection[str] | None = None) -> Iterator[tuple[str, str]]:
        """Add a sample, or `kinds` of it; gives (kind, what is impossible in it)."""
        for kind, array in {"image": sample.image, **sample.targets}.items():
            problem = self.look(sample.id, kind, array) if kinds is None or kind in kinds else None
            if problem is not None:
                yield kind, problem

    def problems(self) -> list[str]:
        """What is impossible in all images together."""
        return [line for check in self.kinds.values() for line in check.problems()]

    def warnings(self) -> list[str]:
        """What is suspicious in all images together."""
        return [line for check in self.kinds.values() for line in check.warnings()]


def refuse_impossible(
    arrays: Mapping[str, Values], class_names: Sequence[str], largest: Mapping[str, float], where: str
) -> None:
    """Check the arrays of one image, by kind and as a `Sample` has them; raises DataError."""
    checks = Checks(class_names, largest)
    for kind, array in arrays.items():
        problem = checks.look(where, kind, array)
        if problem:
            hint = "this is not what the dataset holds there"
            raise DataError(problem, where=f"{where}, {kind}", hint=hint)


def twins(one: Checks, other: Checks) -> list[str]:
    """A warning if two splits hold the same picture."""
    shared = [f"{one.pictures[key]} and {n}" for key, n in other.pictures.items() if key in one.pictures]
    return [f"{len(shared)} images are in both splits: {few(shared)}"] if shared else []


def spot_check(
    splits: Mapping[str, Split],
    class_names: Sequence[str],
    largest: Mapping[str, float],
    kinds: Collection[str] | None = None,
) -> list[str]:
    """Read up to `LOOKS` images of each split, evenly spread and always the same, and check them.

    The first split is trained on. Looked at are the `kinds`, "image" and targets; None is all.

    Returns:
        What is suspicious, a line each.

    Raises:
        DataError: Values that these kinds cannot have; names the image's file, or the split.
    """
    warnings: list[str] = []
    seen: list[Checks] = []
    for name, split in splits.items():
        checks = Checks(class_names, largest)
        evenly = np.linspace(0, len(split) - 1, LOOKS if len(split) else 0)
        places = np.unique(evenly.round().astype(int)).tolist()
        where = name if len(places) == len(split) else f"{name}, {len(places)} of {len(split)} images"
        for index in places:
            sample = split.load(index)
            for kind, problem in checks.faults(sample, kinds):
                file = split.files(index).get(kind)
                raise DataError(problem, where=str(file or f"{sample.id}, {kind}"), hint=HINT)
        if problems := checks.problems():
            raise DataError(problems[0], where=where, hint=HINT)
        warnings += [f"{where}: {line}" for line in checks.warnings()]
        seen.append(checks)
    return [*warnings, *(line for other in seen[1:] for line in twins(seen[0], other))]


def check_folder(dataset: DatasetDef, root: Path) -> list[str]:
    """Look at the two splits of a folder; see `spot_check`."""
    splits = {name: dataset.split(root, name) for name in ("train", "val")}
    return spot_check(splits, dataset.class_names, dataset.largest)
