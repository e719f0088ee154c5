from __future__ import annotations

import pytest

from tabench.catalog import BACKBONES, METHODS
from tabench.engine.describe import describe
from tabench.report.records.evidence import lora_parameters, tucker_parameters


@pytest.mark.parametrize("tasks", [1, 2, 4])
def test_arithmetic_counts_what_the_built_model_has(tasks: int) -> None:
    backbone = BACKBONES.get("sam_vit_nano")
    d, k = backbone.embed_dim, 3 * backbone.embed_dim
    channels = {f"task{i}": 2 for i in range(tasks)}
    built = describe(METHODS.get("ta-lora"), backbone, channels, {"ranks": (5, 6, 3)})
    assert built["all"]["groups"]["adapters"] == backbone.depth * tucker_parameters(d, k, tasks, (5, 6, 3))
    lora = describe(METHODS.get("lora-stl"), backbone, channels, {"rank": 7})
    assert lora["all"]["groups"]["adapters"] == backbone.depth * lora_parameters(d, k, tasks, 7)


def test_the_recipe_of_the_released_code() -> None:
    assert 24 * tucker_parameters(1024, 3072, 3, (32, 32, 4)) == 3_244_320
    assert 24 * tucker_parameters(1024, 3072, 2, (32, 32, 4)) == 3_244_224
