from __future__ import annotations

import sys
import types
from typing import Any

import pytest
import torch

from tabench.events import Evaluated, Evaluating, FinallyEvaluated, Step, UnitCost, Validated
from tabench.runs import circumstances
from tabench.runs.circumstances import gpu_energy_j
from tabench.runs.meter import Meter


class Clock:
    """Time that passes only where a test says so."""

    def __init__(self) -> None:
        self.time = 100.0

    def __call__(self) -> float:
        return self.time


def cost_of(name: str, latency: list[float] | None = None, **more: Any) -> UnitCost:
    known: dict[str, Any] = {"train_flops": 30, "inference_flops": 10, "problems": []}
    known |= {"latency_s": latency or [0.1, 0.3, 0.2], "stored": 5, "weights_bytes": 20, "seconds": 0.5}
    return UnitCost(unit=name, **{**known, **more})


def final(name: str, images: int, seconds: float) -> tuple[Evaluating, FinallyEvaluated]:
    evaluating = Evaluating(unit=name, images=1, of=images)
    return evaluating, FinallyEvaluated(unit=name, seconds=seconds, values=[])


def train(meter: Meter, clock: Clock, name: str, steps: int, pace: float) -> None:
    for _ in range(steps):
        clock.time += pace
        meter.on_event(Step(unit=name, epoch=1, epochs=1, step=1, steps=9, loss=0.5, seconds_left=1.0))


def test_a_pace_leaves_out_the_first_step_and_evaluations() -> None:
    clock = Clock()
    meter = Meter(4, {}, now=clock)
    clock.time += 50  # reading, building
    train(meter, clock, "all", 6, 2.0)
    clock.time += 30
    meter.on_event(Evaluated(unit="all", epoch=1, seconds=30.0, values=[]))
    clock.time += 7
    meter.on_event(Validated(unit="all", epoch=1, loss=0.5))
    train(meter, clock, "all", 5, 2.0)
    for event in (*final("all", 32, 8.0), cost_of("all")):
        meter.on_event(event)
    cost = meter.cost()
    assert cost["train_images_per_s"] == 2.0
    assert cost["eval_images_per_s"] == 4.0
    assert meter.measuring == 0.5


def test_one_model_a_task_is_summed() -> None:
    clock = Clock()
    meter = Meter(2, {}, now=clock)
    for name, pace, latency in (("depth", 1.0, [1.0, 2.0, 3.0]), ("normals", 3.0, [1.0, 1.0, 1.0, 9.0])):
        train(meter, clock, name, 3, pace)
        for event in (*final(name, 10, 5.0), cost_of(name, latency)):
            meter.on_event(event)
    cost = meter.cost()
    assert (cost["models"], cost["train_flops"], cost["inference_flops"]) == (2, 60, 20)
    assert (cost["stored"], cost["weights_bytes"]) == (10, 40)
    assert (cost["latency_s"], cost["latency_spread_s"], cost["latency_repeats"]) == (3.0, 2.0, 3)
    assert cost["train_images_per_s"] == 0.5  # 2 images take 1 s in one model and 3 s in the other
    assert cost["eval_images_per_s"] == 1.0


def test_a_later_attempt_goes_on_from_the_earlier_one() -> None:
    clock = Clock()
    first = Meter(2, {}, now=clock, energy=iter([100.0, 140.0]).__next__)
    train(first, clock, "depth", 3, 1.0)
    left = first.cost()
    assert left["train_images_per_s"] is None  # nothing has been measured at the end of a unit yet
    assert left["energy_j"] == 40.0
    second = Meter(2, left, now=clock, energy=iter([500.0, 510.0]).__next__)
    for event in (*final("depth", 4, 1.0), cost_of("depth")):
        second.on_event(event)
    cost = second.cost()
    assert cost["train_images_per_s"] == 2.0
    assert cost["energy_j"] == 50.0


@pytest.mark.parametrize(
    ("readings", "whole"), [([None, 3.0], True), ([3.0, None], True), ([1.0, 2.0], False)]
)
def test_energy_that_is_not_known_whole_is_not_told(readings: list[float | None], whole: bool) -> None:
    meter = Meter(2, {}, whole=whole, energy=iter(readings).__next__)
    assert meter.cost()["energy_j"] is None


def test_what_one_model_could_not_measure_is_not_told_for_the_cell() -> None:
    meter = Meter(2, {})
    meter.on_event(cost_of("depth"))
    meter.on_event(cost_of("normals", train_flops=None, latency_s=None, problems=["FLOPs: broken"]))
    cost = meter.cost()
    assert (cost["train_flops"], cost["latency_s"]) == (None, None)
    assert cost["inference_flops"] == 20
    assert cost["problems"] == ["normals: FLOPs: broken"]


@pytest.fixture
def card(monkeypatch: pytest.MonkeyPatch) -> types.SimpleNamespace:
    """A made-up management library and card; no real device is asked."""
    library = types.SimpleNamespace(
        nvmlInit=lambda: None,
        nvmlDeviceGetHandleByUUID=lambda uuid: uuid,
        nvmlDeviceGetTotalEnergyConsumption=lambda handle: {"GPU-12-ab": 2500}[handle],
    )
    monkeypatch.setitem(sys.modules, "pynvml", library)
    monkeypatch.setattr(
        torch.cuda, "get_device_properties", lambda device: types.SimpleNamespace(uuid="12-ab")
    )
    return library


@pytest.mark.usefixtures("card")
def test_the_driver_counts_in_millijoules(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(circumstances, "choose_device", torch.device)
    assert gpu_energy_j("cuda") == 2.5
    assert gpu_energy_j("cuda", 2) == 5.0
    assert gpu_energy_j("cpu") is None
