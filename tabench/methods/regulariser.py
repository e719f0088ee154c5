"""The orthogonality regulariser of the factored updates."""

from __future__ import annotations

import torch
from torch import Tensor, nn


def regulariser(model: nn.Module) -> Tensor:
    """Mean of ||X^T X - I||_F over every regularised matrix X of a model.

    The norm is not squared. X runs over U1, U2 and each slice G[:, :, j] (Tucker, as selected by
    "regularise"; U3 never) or A and B (CP); every matrix counts once in the mean, however many layers share
    it. At G = 0 the gradient on G is exactly 0. The weight lambda (the hyper-parameter that a method names as
    its `penalty_weight`) is the caller's factor; the term is added once per optimiser step.

    Returns:
        A scalar; 0 without gradient if nothing is regularised.
    """
    norms = [_deviation(columns).reshape(-1) for columns in regularised(model)]
    if not norms:
        return torch.zeros((), device=next(model.parameters()).device)
    return torch.cat(norms).mean()


def regularised(model: nn.Module) -> list[Tensor]:
    """The matrices (..., rows, columns) that the regulariser sees, each once.

    They are what a module's method `columns` returns, for every module whose class has one.
    """
    # Asked of the class: each step asks every module of the model, and most say no.
    owners = [module for module in model.modules() if hasattr(type(module), "columns")]
    every: list[Tensor] = [columns for module in owners for columns in module.columns()]  # type: ignore[operator]
    # Views of one parameter are objects of their own. They are the same matrix where they lie on the same
    # numbers alike; all of them are held until then, so that no memory is used a second time.
    return list({_place(columns): columns for columns in reversed(every)}.values())[::-1]


def _place(matrix: Tensor) -> tuple[object, ...]:
    held = matrix.untyped_storage()._cdata
    return held, matrix.storage_offset(), tuple(matrix.shape), matrix.stride()


def _deviation(columns: Tensor) -> Tensor:
    # Gram matrices near the identity lose all their digits in bf16.
    with torch.autocast(columns.device.type, enabled=False):
        gram = columns.mT @ columns
        identity = torch.eye(gram.shape[-1], device=gram.device, dtype=gram.dtype)
        return torch.linalg.matrix_norm(gram - identity)
