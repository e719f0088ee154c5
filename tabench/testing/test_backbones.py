"""What every registered backbone must be. Each test is one sentence of the contract."""

from __future__ import annotations

from math import prod

import pytest
import torch

from tabench.catalog import BACKBONES
from tabench.encoders.msam import MSam
from tabench.encoders.plain import plainly
from tabench.encoders.sam.build import build_sam
from tabench.encoders.sam.checkpoint import expected_shapes, find_checkpoint, load_checkpoint
from tabench.encoders.sam.family import Backbone
from tabench.errors import CheckpointError

SMALL = 20_000_000  # parameters of a backbone that a test may run


def small(name: str) -> Backbone:
    """A backbone that can be run in a moment."""
    backbone = BACKBONES.get(name)
    size = sum(prod(shape) for shape in expected_shapes(backbone).values())
    if size > SMALL:
        pytest.skip(f"{size:,} parameters: too many to run, its shapes are tested")
    return backbone


def test_its_geometry_is_consistent(backbone: str) -> None:
    """Sizes divide one another as SAM's modules need it."""
    found = BACKBONES.get(backbone)
    assert found.name == backbone
    assert found.image_size % found.patch_size == 0
    assert found.embed_dim % found.num_heads == 0
    # the encoding has sines and cosines; the decoder halves its width, then upscales it to an eighth
    assert found.out_chans % 8 == 0
    assert (found.out_chans // 2) % found.decoder_heads == 0
    assert found.global_attn_indexes == tuple(sorted(set(found.global_attn_indexes)))
    assert all(0 <= index < found.depth for index in found.global_attn_indexes)
    assert 0 < found.window_size <= found.grid


def test_a_built_sam_has_the_keys_and_shapes_of_its_checkpoint(backbone: str) -> None:
    """And mSAM takes its encoder and decoders from them."""
    found = BACKBONES.get(backbone)
    with torch.device("meta"):
        state = build_sam(found).state_dict()
        own = MSam(found, {"only": 2}).state_dict()
    assert {key: tuple(value.shape) for key, value in state.items()} == expected_shapes(found)
    for key in (key for key in state if key.startswith(("image_encoder.", "mask_decoder."))):
        assert own[key.replace("mask_decoder.", "decoders.only.")].shape == state[key].shape
    assert own["no_mask.only"].shape[1:] == state["prompt_encoder.no_mask_embed.weight"].shape[1:]


def test_its_weights_are_found_and_fit(backbone: str) -> None:
    """Those that a package ships with it are there; what is found has its keys and shapes."""
    found = BACKBONES.get(backbone)
    try:
        path = find_checkpoint(found)
    except CheckpointError:
        if found.shipped:
            raise
        pytest.skip("its weights are not here")
    if found.shipped is None and path.stat().st_size > 4 * SMALL:
        pytest.skip(f"{path} is large; `tabench run` checks it before anything runs")
    assert load_checkpoint(found, path).keys() == expected_shapes(found).keys()


def test_it_predicts_every_task_at_the_images_size(backbone: str) -> None:
    """Finite channels that depend on the image, whatever its shape."""
    found = small(backbone)
    torch.manual_seed(0)
    model = MSam(found, {"first": 3, "second": 1}).eval()
    with torch.no_grad():
        outputs = model(torch.rand(2, 3, 24, 32), (24, 32))
    assert {task: tuple(value.shape) for task, value in outputs.items()} == {
        "first": (2, 3, 24, 32),
        "second": (2, 1, 24, 32),
    }
    for value in outputs.values():
        assert value.isfinite().all()
        assert not torch.allclose(value[0], value[1])


def test_the_fast_path_is_sams_own_forward(backbone: str) -> None:
    """Also where windows are padded: outputs in fp64 are those of SAM's own modules."""
    found = small(backbone)
    torch.manual_seed(0)
    model = MSam(found, {"only": 2}).double().eval()
    image = torch.rand(1, 3, 24, 32, dtype=torch.float64)
    outputs = {}
    for path in ("plain", "fast"):
        plainly(model, path == "plain")
        with torch.no_grad():
            outputs[path] = model(image, (24, 32))["only"]
    torch.testing.assert_close(outputs["fast"], outputs["plain"], rtol=1e-9, atol=1e-11)
