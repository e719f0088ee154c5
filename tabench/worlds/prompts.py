"""SAM's promptable objective: points from masks, and the losses on what comes back.

Source: Kirillov et al., "Segment Anything" (2023), appendix A: focal and dice loss 20:1, the lowest loss of
three ambiguity masks is trained, an IoU head by MSE; prompts are points or noisy boxes, and further
points are drawn from the error region of the previous mask.
"""

from __future__ import annotations

from dataclasses import dataclass

import torch
import torch.nn.functional as F
from torch import Tensor
from torchvision.ops import masks_to_boxes


def draw_point(masks: Tensor, generator: torch.Generator) -> Tensor:
    """One uniformly drawn pixel inside each mask (K, H, W), none of them empty: (K, 2) float x, y."""
    width = masks.shape[-1]
    flat = torch.multinomial(masks.flatten(1).float(), 1, generator=generator)[:, 0]
    return torch.stack([flat % width, flat // width], dim=1).float()


def draw_correction(predicted: Tensor, masks: Tensor, generator: torch.Generator) -> tuple[Tensor, Tensor]:
    """Points (K, 2) from the error regions of `predicted` (K, H, W), labelled (K,) 1 where a mask was missed.

    A perfect prediction gets another point of the mask.
    """
    wrong = predicted ^ masks
    region = torch.where(wrong.flatten(1).any(1)[:, None, None], wrong, masks)
    point = draw_point(region, generator)
    rows = torch.arange(len(masks))
    return point, masks[rows, point[:, 1].long(), point[:, 0].long()].float()


def draw_box(masks: Tensor, generator: torch.Generator, noise: float = 0.1) -> Tensor:
    """Bounding boxes (K, 4) as x0, y0, x1, y1, each side shifted by noise of a tenth of its length (sd)."""
    boxes: Tensor = masks_to_boxes(masks) + torch.tensor([0.0, 0.0, 1.0, 1.0])
    sides = (boxes[:, 2:] - boxes[:, :2]).repeat(1, 2)
    height, width = masks.shape[-2:]
    shift = noise * sides * torch.randn(boxes.shape, generator=generator).clamp(-2, 2)
    return (boxes + shift).clamp_min(0).minimum(torch.tensor([width, height, width, height]))


@dataclass(frozen=True)
class Prompt:
    """Points with labels (K, n, 2) and (K, n), boxes (K, 4), or both, in pixels of the input."""

    points: tuple[Tensor, Tensor] | None = None
    boxes: Tensor | None = None

    @classmethod
    def click(cls, masks: Tensor, generator: torch.Generator) -> Prompt:
        """One point inside each mask (K, H, W)."""
        return cls(points=(draw_point(masks, generator)[:, None], torch.ones(len(masks), 1)))

    @classmethod
    def box(cls, masks: Tensor, generator: torch.Generator) -> Prompt:
        """A noisy box around each mask (K, H, W)."""
        return cls(boxes=draw_box(masks, generator))

    def corrected(self, predicted: Tensor, masks: Tensor, generator: torch.Generator) -> Prompt:
        """The prompt with one more point, from the error region of `predicted` (K, H, W)."""
        point, label = draw_correction(predicted, masks, generator)
        points, labels = point[:, None], label[:, None]
        if self.points is not None:
            points = torch.cat([self.points[0], points], 1)
            labels = torch.cat([self.points[1], labels], 1)
        return Prompt((points, labels), self.boxes)


def mask_loss(logits: Tensor, masks: Tensor) -> Tensor:
    """Focal (gamma 2, no class weight) and dice loss, 20:1, of (K, M, H, W) for masks (K, H, W): (K, M)."""
    target = masks[:, None].float().expand_as(logits)
    probability = logits.sigmoid()
    cross = F.binary_cross_entropy_with_logits(logits, target, reduction="none")
    agreement = probability * target + (1 - probability) * (1 - target)
    focal = ((1 - agreement) ** 2 * cross).mean((-2, -1))
    overlap = (probability * target).sum((-2, -1))
    dice = 1 - (2 * overlap + 1) / (probability.sum((-2, -1)) + target.sum((-2, -1)) + 1)
    return 20 * focal + dice


def mask_iou(logits: Tensor, masks: Tensor) -> Tensor:
    """Intersection over union of thresholded masks, (K, M), higher is better."""
    predicted, truth = logits > 0, masks[:, None]
    union = (predicted | truth).sum((-2, -1)).clamp_min(1)
    return (predicted & truth).sum((-2, -1)) / union
