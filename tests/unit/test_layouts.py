"""Weights of SAM as others save them: read where they can mean one thing only, else told apart by name."""

from __future__ import annotations

import argparse
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import torch
from commands import call
from safetensors.torch import save_file
from test_checkpoint import TINY, write
from torch import Tensor

from tabench.encoders.sam.build import build_sam
from tabench.encoders.sam.checkpoint import convert, expected_shapes, load_checkpoint
from tabench.encoders.sam.family import VIT_H, VIT_NANO
from tabench.encoders.sam.layouts import hub_name
from tabench.errors import CheckpointError

State = dict[str, Tensor]
ADAM = {"state": {0: {"step": torch.tensor(3.0)}}, "param_groups": [{"lr": 0.1, "params": [0]}]}
PROMPTS = "prompt_encoder."


@pytest.fixture(scope="module")
def state() -> State:
    torch.manual_seed(0)
    return dict(build_sam(TINY).state_dict())


def prefixed(state: State, prefix: str) -> State:
    return {f"{prefix}{key}": value for key, value in state.items()}


def as_the_hub(state: State) -> State:
    """As the hub's files are: the frequencies, which its models have twice, are there under one name."""
    found = {hub_name(key): value for key, value in state.items()}
    frequencies = found.pop("prompt_encoder.shared_embedding.positional_embedding")
    return {**found, "shared_image_embedding.positional_embedding": frequencies}


def with_hq_head(state: State) -> State:
    names = (
        "hf_token.weight",
        "hf_mlp.layers.0.bias",
        "compress_vit_feat.0.weight",
        "embedding_encoder.3.bias",
    )
    return {**state, **{f"mask_decoder.{name}": torch.ones(2) for name in names}}


@pytest.mark.parametrize(
    ("form", "note"),
    [
        (lambda s: {"model": s, "epoch": 3, "optimizer": ADAM, "loss": 0.5}, "taken from 'model'"),
        (lambda s: {"state_dict": prefixed(s, "module.")}, "taken from 'state_dict.module'"),
        (lambda s: {"model_state_dict": prefixed(s, "_orig_mod.")}, "from 'model_state_dict._orig_mod'"),
        (lambda s: prefixed(s, "module.sam."), "taken from 'module.sam'"),
        (as_the_hub, "translated from the hub's names"),
        (lambda s: {"model": as_the_hub(s)}, "translated from the hub's names"),
        (with_hq_head, "without SAM-HQ's head (4 keys)"),
    ],
)
def test_what_can_mean_one_thing_only_is_read(
    form: Callable[[State], Any], note: str, state: State, tmp_path: Path
) -> None:
    notes: list[str] = []
    loaded = load_checkpoint(TINY, write(form(state), tmp_path / "a.pth"), notes.append)
    assert list(loaded) == list(state)
    assert all(torch.equal(loaded[key], value) for key, value in state.items())
    assert note in "; ".join(notes)


def test_the_hubs_names_are_one_to_one() -> None:
    """Checked once against transformers' own model of these sizes: keys, shapes and outputs."""
    names = {hub_name(key) for key in expected_shapes(VIT_H)}
    assert len(names) == len(expected_shapes(VIT_H)) == 594
    for own, hub in {
        "image_encoder.blocks.31.attn.rel_pos_h": "vision_encoder.layers.31.attn.rel_pos_h",
        "image_encoder.blocks.0.norm2.bias": "vision_encoder.layers.0.layer_norm2.bias",
        "image_encoder.neck.2.weight": "vision_encoder.neck.conv2.weight",
        "image_encoder.neck.3.weight": "vision_encoder.neck.layer_norm2.weight",
        "prompt_encoder.mask_downscaling.4.bias": "prompt_encoder.mask_embed.layer_norm2.bias",
        "prompt_encoder.mask_downscaling.6.bias": "prompt_encoder.mask_embed.conv3.bias",
        "prompt_encoder.point_embeddings.3.weight": "prompt_encoder.point_embed.3.weight",
        "mask_decoder.transformer.norm_final_attn.bias": (
            "mask_decoder.transformer.layer_norm_final_attn.bias"
        ),
        "mask_decoder.transformer.layers.1.norm4.bias": "mask_decoder.transformer.layers.1.layer_norm4.bias",
        "mask_decoder.output_upscaling.3.bias": "mask_decoder.upscale_conv2.bias",
        "mask_decoder.iou_prediction_head.layers.1.bias": "mask_decoder.iou_prediction_head.layers.0.bias",
        "mask_decoder.output_hypernetworks_mlps.3.layers.2.bias": (
            "mask_decoder.output_hypernetworks_mlps.3.proj_out.bias"
        ),
    }.items():
        assert hub_name(own) == hub
        assert own in expected_shapes(VIT_H)


def refused(content: object, path: Path, backbone: Any = TINY) -> str:
    with pytest.raises(CheckpointError) as caught:
        load_checkpoint(backbone, write(content, path))
    assert str(caught.value).startswith(f"{path}: ")
    return str(caught.value)


def test_several_are_named_and_one_can_be_chosen(state: State, tmp_path: Path) -> None:
    other = {key: value + 1 for key, value in state.items()}
    text = refused({"model": state, "model_ema": prefixed(other, "module.")}, tmp_path / "a.pth")
    assert "holds weights of SAM 2 times: 'model', 'model_ema.module'" in text
    assert "tabench convert sam FILE --key NAME" in text
    found, _ = convert(TINY, tmp_path / "a.pth", key="model_ema.module")
    assert all(torch.equal(found[key], value) for key, value in other.items())
    with pytest.raises(
        CheckpointError, match=r"no weights of SAM under 'ema'\n.*'model', 'model_ema.module'"
    ):
        convert(TINY, tmp_path / "a.pth", key="ema")


@pytest.mark.parametrize("form", [{}, {"image_encoder.blocks.0.attn.qkv.base_layer.weight": torch.ones(1)}])
def test_a_base_never_stands_for_the_file_itself(form: State, state: State, tmp_path: Path) -> None:
    torch.save(state, tmp_path / "base.pth")
    encoder = {key: value for key, value in state.items() if key.startswith("image_encoder.")}
    bare = {key.removeprefix("image_encoder."): value for key, value in encoder.items()}
    adapted = {key: value for key, value in encoder.items() if ".qkv." not in key}
    torch.save({**adapted, **form} if form else bare, tmp_path / "a.pth")
    told = "an image encoder without .*qkv" if form else "has no key of"
    with pytest.raises(CheckpointError, match=told):
        convert(TINY, tmp_path / "a.pth", base=tmp_path / "base.pth", drop=True)


def test_frequencies_that_differ_are_refused(state: State, tmp_path: Path) -> None:
    hub = as_the_hub(state)
    twice = {"prompt_encoder.shared_embedding.positional_embedding": torch.zeros(2, 8), **hub}
    assert "differ, and should be one" in refused(twice, tmp_path / "a.pth")


def test_fine_tuned_weights_are_completed_by_a_command(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(tmp_path)
    torch.manual_seed(1)
    whole = dict(build_sam(VIT_NANO).state_dict())
    save_file({key: value.contiguous() for key, value in whole.items()}, "whole.safetensors")
    tuned = {key: value + 1 for key, value in whole.items() if not key.startswith(PROMPTS)}
    text = refused(
        {"model": {**tuned, "head.weight": torch.ones(1), "epoch": 3}}, Path("tuned.pth"), VIT_NANO
    )
    for part in ("misses 17 keys ('prompt_encoder.", "unknown 2 keys ('head.weight', 'epoch')"):
        assert part in text
    assert "tabench convert sam FILE --backbone sam_vit_nano --base WHOLE --drop" in text
    words = [
        "convert",
        "sam",
        "tuned.pth",
        "--backbone",
        "sam_vit_nano",
        "--base",
        "whole.safetensors",
        "--drop",
    ]
    words += ["--out", "new.safetensors"]
    assert call(*words) == 0
    assert "17 keys" in capsys.readouterr().out
    loaded = load_checkpoint(VIT_NANO, Path("new.safetensors"))
    assert all(torch.equal(loaded[key], tuned.get(key, value)) for key, value in whole.items())
    assert call(*words) == 2
    assert "is there already" in capsys.readouterr().err


@pytest.mark.parametrize(("real", "named"), [("a.pth", "a.safetensors"), ("a.safetensors", "a.pth")])
def test_a_file_is_read_by_what_it_is(real: str, named: str, state: State, tmp_path: Path) -> None:
    path = write(state, tmp_path / real).rename(tmp_path / named)
    assert set(load_checkpoint(TINY, path)) == set(state)


def test_a_pointer_and_a_file_with_other_objects_are_told(state: State, tmp_path: Path) -> None:
    (tmp_path / "a.pth").write_text("version https://git-lfs.github.com/spec/v1\noid sha256:0\nsize 1\n")
    with pytest.raises(CheckpointError, match="pointer of Git LFS"):
        load_checkpoint(TINY, tmp_path / "a.pth")
    text = refused({"model": state, "args": argparse.Namespace(lr=1)}, tmp_path / "b.pth")
    assert "'argparse.Namespace', which could run code (none was run)" in text
    assert "save its state dict alone" in text


def test_a_mapping_that_holds_itself(tmp_path: Path) -> None:
    content: dict[str, Any] = {"a": {}}
    content["a"]["b"] = content["self"] = content
    assert "no state dict of SAM" in refused(content, tmp_path / "a.pth")


def test_a_tensor_is_wanted_under_every_key(state: State, tmp_path: Path) -> None:
    text = refused({**state, "image_encoder.pos_embed": [1.0]}, tmp_path / "a.pth", replace(TINY, url=None))
    assert "'image_encoder.pos_embed' is a list" in text
