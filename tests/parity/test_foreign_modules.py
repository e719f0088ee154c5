"""Encoders and decoders that somebody changed: what the fast path would leave out is called instead.

Each change is compared with the plain path, which calls SAM's own modules for every task and image, in double
precision, outputs and every gradient; and with the unchanged model, from which it must differ.
"""

from __future__ import annotations

import types
from collections.abc import Callable

import pytest
import torch
from plain_msam import randomise
from segment_anything.modeling import image_encoder, transformer
from segment_anything.modeling.image_encoder import Attention, Block, ImageEncoderViT
from test_paths import OUT, assert_alike, both, deviation, images_of, make
from torch import Tensor, nn
from torch.nn.utils import parametrize

from tabench.catalog import METHODS
from tabench.encoders.msam import MSam
from tabench.encoders.plain import plainly
from tabench.engine.model import adapt
from tabench.errors import SpecError
from tabench.methods.injection import AdaptedLinear

Change = Callable[[MSam], object]


class Doubled(Block):
    """A block with a parallel branch."""

    def forward(self, x: Tensor) -> Tensor:
        return super().forward(x) + 0.5 * x


class Mixing(nn.Linear):
    """A layer whose rows know of one another."""

    def forward(self, x: Tensor) -> Tensor:
        return super().forward(x) + x.mean(dim=(1, 2), keepdim=True).mean(dim=-1, keepdim=True)


class Louder(AdaptedLinear):
    """An adapted layer that computes something else and declares nothing."""

    def forward(self, x: Tensor) -> Tensor:
        return 1 + 2 * super().forward(x)


class Exact(AdaptedLinear):
    """An adapted layer that answers in single precision whatever the autocast, and says what it is."""

    row_wise = True

    def forward(self, x: Tensor) -> Tensor:
        return super().forward(x).float()


class Positive(nn.Module):
    """A parametrisation of a weight."""

    def forward(self, weight: Tensor) -> Tensor:
        return weight.abs()


def louder(_module: object, _given: object, output: Tensor) -> Tensor:
    return 2 * output.relu()


def of_type(module: nn.Module, kind: type[nn.Module]) -> None:
    module.__class__ = kind


def instead(module: nn.Module) -> None:
    """Another forward on the instance."""
    own = module.forward
    module.forward = types.MethodType(lambda self, *given, **named: _twice(own(*given, **named)), module)


def _twice(found: Tensor | tuple[Tensor, Tensor]) -> Tensor | tuple[Tensor, Tensor]:
    return (2 * found[0], found[1]) if isinstance(found, tuple) else 2 * found


def part(name: str) -> Callable[[MSam], nn.Module]:
    return lambda model: model.image_encoder.get_submodule(name)


ENCODER: dict[str, tuple[Change, str]] = {
    "another type of block": (lambda m: of_type(part("blocks.1")(m), Doubled), "blocks.1"),
    "a block's own forward": (lambda m: instead(part("blocks.0")(m)), "blocks.0"),
    "a hook on a block": (lambda m: part("blocks.0")(m).register_forward_hook(louder), "blocks.0"),
    "a hook before a block": (
        lambda m: part("blocks.1")(m).register_forward_pre_hook(lambda _, x: (2 * x[0],)), "blocks.1"),
    "attention's own forward": (lambda m: instead(part("blocks.0.attn")(m)), "blocks.0.attn"),
    "another scale": (lambda m: setattr(part("blocks.1.attn")(m), "scale", 0.1), "blocks.1.attn"),
    "another window": (lambda m: setattr(part("blocks.0")(m), "window_size", 2), "blocks.0"),
    "a hook on q, k and v": (
        lambda m: part("blocks.1.attn.qkv")(m).register_forward_hook(louder), "blocks.1.attn.qkv"),
    "a projection that mixes rows": (lambda m: of_type(part("blocks.0.attn.proj")(m), Mixing), "attn.proj"),
    "a hook on a convolution that is read": (
        lambda m: part("neck.0")(m).register_forward_hook(louder), "neck"),
    "a parametrised weight that is read": (
        lambda m: parametrize.register_parametrization(part("neck.0")(m), "weight", Positive()), "neck"),
    "the neck's own forward": (lambda m: instead(part("neck")(m)), "neck"),
    "the encoder's own forward": (lambda m: instead(m.image_encoder), "ImageEncoderViT"),
    "another type of encoder": (
        lambda m: of_type(m.image_encoder, type("Mine", (ImageEncoderViT,), {
            "forward": lambda self, x: 2 * ImageEncoderViT.forward(self, x)})), "Mine"),
    "a hook before the patches": (lambda m: part("patch_embed")(m).register_forward_hook(louder), ""),
    "another norm": (lambda m: instead(part("blocks.0.norm1")(m)), ""),
    "another mlp": (lambda m: instead(part("blocks.1.mlp")(m)), ""),
}  # fmt: skip


def compare(model: MSam, foreign: str) -> None:
    """The fast path equals the plain one and says what was foreign; "" where nothing that it reads is."""
    way = model.ways()["encoder"]
    assert way.endswith(f"{foreign})") if foreign else way.startswith("fast path"), way
    assert_alike(model, images_of(2))
    plainly(model, False)


@pytest.mark.parametrize("what", ENCODER)
def test_a_changed_encoder(what: str) -> None:
    change, foreign = ENCODER[what]
    model = make("ta-lora", 2)
    before = model(images_of(2), OUT)["first"]
    change(model)
    assert deviation(model(images_of(2), OUT)["first"], before) > 1e-3, "the change is not seen"
    compare(model, foreign)


@pytest.mark.parametrize("method", ["full-hps", "ta-lora"])
def test_recomputed_blocks_of_somebody_else(method: str) -> None:
    model = make(method, 2)
    of_type(model.image_encoder.blocks[1], Doubled)
    model.recompute = True
    compare(model, "blocks.1")
    instead(model.image_encoder)
    compare(model, "ImageEncoderViT")


def test_layers_that_declare_nothing() -> None:
    model = make("ta-lora", 2)
    before = model(images_of(2), OUT)["first"]
    of_type(model.image_encoder.blocks[0].attn.qkv, Louder)
    assert deviation(model(images_of(2), OUT)["first"], before) > 1e-3
    compare(model, "blocks.0.attn.qkv")
    model = make("full-hps")
    of_type(model.image_encoder.blocks[0].attn.qkv, Mixing)
    compare(model, "blocks.0.attn.qkv")


def test_an_adapted_layer_that_is_not_linear_at_zero() -> None:
    model = make("lora-hps", 2)
    factors = model.image_encoder.blocks[0].attn.qkv.factors
    shifted = {"narrow": lambda self, *given: type(self).__mro__[1].narrow(self, *given) + 1}
    of_type(factors, type("Shifted", (type(factors),), shifted))
    compare(model, "blocks.0.attn.qkv")


def test_an_adapted_layer_that_answers_in_single_precision_under_autocast() -> None:
    model = make("lora-hps", 2, torch.float32)
    for block in model.image_encoder.blocks:
        of_type(block.attn.qkv, Exact)
    assert all(way.startswith("fast path") for way in model.ways().values())
    with torch.autocast("cpu", torch.bfloat16):
        (mine, my_gradients), (theirs, gradients) = both(model, images_of(2, torch.float32))
    for task, value in theirs.items():
        assert deviation(mine[task], value) < 5e-2, task
    largest = max(float(gradient.abs().max()) for gradient in gradients.values())
    for name, gradient in gradients.items():
        assert (my_gradients[name] - gradient).abs().max() < 0.2 * largest, name  # bf16 has 8 bits


def test_adapted_layers_in_other_places() -> None:
    """The layers of the house may stand anywhere: whoever calls them, they give each task its own."""
    model = make("ta-lora", 3)
    encoder = model.image_encoder
    for block in encoder.blocks:
        block.attn.proj = layer(block.attn.proj, block.attn.qkv)
        block.mlp.lin1 = layer(block.mlp.lin1, block.attn.qkv)
    randomise(model)
    compare(model, "")


def layer(base: nn.Linear, like: AdaptedLinear) -> AdaptedLinear:
    made = type(like.factors)(base.in_features, base.out_features, 3, (3, 4, 2)).double()
    return AdaptedLinear(base, made, like.fold, chosen=(0,), scale=0.5, dropout=0.0, parts=1)


@pytest.fixture
def patched(monkeypatch: pytest.MonkeyPatch) -> Callable[[object, str], None]:
    """Put another function in place of one of SAM's."""

    def patch(where: object, name: str) -> None:
        own = getattr(where, name)
        monkeypatch.setattr(where, name, lambda *given, **named: _twice(own(*given, **named)))

    return patch


@pytest.mark.parametrize(
    ("where", "name"),
    [(Block, "forward"), (Attention, "forward"), (nn.LayerNorm, "forward"), (ImageEncoderViT, "forward"),
     (image_encoder, "add_decomposed_rel_pos")],
    ids=lambda value: getattr(value, "__name__", value),
)  # fmt: skip
def test_classes_and_functions_that_were_patched(
    where: object, name: str, patched: Callable[[object, str], None]
) -> None:
    model = make("full-hps", 2)
    before = model(images_of(2), OUT)["first"]
    patched(where, name)
    mine, _ = assert_alike(model, images_of(2))
    assert deviation(mine["first"], before) > 1e-3
    with pytest.raises(SpecError, match="every cell here would have other values"):
        adapt(make("full-hps", 2), METHODS.get("frozen"), {})  # the next cell of the process


def test_a_hook_on_every_module_of_the_process() -> None:
    model = make("full-hps", 2)
    before = model(images_of(2), OUT)["first"]
    handle = nn.modules.module.register_module_forward_hook(
        lambda module, _, output: 2 * output if isinstance(module, Block) else None
    )
    try:
        compare(model, "ImageEncoderViT")
        with pytest.raises(SpecError, match="a hook sees every module"):
            adapt(make("full-hps", 2), METHODS.get("frozen"), {})
        assert deviation(model(images_of(2), OUT)["first"], before) > 1e-3
    finally:
        handle.remove()
    assert all(way.startswith("fast path") for way in model.ways().values())
    assert deviation(model(images_of(2), OUT)["first"], before) < 1e-12  # bits go by where memory lies


DECODER: dict[str, Callable[[nn.Module], object]] = {
    "the decoder's own forward": instead,
    "a hook on a projection": lambda d: d.transformer.layers[1].self_attn.k_proj.register_forward_hook(
        louder
    ),
    "an attention of its own": lambda d: instead(d.transformer.layers[0].cross_attn_token_to_image),
    "another upscaling": lambda d: instead(d.output_upscaling[1]),
    "another position of the first layer": lambda d: setattr(
        d.transformer.layers[0], "skip_first_layer_pe", False
    ),
    "another hypernetwork": lambda d: instead(d.output_hypernetworks_mlps[0]),
}


@pytest.mark.parametrize("what", DECODER)
def test_a_changed_decoder(what: str) -> None:
    model = make("frozen", 2)
    before = model(images_of(2), OUT)
    DECODER[what](model.decoders["first"])
    assert "foreign" in model.ways()["decoders"]
    mine, _ = assert_alike(model, images_of(2))
    assert deviation(mine["first"], before["first"]) > 1e-3
    assert torch.equal(mine["second"], before["second"])


def test_a_decoder_class_that_was_patched(patched: Callable[[object, str], None]) -> None:
    model = make("frozen", 1)
    before = model(images_of(1), OUT)["first"]
    patched(transformer.Attention, "forward")
    mine, _ = assert_alike(model, images_of(1))
    assert deviation(mine["first"], before) > 1e-3
