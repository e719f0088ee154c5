"""Attention in slabs against SAM's own: outputs and gradients in double precision."""

from __future__ import annotations

import pytest
import torch
from segment_anything.modeling.image_encoder import add_decomposed_rel_pos
from torch import Tensor
from torch.utils.flop_counter import FlopCounterMode

from tabench.encoders.sam import attention
from tabench.encoders.sam.attention import attend


def sams_own(q: Tensor, k: Tensor, v: Tensor, tables: tuple[Tensor, Tensor], grid: tuple[int, int]) -> Tensor:
    scores = (q * q.shape[-1] ** -0.5) @ k.transpose(-2, -1)
    return add_decomposed_rel_pos(scores, q, *tables, grid, grid).softmax(dim=-1) @ v


def made(grid: tuple[int, int], matrices: int = 3, dtype: torch.dtype = torch.float64) -> list[Tensor]:
    torch.manual_seed(0)
    tokens, dim = grid[0] * grid[1], 5
    sizes = [(matrices, tokens, dim)] * 3 + [(2 * side - 1, dim) for side in grid]
    return [torch.randn(size, dtype=dtype, requires_grad=True) for size in sizes]


def found(way: object, tensors: list[Tensor], grid: tuple[int, int]) -> list[Tensor]:
    q, k, v, *tables = tensors
    out = way(q, k, v, tuple(tables), grid)  # type: ignore[operator]
    weights = torch.linspace(-1, 1, out.numel(), dtype=out.dtype).view_as(out)
    return [out, *torch.autograd.grad((out.tanh() * weights).sum(), tensors)]


@pytest.mark.parametrize("grid", [(4, 4), (3, 5), (1, 7)], ids=str)
@pytest.mark.parametrize("kept", [0, 1 << 22], ids=["made-again", "kept"])
@pytest.mark.parametrize("slab", [1, 40, 300, 1 << 18], ids=["a-row", "some-rows", "some-matrices", "all"])
def test_slabs(grid: tuple[int, int], kept: int, slab: int, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(attention, "SLAB", slab)
    monkeypatch.setattr(attention, "ROWS", max(1, slab // 100))
    monkeypatch.setattr(attention, "KEPT", kept)
    tensors = made(grid)
    for mine, theirs in zip(found(attend, tensors, grid), found(sams_own, tensors, grid), strict=True):
        torch.testing.assert_close(mine, theirs, rtol=1e-10, atol=1e-12)


def test_frozen_inputs_get_no_gradient() -> None:
    q, k, v, *tables = (t.detach() for t in made((4, 4)))
    v.requires_grad_()
    out = attend(q, k, v, (tables[0], tables[1]), (4, 4))
    (slope,) = torch.autograd.grad(out.sum(), [v])
    # all weights of a query sum to 1, and every query asks once
    torch.testing.assert_close(slope.sum(), torch.tensor(float(v.numel()), dtype=torch.float64))


def test_half_precision_sums_its_softmax_in_single() -> None:
    grid = (8, 8)
    exact = found(sams_own, made(grid, dtype=torch.float32), grid)[0]
    half = attend(
        *(t.detach().bfloat16() for t in made(grid, dtype=torch.float32)[:3]),
        tuple(t.detach().bfloat16() for t in made(grid, dtype=torch.float32)[3:]),  # type: ignore[arg-type]
        grid,
    )
    assert half.dtype == torch.bfloat16
    torch.testing.assert_close(half.float(), exact, rtol=5e-2, atol=5e-2)


@pytest.mark.parametrize("kept", [0, 1 << 22], ids=["made-again", "kept"])
def test_a_layer_that_answers_in_single_precision_under_autocast(
    kept: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(attention, "KEPT", kept)
    grid = (4, 4)
    tensors = made(grid, dtype=torch.float32)
    with torch.autocast("cpu", torch.bfloat16):
        mine, theirs = found(attend, tensors, grid), found(sams_own, tensors, grid)
    assert [value.dtype for value in mine] == [value.dtype for value in theirs]
    for value, expected in zip(mine, found(sams_own, tensors, grid), strict=True):
        assert (value.float() - expected).abs().max() < 5e-2 * expected.abs().max()


@pytest.mark.parametrize("again", [False, True], ids=["kept", "made-again"])
def test_all_of_its_products_are_counted(again: bool, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(attention, "KEPT", 0 if again else 1 << 22)
    grid = (4, 5)
    tensors = made(grid)
    with FlopCounterMode(display=False) as counter:
        found(attend, tensors, grid)
    matrices, tokens, dim = tensors[0].shape
    product = 2 * matrices * tokens * tokens * dim
    relative = 3 * 2 * matrices * tokens * sum(grid) * dim  # forward, and of both factors' gradients
    assert counter.get_total_flops() == (2 + 4 + again) * product + relative
