"""Batches on CUDA: pinned on the way, augmented there, equal to those of the CPU, and never waited for."""

from __future__ import annotations

import pytest
import torch
from batch_samples import assert_equal, samples_of, stacked
from tiny_run import write_scenes

from tabench.data.flip_turn import FlipTurn
from tabench.data.loading import batches, evaluation_batches
from tabench.data.resampling import PAPER
from tabench.data.zoom_flip import ZoomFlip
from tabench.worlds.scenes import SCENES


@pytest.mark.parametrize("kind", [ZoomFlip(), ZoomFlip(PAPER), FlipTurn()], ids=["zoom", "paper", "turn"])
@pytest.mark.parametrize("epoch", range(8))
def test_augmentation_equals_numpys_and_waits_for_nothing(kind, epoch):
    samples = samples_of(epoch, 4, 72, 96, labels_only=isinstance(kind, FlipTurn))
    image, targets = stacked(samples)
    image, targets = image.cuda(), {name: target.cuda() for name, target in targets.items()}
    torch.cuda.set_sync_debug_mode("error")
    try:
        found = kind.batch(image, targets, 5, epoch, range(4))
    finally:
        torch.cuda.set_sync_debug_mode("default")
    assert_equal(found, [kind.one(s, 5, epoch, index) for index, s in enumerate(samples)], "cuda")


@pytest.mark.parametrize("augment", ["none", "clean", "paper"])
def test_batches_equal_those_of_the_cpu(tmp_path, augment):
    split = SCENES.split(write_scenes(tmp_path / "rooms"), "train")
    options = {"seed": 3, "epoch": 1, "batch_size": 2, "augment": augment, "start": 1}
    here = list(batches(split, **options))
    there = list(batches(split, **options, prefetch=2, device=torch.device("cuda")))
    assert [batch.ids for batch in there] == [batch.ids for batch in here]
    for one, other in zip(there, here, strict=True):
        assert one.image.is_cuda
        torch.testing.assert_close(one.image.cpu(), other.image, rtol=0, atol=1e-6)
        for kind, target in other.targets.items():
            tolerance = 1e-6 if kind == "normal" else 0
            torch.testing.assert_close(one.targets[kind].cpu(), target, rtol=0, atol=tolerance)


def test_images_are_read_into_pinned_memory(tmp_path, monkeypatch):
    split = SCENES.split(write_scenes(tmp_path / "rooms"), "train")
    seen = []
    original = torch.Tensor.to

    def watched(tensor, *args, **options):
        seen.append(tensor.is_pinned())
        return original(tensor, *args, **options)

    monkeypatch.setattr(torch.Tensor, "to", watched)
    list(evaluation_batches(split, 1, prefetch=2, device=torch.device("cuda")))
    assert seen == [True] * 4 * 4
