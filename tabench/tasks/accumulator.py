"""What every accumulator of this package shares: each image once, where it is, and merged exactly.

On a CUDA device a batch's numbers stay there until a result is asked for, so that no image waits for another.
Protocols of one task that measure alike read one measurement. Processes send one another arrays in the form
of safetensors: numbers and shapes, nothing that executes.
"""

from __future__ import annotations

import json
from abc import abstractmethod
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, ClassVar, Generic, TypeVar

import numpy as np
import numpy.typing as npt

from tabench.errors import DivergedError
from tabench.tasks.base import Evaluation, Parts

if TYPE_CHECKING:
    from torch import Tensor

Value = TypeVar("Value")
Row = npt.NDArray[np.float64]
PROTOCOLS = ("paper", "pixel", "pascal", "libmtl", "pascal-rms")


class Pending:
    """Rows of float64 numbers on a device, one an image; counts up to 2**53 are exact in them."""

    def __init__(self) -> None:
        self._ids: list[str] = []
        self._rows: list[Tensor] = []

    def add(self, ids: Sequence[str], prediction: Tensor, columns: Tensor) -> None:
        """Keep a batch's numbers (B, K), and whether its predictions (B, C, H, W) are finite."""
        self._ids += ids
        finite = _finite_images(prediction)[:, None]
        self._rows.append(_torch().cat([finite.double(), columns.double()], dim=1))

    def take(self) -> Iterator[tuple[str, Row]]:
        """Image ids with their K numbers, in the order they came; one transfer, and nothing is pending then.

        Raises:
            DivergedError: A prediction was not finite; names the images.
        """
        if not self._ids:
            return iter(())
        rows: Row = _torch().cat(self._rows).cpu().numpy()
        ids, self._ids, self._rows = self._ids, [], []
        _refuse_diverged([image_id for image_id, row in zip(ids, rows, strict=True) if not row[0]])
        return zip(ids, rows[:, 1:], strict=True)


@dataclass
class Measured:
    """What all protocols of a task read from: ids of all images, and numbers still on a device."""

    seen: set[str] = field(default_factory=set)
    pending: Pending = field(default_factory=Pending)


Held = TypeVar("Held", bound=Measured)


class Accumulator(Evaluation, Generic[Held]):
    """An accumulator whose results depend neither on the batch size nor on the order of the images.

    It measures into `held`, until `follow` replaces that.
    """

    mergeable: ClassVar[bool] = True

    def __init__(self, protocol: str, held: Held) -> None:
        if protocol not in PROTOCOLS:
            raise ValueError(f"unknown protocol '{protocol}'; known: {', '.join(PROTOCOLS)}")
        self.protocol = protocol
        self._held = held

    @abstractmethod
    def _alike(self) -> object:
        """What two accumulators must have equal so that one measurement serves both."""

    @abstractmethod
    def _add(self, image_id: str, prediction: Tensor, target: Tensor) -> None:
        """Measure one image on the CPU."""

    @abstractmethod
    def _rows(self, prediction: Tensor, target: Tensor) -> Tensor | None:
        """The numbers (B, K) of a batch, on its device; None where that cannot be."""

    @abstractmethod
    def _add_row(self, image_id: str, row: Row) -> None:
        """Take an image's numbers over that `_rows` made."""

    @abstractmethod
    def _measured(self) -> Mapping[str, object]:
        """The images that had a valid pixel, by id."""

    @abstractmethod
    def _arrays(self) -> Parts:
        """All that was measured, the rows of images in the order of `_measured`."""

    @abstractmethod
    def _absorb(self, images: list[str], parts: Parts, order: Sequence[str]) -> None:
        """Add the arrays of another one's `_arrays`, of these images."""

    def follow(self, other: Evaluation) -> bool:
        """Read the other's values, where both measure alike; see `Evaluation.follow`."""
        # Only before the first image: what the other has measured already, this one would never see.
        if not isinstance(other, Accumulator) or other._held.seen or self._alike() != other._alike():
            return False
        self._join(other._held)
        return True

    def _join(self, held: Held) -> None:
        self._held = held

    def update(self, prediction: Tensor, target: Tensor, ids: Sequence[str]) -> None:
        """Add a batch of predictions (B, C, H, W) and its target, on any device.

        Raises:
            DivergedError: A prediction is not finite (on a CUDA device: raised with the results).
            ValueError: An image id comes twice.
        """
        prediction = prediction.detach()
        if measured_on_device(prediction) and (rows := self._rows(prediction, target)) is not None:
            self._claim(ids)
            self._held.pending.add(ids, prediction, rows)
            return
        finite = _finite_images(prediction).tolist()
        _refuse_diverged([image_id for image_id, fine in zip(ids, finite, strict=True) if not fine])
        for image_id, p, t in zip(ids, prediction, target, strict=True):
            self._claim([image_id])
            self._add(image_id, p, t)

    def _claim(self, ids: Iterable[str]) -> None:
        for image_id in ids:  # an image counted twice would shift every number
            if image_id in self._held.seen:
                raise ValueError(f"image '{image_id}' was evaluated twice")
            self._held.seen.add(image_id)

    def _settle(self) -> None:
        """Fetch what is still on a device."""
        for image_id, row in self._held.pending.take():
            self._add_row(image_id, row)

    def notes(self) -> list[str]:
        """How many images had no valid pixel, if any."""
        self._settle()
        skipped = len(self._held.seen) - len(self._measured())
        return [f"images without a valid pixel, left out: {skipped}"] if skipped else []

    def parts(self) -> Parts:
        """All that was measured; see `Evaluation.parts`."""
        self._settle()
        ids = {"seen": words_of(self._held.seen), "images": words_of(self._measured())}
        return ids | self._arrays()

    def absorb(self, parts: Parts, order: Sequence[str]) -> None:
        """Add another's images; sums are exact, so no number depends on who measured them."""
        self._settle()
        seen, images = (words_to(parts[name]) for name in ("seen", "images"))
        self._claim(seen)
        self._absorb(images, parts, order)


def words_of(ids: Iterable[str]) -> npt.NDArray[np.uint8]:
    """Image ids as an array of bytes."""
    return np.frombuffer(json.dumps(list(ids)).encode(), np.uint8)


def words_to(array: npt.NDArray[Any]) -> list[str]:
    """The inverse of `words_of`."""
    return [str(word) for word in json.loads(array.tobytes())]


def measured_on_device(prediction: Tensor) -> bool:
    """Whether a prediction is measured on its own device: on CUDA, which has float64 and works by itself."""
    return prediction.device.type == "cuda"


def sorted_by(order: Sequence[str], held: Mapping[str, Value]) -> dict[str, Value]:
    """The same entries in the order of a split's ids."""
    return {image_id: held[image_id] for image_id in order if image_id in held}


def to_bytes(parts: Parts) -> bytes:
    """Arrays in the form of safetensors."""
    from safetensors.numpy import save

    # safetensors writes memory as it lies, whatever the strides say.
    return save({name: np.ascontiguousarray(array) for name, array in parts.items()})


def from_bytes(content: bytes) -> Parts:
    """The inverse of `to_bytes`."""
    from safetensors.numpy import load

    return load(content)


def _finite_images(prediction: Tensor) -> Tensor:
    """(B,) whether all values of each image's prediction (B, C, H, W) are finite."""
    # the largest magnitude is NaN or infinite where any value is, and ten times quicker than asking each
    return prediction.flatten(1).abs().amax(dim=1).isfinite()


def _refuse_diverged(ids: Sequence[str]) -> None:
    """Raise DivergedError of images whose prediction is not finite, which no metric could rank."""
    if ids:
        raise DivergedError(
            "the prediction holds NaN or infinite values",
            where=", ".join(ids),
            hint="the weights diverged: lower train.lr or use precision fp32",
        )


def _torch() -> Any:
    """Torch, which is here already where there is a tensor: planning reads tasks without it."""
    import torch

    return torch
