"""Bilinear resizing and cropping of raw channels as two small matrices.

Low-resolution channels go to the input size, lose the padding and go to the label's size. Each step is linear
and works on rows and columns apart, so all of it is A_h M A_w^T: the large picture in between is never made.
"""

from __future__ import annotations

from functools import lru_cache

import torch
from torch import Tensor
from torch.nn import functional as F


def restore(masks: Tensor, side: int, inner: tuple[int, int], out_size: tuple[int, int]) -> Tensor:
    """Bilinear to (side, side), crop to `inner`, bilinear to `out_size` (align_corners=False, no antialias).

    Raw channels (..., h, w) become (..., height, width). Sizes are (height, width) in pixels; `inner` is that
    of the image inside SAM's square input.
    """
    rows = _resizing(masks.shape[-2], side, inner[0], out_size[0]).to(masks)
    columns = _resizing(masks.shape[-1], side, inner[1], out_size[1]).to(masks)
    return rows @ masks @ columns.mT


@lru_cache(maxsize=64)
def _resizing(low: int, side: int, inner: int, out: int) -> Tensor:
    """The matrix (out, low) of one axis, from the images of the unit vectors."""
    # The matrix is kept between calls, and one made in inference mode could not take part in training.
    with torch.inference_mode(False):
        # In float64, so that its rounding does not add to that of the type it is used in.
        unit = torch.eye(low, dtype=torch.float64)[None]
        whole = F.interpolate(unit, side, mode="linear", align_corners=False)[..., :inner]
        return F.interpolate(whole, out, mode="linear", align_corners=False)[0].mT.contiguous()
