"""The gradients of one step, summed over the processes that share its images; a row each where told apart.

Why not torch's DistributedDataParallel: it reduces in each backward pass and averages over processes. A step
here has several passes (micro-batches, one task after the other, the regulariser), their number differs
between processes where a batch does not divide, a process may have no image at all, and parameters that no
loss reaches must stay without a gradient, or Adam would let its weight decay move them. All of that has a
switch in DDP, and each must be thrown at the right pass. The sum is wanted once a step: so it is taken once,
over one flat buffer, when all passes are done. What DDP gains by reducing during the last backward pass
is small beside the passes of a 1024-pixel encoder whose trained parameters are a few million.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

import torch
from torch import Tensor, nn

from tabench.engine.process_group import ProcessGroup


@dataclass
class _Flat:
    """Gradients of parameters of one type on one device, one behind the other; 0 where there is none."""

    parameters: list[tuple[str, nn.Parameter]]
    values: Tensor  # (rows, N)


class Gradients:
    """The gradients of parameters, in flat buffers with `rows` rows that are told apart, ready to be summed.

    All memory that the sum needs is taken here, before the processes agree to take it. The parameters come in
    the same order on every process.
    """

    def __init__(self, named: Iterable[tuple[str, nn.Parameter]], rows: int = 1) -> None:
        groups: dict[tuple[torch.device, torch.dtype], list[tuple[str, nn.Parameter]]] = {}
        for name, parameter in named:
            groups.setdefault((parameter.device, parameter.dtype), []).append((name, parameter))
        self._present = {name: 0.0 for group in groups.values() for name, _ in group}  # 1 with a gradient
        self._taken: set[tuple[int, str]] = set()
        self._flats = []
        for (device, dtype), group in groups.items():
            size = sum(parameter.numel() for _, parameter in group)
            self._flats.append(_Flat(group, torch.zeros(rows, size, device=device, dtype=dtype)))

    def take(self, row: int = 0) -> None:
        """Move the parameters' gradients into a row, beside what is there; they then have none."""
        for flat in self._flats:
            at = 0
            for name, parameter in flat.parameters:
                if parameter.grad is not None:
                    place, found = flat.values[row, at : at + parameter.numel()], parameter.grad.flatten()
                    # 0 + g is not g to the bit where g is -0
                    place.copy_(place + found if (row, name) in self._taken else found)
                    self._taken.add((row, name))
                    self._present[name] = 1.0
                    parameter.grad = None
                at += parameter.numel()

    def sum(self, group: ProcessGroup) -> None:
        """Sum over the processes. Only right after a meeting."""
        with group.committed():
            self._present = group.sum(self._present)
            for flat in self._flats:
                group.add(flat.values)

    def matrix(self, rows: Sequence[int]) -> Tensor:
        """Some rows (P, N), in the widest of the parameters' types."""
        parts = [
            flat.values if len(rows) == len(flat.values) else flat.values[list(rows)] for flat in self._flats
        ]
        if len(parts) == 1:
            return parts[0]
        widest = max((part.dtype for part in parts), key=lambda dtype: dtype.itemsize)
        return torch.cat([part.to(parts[0].device, widest) for part in parts], dim=1)

    @torch.no_grad()
    def give(self, values: Tensor | None = None) -> None:
        """Give every parameter its gradient, beside what it has; none where no process had one.

        `values` (N,) are in the order of `matrix`; None gives the first row.
        """
        for flat in self._flats:
            size = flat.values.shape[1]
            row = flat.values[0] if values is None else values[:size].to(flat.values)
            values = None if values is None else values[size:]
            at = 0
            for name, parameter in flat.parameters:
                if self._present[name]:
                    found = row[at : at + parameter.numel()].view(parameter.shape)
                    if not parameter.is_contiguous():  # a fused optimiser wants the parameter's own layout
                        found = torch.empty_like(parameter).copy_(found)
                    parameter.grad = found if parameter.grad is None else parameter.grad + found
                at += parameter.numel()
