"""factors.json: what is in it, for which models, and that it repeats."""

from __future__ import annotations

import json

import numpy as np
import pytest
import torch
from torch import nn

from tabench.methods.analysis import KEPT, Layers, analyse, layers_of
from tabench.methods.factors import CPFactors, Factors, LoRAFactors, TuckerFactors
from tabench.methods.injection import AdaptedLinear, TaskFold

TASKS = ("a", "b", "c")


def model(make: type[Factors], *args: object, seed: int = 0, zero: bool = False) -> Layers:
    """Two adapted layers of 10 inputs and 4 outputs under SAM's names, as they are after training."""
    torch.manual_seed(seed)
    root = nn.Module()
    root.image_encoder = nn.Module()
    root.image_encoder.blocks = nn.ModuleList(
        AdaptedLinear(
            nn.Linear(10, 4), make(10, 4, *args), TaskFold(1), chosen=(0,), scale=0.5, dropout=0.0, parts=1
        )
        for _ in range(2)
    )
    for block in root.image_encoder.blocks:
        for parameter in () if zero else block.factors.parameters():
            nn.init.normal_(parameter)
    return layers_of(root)


@pytest.mark.parametrize(("make", "args"), [(TuckerFactors, (3, (4, 3, 2))), (CPFactors, (3, 5))])
def test_numbers_are_those_of_the_dense_update(make: type[Factors], args: tuple[object, ...]) -> None:
    layers = model(make, *args)
    found = analyse({"all": layers}, TASKS)
    assert found is not None
    torch.manual_seed(0)
    for layer, (_, _, values) in zip(found["layers"], layers.values(), strict=True):
        own = make(10, 4, *args).double()
        own.load_state_dict({key: torch.from_numpy(value) for key, value in values.items()})
        dense = own.dense().detach().numpy()
        assert layer["shape"] == [10, 4, 3]
        assert layer["norms"] == pytest.approx([0.5 * np.linalg.norm(dense[:, :, t]) for t in range(3)])
        flat = dense.reshape(-1, 3) / np.linalg.norm(dense.reshape(-1, 3), axis=0)
        assert np.array(layer["updates"]) == pytest.approx(flat.T @ flat, abs=1e-6)
        rows = values["U3" if make is TuckerFactors else "C"]
        unit = rows / np.linalg.norm(rows, axis=1, keepdims=True)
        assert np.array(layer["rows"]) == pytest.approx(unit @ unit.T, abs=1e-6)
        for mode in (1, 2, 3):
            assert sum(v**2 for v in layer[f"mode{mode}"]["values"]) == pytest.approx(1, abs=1e-5)
    mean = np.mean([layer["rows"] for layer in found["layers"]], axis=0)
    assert np.array(found["mean"]["rows"]) == pytest.approx(mean, abs=1e-6)


def test_loras_of_single_tasks_are_stacked() -> None:
    models = {task: model(LoRAFactors, 2, seed=n) for n, task in enumerate(TASKS)}
    found = analyse(models, TASKS)
    assert found is not None
    assert found["kind"] == "lora-stack"
    assert found["mean"]["rows"] is None
    first = found["layers"][0]
    assert first["name"] == "blocks.0"
    assert first["mode1"]["possible_rank"] == 6
    assert first["mode2"]["possible_rank"] == 4
    assert first["mode3"]["numerical_rank"] == 3


def test_equal_loras_have_one_direction_of_tasks() -> None:
    models = {task: model(LoRAFactors, 2) for task in TASKS}
    found = analyse(models, TASKS)
    assert found is not None
    assert found["layers"][0]["mode3"]["effective_rank"] == pytest.approx(1, abs=1e-5)
    assert np.array(found["mean"]["updates"]) == pytest.approx(np.ones((3, 3)), abs=1e-6)


def test_an_update_of_zero_has_no_spectrum_and_stays_json() -> None:
    found = analyse({"all": model(TuckerFactors, 3, (4, 3, 2), zero=True)}, TASKS)
    assert found is not None
    assert found["layers"][0]["mode1"] is None
    assert found["layers"][0]["updates"] == [[None] * 3] * 3
    assert found["mean"]["updates"] is None
    assert found["mean"]["rows"] is not None
    json.dumps(found, allow_nan=False)


def test_at_most_the_kept_values_are_written_and_twice_the_same() -> None:
    layers = {"l": ("tucker", 1.0, {key: np.random.default_rng(0).normal(size=shape) for key, shape in
              {"G": (40, 40, 2), "U1": (60, 40), "U2": (50, 40), "U3": (3, 2)}.items()})}  # fmt: skip
    found = analyse({"all": layers}, TASKS)
    assert found is not None
    assert len(found["layers"][0]["mode1"]["values"]) == KEPT
    assert found["layers"][0]["mode1"]["possible_rank"] == 40
    assert found == analyse({"all": layers}, TASKS)


def test_nothing_is_stacked_where_there_is_no_stack() -> None:
    assert analyse({"all": model(LoRAFactors, 2)}, TASKS) is None  # one LoRA for all tasks
    assert analyse({"all": {}}, TASKS) is None
    assert analyse({"all": model(TuckerFactors, 1, (4, 3, 2))}, ("a",)) is None
    assert analyse({}, TASKS) is None
