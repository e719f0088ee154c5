"""Samples with every kind of target, and how a batch of them is compared with the images one by one."""

from __future__ import annotations

import numpy as np
import torch

from tabench.data.base import Sample

ROUNDED = ("normal",)  # besides the image; every other kind is equal
TOLERANCE = 1e-6


def samples_of(seed: int, count: int, height: int, width: int, *, labels_only: bool = False) -> list[Sample]:
    """Images with all kinds of targets; normals lie in patches of one direction with sharp borders."""
    rng = np.random.default_rng(seed)
    found = []
    for number in range(count):
        coarse = rng.normal(size=(3, -(-height // 3), -(-width // 3)))
        normal = np.repeat(np.repeat(coarse, 3, axis=1), 3, axis=2)[:, :height, :width]
        normal = normal / np.linalg.norm(normal, axis=0)
        normal[:, rng.random((height, width)) < 0.2] = 0
        targets: dict[str, np.ndarray] = {
            "label": rng.integers(-1, 13, (height, width)),
            "parts": rng.integers(-1, 7, (height, width)) * (rng.random((height, width)) < 0.01),
            "saliency": rng.integers(-1, 2, (height, width)),
            "edge": rng.integers(0, 2, (height, width)),
            "normal": normal.astype(np.float32),
        }
        if not labels_only:
            for kind in ("depth", "disparity"):
                values = rng.uniform(0.01, 9, (1, height, width))
                values[:, rng.random((height, width)) < 0.2] = 0
                targets[kind] = values.astype(np.float32)
        found.append(Sample(f"train/{number}", rng.random((3, height, width)).astype(np.float32), targets))
    return found


def stacked(samples: list[Sample]) -> tuple[torch.Tensor, dict[str, torch.Tensor]]:
    targets = {kind: np.stack([s.targets[kind] for s in samples]) for kind in samples[0].targets}
    image = torch.from_numpy(np.stack([s.image for s in samples]))
    return image, {kind: torch.from_numpy(array) for kind, array in targets.items()}


def assert_equal(
    found: tuple[torch.Tensor, dict[str, torch.Tensor]], expected: list[Sample], device: str = "cpu"
) -> None:
    image, targets = found
    wanted, wanted_targets = stacked(expected)
    assert image.device.type == device
    torch.testing.assert_close(image.cpu(), wanted, rtol=0, atol=TOLERANCE)
    assert targets.keys() == wanted_targets.keys()
    for kind, target in wanted_targets.items():
        got = targets[kind].cpu()
        assert got.dtype == target.dtype
        if kind in ROUNDED:
            torch.testing.assert_close(got, target, rtol=0, atol=TOLERANCE)
            assert torch.equal(got == 0, target == 0)
        else:
            assert torch.equal(got, target), kind
