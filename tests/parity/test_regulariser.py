"""The orthogonality regulariser against its formula, value and gradient."""

from __future__ import annotations

import pytest
import torch
from torch import Tensor, nn

from tabench.methods.factors import CPFactors, LoRAFactors, TuckerFactors
from tabench.methods.regulariser import regulariser


def deviation(x: Tensor) -> Tensor:
    return (x.T @ x - torch.eye(x.shape[1], dtype=x.dtype)).pow(2).sum().sqrt()


def layers(regularise: tuple[str, ...] = ("U1", "U2", "G")) -> nn.ModuleList:
    torch.manual_seed(0)
    made = nn.ModuleList(TuckerFactors(5, 7, 3, (4, 3, 2), regularise) for _ in range(3)).double()
    for layer in made:
        nn.init.normal_(layer.G)
    return made


@pytest.mark.parametrize("names", [("U1", "U2", "G"), ("U1",), ("U2", "G"), ("G",)])
def test_it_is_the_mean_over_all_matrices_of_all_layers(names: tuple[str, ...]) -> None:
    model = layers(names)
    norms = []
    for layer in model:
        matrices = {"U1": [layer.U1], "U2": [layer.U2], "G": list(layer.G.unbind(2))}
        norms += [deviation(x) for name in names for x in matrices[name]]
    expected = sum(norms) / len(norms)
    got = regulariser(model)
    torch.testing.assert_close(got, expected, rtol=1e-12, atol=0)
    leaves = list(model.parameters())
    mine = torch.autograd.grad(got, leaves, allow_unused=True)
    theirs = torch.autograd.grad(expected, leaves, allow_unused=True)
    for (name, _), a, b in zip(model.named_parameters(), mine, theirs, strict=True):
        used = name.split(".")[1] in names
        assert (b is not None) == used
        if used:
            torch.testing.assert_close(a, b, rtol=1e-10, atol=1e-12)
        else:
            assert a is None


def test_the_core_gets_no_gradient_at_zero() -> None:
    model = layers()
    for layer in model:
        layer.reset()
    regulariser(model).backward()
    for layer in model:
        assert torch.equal(layer.G.grad, torch.zeros_like(layer.G))
        assert layer.U3.grad is None
        assert layer.U1.grad.isfinite().all()
        assert layer.U1.grad.any()


def test_orthonormal_factors_give_zero_and_a_finite_gradient() -> None:
    layer = TuckerFactors(4, 4, 2, (4, 4, 2), ("U1", "U2")).double()
    with torch.no_grad():
        layer.U1.copy_(torch.eye(4))
        layer.U2.copy_(torch.eye(4))
    value = regulariser(layer)
    assert value == 0
    value.backward()
    assert layer.U1.grad.isfinite().all()


def test_cp_regularises_its_two_shared_factors() -> None:
    torch.manual_seed(0)
    layer = CPFactors(5, 7, 3, 4).double()
    value = regulariser(layer)
    torch.testing.assert_close(value, (deviation(layer.A) + deviation(layer.B)) / 2)
    value.backward()
    assert layer.C.grad is None
    assert layer.w.grad is None


def test_it_is_zero_where_nothing_is_regularised() -> None:
    assert regulariser(LoRAFactors(5, 7, 2)) == 0
    assert regulariser(layers(())) == 0
