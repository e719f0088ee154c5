"""What is asked of a GPU beside its times, on the CPU: losses by precision, the largest batch, the checks."""

from __future__ import annotations

import shutil
import subprocess
from pathlib import Path
from typing import Any

import pytest
import torch

from tabench.bench import checks
from tabench.bench.jobs import Job, Place
from tabench.bench.measures import measure
from tabench.bench.subject import Subject
from tabench.encoders.plain import Way
from tabench.provenance.machine import Finding

PLACE = Place("cpu", 1, rehearsal=True)
ROOT = Path(__file__).parents[2]


def test_losses_part_by_precision_and_by_dropout() -> None:
    found = measure(Job("losses", "ta-lora", "nano-16"), PLACE, "time")
    assert found["steps"] == 4
    assert set(found["apart"]["TF32"].values()) == {0.0}  # which no CPU has
    assert 0 < found["apart"]["bf16"]["1"] < found["apart"]["fp32, other dropout"]["4"] < 0.5
    assert list(found["apart"]["bf16"]) == ["1", "4"]


@pytest.mark.parametrize("fits", [0, 1, 5, 8, 16])
def test_the_largest_batch_is_found(fits: int, monkeypatch: pytest.MonkeyPatch) -> None:
    tried: list[int] = []

    class Small:
        device = torch.device("cpu")

        def __init__(self, job: Job, place: Place) -> None:
            self.images = job.batch

        def train(self, way: Way) -> None:
            tried.append(self.images)
            if self.images > (fits if way == "fast" else 3):
                raise torch.OutOfMemoryError("none left")

    monkeypatch.setattr("tabench.bench.limits.Subject", Small)
    monkeypatch.setattr("gc.collect", lambda: 0)  # again and again through all that the suite has loaded
    found = measure(Job("largest", "ta-lora", "nano-16", batch=16), PLACE, "time")
    assert (found["fast"]["images"], found["plain"]["images"]) == (fits, 3)
    assert ("peak_mb" in found["fast"]) == (fits > 0)
    assert max(tried) <= 16


def test_sizes_of_sams_own_take_its_weights_where_they_are(monkeypatch: pytest.MonkeyPatch) -> None:
    assert Subject(Job("paths", "frozen", "nano-16"), PLACE).weights == "random"
    assert Subject(Job("paths", "frozen", "sam_vit_nano"), PLACE).weights == "SAM's own"


def answer(text: str, code: int = 0) -> Any:
    """A command that leaves this report where it is told to."""

    def run(*words: str) -> subprocess.CompletedProcess[str]:
        (place,) = [word.partition("=")[2] for word in words if word.startswith("--junitxml=")]
        if text:
            Path(place).write_text(text)
        return subprocess.CompletedProcess(words, code, "stopped", "")

    return run


def test_failed_tests_are_named(monkeypatch: pytest.MonkeyPatch) -> None:
    cases = (
        '<testcase name="a"/><testcase name="b[1]"><failure/></testcase>'
        '<testcase name="c"><skipped/></testcase><testcase name="d"><error/></testcase>'
    )
    monkeypatch.setattr(checks, "_run", answer(f"<testsuites><testsuite>{cases}</testsuite></testsuites>", 1))
    found = measure(Job("tests", "ta-lora", "nano"), PLACE, "time")
    counts = {"passed": 1, "failed": 2, "skipped": 1}
    assert found == {"problems": ["b[1] failed", "d failed"], **counts}
    monkeypatch.setattr(checks, "_run", answer("<testsuite/>", 3))
    assert measure(Job("tests", "ta-lora", "nano"), PLACE, "time")["problems"] == ["pytest ended with code 3"]
    monkeypatch.setattr(checks, "_run", answer("", 4))
    with pytest.raises(RuntimeError, match="code 4: stopped"):
        measure(Job("tests", "ta-lora", "nano"), PLACE, "time")


def test_a_wheel_has_neither_tests_nor_shipped_records(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(checks, "ROOT", tmp_path)
    for kind in ("tests", "demo"):
        found = measure(Job(kind, "ta-lora", "nano"), PLACE, "time")
        assert found["problems"] == []
        assert "run it in a checkout" in found["left_out"]


def test_what_does_not_repeat_is_a_problem(monkeypatch: pytest.MonkeyPatch) -> None:
    apart = Finding("problem", "8 steps of ta-lora came out differently")
    monkeypatch.setattr(checks, "repeats", lambda device: [Finding("ok", "same"), apart])
    found = measure(Job("determinism", "ta-lora", "nano"), PLACE, "time")
    assert apart.message in found["problems"]
    assert ["ok", "same"] in found["findings"]


def test_the_demo_is_held_against_the_shipped_records(monkeypatch: pytest.MonkeyPatch) -> None:
    def run(*words: str) -> subprocess.CompletedProcess[str]:
        shutil.copytree(ROOT / "results/reference/nyuv2", Path(words[words.index("--results") + 1]) / "nyuv2")
        return subprocess.CompletedProcess(words, 0, "", "")

    monkeypatch.setattr(checks, "_run", run)
    found = measure(Job("demo", "ta-lora", "nano"), PLACE, "time")
    assert len(found["methods"]) == 7
    for row in found["methods"].values():
        assert (row["identical"], row["largest"]) == (row["numbers"], "none")
        assert row["numbers"] > 0
