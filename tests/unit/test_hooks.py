"""What a method does in training beside the forward pass: a loss term, and an act after each step."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import reallocating
import torch
from tiny_run import Stop, make_cell, make_context, make_unit

from tabench.catalog import DATASETS, METHODS
from tabench.encoders.msam import MSam
from tabench.engine import gradients
from tabench.engine.checkpoint import CheckpointStore
from tabench.engine.gradients import accumulate
from tabench.engine.loop import train_unit
from tabench.engine.model import adapt
from tabench.engine.snapshot import trained_parameters, untrained
from tabench.engine.state import State
from tabench.errors import CheckpointError, InterruptedRunError, SpecError

SCENES = DATASETS.get("scenes")
Weights = dict[str, torch.Tensor]


def train(weights: Weights, root: Path, folder: Path, **options: Any) -> tuple[MSam, State]:
    cell = make_cell("reallocating")
    unit, model = make_unit(cell, weights)
    context = make_context(cell, unit, SCENES, root, rebuild=lambda: make_unit(cell, weights)[1], **options)
    return model, train_unit(model, context, CheckpointStore(folder))


def masks(model: MSam) -> torch.Tensor:
    return torch.stack([block.attn.proj.mask for block in model.image_encoder.blocks])


def test_ranks_are_reallocated_and_a_resumed_run_is_equal_bit_for_bit(
    weights: Weights, root: Path, tmp_path: Path
) -> None:
    model, state = train(weights, root, tmp_path / "whole")
    found = masks(model)
    assert 2 * found.sum() == found.numel()
    assert len(set(found.sum(dim=1).tolist())) > 1, "layers have ranks of their own"
    assert model.hooks.calls == [(step, 4) for step in range(4)]
    first, second = (entry["terms"]["method"] for entry in state.train_curve)
    assert first > second > 0, "the last step has no term"
    for stop in (1, 2):
        with pytest.raises(InterruptedRunError):
            train(weights, root, tmp_path / "parts", should_stop=Stop(stop))
    resumed, again = train(weights, root, tmp_path / "parts")
    assert again.to_json() == state.to_json()
    assert torch.equal(resumed.hooks.sizes, model.hooks.sizes)
    for whole, part in ((trained_parameters(model), trained_parameters(resumed)),
                        (untrained(model), untrained(resumed))):  # fmt: skip
        assert all(torch.equal(part[name], value) for name, value in whole.items())


def test_a_step_that_is_tried_again_is_acted_on_once(
    weights: Weights, root: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    asked = []

    def greedy(*given: Any) -> dict[str, float]:
        found = accumulate(*given)
        asked.append(given[3])
        if asked.count(2) == 1 and given[3] == 2:
            raise torch.OutOfMemoryError("no memory left")
        return found

    monkeypatch.setattr(gradients, "accumulate", greedy)
    model, _ = train(weights, root, tmp_path / "short")
    assert asked == [0, 1, 2, 2, 3]
    assert model.hooks.calls == [(step, 4) for step in range(4)]


def test_state_that_does_not_fit_is_refused(weights: Weights, root: Path, tmp_path: Path) -> None:
    with pytest.raises(InterruptedRunError):
        train(weights, root, tmp_path, should_stop=Stop(1))
    (place,) = tmp_path.iterdir()
    (place / "extra.safetensors").unlink()
    (place / "sums.json").unlink()
    with pytest.raises(CheckpointError, match="these are not the sizes of as many ranks"):
        train(weights, root, tmp_path)


def test_what_a_method_returns_is_hooks_or_nothing(
    weights: Weights, root: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    _, model = make_unit(make_cell("frozen"), weights)
    assert model.hooks is None
    monkeypatch.setattr(reallocating, "adapt", lambda *_: {"loss": 0})
    with pytest.raises(SpecError, match="returns something, which nobody would use"):
        adapt(model, METHODS.get("reallocating"), {"share": 0.5})
