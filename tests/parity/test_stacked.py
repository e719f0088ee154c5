"""The reduced stacked update against TensorLy's dense tensor and its unfoldings."""

from __future__ import annotations

import numpy as np
import pytest
import tensorly as tl
from hypothesis import given, settings
from hypothesis import strategies as st

from tabench.methods.stacked import MODES, Array, Stacked, cosines, effective_rank

QUICK = settings(max_examples=25, deadline=None, database=None, derandomize=True)
size = st.integers(1, 9)


@st.composite
def updates(draw: st.DrawFn) -> tuple[Stacked, Array]:
    """A stacked update and the dense tensor that TensorLy (or the LoRA formula) gives for it."""
    rng = np.random.default_rng(draw(st.integers(0, 2**16)))
    d, k, tasks, rank = draw(size), draw(size), draw(st.integers(1, 4)), draw(st.integers(1, 6))
    kind = draw(st.sampled_from(["tucker", "cp", "lora"]))
    if kind == "tucker":
        p, q, v = rank, draw(st.integers(1, 6)), draw(st.integers(1, 5))
        G, factors = rng.normal(size=(p, q, v)), [rng.normal(size=s) for s in ((d, p), (k, q), (tasks, v))]
        return Stacked.tucker(G, *factors), tl.tucker_to_tensor((G, factors))
    if kind == "cp":
        w, factors = rng.normal(size=rank), [rng.normal(size=(n, rank)) for n in (d, k, tasks)]
        return Stacked.cp(w, *factors), tl.cp_to_tensor((w, factors))
    pairs = [(rng.normal(size=(r, d)), rng.normal(size=(k, r))) for r in rng.integers(1, 6, size=tasks)]
    return Stacked.loras(pairs), np.stack([(B @ A).T for A, B in pairs], axis=2)


def padded(values: Array, length: int) -> Array:
    return np.pad(values, (0, max(0, length - len(values))))[:length]


@QUICK
@given(updates())
def test_singular_values_are_those_of_the_dense_unfoldings(made: tuple[Stacked, Array]) -> None:
    stacked, dense = made
    assert stacked.shape == dense.shape
    for mode in MODES:
        expected = np.linalg.svd(tl.unfold(dense, mode - 1), compute_uv=False)
        got = stacked.singular_values(mode)
        assert np.all(np.diff(got) <= 0)
        length = max(len(got), len(expected))
        tolerance = 1e-12 * expected[0] * max(dense.shape)
        assert padded(got, length) == pytest.approx(padded(expected, length), abs=tolerance)


@QUICK
@given(updates())
def test_inner_products_and_slices_are_those_of_the_dense_tensor(made: tuple[Stacked, Array]) -> None:
    stacked, dense = made
    flat = tl.unfold(dense, 2)
    assert stacked.gram() == pytest.approx(flat @ flat.T, rel=1e-9, abs=1e-9 * np.linalg.norm(dense) ** 2)
    slices = [np.linalg.svd(dense[:, :, t], compute_uv=False) for t in range(dense.shape[2])]
    expected = np.sort(np.concatenate(slices))[::-1]
    got = stacked.separate_values()
    length = max(len(got), len(expected))
    assert padded(got, length) == pytest.approx(padded(expected, length), abs=1e-10 * expected[0])


def test_tasks_without_a_common_direction_have_the_slices_values() -> None:
    rng = np.random.default_rng(0)
    inputs, outputs = (np.linalg.qr(rng.normal(size=(12, 9)))[0] for _ in range(2))
    pairs = [(rng.normal(size=(3, 3)) @ inputs[:, s].T, outputs[:, s] @ rng.normal(size=(3, 3)))
             for s in (slice(0, 3), slice(3, 6), slice(6, 9))]  # fmt: skip
    stacked = Stacked.loras(pairs)
    for mode in (1, 2):
        assert stacked.singular_values(mode) == pytest.approx(stacked.separate_values()[:9])


@pytest.mark.parametrize(
    ("values", "expected"),
    [([1.0], 1.0), ([2.0, 2.0, 2.0], 3.0), ([1.0, 0.0], 1.0), ([0.5, 0.25, 0.25], 2**1.5)],
)
def test_effective_rank_by_hand(values: list[float], expected: float) -> None:
    assert effective_rank(np.array(values)) == pytest.approx(expected)


def test_no_effective_rank_of_nothing() -> None:
    with pytest.raises(ValueError, match="update of 0"):
        effective_rank(np.zeros(3))


def test_cosines_by_hand() -> None:
    vectors = np.array([[3.0, 4.0], [-4.0, 3.0], [6.0, 8.0], [0.0, 0.0]])
    got = cosines(vectors @ vectors.T)
    assert got[0][:3] == pytest.approx([1, 0, 1])
    assert got[3] == [None] * 4
    assert [row[3] for row in got] == [None] * 4
