"""Measurements are kept part by part, and not made twice."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from tabench.bench.jobs import Job, Place
from tabench.bench.runner import MeasurementError, Runner

FIRST, SECOND = Job("paths", "ta-lora", "nano"), Job("harness", "frozen", "nano")


class Machine:
    """Answers measurements, and fails at those it is told to."""

    def __init__(self) -> None:
        self.asked: list[tuple[str, str]] = []
        self.broken: set[tuple[str, str]] = set()
        self.said: list[str] = []

    def measure(self, job: Job, place: Place, part: str) -> dict[str, Any]:
        self.asked.append((job.name, part))
        if (job.name, part) in self.broken:
            raise MeasurementError("the process ended with code -9", where=job.name)
        return {"part": part}

    def runner(self, folder: Path, **options: Any) -> Runner:
        place = options.pop("place", Place("cpu", 2))
        return Runner(folder, place, "a machine", self.said.append, measure=self.measure, **options)


def test_every_part_is_measured_once(tmp_path: Path) -> None:
    machine = Machine()
    paths, failures = machine.runner(tmp_path).run([FIRST, SECOND])
    assert not failures
    assert machine.asked == [
        (FIRST.name, "time"),
        (FIRST.name, "memory-plain"),
        (FIRST.name, "memory-fast"),
        (SECOND.name, "time"),
    ]
    content = json.loads(paths[0].read_text())
    assert list(content["parts"]) == ["time", "memory-plain", "memory-fast"]
    assert content["job"] == FIRST.to_json()
    assert content["environment"]["packages"]["torch"]
    machine.asked.clear()
    again, _ = machine.runner(tmp_path).run([FIRST, SECOND])
    assert (again, machine.asked) == (paths, [])
    assert "2 of them there already" in machine.said[-1]


def test_a_failure_keeps_what_was_measured_and_the_next_call_goes_on(tmp_path: Path) -> None:
    machine = Machine()
    machine.broken = {(FIRST.name, "memory-plain")}
    paths, failures = machine.runner(tmp_path).run([FIRST, SECOND])
    assert len(failures) == 1
    assert "-9" in failures[0]
    assert [path.stem for path in paths] == [FIRST.name, SECOND.name]
    assert list(json.loads(paths[0].read_text())["parts"]) == ["time"]
    machine.broken, machine.asked = set(), []
    machine.runner(tmp_path).run([FIRST, SECOND])
    assert machine.asked == [(FIRST.name, "memory-plain"), (FIRST.name, "memory-fast")]


def test_other_code_another_job_or_another_place_is_measured_anew(tmp_path: Path) -> None:
    machine = Machine()
    machine.runner(tmp_path).run([SECOND])
    changed = [
        (machine.runner(tmp_path, code="other"), SECOND),
        (machine.runner(tmp_path), replace(SECOND, repeats=9)),
        (machine.runner(tmp_path, place=Place("cpu", 1)), SECOND),
        (machine.runner(tmp_path, environment={"python": "3.99.0", "packages": {}}), SECOND),
        (machine.runner(tmp_path, again=True), SECOND),
    ]
    for runner, job in changed:
        machine.asked.clear()
        runner.run([job])
        assert machine.asked == [(SECOND.name, "time")]


def test_a_damaged_file_is_measured_anew(tmp_path: Path) -> None:
    machine = Machine()
    (path,), _ = machine.runner(tmp_path).run([SECOND])
    path.write_text(path.read_text()[:50])
    machine.runner(tmp_path).run([SECOND])
    assert json.loads(path.read_text())["parts"] == {"time": {"part": "time"}}


@pytest.mark.parametrize("changed", ["code", "checked"])
def test_checks_are_of_the_whole_package_and_figures_of_what_they_measure(
    changed: str, tmp_path: Path
) -> None:
    machine, jobs = Machine(), [SECOND, Job("tests", "ta-lora", "nano")]
    machine.runner(tmp_path).run(jobs)
    machine.asked.clear()
    machine.runner(tmp_path, **{changed: "other"}).run(jobs)
    assert machine.asked == [({"code": SECOND.name, "checked": "tests"}[changed], "time")]


def test_what_a_check_found_wrong_is_told_again_by_the_next_call(tmp_path: Path) -> None:
    def measure(job: Job, place: Place, part: str) -> dict[str, Any]:
        return {"problems": ["test_equal failed"]}

    machine, job = Machine(), Job("tests", "ta-lora", "nano")
    for _ in range(2):
        runner = machine.runner(tmp_path)
        runner.measure = measure
        (path,), failures = runner.run([job])
        assert (path.name, failures) == ("tests.json", ["tests: test_equal failed"])
    assert "1 of them there already" in machine.said[-1]
