"""Pretraining of the shipped small SAM on SAM's own objective over synthetic scenes.

The model is `segment_anything`'s `Sam` at the sizes of `VIT_NANO`. The scenes come from the
generator's "pretrain" seed range, which no benchmark split draws from. Semantic classes,
depth and normals are never shown to the model: it sees points and object masks.

Source: Kirillov et al., "Segment Anything" (2023), appendix A: focal and dice loss 20:1, the lowest loss of
three ambiguity masks is trained, an IoU head by MSE. Prompts are clicks; boxes are not learned.
"""

from __future__ import annotations

import dataclasses
import json
import time
from collections.abc import Callable
from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import torch
import torch.nn.functional as F
from safetensors.torch import save_file
from segment_anything.modeling import Sam
from segment_anything.modeling.transformer import Attention
from torch import Tensor, nn

from tabench.encoders.sam.build import build_sam
from tabench.encoders.sam.family import VIT_NANO
from tabench.provenance.determinism import set_determinism
from tabench.provenance.environment import usable_cores
from tabench.provenance.files import sha256_file
from tabench.worlds.scenes import GENERATOR, make_scene


@dataclass(frozen=True)
class Recipe:
    """How the small SAM is pretrained; written beside its weights."""

    scenes: int = 1600  # to train on: indices 0..scenes-1 of the "pretrain" range
    held_out: int = 64  # scenes after those, for the log's IoU
    height: int = 72  # pixels
    width: int = 96
    scene_seed: int = 0  # of the generator
    epochs: int = 8
    batch_size: int = 4
    prompts: int = 6  # masks drawn per image and step
    min_area: int = 12  # pixels of the smallest mask that is prompted for
    lr: float = 1e-3  # the peak of AdamW's
    weight_decay: float = 0.05  # decoupled
    warmup: float = 0.05  # share of the steps with a linear ramp, then cosine to 0
    seed: int = 0  # of initialisation, order and prompts


Say = Callable[[str], None]
Scenes = tuple[npt.NDArray[np.uint8], npt.NDArray[np.int32]]


def _render(index: int, recipe: Recipe) -> Scenes:
    scene = make_scene(recipe.scene_seed, "pretrain", index, recipe.height, recipe.width)
    return np.rint(scene["image"] * 255).astype(np.uint8), scene["instance"].astype(np.int32)


def render_scenes(recipe: Recipe, workers: int, say: Say) -> Scenes:
    """Render the pretraining scenes: images (N, H, W, 3) and instance ids (N, H, W)."""
    total, start = recipe.scenes + recipe.held_out, time.monotonic()
    with ProcessPoolExecutor(workers) as pool:
        pairs = list(pool.map(partial(_render, recipe=recipe), range(total), chunksize=16))
    say(f"rendered {total} scenes in {time.monotonic() - start:.0f} s")
    images, instances = zip(*pairs, strict=True)
    return np.stack(images), np.stack(instances)


def draw_masks(
    instance: npt.NDArray[np.int32], count: int, min_area: int, rng: np.random.Generator
) -> Tensor:
    """Masks of instances drawn with weight sqrt(area), (count, H, W); repeats if an image has fewer."""
    ids, areas = np.unique(instance[instance > 0], return_counts=True)
    usable, areas = ids[areas >= min_area], np.sqrt(areas[areas >= min_area])
    chosen = rng.choice(usable, size=count, replace=len(usable) < count, p=areas / areas.sum())
    return torch.from_numpy(instance[None] == chosen[:, None, None])


def draw_points(masks: Tensor, generator: torch.Generator) -> Tensor:
    """One uniformly drawn pixel inside each mask (K, H, W), none of them empty: (K, 2) float x, y."""
    width = masks.shape[-1]
    flat = torch.multinomial(masks.flatten(1).float(), 1, generator=generator)[:, 0]
    return torch.stack([flat % width, flat // width], dim=1).float()


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


@torch.no_grad()
def _initialise(model: Sam) -> None:
    """Start close to what has to be learned first: that a point means its own place.

    Queries and keys of the decoder's attention between points and image start with the same
    projection, so that it begins as a similarity of positional encodings. Trials of up to 300 steps
    with independent ones, clicks only and masks drawn evenly stayed at the empty mask.
    """
    nn.init.trunc_normal_(model.image_encoder.pos_embed, std=0.02)
    for module in model.mask_decoder.transformer.modules():
        if isinstance(module, Attention):
            module.q_proj.weight.mul_(2)
            module.k_proj.load_state_dict(module.q_proj.state_dict())


class PromptTrainer:
    """One pretraining run over images and instance ids from `render_scenes`."""

    def __init__(self, recipe: Recipe, scenes: Scenes) -> None:
        self.recipe = recipe
        self.images, self.instances = scenes
        torch.manual_seed(recipe.seed)
        self.model = build_sam(VIT_NANO)
        _initialise(self.model)
        weights = {True: recipe.weight_decay, False: 0.0}  # of matrices, and of biases and norms
        groups = [
            {"params": [p for p in self.model.parameters() if (p.ndim > 1) == matrix], "weight_decay": decay}
            for matrix, decay in weights.items()
        ]
        self.optimizer = torch.optim.AdamW(groups, lr=recipe.lr, betas=(0.9, 0.98))
        steps = recipe.epochs * (recipe.scenes // recipe.batch_size)
        warm = max(1, int(recipe.warmup * steps))

        def factor(step: int) -> float:
            if step < warm:
                return (step + 1) / warm
            return float(0.5 * (1 + np.cos(np.pi * (step - warm) / max(1, steps - warm))))

        self.schedule = torch.optim.lr_scheduler.LambdaLR(self.optimizer, factor)

    def click(
        self, index: int, masks: Tensor, generator: torch.Generator, *, flip: bool = False, gain: float = 1.0
    ) -> tuple[Tensor, Tensor]:
        """What a click in each mask (K, H, W) of a scene is answered by, the scene mirrored and brightened.

        Returns:
            Mask logits at scene size (K, 4, H, W), the single answer and the three of an ambiguous click,
            and the predicted IoU (K, 4).
        """
        sam, side = self.model, VIT_NANO.image_size
        image = (torch.from_numpy(self.images[index]).permute(2, 0, 1).float() * gain).clamp(0, 255)
        embedding = sam.image_encoder(sam.preprocess(image.flip(-1) if flip else image)[None])
        points = draw_points(masks, generator)[:, None], torch.ones(len(masks), 1)
        sparse, dense = sam.prompt_encoder(points=points, boxes=None, masks=None)
        low, quality = sam.mask_decoder.predict_masks(
            image_embeddings=embedding,
            image_pe=sam.prompt_encoder.get_dense_pe(),
            sparse_prompt_embeddings=sparse,
            dense_prompt_embeddings=dense,
        )
        full = F.interpolate(low, (side, side), mode="bilinear", align_corners=False)
        return full[..., : self.recipe.height, : self.recipe.width], quality

    def epoch(self, number: int) -> dict[str, float]:
        """Train one pass; returns means of loss and IoU of the best of three (higher is better)."""
        recipe = self.recipe
        rng = np.random.default_rng([recipe.seed, number])
        generator = torch.Generator().manual_seed(recipe.seed * 100_003 + number)
        order = rng.permutation(recipe.scenes)
        self.model.train()
        totals = np.zeros(2)
        batches = recipe.scenes // recipe.batch_size
        for indices in order[: batches * recipe.batch_size].reshape(batches, -1).tolist():
            self.optimizer.zero_grad()
            for index in indices:
                flip, gain = bool(rng.random() < 0.5), rng.uniform(0.7, 1.3)
                masks = draw_masks(self.instances[index], recipe.prompts, recipe.min_area, rng)
                masks = masks.flip(-1) if flip else masks
                logits, quality = self.click(index, masks, generator, flip=flip, gain=gain)
                losses, iou = mask_loss(logits, masks), mask_iou(logits.detach(), masks)
                loss = (losses[:, 0] + losses[:, 1:].amin(1)).mean() + F.mse_loss(quality, iou)
                (loss / len(indices)).backward()
                totals += np.array([loss.item(), iou[:, 1:].amax(1).mean().item()]) / len(indices)
            nn.utils.clip_grad_norm_(self.model.parameters(), 1.0)
            self.optimizer.step()
            self.schedule.step()
        loss_mean, iou_mean = (totals / batches).tolist()
        return {"loss": loss_mean, "iou_prompted": iou_mean}

    @torch.no_grad()
    def held_out_iou(self) -> float:
        """Mean IoU of one click (best of three masks) on held-out scenes, higher is better."""
        recipe = self.recipe
        self.model.eval()
        rng = np.random.default_rng([recipe.seed, 999_983])
        generator = torch.Generator().manual_seed(recipe.seed)
        values = []
        for index in range(recipe.scenes, recipe.scenes + recipe.held_out):
            masks = draw_masks(self.instances[index], 8, recipe.min_area, rng)
            logits, _ = self.click(index, masks, generator)
            values.append(mask_iou(logits, masks)[:, 1:].amax(1).mean())
        return float(torch.stack(values).mean())


def pretrain(out: Path, *, threads: int | None, say: Say, **changes: int | None) -> dict[str, Any]:
    """Pretrain and write ``sam_vit_nano.safetensors`` with its recipe and log (``.json``).

    Args:
        out: Folder to write to.
        threads: Processes that render and threads that train; None takes all cores.
        say: Receives progress lines.
        **changes: Fields of the `Recipe` to change; None leaves one as it is.

    Returns:
        The content of the JSON file.
    """
    recipe = Recipe(**{key: value for key, value in changes.items() if value is not None})
    workers = threads or usable_cores()
    set_determinism(recipe.seed, workers)
    out.mkdir(parents=True, exist_ok=True)
    path, start, log = out / "sam_vit_nano.safetensors", time.monotonic(), []
    trainer = PromptTrainer(recipe, render_scenes(recipe, workers, say))
    for number in range(recipe.epochs):
        entry = trainer.epoch(number) | {"epoch": number + 1, "iou_held_out": trainer.held_out_iou()}
        entry["seconds"] = round(time.monotonic() - start, 1)
        log.append({key: round(value, 5) for key, value in entry.items()})
        say("  ".join(f"{key} {value}" for key, value in log[-1].items()))
        state = {key: value.contiguous() for key, value in trainer.model.state_dict().items()}
        save_file(state, path, metadata={"format": "pt", "source": "tabench pretrain"})
    card = {
        "name": VIT_NANO.name,
        "note": "Pretrained by this project on synthetic ray-cast rooms with point prompts; "
        "not one of the official SAM checkpoints.",
        "sha256": sha256_file(path),
        "recipe": dataclasses.asdict(recipe) | {"generator": GENERATOR},
        "versions": {"torch": torch.__version__, "numpy": np.__version__},
        "log": log,
    }
    path.with_suffix(".json").write_text(json.dumps(card, indent=1) + "\n", encoding="utf-8")
    return card
