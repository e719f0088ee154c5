"""Merged models against the adapted ones, in evaluation mode."""

from __future__ import annotations

import pytest
import torch
from test_paths import OUT, deviation, images_of, make

from tabench.errors import SpecError
from tabench.methods.injection import AdaptedLinear
from tabench.methods.merging import MergedMSam


def test_dropout_of_a_training_model_is_off() -> None:
    model = make("ta-lora", dropout=0.5).train()
    got = MergedMSam(model)(images_of(1), OUT)
    assert model.training
    assert not got["first"].requires_grad
    with torch.no_grad():
        expected = model.eval()(images_of(1), OUT)
    assert deviation(got["first"], expected["first"]) < 1e-10


def test_some_tasks_run_their_own_encoders_only(monkeypatch: pytest.MonkeyPatch) -> None:
    model = make("ta-lora", 4).eval()
    merged = MergedMSam(model)
    ran = []
    for part in merged.models:
        part.register_forward_hook(lambda module, *_: ran.append(next(iter(module.channels))))
    got = merged(images_of(2), OUT, ["third", "first"])
    assert list(got) == ["third", "first"]
    assert sorted(ran) == ["first", "third"]
    assert deviation(got["third"], model(images_of(2), OUT)["third"]) < 1e-10
    with pytest.raises(SpecError, match="fifth"):
        merged(images_of(1), OUT, ["fifth"])


def test_only_the_merged_layers_take_memory_and_the_model_keeps_its_weights() -> None:
    model = make("ta-lora", 4)
    before = {key: value.clone() for key, value in model.state_dict().items()}
    merged = MergedMSam(model)
    assert list(model.state_dict()) == list(before)
    assert all(torch.equal(value, before[key]) for key, value in model.state_dict().items())
    own = {id(p) for p in model.parameters()}
    new = {id(p): p for p in merged.parameters() if id(p) not in own}
    width = model.backbone.embed_dim
    assert sum(p.numel() for p in new.values()) == 4 * model.backbone.depth * (3 * width * width + 3 * width)
    assert not any(isinstance(module, AdaptedLinear) for module in merged.modules())
    assert len(MergedMSam(make("lora-hps", 4)).models) == 1


@pytest.mark.parametrize("method", ["ta-lora", "lora-hps"])
def test_weights_kept_in_bf16_give_what_autocast_gives(method: str) -> None:
    model = make(method).float()
    before = {key: value.clone() for key, value in model.state_dict().items()}
    wide, narrow = MergedMSam(model), MergedMSam(model, bf16=True)
    with torch.autocast("cpu", torch.bfloat16):
        expected = wide(images_of(2).float(), OUT)
    got = narrow(images_of(2).float(), OUT)
    assert all(torch.equal(got[task], expected[task]) for task in expected)
    assert narrow.models[0].image_encoder.blocks[0].mlp.lin1.weight.dtype == torch.bfloat16
    assert all(torch.equal(value, before[key]) for key, value in model.state_dict().items())
