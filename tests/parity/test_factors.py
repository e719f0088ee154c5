"""The factored forward and backward against TensorLy's dense update, for any shape."""

from __future__ import annotations

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Tensor, nn

from tabench.methods.factors import CPFactors, Factors, LoRAFactors, TuckerFactors
from tabench.methods.injection import AdaptedLinear, TaskFold

QUICK = settings(max_examples=25, deadline=None, database=None, derandomize=True)
TOLERANCE = {torch.float64: 1e-10, torch.float32: 1e-5}
DTYPES = pytest.mark.parametrize("dtype", list(TOLERANCE), ids=["fp64", "fp32"])
small = st.integers(1, 5)


@st.composite
def factors(draw: st.DrawFn, k: int | None = None, tasks: int | None = None) -> tuple[Factors, int]:
    """Random factors, nothing at zero, and their number of tasks."""
    d, k = draw(st.integers(1, 9)), k or draw(st.integers(1, 9))
    tasks = tasks or draw(st.integers(1, 4))
    torch.manual_seed(draw(st.integers(0, 2**16)))
    kind = draw(st.sampled_from(["tucker", "cp", "lora"]))
    made: Factors
    if kind == "tucker":
        made = TuckerFactors(d, k, tasks, (draw(small), draw(small), draw(small)))
    elif kind == "cp":
        made = CPFactors(d, k, tasks, draw(small))
    else:
        made, tasks = LoRAFactors(d, k, draw(small)), 1
    for parameter in made.parameters():
        nn.init.normal_(parameter)
    return made, tasks


def inputs_of(made: Factors) -> int:
    return made.U1.shape[0] if isinstance(made, TuckerFactors) else made.dense().shape[0]


def assert_close(got: Tensor, expected: Tensor, dtype: torch.dtype) -> None:
    scale = expected.norm().clamp_min(1e-30)
    assert (got - expected).norm() / scale < TOLERANCE[dtype]


def assert_same_gradients(got: Tensor, expected: Tensor, leaves: list[Tensor]) -> None:
    dtype = expected.dtype
    assert_close(got, expected, dtype)
    weights = torch.randn_like(expected)
    mine = torch.autograd.grad((got * weights).sum(), leaves)
    theirs = torch.autograd.grad((expected * weights).sum(), leaves)
    for a, b in zip(mine, theirs, strict=True):
        assert_close(a, b, dtype)


@DTYPES
@QUICK
@given(made=factors(), rows=st.integers(1, 6))
def test_forward_and_gradients_equal_the_dense_update(
    dtype: torch.dtype, made: tuple[Factors, int], rows: int
) -> None:
    module, tasks = made[0].to(dtype), made[1]
    x = torch.randn(tasks, rows, inputs_of(module), dtype=dtype, requires_grad=True)
    expected = torch.einsum("tmd,dkt->tmk", x, module.dense())
    assert_same_gradients(module(x, range(tasks)), expected, [x, *module.parameters()])


def test_dense_follows_the_written_formulas() -> None:
    torch.manual_seed(0)
    tucker = TuckerFactors(4, 6, 3, (2, 3, 2)).double()
    cp = CPFactors(4, 6, 3, 5).double()
    nn.init.normal_(tucker.G)
    nn.init.normal_(cp.w)
    written = torch.einsum("pqv,dp,kq,tv->dkt", tucker.G, tucker.U1, tucker.U2, tucker.U3)
    assert_close(tucker.dense(), written, torch.float64)
    summed = sum(
        cp.w[r] * cp.A[:, r, None, None] * cp.B[None, :, r, None] * cp.C[None, None, :, r] for r in range(5)
    )
    assert isinstance(summed, Tensor)
    assert_close(cp.dense(), summed, torch.float64)


@DTYPES
@QUICK
@given(
    data=st.data(),
    tasks=st.integers(1, 3),
    letters=st.sampled_from([(0,), (1,), (2,), (0, 1), (0, 2), (1, 2), (0, 1, 2)]),
    scale=st.sampled_from([0.5, 1.0, 3.0]),
)
def test_adapted_layer_equals_a_dense_weight_per_task(
    dtype: torch.dtype, data: st.DataObject, tasks: int, letters: tuple[int, ...], scale: float
) -> None:
    dim = data.draw(st.integers(1, 4))
    made, tasks = data.draw(factors(k=dim * len(letters), tasks=tasks))
    d = inputs_of(made)
    layer = AdaptedLinear(
        nn.Linear(d, 3 * dim), made, TaskFold(tasks), chosen=letters, scale=scale, dropout=0.0
    ).to(dtype)
    x = torch.randn(tasks * 2, 3, 2, d, dtype=dtype, requires_grad=True)  # two windows a task

    update = layer.factors.dense()
    blocks = []
    for part in range(3):
        if part in letters:
            first = letters.index(part) * dim
            blocks.append(update[:, first : first + dim])
        else:
            blocks.append(torch.zeros(d, dim, tasks, dtype=dtype))
    whole = torch.cat(blocks, dim=1)
    expected = torch.cat(
        [
            nn.functional.linear(part, layer.base.weight + scale * whole[:, :, task].T, layer.base.bias)
            for task, part in enumerate(x.chunk(tasks))
        ]
    )
    got = layer(x)
    assert_same_gradients(got, expected, [x, *layer.parameters()])
    merged = torch.cat([layer.merged(task)(part) for task, part in enumerate(x.chunk(tasks))])
    assert_close(merged, got.detach(), dtype)


@pytest.mark.parametrize(
    ("made", "moving"),
    [
        (TuckerFactors(5, 6, 3, (2, 3, 4)), {"G"}),
        (CPFactors(5, 6, 3, 4), {"w"}),
        (LoRAFactors(5, 6, 4), {"B"}),
    ],
    ids=["tucker", "cp", "lora"],
)
def test_the_update_starts_at_zero_and_one_factor_moves_first(made: Factors, moving: set[str]) -> None:
    made.reset()
    assert torch.count_nonzero(made.dense()) == 0
    tasks = 1 if isinstance(made, LoRAFactors) else 3
    layer = AdaptedLinear(nn.Linear(5, 6), made, TaskFold(tasks), chosen=(0, 1, 2), scale=0.5, dropout=0.0)
    x = torch.randn(tasks * 2, 5)
    assert torch.equal(layer(x), layer.base(x))
    layer(x).square().sum().backward()
    got = {name for name, p in made.named_parameters() if p.grad is not None and p.grad.any()}
    assert got == moving
