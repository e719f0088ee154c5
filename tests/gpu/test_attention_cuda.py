"""The ways to attention on a CUDA device: equal, repeatable where they say so, and chosen once."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path

import pytest
import torch

from tabench.encoders.sam.attention_choice import NEAR, Case, cases, choose, try_way
from tabench.encoders.sam.attention_cuda import DEFAULT, WAYS
from tabench.encoders.sam.family import VIT_B
from tabench.engine.process_group import ProcessGroup
from tabench.runs.kept_choice import kept_choice
from tabench.store.folders import CellFolder

DEVICE = torch.device("cuda")
pytestmark = pytest.mark.filterwarnings("ignore:The .grad attribute of a Tensor")
DTYPES = pytest.mark.parametrize("dtype", ["float32", "bfloat16"])
GRIDS = pytest.mark.parametrize("grid", [(14, 14), (64, 64)], ids=["windowed", "global"])


def case(grid: tuple[int, int], dtype: str) -> Case:
    return Case(24, grid, 64, 1, dtype)


@pytest.fixture
def strict() -> Iterator[None]:
    torch.use_deterministic_algorithms(True)
    yield
    torch.use_deterministic_algorithms(False)


@DTYPES
@GRIDS
@pytest.mark.parametrize("name", WAYS)
def test_outputs_and_all_gradients_by_norm(name: str, grid: tuple[int, int], dtype: str) -> None:
    mine, theirs = (try_way(way, case(grid, dtype), DEVICE).results for way in (name, DEFAULT))
    for one, other in zip(mine, theirs, strict=True):
        assert (one.double() - other.double()).norm() < NEAR[dtype] * other.double().norm()


@DTYPES
@GRIDS
@pytest.mark.parametrize("name", [name for name, way in WAYS.items() if way.deterministic])
@pytest.mark.usefixtures("strict")
def test_two_passes_are_equal_where_a_way_says_so(name: str, grid: tuple[int, int], dtype: str) -> None:
    assert try_way(name, case(grid, dtype), DEVICE).repeats


@DTYPES
@pytest.mark.usefixtures("strict")
def test_the_choice_is_recorded_and_kept(dtype: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TABENCH_CACHE", str(tmp_path / "cache"))
    folder = CellFolder(tmp_path, "one", "0" * 16)
    found = kept_choice(folder, VIT_B, lambda: VIT_B.choose(1, DEVICE, dtype), ProcessGroup())
    assert [choice["grid"] for choice in found] == [[14, 14], [64, 64]]
    for choice in found:
        assert WAYS[choice["way"]].deterministic
        assert choice["ms"][DEFAULT] > 0
        assert "flex" in choice["left_out"]
    assert json.loads(folder.attention.read_text()) == found
    assert [one.way for one in choose(cases(VIT_B, 1, dtype), DEVICE)] == [one["way"] for one in found]
