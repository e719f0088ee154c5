"""The kernels for attention on a CUDA device: equal, repeatable where they say so, and chosen once."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
import torch
from tiny_run import make_cell

from tabench.encoders.sam import attention_choice
from tabench.encoders.sam.attention_choice import NEAR, Case, choose, choose_one, try_kernel
from tabench.encoders.sam.attention_cuda import DEFAULT, KERNELS, VARYING
from tabench.encoders.sam.family import VIT_B, VIT_H
from tabench.engine.batch_split import BatchSplit
from tabench.engine.process_group import ProcessGroup
from tabench.runs.compute import kernels_of
from tabench.store.folders import CellFolder

DEVICE = torch.device("cuda")
pytestmark = pytest.mark.filterwarnings("ignore:The .grad attribute of a Tensor")
DTYPES = pytest.mark.parametrize("dtype", ["float32", "bfloat16"])
SIDES = pytest.mark.parametrize("side", [14, 64])
DIMS = pytest.mark.parametrize("dim", [64, 80])  # of ViT-B and L, of ViT-H


@pytest.fixture
def strict() -> Iterator[None]:
    torch.set_deterministic_debug_mode("error")
    yield
    torch.set_deterministic_debug_mode("default")


@DTYPES
@SIDES
@DIMS
@pytest.mark.parametrize("kernel", KERNELS)
def test_outputs_and_all_gradients_by_norm(kernel: str, side: int, dim: int, dtype: str) -> None:
    case = Case(16, side, dim, 1, dtype)
    theirs = try_kernel(DEFAULT, case, DEVICE).results[0]
    for mine in try_kernel(kernel, case, DEVICE).results:  # the second one with its work done again
        for one, other in zip(mine, theirs, strict=True):
            assert (one.double() - other.double()).norm() < NEAR[dtype] * other.double().norm()


@DTYPES
@SIDES
@DIMS
@pytest.mark.usefixtures("strict")
def test_two_passes_are_equal_where_a_kernel_says_so(side: int, dim: int, dtype: str) -> None:
    for kernel in set(KERNELS) - VARYING:
        first, second = try_kernel(kernel, Case(16, side, dim, 1, dtype), DEVICE).results
        assert all(torch.equal(one, other) for one, other in zip(first, second, strict=True)), kernel


def test_more_matrices_than_a_launch_takes() -> None:
    assert choose_one(Case(70_000, 4, 8, 1, "bfloat16"), DEVICE, strict=False)["ms"].keys() == KERNELS.keys()


def test_every_kernel_is_timed_where_runs_may_differ() -> None:
    found = choose_one(Case(16, 64, 80, 1, "bfloat16"), DEVICE, strict=False)
    assert (found["ms"].keys(), found["left_out"]) == (KERNELS.keys(), {})


@DTYPES
@pytest.mark.usefixtures("strict")
def test_the_choice_is_measured_once(dtype: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TABENCH_CACHE", str(tmp_path))
    for sizes in (VIT_B, VIT_H):
        found = choose(sizes, 1, DEVICE, dtype)
        assert found.keys() == {"14x14", "64x64"}
        assert all("flex" in one["left_out"] and one["ms"][DEFAULT] > 0 for one in found.values())
        monkeypatch.setattr(attention_choice, "choose_one", None)
        assert choose(sizes, 1, DEVICE, dtype) == found
        monkeypatch.undo()
        monkeypatch.setenv("TABENCH_CACHE", str(tmp_path))


def test_a_cell_has_its_kernels(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TABENCH_CACHE", str(tmp_path))
    folder = CellFolder(tmp_path, "one", "0" * 16)
    cell = make_cell("ta-lora", train__precision="bf16")
    assert kernels_of(cell, BatchSplit(images=2), DEVICE, folder, ProcessGroup()).keys() == {"6x6", "12x12"}
