"""Checks and notes that every task's accumulator shares."""

from __future__ import annotations

from collections.abc import Sequence

from torch import Tensor

from tabench.errors import DivergedError

PROTOCOLS = ("paper", "pixel", "pascal", "libmtl", "pascal-rms")


def check_protocol(protocol: str) -> None:
    """Refuse protocols that no task here measures in (ValueError)."""
    if protocol not in PROTOCOLS:
        raise ValueError(f"unknown protocol '{protocol}'; known: {', '.join(PROTOCOLS)}")


def finite_images(prediction: Tensor) -> Tensor:
    """(B,) whether all values of each image's prediction (B, C, H, W) are finite."""
    # the largest magnitude is NaN or infinite where any value is, and ten times quicker than asking each
    return prediction.detach().flatten(1).abs().amax(dim=1).isfinite()


def check_finite(prediction: Tensor, ids: Sequence[str]) -> None:
    """Refuse predictions (B, C, H, W) that no metric could rank.

    Raises:
        DivergedError: An image's prediction holds NaN or infinity; names the images.
    """
    finite = finite_images(prediction).tolist()
    bad = [image_id for image_id, fine in zip(ids, finite, strict=True) if not fine]
    if bad:
        raise diverged(bad)


def diverged(ids: Sequence[str]) -> DivergedError:
    """The error of images whose prediction is not finite."""
    return DivergedError(
        "the prediction holds NaN or infinite values",
        where=", ".join(ids),
        hint="the weights diverged: lower train.lr or use precision fp32",
    )


def claim_id(seen: set[str], image_id: str) -> None:
    """Remember an image id; an image counted twice would shift every number (ValueError)."""
    if image_id in seen:
        raise ValueError(f"image '{image_id}' was evaluated twice")
    seen.add(image_id)


def skipped_note(images: int) -> list[str]:
    """Note on images that changed no number, none if there are none."""
    return [f"images without a valid pixel, left out: {images}"] if images else []
