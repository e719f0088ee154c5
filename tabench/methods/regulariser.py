"""The orthogonality regulariser of the factored updates."""

from __future__ import annotations

import torch
from torch import Tensor, nn

from tabench.methods.factors import Factors


def regulariser(model: nn.Module) -> Tensor:
    """Mean of ||X^T X - I||_F over every regularised matrix X of every adapted layer.

    The norm is not squared. X runs over U1, U2 and each slice G[:, :, j] (Tucker, as selected by
    "regularise"; U3 never) or A and B (CP); every matrix of every layer counts once in the mean.
    At G = 0 the gradient on G is exactly 0. The weight lambda ("orthogonality") is the caller's
    factor; the term is added once per optimiser step.

    Returns:
        A scalar; 0 without gradient if nothing is regularised.
    """
    norms = [_deviation(columns).reshape(-1) for columns in regularised(model)]
    if not norms:
        return torch.zeros((), device=next(model.parameters()).device)
    return torch.cat(norms).mean()


def regularised(model: nn.Module) -> list[Tensor]:
    """The matrices (..., rows, columns) that the regulariser sees."""
    return [
        columns for module in model.modules() if isinstance(module, Factors) for columns in module.columns()
    ]


def _deviation(columns: Tensor) -> Tensor:
    with torch.autocast(columns.device.type, enabled=False):
        gram = columns.mT @ columns
        identity = torch.eye(gram.shape[-1], device=gram.device, dtype=gram.dtype)
        return torch.linalg.matrix_norm(gram - identity)
