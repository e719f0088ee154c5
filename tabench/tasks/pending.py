"""Numbers of images that stay on a device until an evaluation ends, so that no image waits for another."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor

from tabench.tasks.accumulation import diverged, finite_images

Row = npt.NDArray[np.float64]


def measured_on_device(prediction: Tensor) -> bool:
    """Whether a prediction is measured on its own device: on CUDA, which has float64 and works by itself."""
    return prediction.device.type == "cuda"


class Pending:
    """Rows of float64 numbers, one an image; counts up to 2**53 are exact in them."""

    def __init__(self) -> None:
        self._ids: list[str] = []
        self._rows: list[Tensor] = []

    def add(self, ids: Sequence[str], prediction: Tensor, columns: Tensor) -> None:
        """Keep a batch's numbers (B, K), and whether its predictions (B, C, H, W) are finite."""
        self._ids += ids
        finite = finite_images(prediction)[:, None]
        self._rows.append(torch.cat([finite.double(), columns.double()], dim=1))

    def take(self) -> Iterator[tuple[str, Row]]:
        """Image ids with their K numbers, in the order they came; one transfer, and nothing is pending then.

        Raises:
            DivergedError: A prediction was not finite; names the images.
        """
        if not self._ids:
            return iter(())
        rows: Row = torch.cat(self._rows).cpu().numpy()
        ids, self._ids, self._rows = self._ids, [], []
        bad = [image_id for image_id, row in zip(ids, rows, strict=True) if not row[0]]
        if bad:
            raise diverged(bad)
        return zip(ids, rows[:, 1:], strict=True)
