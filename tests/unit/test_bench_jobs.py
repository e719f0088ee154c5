"""What the benchmark measures: sizes, names, suites, choices, estimates."""

from __future__ import annotations

import json
from dataclasses import replace
from itertools import product
from pathlib import Path

import pytest

import tabench
from tabench.bench.jobs import MEASURED, PARTS, Job, Place, code_fingerprint, parts_of, seconds
from tabench.bench.sizes import find_size
from tabench.bench.subject import passes_of
from tabench.bench.suites import SUITES, chosen, rehearsed, some, suite
from tabench.bench.timing import FEWEST
from tabench.catalog import METHODS
from tabench.encoders.sam.family import VIT_B
from tabench.engine.batch_split import BatchSplit
from tabench.errors import SpecError, TabenchError

TWO_CORES, GPU = Place("cpu", 2), Place("cuda", 8)


def test_a_cut_down_vit_b_keeps_all_but_depth_and_input() -> None:
    size = find_size("b12-512")
    assert replace(size.backbone, name="vit_b", image_size=1024) == VIT_B
    assert (size.image, size.backbone.grid, size.padded) == ((384, 512), 32, 42)
    shallow = find_size("b4-256")
    assert (shallow.backbone.depth, shallow.backbone.global_attn_indexes, shallow.padded) == (4, (2,), 28)


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


@pytest.mark.parametrize("name", ["vit_x", "nano-100", "b4-8", "vit_b@wide"])
def test_wrong_sizes_are_refused(name: str) -> None:
    with pytest.raises(TabenchError, match=r"vit_x|nano-100|b4-8|wide"):
        find_size(name)


def jobs_of(name: str, *, full: bool = False) -> list[Job]:
    return [job for jobs in suite(name, full=full).values() for job in jobs]


@pytest.mark.parametrize("full", [False, True])
@pytest.mark.parametrize("name", SUITES)
def test_jobs_of_a_suite_have_names_of_their_own_and_real_sizes(name: str, full: bool) -> None:
    jobs = jobs_of(name, full=full)
    assert len({job.name for job in jobs}) == len(jobs)
    for job in jobs:
        assert job.where.backbone.grid > 0
        assert json.loads(json.dumps(job.to_json())) == job.to_json()
        assert job.kind in PARTS
        assert not set(job.name) & set("/@ ")
    measured = {job.method for job in jobs if job.kind == "paths"}
    assert measured == set(METHODS.names()) or (name, full) == ("gpu", False)
    if full:
        assert {job.name for job in jobs_of("gpu")} <= {job.name for job in jobs} or name == "cpu"


def test_the_cpu_suite_has_what_two_cores_are_judged_by() -> None:
    jobs = {job.name: job for job in jobs_of("cpu")}
    for size in ("b4-256", "b4-512", "b12-256", "b12-512"):
        assert "train" in jobs[f"paths-ta-lora-{size}-n1"].works
    assert [job.value for job in jobs.values() if job.axis == "tasks"] == list(range(1, 9))
    assert {job.axis for job in jobs.values()} == {"", "tasks", "rank", "channels", "image"}
    assert sum(seconds(job, TWO_CORES) for job in jobs.values()) < 13 * 60


def test_pairs_have_every_method_and_size_and_rounds_for_an_interval() -> None:
    parts = suite("cpu", full=True)
    sizes = {"nano", "b12-256", "b12-512", "vit_b"}
    assert {(job.method, job.size) for job in parts["relative"]} == set(product(METHODS.names(), sizes))
    pairs = [job for job in parts["inference"] if job.size == "vit_b"]
    assert {(job.method, job.precision) for job in pairs} == set(
        product(("ta-lora", "lora-hps"), ("fp32", "bf16"))
    )
    assert all(job.fewest >= FEWEST for job in [*parts["relative"], *pairs])
    assert {job.size for job in parts["loader"]} == sizes


def test_an_unknown_suite_is_answered_with_the_nearest() -> None:
    with pytest.raises(SpecError, match="gpu"):
        suite("gpus")


def test_the_core_of_the_gpu_suite_has_its_targets_and_takes_less_than_ten_minutes() -> None:
    parts = suite("gpu")
    assert list(parts) == ["tests", "determinism", "vit_b", "vit_l"]
    jobs = jobs_of("gpu")
    assert sum(seconds(job, GPU) for job in jobs) < 10 * 60
    timed = {(job.method, job.size, job.precision) for job in jobs if job.kind == "paths"}
    methods = ("ta-lora", "lora-hps", "full-hps")
    assert timed == set(product(methods, ("vit_b", "vit_l"), ("fp32", "bf16")))
    assert all(job.fewest == 30 for job in jobs if job.kind == "paths")


def test_parts_are_chosen_by_name_and_in_their_own_order() -> None:
    parts = suite("gpu")
    assert list(some(parts, "vit_l, tests")) == ["tests", "vit_l"]
    with pytest.raises(SpecError, match=r"(?s)'vit_x'.*'vit_.'\?; `--full` has more"):
        some(parts, "tests,vit_x")


def test_a_rehearsal_has_every_part_and_nothing_large() -> None:
    parts, small = suite("gpu", full=True), rehearsed(suite("gpu", full=True))
    assert list(small) == list(parts)
    jobs = [job for kept in small.values() for job in kept]
    assert len({job.name for job in jobs}) == len(jobs)
    for job in jobs:
        assert job.where.backbone.embed_dim == 128
        assert (job.repeats, job.batch <= 2, "compiled" in job.passes) == (1, True, False)
    assert {job.kind for job in jobs} == {job.kind for job in jobs_of("gpu", full=True)}


def test_one_process_tells_all_of_both_paths_on_a_gpu() -> None:
    job = Job("paths", "ta-lora", "vit_b")
    assert parts_of(job, GPU) == ("time",)
    assert parts_of(job, TWO_CORES) == PARTS["paths"]
    assert parts_of(replace(job, kind="inference"), GPU) == PARTS["inference"]


def test_patterns_choose_by_name() -> None:
    parts = suite("cpu")

    def found(patterns: list[str], methods: list[str]) -> list[Job]:
        return [job for jobs in chosen(parts, patterns, methods).values() for job in jobs]

    assert [job.name for job in found(["paths-ta-lora-b12-*"], [])] == [
        "paths-ta-lora-b12-256-n1",
        "paths-ta-lora-b12-256-n1-apart",
        "paths-ta-lora-b12-512-n1",
    ]
    assert {job.axis for job in found(["curve-rank", "curve-image"], [])} == {"rank", "image"}
    assert {job.method for job in found([], ["frozen"])} == {"frozen"}
    with pytest.raises(SpecError, match="paths-ta-lora-nano-n1"):
        chosen(parts, ["paths-ta-lora-nano-m1"])
    with pytest.raises(SpecError, match="--method"):
        chosen({"growth": parts["growth"]}, [], ["frozen"])


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


def test_tasks_that_come_again_are_numbered() -> None:
    job = Job("paths", "ta-lora", "nano", tasks=(("depth", 1), ("normals", 3), ("depth", 1), ("depth", 1)))
    assert job.task_names == ("depth", "normals", "depth-2", "depth-3")


def test_estimates_grow_with_the_work() -> None:
    job = Job("paths", "ta-lora", "b4-256")
    guess = seconds(job, TWO_CORES)
    assert seconds(replace(job, size="b12-256"), TWO_CORES) > guess
    assert seconds(replace(job, batch=4), TWO_CORES) > guess
    assert seconds(replace(job, works=("train",)), TWO_CORES) < guess
    assert seconds(job, GPU) < guess


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
