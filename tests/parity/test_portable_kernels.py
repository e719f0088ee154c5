"""The replaced kernels compute what torch's own do, for every shape, layout and way to call them."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from torch import Tensor

from tabench.engine import portable
from tabench.engine.portable import _KERNELS, replace_kernels

SIZES = st.integers(0, 6)
LAYOUTS = ("rows", "columns", "every second", "one for all")


def matrices(layout: str, *shape: int) -> Tensor:
    *stack, rows, columns = shape
    if layout == "columns":
        return torch.randn(*stack, columns, rows, dtype=torch.float64).mT
    if layout == "every second":
        return torch.randn(*stack, rows, 2 * columns, dtype=torch.float64)[..., ::2]
    if layout == "one for all":
        return torch.randn(*(1 for _ in stack), 1, columns, dtype=torch.float64).expand(shape)
    return torch.randn(shape, dtype=torch.float64)


@given(
    st.sampled_from(["mm", "bmm", "addmm", "baddbmm"]),
    st.tuples(SIZES, SIZES, SIZES, SIZES),
    st.tuples(*[st.sampled_from(LAYOUTS)] * 3),
    st.sampled_from([0, 1, -0.5]),
    st.sampled_from([1, 0.25]),
    st.sampled_from(["", ".out", "_"]),
)
def test_products_are_torchs(
    name: str, sizes: tuple[int, ...], layouts: tuple[str, ...], beta: float, alpha: float, way: str
) -> None:
    count, rows, inner, columns = sizes
    stack = (count,) if "bmm" in name else ()
    a, b = matrices(layouts[0], *stack, rows, inner), matrices(layouts[1], *stack, inner, columns)
    total = matrices(layouts[2], *stack, rows, columns)
    summed = "add" in name
    words, named = ((total, a, b), {"beta": beta, "alpha": alpha}) if summed else ((a, b), {})
    expected = getattr(torch, name)(*words, **named)
    if way == "_" and summed:
        total = total.clone()
        found = _KERNELS[f"{name}_"](total, a, b, **named)
        assert found is total
    elif way == ".out":
        found = torch.empty(0, dtype=torch.float64)
        _KERNELS[f"{name}.out"](*words, **named, out=found)
    else:
        found = _KERNELS[name](*words, **named)
    assert found.shape == expected.shape
    torch.testing.assert_close(found, expected, rtol=1e-12, atol=1e-12)


@pytest.mark.parametrize("name", ["sqrt", "acos", "atan"])
@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
def test_functions_are_torchs(name: str, dtype: torch.dtype) -> None:
    x = torch.cat(
        [torch.linspace(-1.5, 1.5, 301, dtype=dtype), torch.tensor([0.0, -0.0, torch.nan, torch.inf])]
    )
    x = x.to(dtype).reshape(5, 61).T
    expected = getattr(torch, name)(x)
    out = torch.empty(0, dtype=dtype)
    for found in (_KERNELS[name](x), _KERNELS[f"{name}_"](x.clone()), _KERNELS[f"{name}.out"](x, out=out)):
        torch.testing.assert_close(found, expected, equal_nan=True)
    assert _KERNELS[name](x[0, 0]).shape == ()


@pytest.fixture
def replaced() -> Iterator[None]:
    replace_kernels()
    yield
    portable._replaced.pop()._destroy()


def results() -> list[Tensor]:
    """Of layers and their derivatives, in precisions that NumPy has and in others."""
    torch.manual_seed(0)
    x = torch.randn(3, 5, 7, dtype=torch.float64, requires_grad=True)
    layer = torch.nn.Linear(7, 4, dtype=torch.float64)
    found = layer(x).square().sum() + (x @ x.mT).sigmoid().sum()
    found.backward()
    whole = torch.arange(12).reshape(3, 4)
    half = torch.randn(4, 4).bfloat16()
    gradients = [p.grad for p in (x, *layer.parameters()) if p.grad is not None]
    return [found.detach(), *gradients, whole @ whole.T, half @ half, torch.tensor([4, 9]).sqrt()]


def test_layers_and_derivatives_go_by_them(replaced: None, monkeypatch: pytest.MonkeyPatch) -> None:
    mine = results()
    portable._replaced.pop()._destroy()
    theirs = results()
    replace_kernels()
    for one, other in zip(mine, theirs, strict=True):
        torch.testing.assert_close(one, other, rtol=1e-12, atol=1e-12)
    counted = []
    monkeypatch.setattr(
        portable.np, "matmul", lambda *a, out: counted.append(1) or torch.from_numpy(out).zero_()
    )
    results()
    assert len(counted) >= 6  # forward and backward
