"""Factored updates of one layer for T tasks: LoRA, Tucker and CP.

All hold an update tensor dW (d, k, T), d inputs and k outputs, and apply slice t to task t's
rows without building it. `dense` builds it, Tucker and CP through TensorLy, for merging and tests.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Sequence
from typing import ClassVar

import tensorly as tl
import torch
from torch import Tensor, nn
from torch.nn import functional as F

from tabench.methods.decomposing import checked, cp_fit, tucker_fit


class Factors(nn.Module, ABC):
    """An update dW (d, k, T) in factored form.

    Attributes:
        linear: True if `forward` gives x dW[:, :, t] row by row, so that `dense` is all there is to it. A
            class says so for itself: a subclass, which may compute something else, has to say it again.
        task_rows: Names of parameters whose t-th row is the t-th task's alone; the tasks share all others.
    """

    linear: ClassVar[bool] = False
    task_rows: ClassVar[tuple[str, ...]] = ()

    @abstractmethod
    def reset(self) -> None:
        """Draw the factors anew from torch's global generator, such that dW = 0."""

    @abstractmethod
    def narrow(self, x: Tensor, tasks: Sequence[int], scale: float = 1.0) -> Tensor:
        """All of the update but its last product, which every task shares.

        Args:
            x: (len(tasks), M, d), the rows of each task; (1, M, d) where all tasks have the same.
            tasks: Which slice each leading index uses.
            scale: A factor of the result.

        Returns:
            (len(tasks), M, q), or (1, M, q) of factors that do not tell tasks apart.
        """

    @abstractmethod
    def outputs(self) -> Tensor:
        """The matrix (k, q) of the last product."""

    def forward(self, x: Tensor, tasks: Sequence[int]) -> Tensor:
        """Apply the update.

        Args:
            x: (len(tasks), M, d), the rows of each task.
            tasks: Which slice each leading index uses.

        Returns:
            x[i] dW[:, :, tasks[i]], (len(tasks), M, k).
        """
        return F.linear(self.narrow(x, tasks), self.outputs())

    @abstractmethod
    def dense(self) -> Tensor:
        """The update tensor dW (d, k, T)."""

    def columns(self) -> list[Tensor]:
        """The matrices (..., rows, columns) whose columns the regulariser makes orthonormal."""
        return []

    def tensors(self) -> dict[str, Tensor]:
        """The factors by name, those included that layers share."""
        return dict(self.named_parameters())


class LoRAFactors(Factors):
    """dW = (B A)^T, one slice for whatever it is fed (LoRA, arXiv 2106.09685).

    A (r, d) is Kaiming-uniform with a = sqrt(5) and B (k, r) zero, the reference implementation's
    initialisation; r * (d + k) parameters.
    """

    linear = True
    kind = "lora"

    def __init__(self, d: int, k: int, rank: int) -> None:
        super().__init__()
        self.A = nn.Parameter(torch.empty(rank, d))
        self.B = nn.Parameter(torch.empty(k, rank))
        self.reset()

    def reset(self) -> None:
        """See `Factors.reset`."""
        nn.init.kaiming_uniform_(self.A, a=5**0.5)
        nn.init.zeros_(self.B)

    def narrow(self, x: Tensor, tasks: Sequence[int], scale: float = 1.0) -> Tensor:
        """See `Factors.narrow`; the slice is the same for every task."""
        return F.linear(x, scale * self.A)

    def outputs(self) -> Tensor:
        """See `Factors.outputs`."""
        return self.B

    def dense(self) -> Tensor:
        """See `Factors.dense`; T = 1."""
        return (self.B @ self.A).T[:, :, None]


class TuckerFactors(Factors):
    """dW = G x1 U1 x2 U2 x3 U3 with G (p, q, v), U1 (d, p), U2 (k, q), U3 (T, v).

    G starts at 0 and the factors from N(0, 1), so dW = 0 at step 0 and only G gets the first
    task gradient; d*p + k*q + T*v + p*q*v parameters.

    Args:
        d: Inputs.
        k: Outputs.
        tasks: Number of tasks T.
        ranks: (p, q, v).
        regularise: Which of "U1", "U2", "G" the orthogonality regulariser sees.
    """

    linear = True
    kind = "tucker"
    task_rows = ("U3",)

    def __init__(
        self,
        d: int,
        k: int,
        tasks: int,
        ranks: tuple[int, int, int],
        regularise: Sequence[str] = ("U1", "U2", "G"),
    ) -> None:
        super().__init__()
        p, q, v = ranks
        self.G = nn.Parameter(torch.empty(p, q, v))
        self.U1 = nn.Parameter(torch.empty(d, p))
        self.U2 = nn.Parameter(torch.empty(k, q))
        self.U3 = nn.Parameter(torch.empty(tasks, v))
        self.regularise = tuple(regularise)
        self.reset()

    def reset(self) -> None:
        """See `Factors.reset`."""
        nn.init.zeros_(self.G)
        for factor in (self.U1, self.U2, self.U3):
            nn.init.normal_(factor)

    def narrow(self, x: Tensor, tasks: Sequence[int], scale: float = 1.0) -> Tensor:
        """See `Factors.narrow`: (x U1) C_t with C_t = sum_j U3[t, j] G[:, :, j]."""
        cores = torch.einsum("pqv,tv->tpq", self.G, scale * self.U3[list(tasks)])
        return (x @ self.U1) @ cores

    def outputs(self) -> Tensor:
        """See `Factors.outputs`: U2."""
        return self.U2

    def dense(self) -> Tensor:
        """See `Factors.dense`."""
        with tl.backend_context("pytorch", local_threadsafe=True):
            return tl.tucker_to_tensor((self.G, [self.U1, self.U2, self.U3]))

    def columns(self) -> list[Tensor]:
        """See `Factors.columns`: U1, U2 and every slice G[:, :, j], as selected; never U3."""
        named = {"U1": self.U1, "U2": self.U2, "G": self.G.permute(2, 0, 1)}
        return [named[name] for name in self.regularise]

    @torch.no_grad()
    def from_dense(self, update: Tensor) -> float:
        """Start from a given dW (d, k, T), for example stacked trained LoRAs.

        The closest update of these ranks by TensorLy's `tucker`; exact if dW has such ranks.
        Columns beyond what dW can fill keep their random draw under a zero core.

        Returns:
            What is left of dW's norm, as a share in 0..1; 0 for dW = 0.

        Raises:
            TypeError: dW has no real numbers.
            ValueError: dW has another shape or is not finite, or no result within its bound was found.
        """
        update = checked(update, (len(self.U1), len(self.U2), len(self.U3)))
        fit = tucker_fit(update, self.G.shape, self.G.dtype) if update.any() else None
        self.reset()
        if fit is None:
            return 0.0
        self.G[tuple(slice(size) for size in fit.core.shape)] = fit.core
        for own, found in zip((self.U1, self.U2, self.U3), fit.factors, strict=True):
            own[:, : found.shape[1]] = found
        return fit.residual


class CPFactors(Factors):
    """dW = sum_r w_r a_r o b_r o c_r with A (d, R), B (k, R), C (T, R) and w (R).

    The weights w start at 0 and A, B, C from N(0, 1): the counterpart of Tucker's zero core;
    R * (d + k + T) + R parameters.
    """

    linear = True
    kind = "cp"
    task_rows = ("C",)

    def __init__(self, d: int, k: int, tasks: int, rank: int) -> None:
        super().__init__()
        self.w = nn.Parameter(torch.empty(rank))
        self.A = nn.Parameter(torch.empty(d, rank))
        self.B = nn.Parameter(torch.empty(k, rank))
        self.C = nn.Parameter(torch.empty(tasks, rank))
        self.reset()

    def reset(self) -> None:
        """See `Factors.reset`."""
        nn.init.zeros_(self.w)
        for factor in (self.A, self.B, self.C):
            nn.init.normal_(factor)

    def narrow(self, x: Tensor, tasks: Sequence[int], scale: float = 1.0) -> Tensor:
        """See `Factors.narrow`: (x A) * w * c_t."""
        cores = scale * self.w * self.C[list(tasks)]
        return x @ self.A * cores[:, None, :]

    def outputs(self) -> Tensor:
        """See `Factors.outputs`: B."""
        return self.B

    def dense(self) -> Tensor:
        """See `Factors.dense`."""
        with tl.backend_context("pytorch", local_threadsafe=True):
            return tl.cp_to_tensor((self.w, [self.A, self.B, self.C]))

    def columns(self) -> list[Tensor]:
        """See `Factors.columns`: A and B, the counterparts of U1 and U2."""
        return [self.A, self.B]

    @torch.no_grad()
    def from_dense(self, update: Tensor, seed: int = 0) -> float:
        """Start from a given dW (d, k, T): the closest CP update that is found (see `cp_fit`).

        Columns beyond what dW needs keep their random draw under zero weights.

        Args:
            update: dW.
            seed: Of the search's random starts.

        Returns:
            What is left of dW's norm, as a share in 0..1; 0 for dW = 0. At most 1e-10 in float64 (2e-6 in
            float32) if the ranks of dW's slices along some mode add up to no more than R.

        Raises:
            TypeError: dW has no real numbers.
            ValueError: dW has another shape or is not finite, or no result within its bound was found.
        """
        update = checked(update, (len(self.A), len(self.B), len(self.C)))
        fit = cp_fit(update, self.w.numel(), self.w.dtype, seed) if update.any() else None
        self.reset()
        if fit is None:
            return 0.0
        self.w[: fit.core.numel()] = fit.core
        for own, found in zip((self.A, self.B, self.C), fit.factors, strict=True):
            own[:, : found.shape[1]] = found
        return fit.residual
