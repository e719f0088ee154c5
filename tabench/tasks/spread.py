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

    p, t = prediction[:, ::STEP, ::STEP].double(), target[..., ::STEP, ::STEP]
    if t.is_floating_point():
        valid, t = valid_on_device(t[None])[0], t.double()
    else:
        valid = t != IGNORE
        if len(p) > 1:
            classes = torch.arange(len(p), device=p.device)[:, None, None]
            p, t = (p.argmax(dim=0) == classes).double(), (t == classes).double()
        else:
            t = t[None].double()
    return torch.stack([_variance(p, torch.ones_like(p[0], dtype=torch.bool)), _variance(t, valid)])


def _variance(values: Tensor, valid: Tensor) -> Tensor:
    # `where` and not a product: an invalid pixel may hold NaN
    mean = values.where(valid, 0.0).sum(dim=(1, 2), keepdim=True) / valid.sum()
    return (values - mean).square().where(valid, 0.0).sum() / valid.sum()
