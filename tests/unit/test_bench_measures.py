"""Measuring for real, at the smallest size."""

from __future__ import annotations

from dataclasses import replace

import pytest
import torch

from tabench.bench.jobs import Job, Place
from tabench.bench.measures import agreement, flops_of, measure
from tabench.bench.runner import MeasurementError, apart
from tabench.bench.subject import Subject
from tabench.catalog import METHODS
from tabench.encoders.plain import Way
from tabench.methods.injection import AdaptedLinear

PLACE = Place("cpu", 1)
JOB = Job("paths", "ta-lora", "nano-24", params={"ranks": (3, 4, 2)}, repeats=2, fewest=2)


def test_both_paths() -> None:
    found = measure(JOB, PLACE, "time")
    assert found["models"] == 1
    for work in ("train", "evaluate"):
        figures = found[work]
        for way in ("plain", "fast"):
            assert len(figures[way]["wall_s"]) == 2
    assert found["train"]["flops"]["plain"] > 2 * found["evaluate"]["flops"]["plain"]
    assert found["agreement"]["outputs"] < 1e-4
    assert found["agreement"]["gradients"] < 1e-3
    assert found["agreement"]["loss"] < 1e-5


@pytest.mark.parametrize("method", METHODS.names())
def test_the_paths_agree_for_every_method(method: str) -> None:
    subject = Subject(Job("paths", method, "nano-24", batch=2), PLACE)
    assert len(subject.parts) == (3 if METHODS.get(method).sharing == "per-task" else 1)
    found = agreement(subject)
    assert found["outputs"] < 1e-4
    assert found["gradients"] < 1e-3


def test_a_path_that_computes_something_else_is_found_out() -> None:
    class Wrong(Subject):
        def gradients(self, way: Way) -> dict[str, float]:
            terms = super().gradients(way)
            if way == "fast":
                self.parts[0].model.image_encoder.blocks[0].norm1.weight.grad *= 1.01
            return terms

    found = agreement(Wrong(JOB, PLACE))
    assert found["gradients"] > 5e-3
    assert found["worst"].endswith("blocks.0.norm1.weight")


def test_no_update_is_zero() -> None:
    for method in ("ta-lora", "ta-lora-cp", "lora-hps"):
        model = Subject(replace(JOB, method=method, params={}), PLACE).parts[0].model
        for layer in model.modules():
            if isinstance(layer, AdaptedLinear):
                update = layer.scale * layer.factors.dense().detach()
                assert float(update.std()) == pytest.approx(0.02, rel=0.01)


def test_flops_are_of_the_products_alone() -> None:
    a, b = torch.ones(3, 5), torch.ones(5, 7)
    assert flops_of(lambda: (a @ b).softmax(-1) + 1) == 2 * 3 * 5 * 7


def test_memory_of_each_path() -> None:
    for part in ("memory-plain", "memory-fast"):
        found = measure(JOB, PLACE, part)
        assert set(found) == {"train", "evaluate"}
        assert all(figures["peak_mb"] >= figures["base_mb"] > 0 for figures in found.values())


def test_a_failed_process_is_named_with_its_error() -> None:
    with pytest.raises(MeasurementError, match=r"paths-ta-lora-nano-24-n1, time.*no-such-task"):
        apart(replace(JOB, tasks=(("no-such-task", 1),)), PLACE, "time")
