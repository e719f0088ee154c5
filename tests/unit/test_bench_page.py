"""The benchmark's page, from figures written by hand."""

from __future__ import annotations

import csv
import json
import re
from pathlib import Path
from typing import Any

import pytest

from tabench.bench.jobs import Job, Place
from tabench.bench.page import headline, render_bench
from tabench.bench.reading import read_machines
from tabench.bench.runner import Runner
from tabench.bench.suites import growth
from tabench.errors import StoreError

SLOW, QUICK = Job("paths", "ta-lora", "b4-256"), Job("paths", "lora-hps", "nano", batch=4)
OUT = {"error": "out of memory"}
RATIO = {"of_medians": 0.25, "interval": [0.2, 0.3]}


def timed(*seconds: float) -> dict[str, Any]:
    low, middle, high = seconds
    return {"median_s": middle, "q1_s": low, "q3_s": high, "cpu_median_s": middle, "wall_s": list(seconds)}


def work(plain: float, fast: float) -> dict[str, Any]:
    return {
        "plain": timed(plain - 1, plain, plain + 1),
        "fast": timed(fast - 0.5, fast, fast + 0.5),
        "ratio": {"of_medians": plain / fast, "lowest": 1.75, "highest": 2.75, "of_cpu": 2.125},
        "flops": {"plain": 4_000_000_000_000, "fast": 2_000_000_000_000},
        "rates": {
            "plain": {"tflop_per_s": 0.4, "share_of_chip": 0.25},
            "fast": {"tflop_per_s": 0.5, "share_of_chip": 0.375},
        },
    }


def figures(job: Job, place: Place, part: str) -> dict[str, Any]:
    """What a measurement of a part answers."""
    if part == "time" and job.kind == "paths":
        agreement = {"outputs": 1.5e-6, "gradients": 2.5e-5, "worst": "x", "loss": 1e-8}
        scale = max(job.value, 1)
        works = {name: work(10.0 * scale, 4.0 * scale) for name in job.works}
        return {"models": 1, "chip_flops": 1.5e12, "agreement": agreement, **works}
    if job.kind == "inference" and part == "time":
        forms = {"bare": timed(3, 4, 5), "factored": timed(1, 2, 3), "merged": timed(0.5, 1, 1.5)}
        pace = {"bare": 0.25, "factored": 0.5, "merged": 1.0}
        ratios = {"factored": {"of_medians": 0.5, "interval": None}, "merged": RATIO}
        scope = {**forms, "flops": dict.fromkeys(forms, 10**12), "images_per_s": pace, "ratio": ratios}
        return {"chip_flops": 1.5e12, "apart": 3e-7, "one": scope, "all": scope}
    if job.kind == "relative":
        counts = {"step": 3 * 10**12, "reference": 2 * 10**12}
        return {"models": 3, "step": timed(1, 2, 3), "reference": OUT, "flops": counts, "ratio": RATIO}
    if job.kind == "loader":
        pace = {"bare": 0.5, "end_to_end": 0.25, "packed": 2000.0, "source": 100.0}
        return {"steps": 2, "images_per_s": pace, "ratio": RATIO}
    if job.kind == "harness":
        return {
            "steps": 20,
            "bare": timed(19, 20, 21),
            "harness": timed(20, 21, 22),
            "overhead": 0.05,
            "overhead_s": 0.05,
        }
    if job.kind == "profile":
        kinds = {"matrix products": 3.0, "copies": 1.0}
        operators = [{"name": "aten::mm", "seconds": 3.0, "calls": 7}]
        path = {"total_s": 4.0, "kinds": kinds, "operators": operators}
        return {"plain": path, "fast": path}
    peak = {"plain": 800.0, "fast": 300.0}.get(part.removeprefix("memory-"), 100.0)
    names = job.works if job.kind == "paths" else ("all",)
    return {name: {"base_mb": 500.0, "peak_mb": 500 + peak, "over_base_mb": peak} for name in names}


def measured(
    folder: Path,
    jobs: list[Job],
    machine: str = "A chip",
    measure: Any = figures,
    place: Place | None = None,
) -> Path:
    place = place or Place("cpu", 2)
    runner = Runner(folder / "here", place, machine, lambda text: None, measure=measure)
    runner.run(jobs)
    return folder


def rows_of(folder: Path, name: str) -> list[dict[str, str]]:
    lines = (folder / "tables" / f"here-{name}.csv").read_text(encoding="utf-8").splitlines()
    return list(csv.DictReader(line for line in lines if not line.startswith("#")))


def test_every_table_says_what_was_measured(tmp_path: Path) -> None:
    jobs = [SLOW, QUICK, Job("inference", "ta-lora", "nano"), Job("harness", "frozen", "nano")]
    jobs += [Job(kind, "ta-lora", "nano") for kind in ("profile", "relative", "loader")]
    page = render_bench(measured(tmp_path / "results", jobs), tmp_path / "reports" / "index.html")
    html = page.read_text(encoding="utf-8")
    for word in ("random", "A chip", "2.50", "Largest difference", "0.38", "torch"):
        assert word in html
    (first, second) = rows_of(page.parent, "train")
    assert (first["Method"], first["Size"], first["Images"]) == ("LoRA-HPS", "nano", "4")
    assert second["Time: plain"] == "10 s (9 s to 11 s)"
    assert second["Time: plain / fast"] == "2.50 (1.75 to 2.75)"
    assert second["Peak memory over base: plain"] == "800 MB"
    assert second["Peak memory over base: fast / plain"] == "0.38"
    assert second["FLOPs: fast"] == "2 TFLOP"
    assert second["FLOP/s (share of chip): plain"] == "400 GFLOP/s (25%)"
    assert (second["Largest difference: outputs"], second["Rounds"]) == ("1.5e-06", "3")
    one, every = rows_of(page.parent, "inference")
    assert (one["Tasks"], every["Tasks"]) == ("one task", "all tasks")
    assert (one["Time over bare: factored"], one["Time over bare: merged"]) == (
        "0.500",
        "0.250 (0.200 to 0.300)",
    )
    assert one["Peak memory over base: merged"] == "–"
    assert every["Peak memory over base: merged"] == "100 MB"
    (relative,) = rows_of(page.parent, "relative")
    assert relative["Time of a step: LoRA-HPS"] == "out of memory"
    assert relative["Time of a step: method / LoRA-HPS"] == "0.250 (0.200 to 0.300)"
    assert (relative["FLOPs: method / LoRA-HPS"], relative["Rounds"]) == ("1.50", "3")
    (loader,) = rows_of(page.parent, "loader")
    assert (loader["Images/s of training: end to end"], loader["End to end / step"][:5]) == ("0.25", "0.250")
    assert loader["Images/s of reading alone: from the pack"] == "2,000"
    assert rows_of(page.parent, "harness")[0]["Overhead"] == "+5.0%"
    assert rows_of(page.parent, "harness")[0]["Time of a step: bare loop"].startswith("1 s")
    assert rows_of(page.parent, "profile")[0]["Share of the time: matrix products"] == "75%"
    assert {row["Size"] for row in rows_of(page.parent, "sizes")} == {"nano", "b4-256"}
    assert rows_of(page.parent, "sizes")[1]["Tokens in windowed blocks"] == "28×28 (67% padding)"


VIT_L = {
    "fp32": Job("paths", "ta-lora", "vit_l"),
    "bf16": Job("paths", "ta-lora", "vit_l", precision="bf16"),
    "together": Job("paths", "ta-lora", "vit_l", batch=4, precision="bf16", passes="together"),
}


@pytest.mark.parametrize(
    ("left_out", "rounds", "reached"),
    [
        ("", 30, ["met", "met", "missed"]),  # 160 ms for 4 images: 10 times fp32, 2 times autocast
        ("together", 30, ["missed", "met", "missed"]),  # 50 ms: 8 times, 1.6 times
        ("fp32", 30, ["met", "not measured", "missed"]),
        ("", 29, ["not measured"] * 3),  # a median of fewer rounds
    ],
)
def test_each_target_is_met_missed_or_not_measured(
    left_out: str, rounds: int, reached: list[str], tmp_path: Path
) -> None:
    seconds = {"fp32": (0.4, 0.2), "bf16": (0.08, 0.05), "together": (0.4, 0.16)}
    of = {job.name: name for name, job in VIT_L.items()}

    def measure(job: Job, place: Place, part: str) -> dict[str, Any]:
        found = figures(job, place, part) | {"kernels": {"64x64": {"kernel": "rows"}}}
        for way, value in zip(("plain", "fast"), seconds[of[job.name]], strict=True):
            found["train"][way] = {**timed(value, value, value), "wall_s": [value] * rounds}
        return found

    jobs = [job for name, job in VIT_L.items() if name != left_out]
    place = Place("cuda", 8)
    page = render_bench(
        measured(tmp_path / "results", jobs, measure=measure, place=place), tmp_path / "i.html"
    )
    assert "64x64 rows" in page.read_text(encoding="utf-8")
    rows = rows_of(page.parent, "targets")
    assert [row["Reached"] for row in rows] == reached
    if reached[0] == "met":
        assert (rows[0]["Measured"], rows[0]["With"]) == ("40.0 ms", "fast: bf16, together, batch 4")


def test_what_else_is_asked_of_a_gpu_is_told(tmp_path: Path) -> None:
    answers = {
        "tests": {"problems": ["test_equal failed"], "passed": 80, "failed": 1, "skipped": 2},
        "determinism": {"problems": [], "findings": [["ok", "8 steps came out the same"]]},
        "demo": {"problems": [], "left_out": "the shipped records are not here"},
        "losses": {
            "weights": "SAM's own",
            "steps": 200,
            "last": {"fp32": 2.0, "TF32": 2.5, "bf16": 3.0},
            "apart": {"TF32": {"1": 1e-4, "200": 1e-3}, "bf16": {"1": 1e-2, "200": 1e-1}},
        },
        "largest": {"most": 256, "plain": {"images": 0}, "fast": {"images": 9, "images_per_s": 3.0}},
    }
    jobs = [Job(kind, "ta-lora", "vit_b" if kind in ("losses", "largest") else "nano") for kind in answers]

    def measure(job: Job, place: Place, part: str) -> dict[str, Any]:
        return answers[job.kind]

    folder = measured(tmp_path / "results", jobs, measure=measure, place=Place("cuda", 8))
    html = render_bench(folder, tmp_path / "index.html").read_text(encoding="utf-8")
    assert "vit_b: SAM&#39;s own, else random" in html
    checks = [(row["Outcome"], row["Found"]) for row in rows_of(tmp_path, "checks")]
    assert checks == [
        ("wrong", "test_equal failed"),
        ("done", "8 steps came out the same"),
        ("not run", "the shipped records are not here"),
    ]
    (tf32, bf16) = rows_of(tmp_path, "losses")
    assert (tf32["Run as"], tf32["Largest difference from fp32 up to step: 200"]) == ("TF32", "1.0e-03")
    assert bf16["Last loss: this"] == "3.0000"
    (largest,) = rows_of(tmp_path, "largest")
    assert (largest["Plain path: images"], largest["Fast path: images"]) == ("0", "9")
    assert [row["Size"] for row in rows_of(tmp_path, "sizes")] == ["vit_b"]  # checks are of no size


def test_a_rehearsal_is_named_wherever_its_numbers_are(tmp_path: Path) -> None:
    place = Place("cpu", 1, rehearsal=True)
    page = render_bench(measured(tmp_path / "results", [SLOW, QUICK], place=place), tmp_path / "index.html")
    html = page.read_text(encoding="utf-8")
    assert html.count("A rehearsal: tiny models on a CPU") == 1 + html.count("<table")
    assert "times as fast on the fast path" not in html
    for table in (tmp_path / "tables").iterdir():
        assert "A rehearsal" in table.read_text(encoding="utf-8")
    assert [row["Reached"] for row in rows_of(tmp_path, "targets")] == ["not measured"] * 3


def test_the_headline_counts_sizes(tmp_path: Path) -> None:
    (machine,) = read_machines(measured(tmp_path, [SLOW, QUICK]))
    text = headline(machine)
    assert "2.50 times as fast" in text
    assert "at least 2 times at 1 of 1 sizes" in text
    assert "0.38 of the plain path’s peak memory (at most half at 1 of 1)" in text
    assert "no gradient differs by more than 3e-05" in text
    assert machine.of("paths")[1].memory_share("train") == pytest.approx(0.375)


def test_growth_is_a_figure_and_no_row_of_the_tables(tmp_path: Path) -> None:
    jobs = [job for job in growth("nano") if job.axis in ("tasks", "image")]
    page = render_bench(measured(tmp_path / "results", jobs), tmp_path / "index.html")
    assert (tmp_path / "figures" / "here-growth.pdf").is_file()
    assert not (tmp_path / "tables" / "here-train.csv").exists()
    assert page.read_text(encoding="utf-8").count('<figure class="plot">') == 1


def test_what_had_no_memory_is_named(tmp_path: Path) -> None:
    def hungry(job: Job, place: Place, part: str) -> dict[str, Any]:
        if part == "memory-plain":
            return {"train": OUT, "evaluate": OUT}
        found = figures(job, place, part)
        if part == "time":
            found["train"] |= {"plain": OUT, "ratio": None}
            found["train"]["flops"].pop("plain")
            found["train"]["rates"].pop("plain")
            found["agreement"] = None
        return found

    page = render_bench(measured(tmp_path / "results", [SLOW], measure=hungry), tmp_path / "index.html")
    (row,) = rows_of(tmp_path, "train")
    assert (row["Time: plain"], row["Time: plain / fast"], row["Largest difference: outputs"]) == (
        "out of memory",
        "–",
        "–",
    )
    assert "TA-LoRA (Tucker), b4-256, 1 image, fp32: plain, train" in page.read_text(encoding="utf-8")


def test_text_from_files_is_escaped(tmp_path: Path) -> None:
    page = render_bench(
        measured(tmp_path / "r", [SLOW], "<script>alert(1)</script>"), tmp_path / "index.html"
    )
    assert "<script>alert" not in page.read_text(encoding="utf-8")


def test_half_measured_jobs_are_shown_with_holes(tmp_path: Path) -> None:
    (path,) = measured(tmp_path / "results", [SLOW]).glob("here/*.json")
    content = json.loads(path.read_text())
    del content["parts"]["memory-fast"]
    path.write_text(json.dumps(content))
    render_bench(tmp_path / "results", tmp_path / "index.html")
    (row,) = rows_of(tmp_path, "train")
    assert (row["Peak memory over base: plain"], row["Peak memory over base: fast"]) == ("800 MB", "–")


def test_files_of_another_format_are_left_alone_and_damaged_ones_named(tmp_path: Path) -> None:
    with pytest.raises(StoreError, match="tabench bench"):
        render_bench(tmp_path, tmp_path / "index.html")
    folder = measured(tmp_path, [SLOW]) / "here"
    (folder / "old.json").write_text('{"environment": {}, "figures": []}')
    assert len(read_machines(tmp_path)[0].measurements) == 1
    (folder / "torn.json").write_text('{"bench_version": 1, "job"')
    with pytest.raises(StoreError, match=re.escape("torn.json")):
        read_machines(tmp_path)
    (folder / "torn.json").write_text('{"bench_version": 1, "job": {}}')
    with pytest.raises(StoreError, match="misses 'parts'"):
        read_machines(tmp_path)


def test_equal_figures_give_equal_pages(tmp_path: Path) -> None:
    folder = measured(tmp_path / "results", [SLOW, QUICK])
    first = render_bench(folder, tmp_path / "a" / "index.html").read_bytes()
    assert render_bench(folder, tmp_path / "b" / "index.html").read_bytes() == first
