"""What the benchmark measures: sizes, names, suites, choices, estimates."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path

import pytest

import tabench
from tabench.bench.jobs import MEASURED, PARTS, Job, Place, code_fingerprint, find_size, seconds
from tabench.bench.subject import passes_of
from tabench.bench.suites import SUITES, chosen, suite
from tabench.catalog import METHODS
from tabench.encoders.sam.family import VIT_B
from tabench.engine.batch_split import BatchSplit
from tabench.errors import SpecError, TabenchError

TWO_CORES = Place("cpu", 2)


@pytest.mark.parametrize(
    ("name", "side", "image"),
    [
        ("nano", 96, (72, 96)),
        ("nano-128", 128, (96, 128)),
        ("vit_l", 1024, (288, 384)),
        ("vit_b@512", 512, (384, 512)),
    ],
)
def test_sizes_by_name(name: str, side: int, image: tuple[int, int]) -> None:
    size = find_size(name)
    assert (size.backbone.image_size, size.image) == (side, image)
    cut_down = find_size("b12-512")
    assert replace(cut_down.backbone, name="vit_b", image_size=1024) == VIT_B
    assert (cut_down.image, cut_down.backbone.grid, cut_down.padded) == ((384, 512), 32, 42)


@pytest.mark.parametrize("name", ["vit_x", "nano-100", "b4-8", "vit_b@wide"])
def test_wrong_sizes_are_refused(name: str) -> None:
    with pytest.raises(TabenchError, match=r"vit_x|nano-100|b4-8|wide"):
        find_size(name)


@pytest.mark.parametrize("name", SUITES)
def test_jobs_of_a_suite_have_names_of_their_own_and_real_sizes(name: str) -> None:
    jobs = suite(name)
    assert len({job.name for job in jobs}) == len(jobs)
    for job in jobs:
        assert job.where.backbone.grid > 0
        assert json.loads(json.dumps(job.to_json())) == job.to_json()
        assert job.kind in PARTS
        assert not set(job.name) & set("/@ ")
        assert len(set(job.task_names)) == len(job.tasks)  # one that comes again is numbered
    measured = {job.method for job in jobs if job.kind == "paths"}
    assert measured == set(METHODS.names())


def test_the_cpu_suite_has_what_two_cores_are_judged_by() -> None:
    jobs = {job.name: job for job in suite("cpu")}
    for size in ("b4-256", "b4-512", "b12-256", "b12-512"):
        assert "train" in jobs[f"paths-ta-lora-{size}-n1"].works
    assert [job.value for job in jobs.values() if job.axis == "tasks"] == list(range(1, 9))
    assert {job.axis for job in jobs.values()} == {"", "tasks", "rank", "channels", "image"}
    assert sum(seconds(job, TWO_CORES) for job in jobs.values()) < 13 * 60


def test_patterns_choose_by_name() -> None:
    jobs = suite("cpu")
    assert [job.name for job in chosen(jobs, ["paths-ta-lora-b12-*"])] == [
        "paths-ta-lora-b12-256-n1",
        "paths-ta-lora-b12-256-n1-apart",
        "paths-ta-lora-b12-512-n1",
    ]
    assert {job.axis for job in chosen(jobs, ["curve-rank", "curve-image"])} == {"rank", "image"}
    with pytest.raises(SpecError, match="did you mean 'cpu'"):
        suite("cpus")
    with pytest.raises(SpecError, match="paths-ta-lora-nano-n1"):
        chosen(jobs, ["paths-ta-lora-nano-m1"])


@pytest.mark.parametrize(
    ("size", "passes", "images", "evaluated", "apart"),
    [
        ("nano", "chosen", 4, 4, False),
        ("b12-512", "chosen", 1, 1, True),
        ("b12-512", "together", 4, 4, False),
        ("nano", "apart", 4, 4, True),
    ],
)
def test_passes_are_chosen_as_the_harness_does(
    size: str, passes: str, images: int, evaluated: int, apart: bool
) -> None:
    job = Job("paths", "ta-lora", size, batch=4, passes=passes)
    assert passes_of(job) == BatchSplit(images=images, evaluated=evaluated, apart=apart)
    extra = passes_of(replace(job, passes=f"{passes}+recompute+compiled"))
    assert (extra.recompute, extra.compiled, extra.apart) == (True, True, apart)


def test_a_change_of_what_is_measured_makes_figures_stale(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    root = Path(tabench.__file__).parent
    for folder in (*MEASURED, "bench", "report"):
        assert (root / folder).is_dir()
        (tmp_path / folder).mkdir()
        (tmp_path / folder / "a.py").write_text("x = 1")
    monkeypatch.setattr("tabench.__file__", str(tmp_path / "__init__.py"))
    before = code_fingerprint()
    for folder in ("bench", "report"):
        (tmp_path / folder / "a.py").write_text("x = 2")
    assert code_fingerprint() == before
    for folder in MEASURED:
        (tmp_path / folder / "a.py").write_text("x = 2")
        assert code_fingerprint() != before
        before = code_fingerprint()
