"""The fast path against the plain one on CUDA."""

from __future__ import annotations

import pytest

from tabench.bench.jobs import Job, Place
from tabench.bench.measures import agreement, measure
from tabench.bench.subject import Subject
from tabench.catalog import METHODS

PLACE = Place("cuda", 4)


@pytest.mark.parametrize("batch", [1, 3])
@pytest.mark.parametrize("method", METHODS.names())
def test_fp32_outputs_and_gradients(method: str, batch: int) -> None:
    found = agreement(Subject(Job("paths", method, "nano", batch=batch), PLACE))
    assert found["outputs"] < 1e-4
    assert found["gradients"] < 1e-3


def test_bf16_outputs_are_close() -> None:
    found = agreement(Subject(Job("paths", "ta-lora", "b4-256", precision="bf16"), PLACE))
    assert found["outputs"] < 5e-2


def test_a_measurement_has_times_and_memory() -> None:
    job = Job("paths", "ta-lora", "nano", precision="bf16", repeats=2, fewest=2)
    found = measure(job, PLACE, "time")
    assert found["train"]["ratio"]["of_medians"] > 0
    assert found["memory-fast"]["train"]["over_base_mb"] > 0
