"""mSAM: one SAM image encoder, and for each task a "no mask" embedding and a mask decoder."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from functools import partial
from typing import Any, Literal

import torch
import torch.nn.functional as F
from segment_anything.modeling import ImageEncoderViT
from torch import Tensor, nn
from torch.func import functional_call

from tabench.encoders.resampling import restore
from tabench.encoders.sam.as_built import strangers
from tabench.encoders.sam.build import (
    PIXEL_MEAN,
    PIXEL_STD,
    build_image_encoder,
    build_mask_decoder,
    build_position_encoding,
)
from tabench.encoders.sam.decoding import decode, freeze_idle
from tabench.encoders.sam.encoding import encode
from tabench.encoders.sam.geometry import Backbone
from tabench.encoders.sam.ways import foreign_in_decoder, way_of_decoder, way_of_encoder
from tabench.errors import SpecError

PixelNorm = Literal["none", "sam"]
Path = Literal["fast", "plain"]
_FREQUENCIES = "positional_encoding_gaussian_matrix"


class MSam(nn.Module):
    """SAM for several dense tasks (method of arXiv 2403.10971, section on mSAM).

    Args:
        backbone: Geometry of the SAM variant.
        channels: Task name to its number of output channels, in the order the tasks are folded.
        pixel_norm: "none" feeds images in 0..1 (the authors' code); "sam" applies SAM's mean
            and std to 0..255 before the padding, as SAM was trained.

    Attributes:
        image_encoder: The encoder; methods adapt it in place.
        no_mask: Task name to its embedding (N_t, C).
        decoders: Task name to its `MaskDecoder`.
        path: "fast", or "plain" for the reference formulation (`tabench.encoders.plain`).
        recompute: Activation checkpointing in the encoder's blocks (`encode`).
        compiled: Encoder blocks through torch.compile, which takes its time at the first pass.
        added: Names of the parameters and buffers that a method added to SAM's.
        made: Names of those, and of others that it replaced or gave other values, which are not trained.
        unread: Names of the decoders' parts that never get a gradient.
        penalty: Weight of the method's regulariser; 0 without one.
        encoder_rate: Learning rate of the encoder as a multiple of the recipe's.
        idle: Names of trained parameters that never get a gradient, by the method's own word.
        hooks: What the method does in training beside the forward pass (`tabench.methods.hooks.Hooks`).
    """

    pixel_mean: Tensor
    pixel_std: Tensor

    def __init__(
        self, backbone: Backbone, channels: Mapping[str, int], pixel_norm: PixelNorm = "none"
    ) -> None:
        super().__init__()
        if not channels or min(channels.values()) < 1:
            raise SpecError("every model needs a task, and every task a channel", where=str(dict(channels)))
        if pixel_norm not in ("none", "sam"):
            raise SpecError(f"unknown pixel_norm '{pixel_norm}'", hint='use "none" or "sam"')
        self.backbone = backbone
        self.channels = dict(channels)
        self.path: Path = "fast"
        self.recompute = self.compiled = False
        self.added: frozenset[str] = frozenset()
        self.idle: frozenset[str] = frozenset()
        self.made: frozenset[str] = frozenset()
        self.penalty, self.encoder_rate = 0.0, 1.0
        self.hooks: Any = None
        self.image_encoder: ImageEncoderViT = build_image_encoder(backbone)
        self.pe_layer = build_position_encoding(backbone)
        self.no_mask = nn.ParameterDict(
            {
                task: nn.Parameter(torch.randn(1, backbone.out_chans).repeat(n, 1))
                for task, n in channels.items()
            }
        )
        self.decoders = nn.ModuleDict({task: build_mask_decoder(backbone) for task in channels})
        # they get no gradient, but as trainable ones they would seem to learn
        self.unread = frozenset(
            f"decoders.{task}.{part}" for task, one in self.decoders.items() for part in freeze_idle(one)
        )
        scale = 255.0 if pixel_norm == "sam" else 1.0
        mean = PIXEL_MEAN if pixel_norm == "sam" else (0.0, 0.0, 0.0)
        std = PIXEL_STD if pixel_norm == "sam" else (1.0, 1.0, 1.0)
        self.register_buffer("pixel_mean", torch.tensor(mean).view(3, 1, 1) / scale, persistent=False)
        self.register_buffer("pixel_std", torch.tensor(std).view(3, 1, 1) / scale, persistent=False)

    @property
    def task_aware(self) -> bool:
        """Whether the encoder gives each task its own embedding."""
        return hasattr(self.image_encoder, "task_fold")

    def ways(self) -> dict[str, str]:
        """How encoder and decoders are run at present, in words, for a run's facts."""
        if self.path == "plain":
            return {"encoder": "plain path", "decoders": "plain path"}
        decoders = {way_of_decoder(decoder) for decoder in self.decoders.values()}
        return {"encoder": way_of_encoder(self.image_encoder), "decoders": "; ".join(sorted(decoders))}

    def strangers(self, encoder: nn.Module) -> list[str]:
        """Names of what an encoder has that SAM's does not have, or has otherwise."""
        return list(strangers(encoder))

    def load_sam(self, state: Mapping[str, Tensor]) -> None:
        """Start from SAM's weights: every decoder from its decoder, every row from `no_mask_embed`.

        Call it before a method adapts the encoder.

        Args:
            state: SAM's state dict, as `load_checkpoint` returns it.
        """
        self.image_encoder.load_state_dict(_part(state, "image_encoder."))
        self.pe_layer.load_state_dict(_part(state, "prompt_encoder.pe_layer."))
        for task in self.channels:
            self.decoders[task].load_state_dict(_part(state, "mask_decoder."))
            with torch.no_grad():
                self.no_mask[task].copy_(state["prompt_encoder.no_mask_embed.weight"])

    def prepare(self, images: Tensor) -> tuple[Tensor, tuple[int, int]]:
        """Resize so that the long side is the input size, normalise, pad right and below with zeros.

        Bilinear and antialiased like SAM's own `ResizeLongestSide` (no difference when enlarging).

        Args:
            images: (B, 3, H, W) in 0..1.

        Returns:
            The input (B, 3, S, S), and the (height, width) of the image inside it.
        """
        side = self.backbone.image_size
        height, width = images.shape[-2:]
        scale = side / max(height, width)
        inner = (int(height * scale + 0.5), int(width * scale + 0.5))
        if inner != (height, width):
            images = F.interpolate(images, inner, mode="bilinear", align_corners=False, antialias=True)
        images = (images - self.pixel_mean) / self.pixel_std
        return F.pad(images, (0, side - inner[1], 0, side - inner[0])), inner

    def restore(self, masks: Tensor, inner: tuple[int, int], out_size: tuple[int, int]) -> Tensor:
        """Bilinear to the input size, crop the padding, bilinear to `out_size` (no antialias, as SAM)."""
        masks = masks.to(torch.promote_types(masks.dtype, torch.float32))  # bf16 autocast ends here
        with torch.autocast(masks.device.type, enabled=False):
            return restore(masks, self.backbone.image_size, inner, out_size)

    def dense_pe(self) -> Tensor:
        """Positional encoding of the token grid (1, C, h, w), in fp32 whatever the autocast."""
        matrix = getattr(self.pe_layer, _FREQUENCIES)
        with torch.autocast(matrix.device.type, enabled=False):
            encoding: Tensor = functional_call(
                self.pe_layer, {_FREQUENCIES: matrix.float()}, ((self.backbone.grid, self.backbone.grid),)
            )
        return encoding[None].to(matrix.dtype)

    def encode(self, inputs: Tensor, tasks: Sequence[str]) -> dict[str, Tensor]:
        """Image embedding (B, C, h, w) of each task.

        With a task-aware encoder the tasks are folded into the batch, task-major (T*B, ...), after
        the patch and position embedding, which are the same for all; otherwise the encoder runs
        once and all tasks read one embedding.
        """
        run = partial(encode, self.image_encoder, inputs, recompute=self.recompute, compiled=self.compiled)
        if not self.task_aware:
            return dict.fromkeys(tasks, run())
        order = list(self.channels)
        folded = run(tasks=[order.index(task) for task in tasks])
        return dict(zip(tasks, folded.unflatten(0, (len(tasks), -1)), strict=True))

    def forward(
        self, images: Tensor, out_size: tuple[int, int], tasks: Sequence[str] | None = None
    ) -> dict[str, Tensor]:
        """Raw channels of every task.

        Args:
            images: (B, 3, H, W) in 0..1.
            out_size: (height, width) of the result.
            tasks: The tasks wanted; None for all.

        Returns:
            Task name to (B, N_t, height, width), before the task's activation.

        Raises:
            SpecError: A task that this model does not have.
        """
        names = known_tasks(self.channels, tasks)
        if self.path == "plain":
            from tabench.encoders.plain import plain_forward

            return plain_forward(self, images, out_size, names)
        inputs, inner = self.prepare(images)
        embeddings = self.encode(inputs, names)
        return {task: self.read(task, embeddings[task], inner, out_size) for task in names}

    def read(self, task: str, embedding: Tensor, inner: tuple[int, int], out_size: tuple[int, int]) -> Tensor:
        """Raw channels of one task (B, N_t, height, width) from its image embedding.

        Args:
            task: Task name.
            embedding: (B, C, h, w).
            inner: (height, width) of the image inside the input, as `prepare` returns it.
            out_size: (height, width) of the result.
        """
        decoder = self.decoders[task]
        way = decode
        if foreign_in_decoder(decoder) is not None:
            from tabench.encoders.plain import decode_plain as way
        masks = way(decoder, embedding, self.no_mask[task], self.dense_pe())
        return self.restore(masks, inner, out_size)


def known_tasks(channels: Collection[str], wanted: Sequence[str] | None) -> list[str]:
    """The wanted tasks of a model, in the order asked for; None for all.

    Raises:
        SpecError: A task that the model does not have.
    """
    names = list(channels) if wanted is None else list(wanted)
    for name in names:
        if name not in channels:
            raise SpecError(f"this model has no task '{name}'", hint=f"it has: {', '.join(channels)}")
    return names


def _part(state: Mapping[str, Tensor], prefix: str) -> dict[str, Tensor]:
    return {key.removeprefix(prefix): value for key, value in state.items() if key.startswith(prefix)}
