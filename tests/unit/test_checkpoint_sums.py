"""A checkpoint is believed only if it is, byte for byte, what was written."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
import torch
from safetensors.torch import load_file, save_file
from torch import nn

from tabench.engine.checkpoint import CheckpointStore
from tabench.engine.state import State
from tabench.errors import CheckpointError, StoreError
from tabench.store.checksums import check_folder_sums

FILES = ("model.safetensors", "optimizer.safetensors", "best.safetensors", "state.json")


@pytest.fixture
def trained() -> dict[str, nn.Parameter]:
    torch.manual_seed(0)
    return {"a": nn.Parameter(torch.randn(3, 2)), "b": nn.Parameter(torch.randn(4))}


def adam(trained: dict[str, nn.Parameter]) -> torch.optim.Adam:
    optimizer = torch.optim.Adam(trained.values())
    for parameter in trained.values():
        parameter.grad = torch.ones_like(parameter)
    optimizer.step()
    return optimizer


@pytest.fixture
def checkpoints(trained: dict[str, nn.Parameter], tmp_path: Path) -> CheckpointStore:
    checkpoints = CheckpointStore(tmp_path / "all")
    best = {name: value.detach() for name, value in trained.items()}
    checkpoints.save(trained, adam(trained), State(step=3, sums={"loss": 1.5}, summed=1, best_weights=best))
    return checkpoints


def folder_of(checkpoints: CheckpointStore) -> Path:
    folder = checkpoints.latest()
    assert folder is not None
    return folder


@pytest.mark.parametrize("name", FILES)
def test_one_bit_of_any_file_is_noticed_and_named(
    name: str, checkpoints: CheckpointStore, trained: dict[str, nn.Parameter]
) -> None:
    path = folder_of(checkpoints) / name
    whole = path.read_bytes()
    for at in (len(whole) // 2, len(whole) - 2):  # inside the values: a shape or a key is noticed anyway
        path.write_bytes(whole[:at] + bytes([whole[at] ^ 1]) + whole[at + 1 :])
        with pytest.raises(CheckpointError, match="has changed since it was written") as caught:
            checkpoints.load(trained, adam(trained))
        assert str(path) in str(caught.value)
        assert "delete the checkpoint's folder" in str(caught.value)
        with pytest.raises(StoreError, match=name):
            check_folder_sums(path.parent)
        path.write_bytes(whole)
    state = checkpoints.load(trained, adam(trained))
    assert state is not None
    assert state.step == 3


def test_nothing_of_a_changed_checkpoint_is_used(
    checkpoints: CheckpointStore, trained: dict[str, nn.Parameter]
) -> None:
    path = folder_of(checkpoints) / "optimizer.safetensors"
    whole = path.read_bytes()
    path.write_bytes(whole[:-1] + bytes([whole[-1] ^ 1]))
    with torch.no_grad():
        for value in trained.values():
            value.fill_(7.0)
    with pytest.raises(CheckpointError):
        checkpoints.load(trained, torch.optim.Adam(trained.values()))
    assert all(bool((value == 7.0).all()) for value in trained.values())


@pytest.mark.parametrize("how", ["gone", "more"])
def test_a_file_too_few_or_too_many(
    how: str, checkpoints: CheckpointStore, trained: dict[str, nn.Parameter]
) -> None:
    folder = folder_of(checkpoints)
    if how == "gone":
        (folder / "best.safetensors").unlink()
    else:
        (folder / "other.safetensors").write_bytes(b"x")
    name = "best" if how == "gone" else "other"
    with pytest.raises(CheckpointError, match=rf"{name}\.safetensors"):
        checkpoints.load(trained, adam(trained))


def test_sums_that_lead_out_of_the_folder_are_refused(
    checkpoints: CheckpointStore, trained: dict[str, nn.Parameter]
) -> None:
    path = folder_of(checkpoints) / "sums.json"
    path.write_text(json.dumps({**json.loads(path.read_text()), "../../x": "0" * 64}))
    with pytest.raises(CheckpointError):
        checkpoints.load(trained, adam(trained))


def test_a_checkpoint_of_an_older_version_is_read(
    checkpoints: CheckpointStore, trained: dict[str, nn.Parameter]
) -> None:
    (folder_of(checkpoints) / "sums.json").unlink()
    with torch.no_grad():
        trained["a"].zero_()
    assert checkpoints.load(trained, adam(trained)) is not None
    assert trained["a"].any()


@pytest.mark.parametrize(
    ("name", "entry", "value", "words"),
    [
        ("model", "a", torch.full((3, 2), float("nan")), "NaN"),
        ("model", "a", torch.ones(3, 2, dtype=torch.int64), "int64"),
        ("model", "a", torch.ones(2, 3), r"shape \(2, 3\)"),
        ("best", "b", torch.full((4,), float("inf")), "infinite"),
        ("best", "b", torch.ones(5), r"shape \(5,\)"),
        ("optimizer", "a|exp_avg", torch.ones(1), r"shape \(1,\)"),
        ("optimizer", "a|step", torch.tensor(float("nan")), "NaN"),
        ("optimizer", "zz|step", torch.tensor(1.0), "no parameter"),
    ],
)
def test_without_sums_values_are_checked(
    name: str,
    entry: str,
    value: torch.Tensor,
    words: str,
    checkpoints: CheckpointStore,
    trained: dict[str, nn.Parameter],
) -> None:
    folder = folder_of(checkpoints)
    (folder / "sums.json").unlink()
    path = folder / f"{name}.safetensors"
    save_file({**load_file(path), entry: value}, path)
    with pytest.raises(CheckpointError, match=words) as caught:
        checkpoints.load(trained, adam(trained))
    assert str(path) in str(caught.value)


@pytest.mark.parametrize(
    "changes",
    [
        {"step": "3"},
        {"step": -1},
        {"step": 2.5},
        {"sums": []},
        {"best_loss": "x"},
        {"odd": 1},
        {"finished": 1},
    ],
)
def test_a_state_of_other_types_is_refused(
    changes: dict[str, object], checkpoints: CheckpointStore, trained: dict[str, nn.Parameter]
) -> None:
    folder = folder_of(checkpoints)
    (folder / "sums.json").unlink()
    path = folder / "state.json"
    path.write_text(json.dumps(json.loads(path.read_text()) | changes))
    with pytest.raises(CheckpointError, match=r"state\.json"):
        checkpoints.load(trained, adam(trained))
