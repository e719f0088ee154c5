"""Putting factored updates onto the attention of every encoder block."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence

import torch
from segment_anything.modeling import ImageEncoderViT
from torch import Tensor, nn
from torch.nn import functional as F

from tabench.encoders.base import TaskFold
from tabench.errors import SpecError
from tabench.methods.base import Value
from tabench.methods.factors import Factors

__all__ = ["AdaptedLinear", "TaskFold", "inject", "positive"]


class AdaptedLinear(nn.Module):
    """A frozen linear layer plus a scaled, factored update.

    W0 sees the folded batch as one matrix. SAM's windowing keeps the batch outermost, so the
    task stays the outermost axis and the update only needs a reshape to (T, M, d).

    Args:
        base: The layer; its outputs are `parts` blocks of equal size (q, k, v).
        factors: The update of the chosen blocks' outputs.
        fold: Which tasks the batch holds.
        chosen: Indices of the blocks that are updated; the others get none.
        scale: Factor s of the update.
        dropout: Rate of dropout on the update's input, drawn for every element of the folded
            batch and so independently per task.
    """

    def __init__(
        self,
        base: nn.Linear,
        factors: Factors,
        fold: TaskFold,
        *,
        chosen: Sequence[int],
        scale: float,
        dropout: float,
        parts: int = 3,
    ) -> None:
        super().__init__()
        self.base = base
        self.factors = factors
        self.fold = fold
        self.chosen = tuple(chosen)
        self.scale = scale
        self.dropout = nn.Dropout(dropout)
        self.parts = parts

    def forward(self, x: Tensor) -> Tensor:
        """Return W0 x + b + s * update(x), (T*M..., k) from (T*M..., d)."""
        tasks = len(self.fold.tasks)
        return self._add(self.base(x), self._update(x.reshape(tasks, -1, x.shape[-1])))

    def spread(self, x: Tensor) -> Tensor:
        """Return the same, (T*B, ..., k), of an input (B, ..., d) that all tasks share: W0 x is made once."""
        tasks = len(self.fold.tasks)
        rows = x.reshape(1, -1, x.shape[-1])
        if self.training and self.dropout.p:
            rows = rows.expand(tasks, -1, -1)  # every task draws its own mask
        whole = self.base(x)[None].expand(tasks, *[-1] * x.dim())
        return self._add(whole, self._update(rows)).flatten(0, 1)

    @property
    def row_wise(self) -> bool:
        """Whether every row of the output depends on the same row of the input alone, and on its task.

        Then SAM's windows need no padding, all tasks may start from one input, and the update can be merged.
        """
        return type(self.base) is nn.Linear and bool(vars(type(self.factors)).get("linear", False))

    @property
    def at_zero(self) -> Tensor | None:
        """What it makes of an input of 0, whatever the task: the bias, since the update is linear."""
        return self.base.bias

    def _update(self, rows: Tensor) -> Tensor:
        """The scaled update (T, M, k) of rows (T or 1, M, d), in fp32 whatever the autocast."""
        dtype = self.factors.outputs().dtype
        with torch.autocast(rows.device.type, enabled=False):
            inner = self.factors.narrow(self.dropout(rows).to(dtype), self.fold.tasks, self.scale)
            return F.linear(inner, self.factors.outputs())

    def dense(self) -> Tensor:
        """The scaled update of all outputs, (d, k, T), 0 in blocks that are not updated."""
        chosen = self.factors.dense().chunk(len(self.chosen), dim=1)
        blocks = [torch.zeros_like(chosen[0])] * self.parts
        for index, block in zip(self.chosen, chosen, strict=True):
            blocks[index] = block
        return self.scale * torch.cat(blocks, dim=1)

    def merged(self, task: int) -> nn.Linear:
        """The plain layer of one task, W0 + s * dW[:, :, t]^T."""
        linear = nn.Linear(
            self.base.in_features,
            self.base.out_features,
            bias=self.base.bias is not None,
            device=self.base.weight.device,
            dtype=self.base.weight.dtype,
        )
        with torch.no_grad():
            slice_ = self.scale * self.factors.dense()[:, :, task]
            linear.weight.copy_(self._add(self.base.weight.T, slice_).T)
            if self.base.bias is not None:
                linear.bias.copy_(self.base.bias)
        return linear

    def _add(self, whole: Tensor, update: Tensor) -> Tensor:
        """Add the update to the chosen blocks of the last axis."""
        update = update.reshape(*whole.shape[:-1], -1).to(whole.dtype)
        if len(self.chosen) == self.parts:
            return whole + update
        blocks = list(whole.chunk(self.parts, dim=-1))
        for index, block in zip(self.chosen, update.chunk(len(self.chosen), dim=-1), strict=True):
            blocks[index] = blocks[index] + block
        return torch.cat(blocks, dim=-1)


def inject(
    encoder: ImageEncoderViT,
    fold: TaskFold,
    params: Mapping[str, Value],
    make: Callable[[int, int], Factors],
) -> None:
    """Wrap `attn.qkv` of every block of an image encoder, in place.

    Args:
        encoder: A segment_anything `ImageEncoderViT`.
        fold: Which tasks the batch holds.
        params: "targets" (letters of "qkv"), "scale" and "dropout".
        make: Builds the factors for (inputs d, outputs k).

    Raises:
        SpecError: A hyper-parameter out of range.
    """
    chosen = _targets(str(params["targets"]))
    dropout = float(params["dropout"])  # type: ignore[arg-type]
    if not 0 <= dropout < 1:
        raise SpecError(f"dropout must be in [0, 1), got {dropout}", where="method.params.dropout")
    for block in encoder.blocks:
        qkv: nn.Linear = block.attn.qkv
        factors = make(qkv.in_features, qkv.out_features // 3 * len(chosen))
        block.attn.qkv = AdaptedLinear(
            qkv,
            factors.to(qkv.weight.device, qkv.weight.dtype),
            fold,
            chosen=chosen,
            scale=float(params["scale"]),  # type: ignore[arg-type]
            dropout=dropout,
        )


def _targets(letters: str) -> tuple[int, ...]:
    if not letters or len(set(letters)) != len(letters) or not set(letters) <= set("qkv"):
        raise SpecError(
            f"'{letters}' is not a choice of q, k and v",
            where="method.params.targets",
            hint='write the letters once each, for example "qv"',
        )
    return tuple(index for index, letter in enumerate("qkv") if letter in letters)


def positive(value: Value, key: str) -> int:
    """Check a rank.

    Raises:
        SpecError: It is not an integer of at least 1.
    """
    if not isinstance(value, int) or value < 1:
        raise SpecError(
            f"a rank must be an integer of at least 1, got {value!r}", where=f"method.params.{key}"
        )
    return value
