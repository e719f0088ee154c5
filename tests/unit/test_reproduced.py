"""Whether runs reproduce a reference: each verdict, its reason and exit code, and the margins behind it."""

from __future__ import annotations

import json
import tomllib
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import report_fixtures as made
from commands import call, call_json
from hatchling.builders.sdist import SdistBuilder
from hatchling.builders.wheel import WheelBuilder
from hypothesis import given
from hypothesis import strategies as st

from tabench.errors import StoreError
from tabench.report.records import reproduced as module
from tabench.report.records.differences import MetricDifference
from tabench.report.records.margins import margins
from tabench.report.records.reading import read_results
from tabench.report.records.reproduced import Reproduced, find_reference, reproduced
from tabench.spec.experiment import Repeats

ROOT = Path(__file__).parents[2]
METHODS = ("ta-lora", "lora-stl")
MARGINS = {f"{task}.{key}": 0.02 * (high - low) for task, key, *_, low, high in made.METRICS} | {
    f"{task}.{key}": 0.02 * (low - high) for task, key, *_, low, high in made.METRICS if low > high
}
Json = dict[str, Any]


def write(folder: Path, margins: Json | None = None, seeds: tuple[int, ...] = (0, 1, 2)) -> Path:
    """Made-up results; returns the results folder."""
    home = made.write_results(folder, seeds=seeds, methods=METHODS, pictures=False)
    if margins is not None:
        change(home / "experiment.json", lambda plan: plan.update(repeats={"margins": margins}))
    return folder


def change(path: Path, edit: Callable[[Json], object]) -> None:
    content = json.loads(path.read_text())
    edit(content)
    path.write_text(json.dumps(content))


def records(folder: Path, method: str = "*") -> list[Path]:
    found = folder.glob("nyuv2/*/record.json")
    return [p for p in found if method in ("*", json.loads(p.read_text())["cell"]["method"]["name"])]


def shift(record: Json, share: float = 0.0, noise: float = 0.0, seed: int = 0, only: str = "") -> None:
    """Move every value by a share of its metric's range, and by noise; of the reported ones or of images'."""
    rng = np.random.default_rng(seed)
    for task, key, *_, low, high in made.METRICS:
        span = abs(high - low)
        if only != "reported":
            images = record["per_image"]["values"][task]
            images[key] = [v + span * (share + noise * float(rng.normal())) for v in images[key]]
        for metric in record["metrics"]:
            if only != "images" and (metric["task"], metric["key"]) == (task, key):
                metric["value"] += span * (share + 0.2 * noise * float(rng.normal()))
    record["weights_sha256"] = f"{seed:064x}"


def compared(here: Path, there: Path) -> Reproduced:
    return reproduced(read_results(here, "nyuv2"), read_results(there, "nyuv2"))


@pytest.fixture
def there(tmp_path: Path) -> Path:
    return write(tmp_path / "there", MARGINS)


@pytest.fixture
def here(tmp_path: Path) -> Path:
    return write(tmp_path / "here")


def verdict(here: Path, there: Path, capsys: pytest.CaptureFixture[str]) -> tuple[int, Json]:
    code, told = call_json(capsys, "compare", "nyuv2", f"--results={here}", f"--reference={there}")
    (found,) = told["experiments"]
    return code, found


def test_the_same_records_are_identical(here: Path, there: Path, capsys: pytest.CaptureFixture[str]) -> None:
    code, found = verdict(here, there, capsys)
    assert (code, found["verdict"]) == (0, "identical")
    assert found["sentence"].startswith("Reproduced: all 18 comparisons")
    assert found["suspects"] == []


def test_noise_is_equal_and_a_shift_beyond_the_margin_is_not(
    here: Path, there: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    for n, path in enumerate(records(here)):
        change(path, lambda record, n=n: shift(record, noise=0.01, seed=n + 1))
    code, found = verdict(here, there, capsys)
    assert (code, found["verdict"]) == (0, "equal"), found["sentence"]
    assert all(line["test"]["p_value"] < 0.05 for line in found["comparisons"])
    for path in records(
        here, "ta-lora"
    ):  # each run within the margin of one, their mean not within that of three
        change(path, lambda record: shift(record, share=0.018))
    code, found = verdict(here, there, capsys)
    assert (code, found["verdict"]) == (1, "different")
    assert {(c["method"], c["word"]) for c in found["comparisons"]} == {
        ("ta-lora", "different"),
        ("lora-stl", "equal"),
    }


def test_reported_numbers_count_where_images_hardly_move(
    here: Path, there: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    path = records(here, "ta-lora")[0]
    change(path, lambda record: shift(record, share=0.021, only="reported"))
    code, found = verdict(here, there, capsys)
    assert code == 1
    reasons = {c["reason"] for c in found["comparisons"] if c["word"] == "different"}
    assert all(reason.startswith("a reported number is off by") for reason in reasons)


def test_few_and_noisy_images_decide_nothing(
    here: Path, there: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    for n, path in enumerate(records(here)):
        change(path, lambda record, n=n: shift(record, noise=0.06, seed=n, only="images"))
    code, found = verdict(here, there, capsys)
    assert (code, found["verdict"]) == (2, "undecided")
    assert "16 images cannot tell" in found["sentence"]


@pytest.mark.parametrize("side", ["here", "there"])
def test_without_values_of_images_nothing_is_equal(
    side: str, here: Path, there: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    for path in records(here):
        change(path, lambda record: record.update(weights_sha256="ef" * 32))
    for path in records({"here": here, "there": there}[side]):
        change(path, lambda record: record["per_image"].update(values={}))
    code, found = verdict(here, there, capsys)
    assert (code, found["verdict"]) == (2, "undecided")
    assert {c["reason"] for c in found["comparisons"]} == {"no values of single images on both sides"}


def test_without_a_margin_nothing_is_equal(tmp_path: Path, here: Path) -> None:
    there = write(tmp_path / "bare")
    change(records(here)[0], lambda record: shift(record, share=1e-6))
    found = compared(here, there)
    assert (found.word, {line.reason for line in found.lines}) == (
        "undecided",
        {"", "no margin is declared for it"},
    )
    # margins that the experiment here declares serve where the reference has none
    change(here / "nyuv2" / "experiment.json", lambda plan: plan.update(repeats={"margins": MARGINS}))
    assert compared(here, there).word == "equal"


def test_a_value_that_only_one_side_defines_is_different(here: Path, there: Path) -> None:
    change(records(here)[0], lambda record: record["metrics"][0].update(value=None))
    change(
        records(here)[1],
        lambda record: record["per_image"]["values"]["depth"]["abs_err"].__setitem__(0, None),
    )
    found = [line for line in compared(here, there).lines if line.word != "identical"]
    assert {(line.word, line.reason) for line in found} == {("different", "defined in one of the two only")}


def test_missing_runs_are_told_with_the_nearest(
    tmp_path: Path, there: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    here = write(tmp_path / "here", seeds=(0, 1))
    code, found = verdict(here, there, capsys)
    assert (code, found["verdict"]) == (2, "missing")
    assert {(c["runs"], c["of"]) for c in found["comparisons"]} == {(2, 3)}
    assert "not run: ta-lora s2" in found["sentence"]
    for path in records(here):  # a difference outweighs what is missing
        change(path, lambda record: shift(record, share=0.5))
    assert verdict(here, there, capsys)[0] == 1


def test_another_numerics_is_never_compared_and_is_named(
    here: Path, there: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A cell of another specification has another id: what differs in it is told instead."""
    found = read_results(here, "nyuv2")
    for cell in found.cells:  # as a cell with such a key would come out
        cell.record["cell"]["train"]["numerics"] = "portable"
        object.__setattr__(cell, "id", cell.id[::-1])
    against = reproduced(found, read_results(there, "nyuv2"))
    assert (against.word, against.compared) == ("missing", 0)
    assert "the nearest run here has train.numerics portable instead of nothing" in against.sentence


def test_suspects_come_in_order(here: Path, there: Path, capsys: pytest.CaptureFixture[str]) -> None:
    for path in records(here, "ta-lora"):
        change(path, lambda record: shift(record, share=0.5))
        change(path.with_name("run.json"), lambda run: run.update(threads=2, wall_s=1.0))
        change(path.with_name("run.json"), lambda run: run["environment"].update(cpu="Other CPU"))
        change(path.with_name("run.json"), lambda run: run["environment"]["packages"].update(torch="2.15.0"))
        change(
            path.with_name("run.json"),
            lambda run: run["environment"].update(numerics={"mkl": "AVX512"}, cores=64),
        )
    for folder, numbers in ((here, range(9)), (there, (0, 1, *range(4, 10)))):
        flags = [f"flag{n}" for n in numbers]
        for path in records(folder, "ta-lora"):
            change(path.with_name("run.json"), lambda run, f=flags: run["environment"].update(cpu_flags=f))
    code, found = verdict(here, there, capsys)
    assert code == 1
    assert found["suspects"] == [
        "numerics.mkl: AVX512 here, not recorded in the reference",
        "packages.torch: 2.15.0 here, 2.9.0 in the reference",
        "cpu: Other CPU here, Example CPU in the reference",
        "cpu_flags: only here flag2, flag3, only in the reference flag9",
        "threads: 2 here, 1 in the reference",
    ]
    assert "first suspects: numerics.mkl: AVX512 here" in found["sentence"]


@given(st.floats(-0.05, 0.05), st.floats(0, 0.05), st.integers(0, 99))
def test_the_verdict_is_the_same_from_either_side(share: float, noise: float, seed: int) -> None:
    rng = np.random.default_rng(seed)
    ids = tuple(f"val/{n}" for n in range(16))
    images = [share + noise * rng.normal(size=16) for _ in range(3)]
    forth = [MetricDifference({"paper": float(v.mean())}, (ids, v), False) for v in images]
    back = [MetricDifference({"paper": -float(v.mean())}, (ids, -v), False) for v in images]
    one, other = (module._line("m", "t.k", found, 3, 0.02, "") for found in (forth, back))
    assert (one.word, one.reason, one.largest) == (other.word, other.reason, other.largest)


def test_margins_come_from_repeats_and_let_a_further_repeat_pass(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    folders = [write(tmp_path / f"machine-{n}") for n in range(4)]
    for n, folder in enumerate(folders):
        for m, path in enumerate(records(folder)):
            change(path, lambda record, s=10 * n + m: shift(record, noise=0.01, seed=s))
    assert call("margins", "nyuv2", *map(str, folders[:3])) == 0
    text = capsys.readouterr().out
    declared = tomllib.loads(text)["profiles"]["demo"]["repeats"]
    assert Repeats.model_validate(declared).margins.keys() == MARGINS.keys()
    assert (
        "6 cells repeated in 3 results folders (machine-0: CPU Example CPU, Threads 1" in declared["source"]
    )
    change(folders[0] / "nyuv2" / "experiment.json", lambda plan: plan.update(repeats=declared))
    code, found = verdict(folders[3], folders[0], capsys)
    assert (code, found["verdict"]) == (0, "equal"), found["sentence"]
    assert found["margins"] == declared["source"]


def test_identical_repeats_give_no_margin(here: Path, there: Path) -> None:
    with pytest.raises(StoreError, match="all repeats are identical"):
        margins([read_results(here, "nyuv2"), read_results(there, "nyuv2")])
    assert call("margins", "nyuv2", str(here)) == 2


def test_a_wheel_brings_every_reference_record_and_no_picture() -> None:
    wheel, source = WheelBuilder(str(ROOT)), SdistBuilder(str(ROOT))
    files = {file.distribution_path: Path(file.path) for file in wheel.recurse_included_files()}
    brought = {name for name in files if name.startswith("tabench/reference/")}
    kept = ROOT / "results" / "reference"
    assert brought == {
        f"tabench/reference/{path.relative_to(kept)}"
        for kind in ("*/*/record.json", "*/*/run.json", "*/experiment.json")
        for path in kept.glob(kind)
    }
    assert sum(files[name].stat().st_size for name in brought) < 6e6
    # and so does a wheel that is built from the source distribution
    assert {str(files[name]) for name in brought} <= {file.path for file in source.recurse_included_files()}


def test_the_reference_comes_with_the_package_and_is_not_compared_with_itself(
    here: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    shipped = module.shipped_reference()
    assert shipped is not None
    found = find_reference(read_results(here, "nyuv2"))
    assert found is not None
    assert found.root == shipped
    assert find_reference(read_results(shipped, "nyuv2")) is None
    assert call("compare", "nyuv2", f"--results={shipped}") == 2
    assert call("compare", "nyuv2", f"--results={here}", f"--reference={here}") == 2
    assert "these are the results themselves" in capsys.readouterr().err
