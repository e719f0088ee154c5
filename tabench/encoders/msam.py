"""mSAM: one image encoder, and for each task a "no mask" embedding and a mask decoder."""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping, Sequence
from functools import partial
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor, nn
from torch.func import functional_call
from torch.nn.modules.batchnorm import _BatchNorm

from tabench.encoders.base import Encoder
from tabench.encoders.resampling import restore
from tabench.encoders.sam.build import build_mask_decoder, build_position_encoding
from tabench.encoders.sam.decoding import decode, decode_plain, freeze_idle
from tabench.encoders.sam.ways import foreign_in_decoder, way_of_decoder
from tabench.errors import SpecError

_FREQUENCIES = "positional_encoding_gaussian_matrix"


class MSam(nn.Module):
    """SAM for several dense tasks (method of arXiv 2403.10971, section on mSAM).

    Args:
        backbone: What builds and runs the encoder, SAM's or another.
        channels: Task name to its number of output channels, in the order the tasks are folded.
        pixel_norm: "none" feeds images in 0..1 (the authors' code); "sam" applies SAM's mean
            and std to 0..255 before the padding, as SAM was trained; "encoder" is that of encoders
            other than SAM's: they are fed as they were trained.

    Attributes:
        image_encoder: The encoder; methods adapt it in place.
        no_mask: Task name to its embedding (N_t, C).
        decoders: Task name to its `MaskDecoder`.
        instead: What is called in the place of `forward`'s own way, by those who compare another one with it
            (`tabench.encoders.plain`); None otherwise.
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

    def __init__(self, backbone: Encoder, channels: Mapping[str, int], pixel_norm: str | None = None) -> None:
        super().__init__()
        if not channels or min(channels.values()) < 1:
            raise SpecError("every model needs a task, and every task a channel", where=str(dict(channels)))
        norms = backbone.pixel_norms
        pixel_norm = norms[0] if pixel_norm is None else pixel_norm
        if pixel_norm not in norms:
            hint = f"it has: {', '.join(norms)}"
            raise SpecError(f"backbone '{backbone.name}' has no pixel_norm '{pixel_norm}'", hint=hint)
        self.backbone = backbone
        self.channels = dict(channels)
        self.instead: Callable[..., dict[str, Tensor]] | None = None
        self.recompute = self.compiled = False
        self.added: frozenset[str] = frozenset()
        self.idle: frozenset[str] = frozenset()
        self.made: frozenset[str] = frozenset()
        self.penalty, self.encoder_rate = 0.0, 1.0
        self.hooks: Any = None
        self.image_encoder = backbone.build()
        # Only those it was built with: norms that a method adds are trained as that method means them.
        self._frozen = [m for m in self.image_encoder.modules() if isinstance(m, _BatchNorm)]
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
        scale = 1.0 if pixel_norm == "none" else 255.0
        mean = (0.0, 0.0, 0.0) if pixel_norm == "none" else backbone.pixel_mean
        std = (1.0, 1.0, 1.0) if pixel_norm == "none" else backbone.pixel_std
        # Not persistent: they are the recipe's, and no weights that a file has or lacks.
        self.register_buffer("pixel_mean", torch.tensor(mean).view(3, 1, 1) / scale, persistent=False)
        self.register_buffer("pixel_std", torch.tensor(std).view(3, 1, 1) / scale, persistent=False)

    @property
    def task_aware(self) -> bool:
        """Whether the encoder gives each task its own embedding."""
        return hasattr(self.image_encoder, "task_fold")

    def ways(self) -> dict[str, str]:
        """How encoder and decoders are run at present, in words, for a run's facts."""
        if self.instead is not None:
            return {"encoder": "plain path", "decoders": "plain path"}
        decoders = {way_of_decoder(decoder) for decoder in self.decoders.values()}
        return {"encoder": self.backbone.way(self.image_encoder), "decoders": "; ".join(sorted(decoders))}

    def strangers(self, encoder: nn.Module) -> list[str]:
        """Names of what an encoder has that it was not built with, or has otherwise."""
        return self.backbone.strangers(encoder)

    def train(self, mode: bool = True) -> MSam:
        """As `nn.Module.train`; but batch statistics of the encoder's own stay as they are.

        A step's images and tasks are folded and cut in ways that must not show in any number.
        """
        super().train(mode)
        for module in self._frozen:
            module.eval()
        return self

    def load_sam(self, state: Mapping[str, Tensor]) -> None:
        """Start from SAM's weights: every decoder from its decoder, every row from `no_mask_embed`.

        `state` is what `Encoder.load` returned; of weights of an encoder alone, decoders and rows keep their
        random start. Call it before a method adapts the encoder.
        """
        self.image_encoder.load_state_dict(_part(state, "image_encoder."))
        if not any(key.startswith("mask_decoder.") for key in state):
            return  # of an encoder alone: its decoders start at random
        self.pe_layer.load_state_dict(_part(state, "prompt_encoder.pe_layer."))
        for task in self.channels:
            self.decoders[task].load_state_dict(_part(state, "mask_decoder."))
            with torch.no_grad():
                self.no_mask[task].copy_(state["prompt_encoder.no_mask_embed.weight"])

    def prepare(self, images: Tensor) -> tuple[Tensor, tuple[int, int]]:
        """Resize so that the long side is the input size, normalise, pad right and below with zeros.

        Bilinear and antialiased like SAM's own `ResizeLongestSide` (no difference when enlarging). Images are
        (B, 3, H, W) in 0..1.

        Returns:
            The input (B, 3, S, S), and the (height, width) of the image inside it.
        """
        side = self.backbone.image_size
        height, width = images.shape[-2:]
        scale = side / max(height, width)
        # Rounded as `ResizeLongestSide` does; Python's own rounding takes halves to the even number.
        inner = (int(height * scale + 0.5), int(width * scale + 0.5))
        if self.backbone.fit == "stretch":
            inner = (side, side)
        if inner != (height, width):
            images = F.interpolate(images, inner, mode="bilinear", align_corners=False, antialias=True)
        # Before the padding, so that padded pixels are 0 as they were in SAM's training.
        images = (images - self.pixel_mean) / self.pixel_std
        return F.pad(images, (0, side - inner[1], 0, side - inner[0])), inner

    def restore(self, masks: Tensor, inner: tuple[int, int], out_size: tuple[int, int]) -> Tensor:
        """Bilinear to the input size, crop the padding, bilinear to `out_size` (no antialias, as SAM)."""
        masks = masks.to(torch.promote_types(masks.dtype, torch.float32))  # bf16 autocast ends here
        with torch.autocast(masks.device.type, enabled=False):
            return restore(masks, self.backbone.image_size, inner, out_size)

    def dense_pe(self) -> Tensor:
        """Positional encoding of the token grid (1, C, h, w), in fp32 whatever the autocast."""
        # Under autocast the product with the frequencies would be bf16, too coarse for neighbouring places.
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
        run = partial(self.backbone.forward, self.image_encoder, inputs)
        run = partial(run, recompute=self.recompute, compiled=self.compiled)
        if not self.task_aware:
            return dict.fromkeys(tasks, run()["embedding"])
        order = list(self.channels)
        folded = run(tasks=[order.index(task) for task in tasks])["embedding"]
        return dict(zip(tasks, folded.unflatten(0, (len(tasks), -1)), strict=True))

    def forward(
        self, images: Tensor, out_size: tuple[int, int], tasks: Sequence[str] | None = None
    ) -> dict[str, Tensor]:
        """Raw channels (B, N_t, height, width) of the wanted tasks (None: all), before their activation.

        Images are (B, 3, H, W) in 0..1, `out_size` is (height, width).
        """
        names = known_tasks(self.channels, tasks)
        if self.instead is not None:
            return self.instead(self, images, out_size, names)
        inputs, inner = self.prepare(images)
        embeddings = self.encode(inputs, names)
        return {task: self.read(task, embeddings[task], inner, out_size) for task in names}

    def read(self, task: str, embedding: Tensor, inner: tuple[int, int], out_size: tuple[int, int]) -> Tensor:
        """Raw channels (B, N_t, height, width) of one task from its embedding (B, C, h, w).

        `inner` is the (height, width) of the image inside the input, as `prepare` returns it.
        """
        decoder = self.decoders[task]
        way = decode if foreign_in_decoder(decoder) is None else decode_plain
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
