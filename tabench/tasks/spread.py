"""How much a predicted map varies inside an image, beside its target: the same everywhere is no map."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import TYPE_CHECKING, ClassVar

import numpy as np

from tabench.tasks.accumulator import words_of, words_to
from tabench.tasks.averaging import valid_on_device
from tabench.tasks.base import Evaluation, Parts
from tabench.tasks.colours import IGNORE

if TYPE_CHECKING:
    from torch import Tensor

STEP = 4  # every fourth row and column is looked at: enough to tell a flat map, and a sixteenth of the work


class MapSpread(Evaluation):
    """Variance inside an image of prediction and target, means over the images that have a valid pixel.

    Of classes it is that of the indicators, 1 - sum of the squared shares: 0 where one class is everywhere.
    Numbers stay on their device until a result is asked for.
    """

    mergeable: ClassVar[bool] = True

    def __init__(self) -> None:
        self._ids: list[str] = []
        self._rows: list[Tensor] = []
        self._held: dict[str, tuple[float, float]] = {}

    def update(self, prediction: Tensor, target: Tensor, ids: Sequence[str]) -> None:
        """Add a batch of activated predictions (B, C, H, W) and its target."""
        self._ids += ids
        # image by image, so that no number depends on the size of a batch
        self._rows += [variances(p, t) for p, t in zip(prediction, target, strict=True)]

    def compute(self) -> dict[str, float]:
        """Variance to its mean, under "predicted" and "target"; NaN without an image."""
        self._settle()
        held = [row for row in self._held.values() if not math.isnan(row[1])]
        if not held:
            return dict.fromkeys(("predicted", "target"), math.nan)
        predicted, target = (math.fsum(column) / len(held) for column in zip(*held, strict=True))
        return {"predicted": predicted, "target": target}

    def per_image(self) -> dict[str, dict[str, float]]:
        """Nothing: no table shows it."""
        return {}

    def parts(self) -> Parts:
        """See `Evaluation.parts`."""
        self._settle()
        return {"images": words_of(list(self._held)), "rows": np.array(list(self._held.values()), np.float64)}

    def absorb(self, parts: Parts, order: Sequence[str]) -> None:
        """See `Evaluation.absorb`; the sums are exact, whatever the order."""
        self._settle()
        self._held |= dict(zip(words_to(parts["images"]), map(tuple, parts["rows"].tolist()), strict=True))

    def _settle(self) -> None:
        if self._rows:
            import torch

            rows = torch.stack(self._rows).tolist()
            self._held |= {image: (row[0], row[1]) for image, row in zip(self._ids, rows, strict=True)}
            self._ids, self._rows = [], []


def variances(prediction: Tensor, target: Tensor) -> Tensor:
    """Two variances: of a prediction (C, H, W) and its target, over all channels; of no valid pixel NaN."""
    import torch

    p, t = prediction[:, ::STEP, ::STEP], target[..., ::STEP, ::STEP]
    if t.is_floating_point():
        return torch.stack([_variance(p, None), _variance(t, valid_on_device(t[None])[0])])
    if len(p) == 1:
        return torch.stack([_variance(p, None), _variance(t[None], t != IGNORE)])
    return torch.stack([_of_classes(labels, len(p)) for labels in (p.argmax(dim=0), t)])


def _variance(values: Tensor, valid: Tensor | None) -> Tensor:
    values = values.double()
    if valid is None:
        return values.flatten(1).var(dim=1, correction=0).sum()
    # `where` and not a product: an invalid pixel may hold NaN
    mean = values.where(valid, 0.0).sum(dim=(1, 2), keepdim=True) / valid.sum()
    return (values - mean).square().where(valid, 0.0).sum() / valid.sum()


def _of_classes(labels: Tensor, classes: int) -> Tensor:
    import torch

    counts = (labels == torch.arange(classes, device=labels.device)[:, None, None]).sum(dim=(1, 2)).double()
    return 1 - (counts / counts.sum()).square().sum()
