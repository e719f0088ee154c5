from __future__ import annotations

import math
from pathlib import Path

import pytest
import torch
from tiny_run import make_cell, make_context, make_unit
from torch import nn
from torch.utils.flop_counter import FlopCounterMode

from tabench.encoders.sam.family import VIT_NANO
from tabench.engine import measure
from tabench.engine.measure import ATTENTION, FEWEST, REPEATS, count_flops, measure_unit
from tabench.worlds.scenes import SCENES


@pytest.fixture(autouse=True)
def _afresh(monkeypatch: pytest.MonkeyPatch) -> None:
    torch.set_num_threads(1)
    monkeypatch.setattr(measure, "_COUNTED", {})


def test_an_adapter_costs_its_two_products_in_every_block(
    root: Path, weights: dict[str, torch.Tensor]
) -> None:
    rank, found = 5, {}
    for method, params in (("frozen", {}), ("lora-hps", {"params__rank": rank})):
        cell = make_cell(method, **params)
        unit, model = make_unit(cell, weights)
        found[method] = count_flops(model, make_context(cell, unit, SCENES, root))[1]
    d, k, tokens = VIT_NANO.embed_dim, 3 * VIT_NANO.embed_dim, 0
    for block in range(VIT_NANO.depth):
        side = VIT_NANO.grid
        if block not in VIT_NANO.global_attn_indexes:  # windows are padded to whole ones
            side = math.ceil(side / VIT_NANO.window_size) * VIT_NANO.window_size
        tokens += side**2
    assert found["lora-hps"] - found["frozen"] == 2 * tokens * rank * (d + k)


def test_training_costs_what_is_trained(root: Path, weights: dict[str, torch.Tensor]) -> None:
    found = {}
    for method in ("full-hps", "lora-hps", "frozen"):
        cell = make_cell(method)
        unit, model = make_unit(cell, weights)
        found[method] = count_flops(model, make_context(cell, unit, SCENES, root))
    train, inference = found["full-hps"]
    assert 2.9 < train / inference <= 3  # two backward products for each forward one, but not to the image
    assert found["frozen"][1] == inference
    assert (
        1 < found["frozen"][0] / inference < found["lora-hps"][0] / found["lora-hps"][1] < train / inference
    )


def test_the_regulariser_is_part_of_a_step(root: Path, weights: dict[str, torch.Tensor]) -> None:
    counts = []
    for weight in (0.0, 1.0):
        cell = make_cell("ta-lora", params__ranks=(4, 4, 2), params__orthogonality=weight)
        unit, model = make_unit(cell, weights)
        counts.append(count_flops(model, make_context(cell, unit, SCENES, root)))
    d, k, (p, q, v), depth = 128, 384, (4, 4, 2), 4
    gram = 2 * (p * d * p + q * k * q + v * q * p * q)
    assert counts[1][0] - counts[0][0] == 3 * gram * depth  # X^T X forward, both factors' gradients backward
    assert counts[1][1] == counts[0][1]


@pytest.mark.parametrize("fused", [True, False])
def test_attention_counts_the_same_whichever_kernel_computes_it(fused: bool) -> None:
    from torch.nn.attention import SDPBackend, sdpa_kernel

    query, key, value = (torch.randn(2, 3, n, 8, requires_grad=True) for n in (10, 12, 12))
    backend = SDPBackend.FLASH_ATTENTION if fused else SDPBackend.MATH
    with sdpa_kernel(backend), FlopCounterMode(display=False, custom_mapping=ATTENTION) as counter:
        nn.functional.scaled_dot_product_attention(query, key, value).sum().backward()
    assert counter.get_total_flops() == 6 * (2 * 2 * 3 * 10 * 12 * 8)


def test_a_unit_tells_its_costs_and_is_left_as_it_was(root: Path, weights: dict[str, torch.Tensor]) -> None:
    cell = make_cell("ta-lora", params__ranks=(4, 4, 2))
    unit, model = make_unit(cell, weights)
    before = {name: value.clone() for name, value in model.state_dict().items()}
    torch.manual_seed(7)
    expected = torch.rand(1)
    torch.manual_seed(7)
    cost = measure_unit(model, make_context(cell, unit, SCENES, root))
    assert torch.equal(torch.rand(1), expected)
    assert all(torch.equal(value, before[name]) for name, value in model.state_dict().items())
    assert all(p.grad is None for p in model.parameters())
    trained = sum(p.numel() for p in model.parameters() if p.requires_grad)
    assert (cost.unit, cost.stored, cost.weights_bytes) == ("all", trained, 4 * trained)
    assert FEWEST <= len(cost.latency_s) <= REPEATS
    assert min(cost.latency_s) > 0
    assert cost.problems == []


def test_flops_are_counted_once_for_all_seeds_and_recipes(
    root: Path, weights: dict[str, torch.Tensor], monkeypatch: pytest.MonkeyPatch
) -> None:
    cell = make_cell("frozen")
    unit, model = make_unit(cell, weights)
    first = measure_unit(model, make_context(cell, unit, SCENES, root))
    monkeypatch.setattr(measure, "count_flops", lambda *_: pytest.fail("counted again"))
    other = cell.model_copy(update={"seed": 1, "train": cell.train.model_copy(update={"lr": 1.0})})
    again = measure_unit(model, make_context(other, unit, SCENES, root))
    assert (again.train_flops, again.problems) == (first.train_flops, [])


def test_what_cannot_be_measured_is_named_and_loses_nothing(
    root: Path, weights: dict[str, torch.Tensor], monkeypatch: pytest.MonkeyPatch
) -> None:
    def broken(*_: object) -> None:
        raise RuntimeError("no such kernel")

    monkeypatch.setattr(measure, "count_flops", broken)
    cell = make_cell("frozen")
    unit, model = make_unit(cell, weights)
    cost = measure_unit(model, make_context(cell, unit, SCENES, root))
    assert cost.train_flops is None
    assert cost.problems == ["FLOPs: RuntimeError: no such kernel"]
    assert len(cost.latency_s) >= FEWEST
