"""Putting factored updates onto linear layers of an encoder, by their roles."""

from __future__ import annotations

import copy
from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from tabench.encoders.base import ROLES, LayerSpec, TaskFold, linears
from tabench.errors import SpecError
from tabench.methods.base import Value, canonical_targets, named_roles
from tabench.methods.factors import Factors

__all__ = ["AdaptedLinear", "TaskFold", "inject", "positive", "targeted"]


class Dropout(nn.Dropout):
    """torch's own, whose draws and bits it has: of the mask it keeps a byte an element, on the CPU too."""

    def forward(self, input: Tensor) -> Tensor:
        """See `nn.Dropout`."""
        return torch.native_dropout(input, self.p, True)[0] if self.training and self.p else input


class AdaptedLinear(nn.Module):
    """A frozen linear layer plus a scaled, factored update.

    W0 sees the folded batch as one matrix. SAM's windowing keeps the batch outermost, so the
    task stays the outermost axis and the update only needs a reshape to (T, M, d).

    The base's outputs are `parts` blocks of equal size (q, k, v); the factors update those that are `chosen`.
    Dropout is on the update's input, drawn for every element of the folded batch and so for each task.
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
        self.dropout = Dropout(dropout)
        self.parts = parts

    def forward(self, x: Tensor) -> Tensor:
        """Return W0 x + b + s * update(x), (T*M..., k) from (T*M..., d), for the tasks of the fold."""
        return self.applied(x, self.fold.tasks)

    def applied(self, x: Tensor, tasks: Sequence[int]) -> Tensor:
        """Return W0 x + b + s * update(x), (T*M..., k) from (T*M..., d), for some tasks."""
        return self._add(self.base(x), self._update(x.reshape(len(tasks), -1, x.shape[-1]), tasks))

    def spread(self, x: Tensor) -> Tensor:
        """Return the same, (T*B, ..., k), of an input (B, ..., d) that all tasks share: W0 x is made once."""
        tasks = len(self.fold.tasks)
        rows = x.reshape(1, -1, x.shape[-1])
        if self.training and self.dropout.p:
            rows = rows.expand(tasks, -1, -1)  # every task draws its own mask
        # Expanded and not repeated: the tasks' outputs of W0 are one block of memory until updates are added.
        whole = self.base(x)[None].expand(tasks, *[-1] * x.dim())
        return self._add(whole, self._update(rows, self.fold.tasks)).flatten(0, 1)

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

    def _update(self, rows: Tensor, tasks: Sequence[int]) -> Tensor:
        """The scaled update (T, M, k) of rows (T or 1, M, d), in fp32 whatever the autocast."""
        dtype = self.factors.outputs().dtype
        # Updates are small beside the weights, and bf16 has three digits: it would round most of a step away.
        with torch.autocast(rows.device.type, enabled=False):
            inner = self.factors.narrow(self.dropout(rows).to(dtype), tasks, self.scale)
            return F.linear(inner, self.factors.outputs())

    def dense(self, tasks: Sequence[int]) -> Tensor | None:
        """The scaled update of all outputs, (d, k, T) of some tasks, 0 in blocks that are not updated."""
        if not self.row_wise:
            return None
        chosen = self._slices(tasks).chunk(len(self.chosen), dim=1)
        blocks = [torch.zeros_like(chosen[0])] * self.parts
        for index, block in zip(self.chosen, chosen, strict=True):
            blocks[index] = block
        return self.scale * torch.cat(blocks, dim=1)

    def merged(self, task: int) -> nn.Linear | None:
        """The plain layer of one task, W0 + s * dW[:, :, t]^T."""
        if not self.row_wise:
            return None
        # A copy, since the base stays in use in the adapted model.
        linear = copy.deepcopy(self.base).requires_grad_(True)
        with torch.no_grad():
            slice_ = self.scale * self._slices((task,))[:, :, 0]
            linear.weight.copy_(self._add(self.base.weight.T, slice_).T)
        return linear

    def facts(self) -> Mapping[str, Any] | None:
        """The kind of its factors, their tensors by name, and the scale."""
        kind = vars(type(self.factors)).get("kind", "")
        if not kind or not self.row_wise:
            return None
        return {"kind": kind, "scale": self.scale, "factors": self.factors.tensors()}

    def _slices(self, tasks: Sequence[int]) -> Tensor:
        """Slices dW of some tasks, (d, k of the chosen blocks, T); some factors do not tell them apart."""
        whole = self.factors.dense()
        count = whole.shape[2]
        if count == 1:
            return whole.expand(-1, -1, len(tasks))
        return whole if tuple(tasks) == tuple(range(count)) else whole[:, :, list(tasks)]

    def _add(self, whole: Tensor, update: Tensor) -> Tensor:
        """Add the update to the chosen blocks of the last axis."""
        # Under autocast the base gives bf16; a sum in fp32 would double the memory of all that follows.
        update = update.reshape(*whole.shape[:-1], -1).to(whole.dtype)
        if len(self.chosen) == self.parts:
            return whole + update
        blocks = list(whole.chunk(self.parts, dim=-1))
        for index, block in zip(self.chosen, update.chunk(len(self.chosen), dim=-1), strict=True):
            blocks[index] = blocks[index] + block
        return torch.cat(blocks, dim=-1)


def inject(
    encoder: nn.Module,
    fold: TaskFold,
    params: Mapping[str, Value],
    make: Callable[[int, int], Factors],
    layers: Sequence[LayerSpec] | None = None,
) -> None:
    """Put updates onto linear layers of an encoder (None: all that are targeted), in place.

    `params` are "targets" (roles, or letters of "qkv"), "scale" and "dropout"; `make` builds the factors for
    (inputs d, outputs k), called for each adapted layer, in order.

    Raises:
        SpecError: A hyper-parameter out of range, or a role that the encoder does not have.
    """
    dropout = float(params["dropout"])  # type: ignore[arg-type]
    if not 0 <= dropout < 1:
        raise SpecError(f"dropout must be in [0, 1), got {dropout}", where="method.params.dropout")
    found = linears(encoder) if layers is None else layers
    for spec, chosen in targeted(found, params["targets"]):
        parent, _, key = spec.name.rpartition(".")
        base = encoder.get_submodule(spec.name)
        assert isinstance(base, nn.Linear)
        factors = make(spec.inputs, spec.outputs // len(spec.parts) * len(chosen))
        layer = AdaptedLinear(
            base,
            # Drawn on the CPU in fp32 and then moved, so that every device and type starts alike.
            factors.to(base.weight.device, base.weight.dtype),
            fold,
            chosen=chosen,
            scale=float(params["scale"]),  # type: ignore[arg-type]
            dropout=dropout,
            parts=len(spec.parts),
        )
        encoder.get_submodule(parent).register_module(key, layer)


def targeted(layers: Iterable[LayerSpec], targets: Value) -> list[tuple[LayerSpec, tuple[int, ...]]]:
    """The layers that some targets name, each with the indices of its parts that they name.

    "q", "k" and "v" name a layer, or a part of one that makes all three; "qkv" names all three of either.

    Raises:
        SpecError: The targets cannot be used as written, or no layer has one of them.
    """
    names = named_roles(canonical_targets(targets, ROLES))
    found, seen = [], set()
    for spec in layers:
        here = {spec.role, *spec.parts}
        chosen = tuple(i for i, part in enumerate(spec.parts) if part in names or spec.role in names)
        if chosen:
            found.append((spec, chosen))
        seen |= here
    if missing := [name for name in names if name not in seen]:
        raise SpecError(
            f"no layer of this encoder has the role '{missing[0]}'",
            where="method.params.targets",
            hint=f"it has: {', '.join(sorted(seen))}",
        )
    return found


def positive(value: Value, key: str) -> int:
    """Check a rank: an integer of at least 1, else a SpecError."""
    if not isinstance(value, int) or value < 1:
        raise SpecError(
            f"a rank must be an integer of at least 1, got {value!r}", where=f"method.params.{key}"
        )
    return value
