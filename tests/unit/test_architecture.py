"""architecture.json: the counts of the built model, split the way the diagrams show them."""

from __future__ import annotations

import json
from collections.abc import Mapping

import torch

from tabench.catalog import BACKBONES, METHODS
from tabench.encoders.msam import MSam
from tabench.engine.describe import architecture, describe_model
from tabench.engine.model import adapt

CHANNELS = {"segmentation": 13, "depth": 1, "normals": 3}


def built(method: str, backbone: str, channels: Mapping[str, int] = CHANNELS) -> MSam:
    found = METHODS.get(method)
    with torch.device("meta"):
        model = MSam(BACKBONES.get(backbone), channels)
        adapt(model, found, found.params({}))
    return model


def test_counts_of_the_published_size() -> None:
    facts = describe_model(built("ta-lora", "vit_l"))
    parts = facts["parts"]
    assert parts["adapters"] == {"trained": 3_244_320, "frozen": 0, "idle": 0}
    assert parts["block_norms"]["trained"] == 98_304
    assert sum(parts[f"no_mask.{task}"]["trained"] for task in CHANNELS) == 4_352
    decoders = [parts[f"decoders.{task}"] for task in CHANNELS]
    assert [part["idle"] for part in decoders] == [552_036] * 3
    assert sum(part["trained"] + part["idle"] for part in decoders) == 12_175_020
    assert facts["embeddings"] == {"segmentation": [13, 256], "depth": [1, 256], "normals": [3, 256]}
    adapted = facts["adapted"]
    assert adapted["factors"] == {"G": [32, 32, 4], "U1": [1024, 32], "U2": [3072, 32], "U3": [3, 4]}
    assert (adapted["layers"], adapted["updated"], adapted["scale"]) == (24, "qkv", 0.5)
    assert adapted["layers"] * adapted["parameters"] == 3_244_320


def test_sam_beside_it_and_models_of_single_tasks() -> None:
    models = {task: describe_model(built("lora-stl", "vit_b", {task: n})) for task, n in CHANNELS.items()}
    found = architecture(METHODS.get("lora-stl"), BACKBONES.get("vit_b"), models)
    assert found["sam"]["parameters"] == {
        "image_encoder": 89_670_912, "prompt_encoder": 6_220, "mask_decoder": 4_058_340,
    }  # fmt: skip
    assert found["sam"]["masks"] == 3
    assert found["models"]["depth"]["adapted"]["factors"] == {"A": [32, 768], "B": [2304, 32]}
    assert describe_model(built("frozen", "sam_vit_nano"))["adapted"] is None
    json.dumps(found, allow_nan=False)
