"""Factored updates of one layer for T tasks: LoRA, Tucker and CP.

All hold an update tensor dW (d, k, T), d inputs and k outputs, and apply slice t to task t's
rows without building it. `dense` builds it, Tucker and CP through TensorLy, for merging and tests.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Sequence
from typing import ClassVar

import torch
from torch import Tensor, nn
from torch.nn import functional as F


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
        """All of the update but its last product, which every task shares: (T, M, q), times `scale`.

        The rows x are (T, M, d) for T = len(tasks), or (1, M, d) where all tasks have the same. Factors that
        do not tell tasks apart may return (1, M, q).
        """

    @abstractmethod
    def outputs(self) -> Tensor:
        """The matrix (k, q) of the last product."""

    def forward(self, x: Tensor, tasks: Sequence[int]) -> Tensor:
        """x[i] dW[:, :, tasks[i]], (len(tasks), M, k), of the rows x (len(tasks), M, d) of each task."""
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
        # The scale goes onto the smaller operand: the rows of a batch are many times A.
        return F.linear(x, scale * self.A)

    def outputs(self) -> Tensor:
        """See `Factors.outputs`."""
        return self.B

    def dense(self) -> Tensor:
        """See `Factors.dense`; T = 1."""
        return (self.B @ self.A).T[:, :, None]


class Decomposed(Factors):
    """A stacked update as a core and a factor matrix of each mode (inputs, outputs, tasks).

    The core starts at 0 and the factors from N(0, 1), so dW = 0 at step 0 and only the core gets the first
    task gradient.
    """

    @abstractmethod
    def parts(self) -> tuple[nn.Parameter, list[nn.Parameter]]:
        """The core, and the three factor matrices with a row for each index of a mode."""

    def reset(self) -> None:
        """See `Factors.reset`."""
        core, factors = self.parts()
        nn.init.zeros_(core)
        for factor in factors:
            nn.init.normal_(factor)

    def dense(self) -> Tensor:
        """See `Factors.dense`."""
        import tensorly as tl  # with SciPy half a second, which training has no use for

        core, factors = self.parts()
        # In this thread alone: TensorLy's backend is a setting of the process, and others may use NumPy's.
        with tl.backend_context("pytorch", local_threadsafe=True):
            make = tl.cp_to_tensor if core.ndim == 1 else tl.tucker_to_tensor
            return make((core, factors))


class TuckerFactors(Decomposed):
    """dW = G x1 U1 x2 U2 x3 U3 with G (p, q, v), U1 (d, p), U2 (k, q), U3 (T, v).

    The core is G; d*p + k*q + T*v + p*q*v parameters. `regularise` names those of "U1", "U2" and "G" that the
    orthogonality regulariser sees.
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

    def parts(self) -> tuple[nn.Parameter, list[nn.Parameter]]:
        """See `Decomposed.parts`."""
        return self.G, [self.U1, self.U2, self.U3]

    def narrow(self, x: Tensor, tasks: Sequence[int], scale: float = 1.0) -> Tensor:
        """See `Factors.narrow`: (x U1) C_t with C_t = sum_j U3[t, j] G[:, :, j]."""
        # Tasks are contracted first: T cores of p x q are small, and rows never meet the task mode.
        cores = torch.einsum("pqv,tv->tpq", self.G, scale * self.U3[list(tasks)])
        return (x @ self.U1) @ cores

    def outputs(self) -> Tensor:
        """See `Factors.outputs`: U2."""
        return self.U2

    def columns(self) -> list[Tensor]:
        """See `Factors.columns`: U1, U2 and every slice G[:, :, j], as selected; never U3."""
        # G's slices lie along its last axis; a matrix norm reads the last two.
        named = {"U1": self.U1, "U2": self.U2, "G": self.G.permute(2, 0, 1)}
        return [named[name] for name in self.regularise]


class CPFactors(Decomposed):
    """dW = sum_r w_r a_r o b_r o c_r with A (d, R), B (k, R), C (T, R) and w (R).

    The weights w are the counterpart of Tucker's core; R * (d + k + T) + R parameters.
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

    def parts(self) -> tuple[nn.Parameter, list[nn.Parameter]]:
        """See `Decomposed.parts`."""
        return self.w, [self.A, self.B, self.C]

    def narrow(self, x: Tensor, tasks: Sequence[int], scale: float = 1.0) -> Tensor:
        """See `Factors.narrow`: (x A) * w * c_t."""
        # w and a task's row of C make one diagonal core, so that the rows are scaled once.
        cores = scale * self.w * self.C[list(tasks)]
        return x @ self.A * cores[:, None, :]

    def outputs(self) -> Tensor:
        """See `Factors.outputs`: B."""
        return self.B

    def columns(self) -> list[Tensor]:
        """See `Factors.columns`: A and B, the counterparts of U1 and U2."""
        return [self.A, self.B]
