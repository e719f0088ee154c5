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


def test_selected_tasks_use_their_own_rows() -> None:
    torch.manual_seed(0)
    for made in (TuckerFactors(4, 6, 3, (2, 2, 2)), CPFactors(4, 6, 3, 2)):
        for parameter in made.parameters():
            nn.init.normal_(parameter)
        fold = TaskFold(3)
        layer = AdaptedLinear(nn.Linear(4, 6), made, fold, chosen=(0, 1, 2), scale=1.0, dropout=0.0)
        x = torch.randn(3, 2, 4)
        everything = layer(x)
        with fold.select([2, 0]):
            some = layer(x[[2, 0]])
        torch.testing.assert_close(some, everything[[2, 0]])
        assert fold.tasks == (0, 1, 2)


def test_dropout_is_drawn_per_task_and_only_on_the_update() -> None:
    torch.manual_seed(0)
    made = TuckerFactors(16, 6, 2, (4, 4, 2))
    layer = AdaptedLinear(nn.Linear(16, 6), made, TaskFold(2), chosen=(0, 1, 2), scale=1.0, dropout=0.5)
    x = torch.randn(1, 8, 16).repeat(2, 1, 1)
    assert torch.equal(layer(x), layer.base(x))
    nn.init.normal_(made.G)
    with torch.no_grad():
        made.U3[1] = made.U3[0]
    first, second = layer(x)
    assert not torch.allclose(first, second)
    layer.eval()
    first, second = layer(x)
    torch.testing.assert_close(first, second)


@pytest.mark.parametrize(
    ("d", "k", "tasks", "ranks", "spare"),
    [(7, 9, 3, (2, 3, 2), (0, 0, 0)), (7, 9, 3, (2, 2, 3), (1, 0, 4)), (3, 4, 1, (2, 2, 1), (4, 4, 1))],
)
def test_tucker_recovers_a_known_low_rank_update(
    d: int, k: int, tasks: int, ranks: tuple[int, int, int], spare: tuple[int, int, int]
) -> None:
    torch.manual_seed(0)
    known = TuckerFactors(d, k, tasks, ranks).double()
    nn.init.normal_(known.G)
    update = known.dense().detach()
    p, q, v = (rank + more for rank, more in zip(ranks, spare, strict=True))
    found = TuckerFactors(d, k, tasks, (p, q, v)).double()
    found.from_dense(update)
    assert_close(found.dense(), update, torch.float64)


def test_tucker_cannot_recover_more_than_its_ranks() -> None:
    torch.manual_seed(0)
    update = torch.randn(7, 9, 3, dtype=torch.float64)
    found = TuckerFactors(7, 9, 3, (2, 2, 2)).double()
    found.from_dense(update)
    assert (found.dense() - update).norm() > 0.1 * update.norm()


def test_cp_recovers_a_known_low_rank_update() -> None:
    torch.manual_seed(0)
    known = CPFactors(7, 9, 3, 2).double()
    nn.init.normal_(known.w)
    update = known.dense().detach()
    found = CPFactors(7, 9, 3, 2).double()
    found.from_dense(update)
    assert (found.dense() - update).norm() / update.norm() < 1e-6


@pytest.mark.parametrize("dtype", list(TOLERANCE), ids=["fp64", "fp32"])
def test_cp_of_an_overlarge_rank_is_exact_from_every_seed(dtype: torch.dtype) -> None:
    for seed in range(20):
        torch.manual_seed(seed)
        update = torch.randn(5, 6, 3, dtype=dtype)
        for rank in (40, 15):  # 15 = min(dk, dT, kT) terms are enough for any update of this shape
            found = CPFactors(5, 6, 3, rank).to(dtype)
            left = found.from_dense(update)
            assert left <= TOLERANCE[dtype]
            assert (found.dense() - update).detach().norm() / update.norm() <= TOLERANCE[dtype]


@pytest.mark.parametrize(("d", "k", "tasks", "rank"), [(7, 9, 3, 4), (8, 12, 4, 6), (3, 12, 9, 5)])
def test_cp_of_a_known_update_is_exact_where_its_columns_are_independent(
    d: int, k: int, tasks: int, rank: int
) -> None:
    for seed in range(5):
        torch.manual_seed(seed)
        known = CPFactors(d, k, tasks, rank).double()
        nn.init.normal_(known.w)
        update = known.dense().detach()
        assert CPFactors(d, k, tasks, rank).double().from_dense(update) <= 1e-10


def made_of(kind: str, tasks: int) -> CPFactors | TuckerFactors:
    return CPFactors(4, 6, tasks, 5) if kind == "cp" else TuckerFactors(4, 6, tasks, (3, 3, 2))


@pytest.mark.parametrize("kind", ["cp", "tucker"])
def test_what_is_left_of_an_update_is_told_whatever_its_scale_and_zeros_stay_zeros(kind: str) -> None:
    for tasks in (1, 2, 3, 8):
        made = made_of(kind, tasks).double()
        torch.manual_seed(tasks)
        update = torch.randn(4, 6, tasks, dtype=torch.float64)
        left = made.from_dense(update)
        assert left == pytest.approx(float((made.dense().detach() - update).norm() / update.norm()))
        assert left < 1
        for scale in (1e-150, 1e150):
            assert made.from_dense(scale * update) == pytest.approx(left)
        assert made.from_dense(torch.zeros_like(update)) == 0
        assert not made.dense().detach().any()
        assert all(parameter.isfinite().all() for parameter in made.parameters())


@pytest.mark.parametrize("kind", ["cp", "tucker"])
def test_what_is_no_update_is_refused_and_changes_nothing(kind: str) -> None:
    made = made_of(kind, 3)
    before = [parameter.detach().clone() for parameter in made.parameters()]
    update = torch.randn(4, 6, 3)
    with pytest.raises(TypeError, match=r"real numbers, not torch\.int64"):
        made.from_dense(update.long())
    with pytest.raises(ValueError, match=r"\(4, 6, 3\), not \(6, 4, 3\)"):
        made.from_dense(update.transpose(0, 1))
    with pytest.raises(ValueError, match="NaN or infinite"):
        made.from_dense(update / 0)
    with pytest.raises(ValueError, match=r"cannot be kept as factors of torch\.float32"):
        made.from_dense(update.double() * 1e60)
    for parameter, old in zip(made.parameters(), before, strict=True):
        assert torch.equal(parameter, old)
