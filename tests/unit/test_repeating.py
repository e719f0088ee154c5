from __future__ import annotations

from pathlib import Path

import pytest
import spec_samples as samples
from finished_cells import finish

from tabench.runs.repeating import Trial, differences, first_difference
from tabench.store.record import load_record

LOSSES = [("all", 1, 0.5), ("all", 2, 0.25), ("all", 3, 0.125)]


@pytest.fixture
def trial(tmp_path: Path) -> Trial:
    record = load_record(finish(tmp_path, samples.cells(tmp_path)[0]).record)
    return Trial(list(LOSSES), record)


def test_equal_trials_differ_in_nothing(trial: Trial) -> None:
    assert differences(trial, Trial(list(LOSSES), trial.record)) == []


def test_the_first_step_that_differs_is_named() -> None:
    other = [LOSSES[0], ("all", 2, 0.25 + 2**-30), ("all", 3, 9.0)]
    assert first_difference(LOSSES, other).startswith("loss: first at step 2: 0.25 and 0.250000000931322")
    unit = [("depth", 1, 1.0)], [("depth", 1, 2.0)]
    assert "step 1 of depth" in first_difference(*unit)
    assert first_difference(LOSSES, LOSSES[:2]) == "3 and 2 steps"


def test_weights_and_metrics_are_compared(trial: Trial) -> None:
    metrics = list(trial.record.metrics)
    metrics[0] = metrics[0].model_copy(update={"value": 0.5})
    changed = trial.record.model_copy(update={"weights_sha256": "c" * 64, "metrics": tuple(metrics)})
    weights, numbers = differences(trial, Trial(list(LOSSES), changed))
    assert weights.endswith("and cccccccccccc")
    assert numbers.startswith(f"1 of {len(metrics)} metrics")
    assert "0.33333333 and 0.5" in numbers


def test_what_else_differs_is_not_passed_over(trial: Trial) -> None:
    changed = trial.record.model_copy(update={"label": "another"})
    assert differences(trial, Trial(list(LOSSES), changed)) == [
        "the records, though not in weights or metrics"
    ]
