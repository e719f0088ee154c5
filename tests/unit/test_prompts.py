"""The promptable objective: clicks lie where they should, losses equal their formulas."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from tabench.worlds.prompts import draw_correction, draw_point, mask_iou, mask_loss


def random_masks(seed: int, count: int = 4) -> torch.Tensor:
    generator = torch.Generator().manual_seed(seed)
    masks = torch.rand(count, 6, 8, generator=generator) < 0.3
    masks[:, 2, 3] = True
    return masks


@given(st.integers(0, 10_000))
@settings(max_examples=30, deadline=None)
def test_a_point_lies_inside_its_mask(seed: int) -> None:
    masks = random_masks(seed)
    points = draw_point(masks, torch.Generator().manual_seed(seed)).long()
    assert masks[torch.arange(4), points[:, 1], points[:, 0]].all()


@given(st.integers(0, 10_000))
@settings(max_examples=30, deadline=None)
def test_a_correction_lies_in_the_error_region_with_the_right_label(seed: int) -> None:
    masks, predicted = random_masks(seed), random_masks(seed + 1)
    predicted[0] = masks[0]  # nothing to correct: another point of the mask
    points, labels = draw_correction(predicted, masks, torch.Generator().manual_seed(seed))
    x, y = points.long().T
    rows = torch.arange(4)
    assert torch.equal(labels.bool(), masks[rows, y, x])
    wrong = (predicted ^ masks)[rows, y, x]
    assert wrong[1:].all()
    assert labels[0] == 1


def test_mask_loss_equals_focal_and_dice_written_out() -> None:
    masks = random_masks(3, 2)
    logits = torch.randn(2, 3, 6, 8, dtype=torch.float64, generator=torch.Generator().manual_seed(0))
    found = mask_loss(logits, masks)
    for k in range(2):
        for m in range(3):
            p = 1 / (1 + np.exp(-logits[k, m].numpy()))
            t = masks[k].numpy().astype(float)
            p_true = np.where(t == 1, p, 1 - p)
            focal = (-((1 - p_true) ** 2) * np.log(p_true)).mean()
            dice = 1 - (2 * (p * t).sum() + 1) / (p.sum() + t.sum() + 1)
            assert float(found[k, m]) == pytest.approx(20 * focal + dice, rel=1e-6)


def test_iou_of_equal_and_disjoint_masks() -> None:
    masks = torch.zeros(1, 6, 8, dtype=torch.bool)
    masks[0, :3] = True
    logits = torch.where(masks, 1.0, -1.0)[:, None]
    assert mask_iou(logits, masks).item() == 1
    assert mask_iou(-logits, masks).item() == 0
