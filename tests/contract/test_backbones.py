"""What every registered backbone must be, whoever added it."""

from __future__ import annotations

import json
from math import prod
from pathlib import Path

import pytest
import torch

import tabench.sam
from tabench.catalog import BACKBONES
from tabench.sam.build import build_sam
from tabench.sam.checkpoint import expected_shapes
from tabench.sam.geometry import Backbone
from tabench.sam.msam import MSam

MANIFEST = json.loads((Path(tabench.sam.__file__).parent / "manifest.json").read_text(encoding="utf-8"))
SMALL = 20_000_000  # parameters of a backbone that a test may run
every_backbone = pytest.mark.parametrize("name", BACKBONES.names())


def make(name: str) -> Backbone:
    return BACKBONES.get(name)


def size(backbone: Backbone) -> int:
    return sum(prod(shape) for shape in expected_shapes(backbone).values())


@every_backbone
def test_its_geometry_is_consistent(name: str) -> None:
    backbone = make(name)
    assert backbone.name == name
    assert backbone.image_size % backbone.patch_size == 0
    assert backbone.grid == backbone.image_size // backbone.patch_size
    assert backbone.embed_dim % backbone.num_heads == 0
    # the encoding has sines and cosines; the decoder halves its width, then upscales it to an eighth
    assert backbone.out_chans % 8 == 0
    assert (backbone.out_chans // 2) % backbone.decoder_heads == 0
    assert backbone.global_attn_indexes == tuple(sorted(set(backbone.global_attn_indexes)))
    assert all(0 <= index < backbone.depth for index in backbone.global_attn_indexes)
    assert 0 < backbone.window_size <= backbone.grid
    assert backbone.url or backbone.shipped, "no word on where its weights come from"
    assert BACKBONES.entry(name).summary or BACKBONES.entry(name).source != "tabench"


@every_backbone
def test_a_built_sam_has_the_keys_and_shapes_of_its_checkpoint(name: str) -> None:
    backbone = make(name)
    with torch.device("meta"):
        built = {key: tuple(value.shape) for key, value in build_sam(backbone).state_dict().items()}
    assert built == expected_shapes(backbone)
    if name in ("vit_b", "vit_l", "vit_h"):
        assert built == {key: tuple(shape) for key, shape in MANIFEST[name].items()}
        assert backbone.url is not None
        assert backbone.url.rsplit("/", 1)[-1].startswith(f"sam_{name}_")


@every_backbone
def test_it_predicts_every_task_at_the_images_size(name: str) -> None:
    backbone = make(name)
    if size(backbone) > SMALL:
        pytest.skip(f"{size(backbone):,} parameters: too many to run, its shapes are tested above")
    torch.manual_seed(0)
    model = MSam(backbone, {"first": 3, "second": 1}).eval()
    with torch.no_grad():
        outputs = model(torch.rand(2, 3, 24, 32), (24, 32))
    assert outputs["first"].shape == (2, 3, 24, 32)
    assert outputs["second"].shape == (2, 1, 24, 32)
    for value in outputs.values():
        assert value.isfinite().all()
        assert not torch.allclose(value[0], value[1])  # what it says depends on the image


@every_backbone
def test_it_can_be_loaded_from_its_own_state(name: str) -> None:
    backbone = make(name)
    with torch.device("meta"):
        model = MSam(backbone, {"only": 2})
        state = build_sam(backbone).state_dict()
    own = model.state_dict()
    taken = {key for key in state if key.startswith(("image_encoder.", "mask_decoder."))}
    for key in taken:
        assert own[key.replace("mask_decoder.", "decoders.only.")].shape == state[key].shape
    assert own["no_mask.only"].shape[1:] == state["prompt_encoder.no_mask_embed.weight"].shape[1:]
