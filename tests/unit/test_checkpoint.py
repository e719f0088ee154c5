"""Weights files: found, checked, and never trusted."""

from __future__ import annotations

import os
import pickle
import tracemalloc
import zipfile
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest
import torch
from safetensors.torch import save_file
from torch import Tensor

from tabench.encoders.msam import MSam
from tabench.encoders.sam.build import build_sam
from tabench.encoders.sam.checkpoint import expected_shapes, load_checkpoint
from tabench.encoders.sam.family import VIT_B, VIT_H, VIT_L, VIT_NANO, Backbone
from tabench.encoders.sam.locate import checkpoint_sha256, find_checkpoint
from tabench.errors import CheckpointError

TINY = Backbone("tiny", 32, 8, 8, 2, 2, (1,), 3, 16, 2, 16, 8, url="https://example.org/sam_tiny_1a2b.pth")


@pytest.fixture
def state() -> dict[str, Tensor]:
    torch.manual_seed(0)
    return build_sam(TINY).state_dict()


def write(state: object, path: Path) -> Path:
    if path.suffix == ".safetensors":
        assert isinstance(state, dict)
        save_file(state, path)
    else:
        torch.save(state, path)
    return path


@pytest.mark.parametrize("name", ["a.pth", "a.safetensors"])
def test_a_good_file_is_read_and_starts_every_part(
    name: str, state: dict[str, Tensor], tmp_path: Path
) -> None:
    path = write(state, tmp_path / name)
    loaded = load_checkpoint(TINY, path)
    assert set(loaded) == set(state)
    model = MSam(TINY, {"a": 2, "b": 1})
    model.load_sam(loaded)
    row = state["prompt_encoder.no_mask_embed.weight"]
    assert torch.equal(model.no_mask["a"], row.expand(2, -1))
    own = model.state_dict()
    for key, value in state.items():
        if key.startswith("image_encoder."):
            assert torch.equal(own[key], value)
        if key.startswith("mask_decoder."):
            for task in ("a", "b"):
                assert torch.equal(own[key.replace("mask_decoder", f"decoders.{task}")], value)
    frequencies = "pe_layer.positional_encoding_gaussian_matrix"
    assert torch.equal(own[frequencies], state[f"prompt_encoder.{frequencies}"])


def test_legacy_pth_files_are_read(state: dict[str, Tensor], tmp_path: Path) -> None:
    torch.save(state, tmp_path / "old.pth", _use_new_zipfile_serialization=False)
    assert set(load_checkpoint(TINY, tmp_path / "old.pth")) == set(state)


@pytest.mark.parametrize("backbone", [VIT_B, VIT_L, VIT_H], ids=lambda b: b.name)
def test_the_manifest_is_what_segment_anything_builds(backbone: Backbone) -> None:
    unlisted = replace(backbone, name="unlisted")  # same sizes, so its shapes come from building it
    assert expected_shapes(backbone) == expected_shapes(unlisted)


@pytest.mark.parametrize("name", ["a.pth", "a.safetensors"])
@pytest.mark.parametrize("share", [0.0, 0.3, 0.99])
def test_truncated_files(name: str, share: float, state: dict[str, Tensor], tmp_path: Path) -> None:
    path = write(state, tmp_path / name)
    content = path.read_bytes()
    path.write_bytes(content[: int(len(content) * share)])
    with pytest.raises(CheckpointError) as caught:
        load_checkpoint(TINY, path)
    assert str(path) in str(caught.value)
    assert "sam_tiny_1a2b.pth" in str(caught.value)


def damaged(state: dict[str, Tensor], how: str) -> object:
    key = "image_encoder.neck.0.weight"
    if how == "missing":
        return {name: value for name, value in state.items() if name != key}
    if how == "unknown":
        return {**state, "extra.weight": torch.zeros(1)}
    if how == "shape":
        return {**state, key: torch.zeros(1, 2)}
    if how == "nested":
        return {"epoch": 3, "model": {"encoder.weight": torch.zeros(1)}}
    return torch.zeros(3)


@pytest.mark.parametrize(
    ("how", "words"),
    [
        ("missing", ["misses 1 keys", "image_encoder.neck.0.weight"]),
        ("unknown", ["unknown 1 keys", "extra.weight"]),
        ("shape", ["image_encoder.neck.0.weight", "(1, 2)", "(16, 8, 1, 1)"]),
        ("nested", ["no state dict of SAM", "2 values: 'epoch', 'model'"]),
        ("tensor", ["no state dict of SAM, but a Tensor"]),
    ],
)
def test_wrong_content_is_named(how: str, words: list[str], state: dict[str, Tensor], tmp_path: Path) -> None:
    path = write(damaged(state, how), tmp_path / "a.pth")
    with pytest.raises(CheckpointError) as caught:
        load_checkpoint(TINY, path)
    for word in [*words, str(path), "->"]:
        assert word in str(caught.value)


class Trap:
    """Touches a file when it is unpickled."""

    def __init__(self, mark: Path) -> None:
        self.mark = mark

    def __reduce__(self) -> tuple[object, ...]:
        return os.mkdir, (str(self.mark),)


@pytest.mark.parametrize("wrapped", [True, False], ids=["in-a-zip", "bare"])
def test_a_pickle_with_code_never_runs(wrapped: bool, state: dict[str, Tensor], tmp_path: Path) -> None:
    path, mark = tmp_path / "evil.pth", tmp_path / "ran"
    content = {**state, "trap": Trap(mark)}
    if wrapped:
        torch.save(content, path)
    else:
        path.write_bytes(pickle.dumps(content, protocol=2))
    with pytest.raises(CheckpointError, match=r"evil\.pth"):
        load_checkpoint(TINY, path)
    assert not mark.exists()
    pickle.loads(pickle.dumps(Trap(mark)))  # the trap works where code is allowed to run
    assert mark.exists()


@pytest.mark.parametrize("name", ["a.pth", "a.safetensors"])
@pytest.mark.parametrize(
    ("change", "words"),
    [
        (lambda value: torch.full_like(value, float("nan")), "NaN or infinite"),
        (lambda value: torch.full_like(value, float("-inf")), "NaN or infinite"),
        (lambda value: value.to(torch.int32), "int32"),
        (lambda value: value.to(torch.bool), "bool"),
    ],
)
def test_values_that_are_no_weights(
    name: str, change: Callable[[Tensor], Tensor], words: str, state: dict[str, Tensor], tmp_path: Path
) -> None:
    key = "image_encoder.neck.0.weight"
    path = write({**state, key: change(state[key])}, tmp_path / name)
    with pytest.raises(CheckpointError, match=words) as caught:
        load_checkpoint(TINY, path)
    assert key in str(caught.value)
    assert str(path) in str(caught.value)


def test_tensors_without_values(state: dict[str, Tensor], tmp_path: Path) -> None:
    key = "image_encoder.neck.0.weight"
    path = write({**state, key: torch.zeros(state[key].shape, device="meta")}, tmp_path / "a.pth")
    with pytest.raises(CheckpointError, match="no plain tensor"):
        load_checkpoint(TINY, path)


def repacked(path: Path, more: int) -> None:
    """A .pth with its members deflated and zeros behind its pickle."""
    with zipfile.ZipFile(path) as old:
        members = {info.filename: old.read(info) for info in old.infolist()}
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as new:
        for name, data in members.items():
            new.writestr(name, data + bytes(more) if name.endswith("data.pkl") else data)


def test_a_pth_that_unpacks_to_more_is_refused(state: dict[str, Tensor], tmp_path: Path) -> None:
    path = write(state, tmp_path / "a.pth")
    repacked(path, 64 << 20)
    assert path.stat().st_size < 2 << 20
    with pytest.raises(CheckpointError, match="packed"):
        load_checkpoint(TINY, path)


@pytest.mark.parametrize(
    "content",
    [
        b"\x80\x02cbuiltins\nbytearray\n\x8a\x05\0\0\0\0\x01\x85R.",  # four gigabytes, which torch allows
        b"\x80\x02X\xff\xff\xff\x7f",  # a text of two gigabytes
        b"\x80\x02" + b"]" * 10 + b"a" * 10 + b".",
        b"\x80\x02" + b"(" * 1000,
    ],
)
def test_a_pickle_that_asks_for_memory(content: bytes, tmp_path: Path) -> None:
    (tmp_path / "a.pth").write_bytes(content)
    tracemalloc.start()
    try:
        with pytest.raises(CheckpointError, match=r"a\.pth"):
            load_checkpoint(TINY, tmp_path / "a.pth")
        assert tracemalloc.get_traced_memory()[1] < 50e6
    finally:
        tracemalloc.stop()


@pytest.mark.parametrize("length", [0, 1, 2**31, 2**63, 2**64 - 1])
def test_a_safetensors_header_of_any_length(length: int, state: dict[str, Tensor], tmp_path: Path) -> None:
    path = write(state, tmp_path / "a.safetensors")
    path.write_bytes(length.to_bytes(8, "little") + path.read_bytes()[8:])
    with pytest.raises(CheckpointError, match=r"a\.safetensors"):
        load_checkpoint(TINY, path)


def test_where_weights_are_looked_for(
    state: dict[str, Tensor], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("TABENCH_CHECKPOINTS", raising=False)
    with pytest.raises(CheckpointError, match="sam_tiny_1a2b"):
        find_checkpoint(TINY)
    with pytest.raises(CheckpointError, match="TABENCH_CHECKPOINTS"):
        find_checkpoint(TINY, tmp_path)
    with pytest.raises(CheckpointError, match=r"gone\.pth"):
        find_checkpoint(TINY, tmp_path / "gone.pth")

    other = write(state, tmp_path / "sam_tiny_other.pth")
    monkeypatch.setenv("TABENCH_CHECKPOINTS", str(tmp_path))
    assert find_checkpoint(TINY) == other
    converted = write(state, tmp_path / "sam_tiny.safetensors")
    assert find_checkpoint(TINY) == converted
    official = write(state, tmp_path / "sam_tiny_1a2b.pth")
    assert find_checkpoint(TINY) == official
    assert find_checkpoint(TINY, tmp_path) == official
    assert find_checkpoint(TINY, other) == other
    assert len(checkpoint_sha256(official)) == 64
    assert checkpoint_sha256(official) != checkpoint_sha256(converted)


def test_missing_shipped_weights_are_explained(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("TABENCH_CHECKPOINTS", raising=False)
    with pytest.raises(CheckpointError, match="reinstall"):
        find_checkpoint(replace(VIT_NANO, shipped="weights/none.safetensors"))
