"""Pretraining of the shipped small SAM on SAM's own objective over synthetic scenes.

The model is `segment_anything`'s `Sam` at the sizes of `VIT_NANO`. The scenes come from the
generator's "pretrain" seed range, which no benchmark split draws from. Semantic classes,
depth and normals are never shown to the model: it sees points and object masks.
"""

from __future__ import annotations

import dataclasses
import json
import time
from collections.abc import Callable, Sequence
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
from tabench.worlds.prompts import Prompt, mask_iou, mask_loss
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


def _render(index: int, recipe: Recipe) -> tuple[npt.NDArray[np.uint8], npt.NDArray[np.int32]]:
    scene = make_scene(recipe.scene_seed, "pretrain", index, recipe.height, recipe.width)
    return np.rint(scene["image"] * 255).astype(np.uint8), scene["instance"].astype(np.int32)


def render_scenes(recipe: Recipe, workers: int, say: Say) -> Scenes:
    """Render the pretraining scenes: images (N, H, W, 3) and instance ids (N, H, W)."""
    total, start = recipe.scenes + recipe.held_out, time.monotonic()
    images, instances = [], []
    with ProcessPoolExecutor(workers) as pool:
        for image, instance in pool.map(partial(_render, recipe=recipe), range(total), chunksize=16):
            images.append(image)
            instances.append(instance)
            if len(images) % 200 == 0 or len(images) == total:
                say(f"rendered {len(images)}/{total} scenes in {time.monotonic() - start:.0f} s")
    return np.stack(images), np.stack(instances)


def draw_masks(
    instance: npt.NDArray[np.int32], count: int, min_area: int, rng: np.random.Generator
) -> npt.NDArray[np.bool_]:
    """Masks of instances drawn with weight sqrt(area), (count, H, W); repeats if an image has fewer."""
    ids, areas = np.unique(instance[instance > 0], return_counts=True)
    usable, areas = ids[areas >= min_area], np.sqrt(areas[areas >= min_area])
    chosen = rng.choice(usable, size=count, replace=len(usable) < count, p=areas / areas.sum())
    return np.asarray(instance[None] == chosen[:, None, None])


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
    """One pretraining run.

    Args:
        recipe: What to do.
        scenes: Images and instance ids from `render_scenes`.
    """

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
        self.steps = recipe.epochs * (recipe.scenes // recipe.batch_size)
        warm = max(1, int(recipe.warmup * self.steps))

        def factor(step: int) -> float:
            if step < warm:
                return (step + 1) / warm
            return float(0.5 * (1 + np.cos(np.pi * (step - warm) / max(1, self.steps - warm))))

        self.schedule = torch.optim.lr_scheduler.LambdaLR(self.optimizer, factor)

    def embed(self, indices: Sequence[int], flips: Sequence[bool], gains: Sequence[float]) -> Tensor:
        """Image embeddings (B, C, h, w) of scenes, mirrored and brightened as told."""
        batch = []
        for index, flip, gain in zip(indices, flips, gains, strict=True):
            image = torch.from_numpy(self.images[index]).permute(2, 0, 1).float()
            image = (image * gain).clamp(0, 255)
            batch.append(self.model.preprocess(image.flip(-1) if flip else image))
        return self.model.image_encoder(torch.stack(batch))

    def decode(
        self, embedding: Tensor, prompt: Prompt, mask: Tensor | None, multimask: bool
    ) -> tuple[Tensor, Tensor, Tensor]:
        """Masks at scene size (K, M, H, W), low-resolution logits, and predicted IoU (K, M)."""
        sam = self.model
        sparse, dense = sam.prompt_encoder(points=prompt.points, boxes=prompt.boxes, masks=mask)
        low, quality = sam.mask_decoder(
            image_embeddings=embedding[None],
            image_pe=sam.prompt_encoder.get_dense_pe(),
            sparse_prompt_embeddings=sparse,
            dense_prompt_embeddings=dense,
            multimask_output=multimask,
        )
        side = VIT_NANO.image_size
        full = F.interpolate(low, (side, side), mode="bilinear", align_corners=False)
        return full[..., : self.recipe.height, : self.recipe.width], low, quality

    def image_loss(
        self, embedding: Tensor, masks: Tensor, generator: torch.Generator
    ) -> tuple[Tensor, Tensor]:
        """Loss of one image's prompts and the IoU of its first answers.

        First a click or a noisy box (evenly) answered by three masks, of which the best is trained; then
        a correction click answered by the single mask, with the first answer as mask prompt or without.
        """
        boxed, keep = (torch.rand(2, generator=generator) < 0.5).tolist()
        prompt = Prompt.box(masks, generator) if boxed else Prompt.click(masks, generator)
        logits, low, quality = self.decode(embedding, prompt, None, multimask=True)
        losses = mask_loss(logits, masks)
        best = losses.detach().argmin(1)
        rows = torch.arange(len(masks))
        iou = mask_iou(logits.detach(), masks)
        first = losses[rows, best].mean() + F.mse_loss(quality, iou)

        prompt = prompt.corrected(logits.detach()[rows, best] > 0, masks, generator)
        mask = low.detach()[rows, best][:, None] if keep else None
        logits, _, quality = self.decode(embedding, prompt, mask, multimask=False)
        second = mask_loss(logits, masks)[:, 0].mean()
        second = second + F.mse_loss(quality, mask_iou(logits.detach(), masks))
        return first + second, iou[rows, best].mean()

    def epoch(self, number: int) -> dict[str, float]:
        """Train one pass; returns means of loss and IoU of the first answers (higher is better)."""
        recipe = self.recipe
        rng = np.random.default_rng([recipe.seed, number])
        generator = torch.Generator().manual_seed(recipe.seed * 100_003 + number)
        order = rng.permutation(recipe.scenes)
        self.model.train()
        totals = np.zeros(2)
        batches = recipe.scenes // recipe.batch_size
        for b in range(batches):
            indices = order[b * recipe.batch_size : (b + 1) * recipe.batch_size].tolist()
            flips = (rng.random(len(indices)) < 0.5).tolist()
            embeddings = self.embed(indices, flips, rng.uniform(0.7, 1.3, len(indices)).tolist())
            loss = embeddings.new_zeros(())
            for embedding, index, flip in zip(embeddings, indices, flips, strict=True):
                masks = torch.from_numpy(
                    draw_masks(self.instances[index], recipe.prompts, recipe.min_area, rng)
                )
                value, iou = self.image_loss(embedding, masks.flip(-1) if flip else masks, generator)
                loss = loss + value / len(indices)
                totals[1] += float(iou) / len(indices)
            self.optimizer.zero_grad()
            loss.backward()
            nn.utils.clip_grad_norm_(self.model.parameters(), 1.0)
            self.optimizer.step()
            self.schedule.step()
            totals[0] += float(loss.detach())
        return {"loss": float(totals[0]) / batches, "iou_prompted": float(totals[1]) / batches}

    @torch.no_grad()
    def held_out_iou(self) -> float:
        """Mean IoU of one click (best of three masks) on held-out scenes, higher is better."""
        recipe = self.recipe
        self.model.eval()
        rng = np.random.default_rng([recipe.seed, 999_983])
        generator = torch.Generator().manual_seed(recipe.seed)
        values = []
        for index in range(recipe.scenes, recipe.scenes + recipe.held_out):
            masks = torch.from_numpy(draw_masks(self.instances[index], 8, recipe.min_area, rng))
            prompt = Prompt.click(masks, generator)
            embedding = self.embed([index], [False], [1.0])[0]
            logits, _, _ = self.decode(embedding, prompt, None, multimask=True)
            values.append(mask_iou(logits, masks).max(1).values.mean())
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
