"""The gradients of one step, summed over the processes that share its images.

Why not torch's DistributedDataParallel: it reduces in each backward pass and averages over processes. A step
here has several passes (micro-batches, one task after the other, the regulariser), their number differs
between processes where a batch does not divide, a process may have no image at all, and parameters that no
loss reaches must stay without a gradient, or Adam would let its weight decay move them. All of that has a
switch in DDP, and each must be thrown at the right pass. The sum is wanted once a step: so it is taken once,
over one flat buffer, when all passes are done. What DDP gains by reducing during the last backward pass
is small beside the passes of a 1024-pixel encoder whose trained parameters are a few million.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass

import torch
from torch import Tensor, nn

from tabench.engine.process_group import ProcessGroup


@dataclass
class _Flat:
    """Gradients of parameters of one type on one device, one behind the other; 0 where there is none."""

    parameters: list[tuple[str, nn.Parameter]]
    values: Tensor


class Gradients:
    """A model's gradients in flat buffers, ready to be summed; the parameters then have none.

    All memory that the sum needs is taken here, before the processes agree to take it.

    Args:
        named: Trained parameters by name, in the same order on every process.
    """

    def __init__(self, named: Iterable[tuple[str, nn.Parameter]]) -> None:
        groups: dict[tuple[torch.device, torch.dtype], list[tuple[str, nn.Parameter]]] = {}
        for name, parameter in named:
            groups.setdefault((parameter.device, parameter.dtype), []).append((name, parameter))
        self.present: dict[str, float] = {}  # 1 where this process has a gradient
        self._flats = [_Flat(group, self._flattened(group)) for group in groups.values()]

    def _flattened(self, group: list[tuple[str, nn.Parameter]]) -> Tensor:
        first = group[0][1]
        values = torch.zeros(sum(p.numel() for _, p in group), device=first.device, dtype=first.dtype)
        at = 0
        for name, parameter in group:
            self.present[name] = float(parameter.grad is not None)
            if parameter.grad is not None:
                values[at : at + parameter.numel()] = parameter.grad.flatten()
                parameter.grad = None
            at += parameter.numel()
        return values

    @torch.no_grad()
    def give_back(self, group: ProcessGroup) -> None:
        """Give every parameter the sum of its gradients; none where no process has one. After a meeting."""
        with group.committed():
            present = group.sum(self.present)
            for flat in self._flats:
                group.add(flat.values)
                self._spread(flat, present)

    @staticmethod
    def _spread(flat: _Flat, present: Mapping[str, float]) -> None:
        at = 0
        for name, parameter in flat.parameters:
            if present[name]:
                found = flat.values[at : at + parameter.numel()].view(parameter.shape)
                dense = parameter.is_contiguous()  # a fused optimiser wants the parameter's own layout
                parameter.grad = found if dense else torch.empty_like(parameter).copy_(found)
            at += parameter.numel()
