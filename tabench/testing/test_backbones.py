"""What every registered backbone must be. Each test is one sentence of the contract."""

from __future__ import annotations

import pytest
import torch

from tabench.catalog import BACKBONES
from tabench.encoders.base import ROLES, Encoder, linears, norms
from tabench.encoders.msam import MSam
from tabench.encoders.plain import plainly
from tabench.encoders.sam.locate import find_checkpoint
from tabench.errors import CheckpointError

SMALL = 20_000_000  # parameters of a backbone that a test may run


def small(name: str) -> Encoder:
    """A backbone that can be run in a moment."""
    backbone = BACKBONES.get(name)
    size = parameters(backbone)
    if size > SMALL:
        pytest.skip(f"{size:,} parameters: too many to run, its shapes are tested")
    return backbone


def parameters(backbone: Encoder) -> int:
    """Of the image encoder."""
    with torch.device("meta"):
        return sum(parameter.numel() for parameter in backbone.build().parameters())


def test_it_says_what_it_is(backbone: str) -> None:
    """Its name is the registered one, its sizes fit the decoders, and planning can tell what it costs."""
    found = BACKBONES.get(backbone)
    assert found.name == backbone
    assert found.grid * found.embedding.stride == found.image_size
    # the encoding has sines and cosines; the decoder halves its width, then upscales it to an eighth
    assert found.out_chans % 8 == 0
    assert (found.out_chans // 2) % found.decoder_heads == 0
    assert found.flops() > 0
    assert set(found.pixel_norms) <= {"none", "sam", "encoder"}


def test_its_layers_and_norms_are_what_it_says(backbone: str) -> None:
    """Linear layers have the sizes told of them and a known role; norms are there; blocks are counted."""
    found = BACKBONES.get(backbone)
    with torch.device("meta"):
        encoder = found.build()
    specs = linears(encoder)
    assert len({spec.name for spec in specs}) == len(specs) > 0
    assert {spec.block for spec in specs} == set(range(found.depth))
    for spec in specs:
        layer = encoder.get_submodule(spec.name)
        assert isinstance(layer, torch.nn.Linear), spec.name
        assert (layer.in_features, layer.out_features) == (spec.inputs, spec.outputs), spec.name
        assert spec.role in ROLES
        assert set(spec.parts) <= set(ROLES)
        assert spec.outputs % len(spec.parts) == 0
    for name in norms(encoder):
        assert dict(encoder.get_submodule(name).named_parameters()), name


def test_its_weights_are_found_and_fit(backbone: str) -> None:
    """Those that a package ships with it are there; a model starts from what is found."""
    found = BACKBONES.get(backbone)
    try:
        path = find_checkpoint(found)
    except CheckpointError:
        if found.shipped:
            raise
        pytest.skip("its weights are not here")
    if found.shipped is None and path.stat().st_size > 4 * SMALL:
        pytest.skip(f"{path} is large; `tabench run` checks it before anything runs")
    model = MSam(found, {"only": 2})
    state = found.load(path)
    model.load_sam(state)
    for key, value in model.image_encoder.state_dict().items():
        assert torch.equal(value, state[f"image_encoder.{key}"].to(value.dtype)), key


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


def test_its_way_of_running_is_its_own_forward(backbone: str) -> None:
    """Outputs in fp64 are those of the plain form, which calls its own modules."""
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
