"""Weights: SAM's checkpoints (.safetensors, .pth), checkpoints of a run, kept weights of a record."""

from __future__ import annotations

import io
import json
import pickle
import struct
import tarfile
import zipfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import torch
from hypothesis import strategies as st
from hypothesis.strategies import DrawFn
from safetensors.torch import save
from torch import Tensor, nn

from fuzz.json_values import mutated
from fuzz.mutation import damaged
from fuzz.target import Target, reading
from fuzz.trap import Trap
from tabench.encoders.sam.build import build_sam
from tabench.encoders.sam.checkpoint import load_checkpoint
from tabench.encoders.sam.family import Backbone
from tabench.engine.checkpoint import CheckpointStore
from tabench.engine.state import State

TINY = Backbone("tiny", 32, 8, 8, 1, 2, (0,), 3, 16, 2, 16, 8, url="https://example.org/sam_tiny_1a2b.pth")
NUMBERS = (0, 1, 4, 7, -1, 2**31, 2**63 - 1, 2**63, 2**64, 10**30, 1.5, "4", None, True, [4])
DTYPES = ("F32", "F64", "F16", "BF16", "I64", "I8", "U8", "BOOL", "F8_E4M3", "C64", "Q4", "f32", 3, None)


def sam() -> dict[str, Tensor]:
    """Weights of the smallest SAM."""
    torch.manual_seed(0)
    return {key: value.contiguous() for key, value in build_sam(TINY).state_dict().items()}


@st.composite
def forged_safetensors(draw: DrawFn, good: bytes) -> bytes:
    """A header with other shapes, types, offsets, keys and lengths than the bytes behind it."""
    (length,) = struct.unpack("<Q", good[:8])
    header: dict[str, Any] = json.loads(good[8 : 8 + length])
    body = good[8 + length :]
    names = sorted(name for name in header if name != "__metadata__")
    for _ in range(draw(st.integers(1, 3))):
        entry = header[draw(st.sampled_from(names))]
        if not isinstance(entry, dict):
            continue
        what = draw(st.sampled_from(["shape", "dtype", "offsets", "key", "extra", "gone", "swap", "none"]))
        if what == "shape":
            entry["shape"] = draw(st.lists(st.sampled_from(NUMBERS), max_size=4))
        elif what == "dtype":
            entry["dtype"] = draw(st.sampled_from(DTYPES))
        elif what == "offsets":
            entry["data_offsets"] = draw(st.lists(st.sampled_from(NUMBERS), min_size=1, max_size=3))
        elif what == "key":
            entry.pop(draw(st.sampled_from(["shape", "dtype", "data_offsets"])), None)
        elif what == "extra":
            header[draw(st.sampled_from(["extra", "", "\0", "é", "__metadata__"]))] = draw(
                st.sampled_from([entry, None, {}, []])
            )
        elif what == "gone":
            header.pop(draw(st.sampled_from(names)), None)
            names = sorted(name for name in header if name != "__metadata__")
        elif what == "swap":
            other = header[draw(st.sampled_from(names))]
            if isinstance(other, dict) and "data_offsets" in other:
                entry["data_offsets"] = other["data_offsets"]
    text = json.dumps(header).encode()
    if draw(st.integers(0, 9)) == 0:  # a key that is there twice
        text = text[:-1] + b"," + text[1:]
    if draw(st.integers(0, 9)) == 0:
        text = draw(st.sampled_from([b"[" * 100_000, b"{}", b"null", b'{"a":' * 5000, b"\xff", b""]))
    size = draw(st.sampled_from([len(text)] * 8 + [0, 1, len(text) + 1, 2**31, 2**63, 2**64 - 1]))
    return struct.pack("<Q", size) + text + body[: draw(st.sampled_from([len(body)] * 4 + [0, 7]))]


def wrong_states(state: dict[str, Tensor]) -> list[object]:
    """Contents of a .pth that torch reads, or refuses, and that are no weights of this model."""
    key = next(iter(state))
    shape = state[key].shape
    return [
        {**state, key: torch.full(shape, float("nan"))},
        {**state, key: torch.full(shape, float("inf"))},
        {**state, key: torch.zeros(shape, dtype=torch.int32)},
        {**state, key: torch.zeros(shape, dtype=torch.complex64)},
        {**state, key: torch.zeros(shape).to_sparse()},
        {**state, key: torch.zeros(shape, device="meta")},
        {**state, key: torch.zeros(1).expand(shape)},
        {**state, key: nn.Parameter(torch.zeros(shape))},
        {**state, 3: torch.zeros(1)},
        {**state, "trap": Trap()},
        {**state, key: None},
        [],
        None,
        {},
        3,
        state[key],
        {"model": state},
        {**state, key: torch.zeros(1)},
    ]


def saved(content: object, zipped: bool = True) -> bytes:
    """What torch.save writes."""
    buffer = io.BytesIO()
    torch.save(content, buffer, _use_new_zipfile_serialization=zipped)
    return buffer.getvalue()


def repacked(good: bytes, bomb: int = 0, stored: bool = False) -> bytes:
    """A .pth whose members are deflated; with `bomb`, its pickle is followed by so many bytes."""
    buffer = io.BytesIO()
    with zipfile.ZipFile(io.BytesIO(good)) as old, zipfile.ZipFile(buffer, "w") as new:
        for info in old.infolist():
            data = old.read(info) + (bytes(bomb) if info.filename.endswith("data.pkl") else b"")
            new.writestr(
                zipfile.ZipInfo(info.filename), data, zipfile.ZIP_STORED if stored else zipfile.ZIP_DEFLATED
            )
    return buffer.getvalue()


def pickles() -> list[bytes]:
    """Pickles that would run code, or ask for memory, if anything unpickled them freely."""
    run = b"cposix\nmkdir\n(S'ran'\ntR."
    huge = b"\x80\x02ctorch\nstorage\n."
    ask = b"\x80\x02cbuiltins\nbytearray\n\x8a\x08" + (1 << 40).to_bytes(8, "little") + b"\x85R."
    return [
        run,
        huge,
        ask,
        pickle.dumps(Trap(), 2),
        pickle.dumps(Trap(), 4),
        pickle.dumps({"a": Trap()}, 2),
        b"\x80\x02" + b"(" * 100_000,
        b"\x80\x02]" + b"q\xff" * 10,
        b"\x80\x04\x95" + b"\xff" * 8,
        b"\x80\x02X\xff\xff\xff\x7f",
        b"\x80\x05\x8e" + b"\xff" * 7 + b"\x7f",
        b"\x80\x02" + b"]" * 2000 + b"a" * 1999 + b".",
    ]


def _taken(path: Path) -> object:
    state = load_checkpoint(TINY, path)
    assert all(torch.isfinite(v).all() and v.is_floating_point() for v in state.values()), "taken"
    return state


def _safetensors() -> Target:
    good = save(sam())
    state = sam()
    key = next(iter(state))
    wrong = [save({**state, key: torch.full(state[key].shape, bad)}) for bad in (float("nan"), float("inf"))]
    wrong += [
        save({**state, key: state[key].to(kind)}) for kind in (torch.int32, torch.float64, torch.bfloat16)
    ]
    inputs = st.one_of(forged_safetensors(good), damaged([good], head=400), st.sampled_from([good, *wrong]))
    return reading("safetensors", "sam_tiny.safetensors", inputs, _taken)


def _pth() -> Target:
    state = sam()
    good = saved(state)
    old = saved(state, zipped=False)
    wrong = [saved(content) for content in wrong_states(state)] + [
        saved(wrong_states(state)[k], False) for k in (0, 2, 10)
    ]
    odd = [repacked(good), repacked(good, bomb=100 << 20), repacked(good, stored=True), b"<html>", b""]
    tape = io.BytesIO()
    with tarfile.open(fileobj=tape, mode="w") as archive:
        for name in ("storages", "tensors", "pickle"):
            info = tarfile.TarInfo(name)
            info.size = 20
            archive.addfile(info, io.BytesIO(pickle.dumps(1, 2) + bytes(20)))
    seeds = [good, old, saved(wrong_states(state)[10]), saved({}), tape.getvalue(), *pickles()]
    inputs = st.one_of(
        damaged(seeds, head=600),
        damaged([saved({}), *pickles()]),
        st.sampled_from([good, old, *wrong, *odd, *seeds]),
        _resized(old),
    )
    return reading("pth", "sam_tiny_1a2b.pth", inputs, _taken)


@st.composite
def _resized(draw: DrawFn, old: bytes) -> bytes:
    """A legacy file whose storages claim other sizes."""
    data = bytearray(old)
    for _ in range(draw(st.integers(1, 3))):  # BININT and LONG1: numbers of the pickle
        places = [at for at in range(len(data) - 9) if data[at] in (0x4A, 0x4D, 0x4B, 0x8A)][:4000]
        at = draw(st.sampled_from(places))
        data[at + 1 : at + 5] = struct.pack(
            "<I", draw(st.sampled_from([0, 2**31 - 1, 2**31, 2**32 - 1, 10**9]))
        )
    return bytes(data)


def _run() -> Target:
    """A run's own checkpoint with one file replaced or damaged."""
    torch.manual_seed(0)
    trained = {"a": nn.Parameter(torch.ones(3, 2)), "b": nn.Parameter(torch.zeros(2))}
    place: list[Path] = []
    files: dict[str, bytes] = {}
    values = State(step=3, sums={"loss": 1.0}, summed=1, best_epoch=1, best_loss=0.5).to_json()
    values["train_curve"] = [
        {"unit": "all", "epoch": 1, "step": 3, "lr": 0.1, "loss": 1.0, "terms": {"a": 1.0}}
    ]

    def adam() -> torch.optim.Adam:
        optimizer = torch.optim.Adam(trained.values())
        for parameter in trained.values():
            parameter.grad = torch.ones_like(parameter)
        optimizer.step()
        return optimizer

    def use(content: bytes, folder: Path) -> object:
        if not place:
            state = State.from_json(dict(values))
            state.best_weights = {name: value.detach() for name, value in trained.items()}
            state.extra = {"hooks.count": 3, "balancer.a": torch.ones(2)}
            CheckpointStore(folder / "all").save(trained, adam(), state)
            place.append(CheckpointStore(folder / "all").latest() or folder)
            files.update({path.name: path.read_bytes() for path in place[0].iterdir()})
        which, _, data = content.partition(b"\0")
        name = which.decode()
        sums = place[0] / "sums.json"
        if name.startswith("bare "):  # as an older version wrote it: nothing tells that a byte is another
            name = name[5:]
            sums.unlink(missing_ok=True)
        target = place[0] / name
        target.write_bytes(data)
        try:
            state = CheckpointStore(folder / "all").load(trained, adam())
            assert state is not None
            assert type(state.step) is int, "a step that is none"
            assert all(torch.isfinite(value).all() for value in trained.values()), (
                "weights that are not finite"
            )
            same = not sums.exists() or data == files[name]
            assert same, f"{name} was changed and not noticed"
        finally:
            for other, kept in files.items():
                (place[0] / other).write_bytes(kept)
        return state

    tensors = [
        save({"a": torch.ones(3, 2), "b": torch.zeros(2)}),
        save({"a": torch.full((3, 2), float("nan")), "b": torch.zeros(2)}),
        save({"a": torch.ones(6), "b": torch.zeros(2)}),
        save({"a": torch.ones(3, 2)}),
        save({"a": torch.ones(3, 2, dtype=torch.int64), "b": torch.zeros(2)}),
    ]
    both = {
        f"{name}|{key}": torch.ones(shape)
        for name, shape in (("a", (3, 2)), ("b", (2,)))
        for key in ("exp_avg", "exp_avg_sq")
    }
    steps = {"a|step": torch.tensor(1.0), "b|step": torch.tensor(1.0)}
    moments = [
        save({**both, **steps}),
        save(both),
        save({**both, **steps, "c|exp_avg": torch.ones(1)}),
        save({**both, **steps, "a|exp_avg": torch.ones(1)}),
        save({**both, **steps, "a|step": torch.tensor(float("nan"))}),
        save({}),
    ]
    any_tensors = st.one_of(damaged(tensors), st.sampled_from(tensors))
    any_moments = st.one_of(damaged(moments), st.sampled_from(moments))
    parts = {
        **dict.fromkeys(("model.safetensors", "best.safetensors", "extra.safetensors"), any_tensors),
        "optimizer.safetensors": any_moments,
        "state.json": st.one_of(mutated([values]), damaged([json.dumps(values).encode()])),
    }
    named = st.one_of(
        *(
            st.tuples(st.sampled_from(["", "bare "]), contents).map(
                lambda pair, file=file: (pair[0] + file).encode() + b"\0" + pair[1]  # type: ignore[misc]
            )
            for file, contents in parts.items()
        )
    )
    sums = damaged([b'{"model.safetensors": "' + b"a" * 64 + b'"}']).map(lambda data: b"sums.json\0" + data)
    return Target("checkpoint", st.one_of(named, named, named, sums), use, "all/")


TARGETS: dict[str, Callable[[], Target]] = {"safetensors": _safetensors, "pth": _pth, "checkpoint": _run}
