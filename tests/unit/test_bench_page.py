"""The benchmark's page, from figures written by hand."""

from __future__ import annotations

import csv
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


def timed(*seconds: float) -> dict[str, Any]:
    low, middle, high = seconds
    return {"median_s": middle, "q1_s": low, "q3_s": high, "cpu_median_s": middle, "wall_s": list(seconds)}


def work(plain: float, fast: float) -> dict[str, Any]:
    return {
        "plain": timed(plain - 1, plain, plain + 1),
        "fast": timed(fast - 0.5, fast, fast + 0.5),
        "ratio": {"of_medians": plain / fast, "lowest": 1.75, "highest": 2.75, "of_cpu": 2.125},
        "flops": {"plain": 4_000_000_000_000, "fast": 2_000_000_000_000},
    }


def figures(job: Job, place: Place, part: str) -> dict[str, Any]:
    """What a measurement of a part answers."""
    if part == "time":
        agreement = {"outputs": 1.5e-6, "gradients": 2.5e-5, "worst": "x", "loss": 1e-8}
        scale = max(job.value, 1)
        works = {name: work(10.0 * scale, 4.0 * scale) for name in job.works}
        return {"models": 1, "agreement": agreement, **works}
    peak = {"plain": 800.0, "fast": 300.0}[part.removeprefix("memory-")]
    return {name: {"base_mb": 500.0, "peak_mb": 500 + peak, "over_base_mb": peak} for name in job.works}


def measured(folder: Path, jobs: list[Job], machine: str = "A chip", measure: Any = figures) -> Path:
    runner = Runner(folder / "here", Place("cpu", 2), machine, lambda text: None, measure=measure)
    runner.run(jobs)
    return folder


def rows_of(folder: Path, name: str) -> list[dict[str, str]]:
    lines = (folder / "tables" / f"here-{name}.csv").read_text(encoding="utf-8").splitlines()
    return list(csv.DictReader(line for line in lines if not line.startswith("#")))


def test_every_table_says_what_was_measured(tmp_path: Path) -> None:
    folder = measured(tmp_path / "results", [SLOW, QUICK], "A chip <script>alert(1)</script>")
    page = render_bench(folder, tmp_path / "reports" / "index.html")
    html = page.read_text(encoding="utf-8")
    for word in ("random", "A chip", "2.50", "Largest difference", "0.38", "torch"):
        assert word in html
    assert "<script>alert" not in html
    (first, second) = rows_of(page.parent, "train")
    assert (first["Method"], first["Size"], first["Images"]) == ("LoRA-HPS", "nano", "4")
    assert second["Time: plain"] == "10 s (9 s to 11 s)"
    assert second["Time: plain / fast"] == "2.50 (1.75 to 2.75)"
    assert second["Peak memory over base: plain"] == "800 MB"
    assert second["Peak memory over base: fast / plain"] == "0.38"
    assert second["FLOPs: fast"] == "2 TFLOP"
    assert second["FLOP/s: plain"] == "400 GFLOP/s"
    assert (second["Largest difference: outputs"], second["Rounds"]) == ("1.5e-06", "3")


def test_the_headline_counts_sizes(tmp_path: Path) -> None:
    (machine,) = read_machines(measured(tmp_path, [SLOW, QUICK]))
    text = headline(machine)
    assert "2.50 times as fast" in text
    assert "0.38 of the plain path’s peak memory;" in text
    assert "no gradient differs by more than 3e-05" in text
    assert machine.paths()[1].memory_share("train") == pytest.approx(0.375)


def test_growth_has_a_table_of_its_own(tmp_path: Path) -> None:
    jobs = [job for job in growth("nano") if job.axis in ("tasks", "image")]
    render_bench(measured(tmp_path / "results", jobs), tmp_path / "index.html")
    assert not (tmp_path / "tables" / "here-train.csv").exists()
    rows = rows_of(tmp_path, "growth")
    assert [row["To"] for row in rows] == [*map(str, range(1, 9)), "64", "96", "128", "192"]
    assert (rows[0]["What grows"], rows[1]["Time: plain"][:4]) == ("tasks", "20 s")


def test_what_had_no_memory_is_named(tmp_path: Path) -> None:
    def hungry(job: Job, place: Place, part: str) -> dict[str, Any]:
        if part == "memory-plain":
            return {"train": OUT, "evaluate": OUT}
        found = figures(job, place, part)
        if part == "time":
            found["train"] |= {"plain": OUT, "ratio": None}
            found["train"]["flops"].pop("plain")
            found["agreement"] = None
        return found

    render_bench(measured(tmp_path / "results", [SLOW], measure=hungry), tmp_path / "index.html")
    (row,) = rows_of(tmp_path, "train")
    assert (row["Time: plain"], row["Time: plain / fast"], row["Largest difference: outputs"]) == (
        "out of memory",
        "–",
        "–",
    )


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
