"""Parameter counts, to the unit."""

from __future__ import annotations

import re

import pytest
import torch

from tabench.catalog import METHODS
from tabench.encoders.msam import MSam
from tabench.encoders.sam.family import VIT_B, VIT_H, VIT_L, Backbone
from tabench.engine.describe import describe
from tabench.errors import SpecError
from tabench.methods.parameters import count

NYU = {"segmentation": 13, "depth": 1, "normals": 3}
TINY = Backbone("tiny", 32, 8, 8, 2, 2, (1,), 3, 16, 2, 16, 8)


def test_ta_lora_on_vit_l() -> None:
    described = describe(METHODS.get("ta-lora"), VIT_L, NYU)
    counts = described["all"]
    assert counts["groups"] == {
        "adapters": 3_244_320,
        "norms": 98_304,
        "embeddings": 4_352,
        "decoders": 12_175_020,
        "encoder": 308_179_968,
    }
    assert counts["idle"] == 3 * 552_036
    assert counts["trained"] == 3_244_320 + 98_304 + 4_352 + 12_175_020 - 3 * 552_036
    assert counts["frozen"] == 308_179_968
    # 5 point embeddings of 256 and the mask convolutions: in the published total, not in mSAM
    assert described["unused_prompt_encoder"] == 5 * 256 + 4_684
    assert counts["total"] + described["unused_prompt_encoder"] == 323_707_928


@pytest.mark.parametrize(
    ("backbone", "channels", "adapters"),
    [(VIT_B, NYU, 1_228_944), (VIT_H, NYU, 5_374_336), (VIT_L, {"a": 7, "b": 1}, 3_244_224)],
)
def test_ta_lora_adapters(backbone: Backbone, channels: dict[str, int], adapters: int) -> None:
    assert describe(METHODS.get("ta-lora"), backbone, channels)["all"]["groups"]["adapters"] == adapters


@pytest.mark.parametrize("tasks", [1, 2, 4])
def test_adapters_follow_the_formulas(tasks: int) -> None:
    channels = {f"t{i}": 1 for i in range(tasks)}
    d, k, blocks = 8, 24, 2

    def adapters(name: str, **params: int | tuple[int, ...]) -> int:
        return describe(METHODS.get(name), TINY, channels, params)["all"]["groups"]["adapters"]

    assert adapters("ta-lora", ranks=(3, 5, 2)) == blocks * (3 * d + 5 * k + 2 * tasks + 3 * 5 * 2)
    assert adapters("ta-lora-cp", rank=5) == blocks * (5 * (d + k + tasks) + 5)
    assert adapters("lora-stl", rank=5) == blocks * tasks * 5 * (d + k)
    assert adapters("lora-hps", rank=5) == blocks * 5 * (d + k)
    assert adapters("full-hps") == adapters("frozen") == 0


def test_single_task_methods_sum_over_their_models() -> None:
    described = describe(METHODS.get("full-stl"), TINY, NYU)
    assert list(described["per_model"]) == list(NYU)
    for key in ("trained", "idle", "frozen", "total"):
        assert described["all"][key] == sum(one[key] for one in described["per_model"].values())
    assert list(describe(METHODS.get("full-hps"), TINY, NYU)["per_model"]) == ["all"]


def test_idle_parts_are_those_without_a_gradient() -> None:
    model = MSam(TINY, NYU)
    model.requires_grad_(True)
    outputs = model(torch.rand(1, 3, 32, 32), (32, 32))
    sum(value.square().sum() for value in outputs.values()).backward()
    without = {name for name, p in model.decoders.named_parameters(prefix="decoders") if p.grad is None}
    counts = count(model)
    named = tuple(f"{part}." for part in counts["idle_names"])
    assert without == {name for name, _ in model.named_parameters() if name.startswith(named)}
    assert counts["idle"] == sum(dict(model.named_parameters())[name].numel() for name in without)
    assert all(p.grad is not None for name, p in model.named_parameters() if not name.startswith(named))


def test_idle_parts_get_no_gradient_from_the_stock_decoder_either() -> None:
    model = MSam(TINY, {"a": 2})
    decoder = model.decoders["a"].requires_grad_(True)
    masks, _ = decoder(
        image_embeddings=torch.randn(1, 16, 4, 4),
        image_pe=model.dense_pe(),
        sparse_prompt_embeddings=torch.zeros(2, 0, 16),
        dense_prompt_embeddings=torch.randn(2, 16, 4, 4),
        multimask_output=False,
    )
    masks.square().sum().backward()
    idle = re.compile(r"output_hypernetworks_mlps\.[1-3]|iou_prediction_head")
    for name, parameter in decoder.named_parameters():
        moved = parameter.grad is not None and bool(parameter.grad.any())
        if idle.match(name):
            assert not moved, name


def test_a_wrong_hyper_parameter_is_named() -> None:
    with pytest.raises(SpecError, match="rank"):
        describe(METHODS.get("ta-lora"), TINY, NYU, {"rank": 8})
