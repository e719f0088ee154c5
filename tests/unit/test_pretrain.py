"""Pretraining on a handful of scenes: it learns, repeats itself, and writes SAM's own keys."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
import torch
from safetensors.torch import load_file

import tabench
from tabench.encoders.sam.build import build_sam
from tabench.encoders.sam.family import VIT_NANO
from tabench.provenance.files import sha256_file
from tabench.worlds.pretrain import (
    PromptTrainer,
    Recipe,
    draw_masks,
    draw_points,
    mask_iou,
    mask_loss,
    pretrain,
    render_scenes,
)
from tabench.worlds.scenes import GENERATOR

SHIPPED = Path(tabench.__file__).parent / "encoders" / "sam" / "weights"
TINY = Recipe(scenes=4, held_out=2, height=48, width=64, epochs=1, batch_size=2, prompts=2, min_area=4)


@pytest.fixture(scope="module")
def scenes() -> tuple[np.ndarray, np.ndarray]:
    return render_scenes(TINY, 1, lambda line: None)


def test_weights_have_sams_keys_and_the_card_their_checksum(tmp_path: Path) -> None:
    said: list[str] = []
    card = pretrain(tmp_path, threads=1, say=said.append, **vars(TINY))
    path = tmp_path / "sam_vit_nano.safetensors"
    written, expected = load_file(path), build_sam(VIT_NANO).state_dict()
    assert {key: value.shape for key, value in written.items()} == {k: v.shape for k, v in expected.items()}
    assert json.loads((tmp_path / "sam_vit_nano.json").read_text()) == card
    assert card["sha256"] == sha256_file(path)
    assert [entry["epoch"] for entry in card["log"]] == [1]
    assert said


def test_an_epoch_repeats_bit_for_bit(scenes: tuple[np.ndarray, np.ndarray]) -> None:
    first, second = PromptTrainer(TINY, scenes), PromptTrainer(TINY, scenes)
    assert first.epoch(0) == second.epoch(0)
    for a, b in zip(first.model.parameters(), second.model.parameters(), strict=True):
        assert torch.equal(a, b)


def test_training_lowers_the_loss(scenes: tuple[np.ndarray, np.ndarray]) -> None:
    trainer = PromptTrainer(Recipe(**{**vars(TINY), "epochs": 8}), scenes)
    losses = [trainer.epoch(number)["loss"] for number in range(8)]
    assert np.mean(losses[-2:]) < 0.9 * losses[0]


def test_drawn_masks_are_whole_instances_of_enough_pixels() -> None:
    instance = np.zeros((6, 8), dtype=np.int32)
    instance[:3], instance[3, :2], instance[4:] = 7, 2, 9
    masks = draw_masks(instance, 5, min_area=4, rng=np.random.default_rng(0))
    assert tuple(masks.shape) == (5, 6, 8)
    points = draw_points(masks, torch.Generator().manual_seed(0)).long()
    assert masks[torch.arange(5), points[:, 1], points[:, 0]].all()
    assert {int(mask.sum()) for mask in masks} <= {24, 16}


def test_the_shipped_weights_are_those_of_the_scenes_they_were_made_from() -> None:
    """Their card names the generator of its day: they are not claimed to come from another one's scenes."""
    path = SHIPPED / "sam_vit_nano.json"
    card = json.loads(path.read_text())
    assert card["sha256"] == sha256_file(path.with_suffix(".safetensors"))
    assert card["recipe"]["generator"] == 1 < GENERATOR
    assert card["recipe"].keys() == {*vars(Recipe()), "generator"}


def test_mask_loss_equals_focal_and_dice_written_out() -> None:
    masks = torch.rand(2, 6, 8, generator=torch.Generator().manual_seed(3)) < 0.3
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
