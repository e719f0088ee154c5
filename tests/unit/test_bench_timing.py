"""Alternating, summarising, and running out of memory."""

from __future__ import annotations

import time

import pytest
import torch

from tabench.bench.timing import OUT_OF_MEMORY, alternate, interval, peak_of, ratio

CPU = torch.device("cpu")


def test_ways_take_turns() -> None:
    order: list[str] = []
    found = alternate(
        {"a": lambda: order.append("a"), "b": lambda: order.append("b")},
        repeats=3,
        fewest=1,
        budget=60,
        device=CPU,
    )
    assert order == ["a", "b", "a", "b", "a", "b"]
    assert [len(found[way]["wall_s"]) for way in "ab"] == [3, 3]


def test_a_spent_budget_ends_it_after_the_fewest_rounds() -> None:
    found = alternate({"a": lambda: time.sleep(0.02)}, repeats=9, fewest=2, budget=0.01, device=CPU)
    assert len(found["a"]["wall_s"]) == 2
    assert found["a"]["median_s"] >= 0.02
    assert found["a"]["cpu_median_s"] < found["a"]["median_s"]  # asleep


def test_a_way_without_memory_is_told_and_the_others_go_on() -> None:
    def hungry() -> None:
        raise torch.OutOfMemoryError("none left")

    found = alternate({"a": hungry, "b": lambda: None}, repeats=2, fewest=2, budget=1, device=CPU)
    assert found["a"] == {"error": OUT_OF_MEMORY}
    assert len(found["b"]["wall_s"]) == 2
    assert ratio(found, "a", "b") is None


def test_a_ratio_is_of_medians_and_has_the_range_of_its_rounds() -> None:
    figures = {
        "plain": {"median_s": 4.0, "cpu_median_s": 6.0, "wall_s": [4.0, 3.0, 6.0]},
        "fast": {"median_s": 2.0, "cpu_median_s": 2.0, "wall_s": [2.0, 2.0, 2.0]},
    }
    assert ratio(figures, "plain", "fast") == {
        "of_medians": 2.0,
        "lowest": 1.5,
        "highest": 3.0,
        "of_cpu": 3.0,
        "interval": None,  # of three rounds
    }


def test_an_interval_is_of_whole_rounds() -> None:
    slow = [1.0, 2.0, 1.5, 3.0, 1.2, 5.0]  # what slowed a round slowed both ways
    assert interval([2 * seconds for seconds in slow], slow) == [2.0, 2.0]
    low, high = interval([2.1, 4.0, 3.1, 6.0, 2.3, 10.2], slow) or (0, 0)
    assert 1.9 < low < 2.0 < high < 2.1


def test_peak_memory_counts_what_is_freed_again() -> None:
    def work() -> None:
        torch.ones(64, 2**20)  # 256 MB

    found = peak_of(work, CPU)
    if found["counter"] == "VmHWM":
        pytest.skip("this system cannot reset its peak")
    assert 250 < float(found["over_base_mb"]) < 300
    assert float(found["peak_mb"]) == pytest.approx(
        float(found["base_mb"]) + float(found["over_base_mb"]), abs=0.2
    )
