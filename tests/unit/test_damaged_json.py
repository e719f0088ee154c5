"""JSON files of a results folder that hold other things than a run wrote."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
import report_fixtures as made

from tabench.bench.reading import read_machines
from tabench.data.fingerprint import CACHE_NAME, fingerprint_files
from tabench.errors import StoreError
from tabench.report.records.reading import read_results
from tabench.runs.slurm.queue import Submission
from tabench.store.claim import alive, is_live
from tabench.store.folders import CellFolder, RunSidecar, read_sidecar
from tabench.store.index import read_index

DEEP = "[" * 100_000
CELL = made.cell_id("ta-lora", 0)


@pytest.fixture
def home(tmp_path: Path) -> Path:
    made.write_results(tmp_path, seeds=(0,), methods=("ta-lora", "lora-stl"), pictures=False)
    return tmp_path / "nyuv2" / CELL


def test_caches_count_as_absent(tmp_path: Path) -> None:
    (tmp_path / "x").write_bytes(b"1")
    whole = fingerprint_files(tmp_path, [tmp_path / "x"])
    for content in (DEEP, '{"x": [Infinity, 1, "a"]}', '{"x": [1e999, NaN, 3]}', "[]", "3"):
        (tmp_path / CACHE_NAME).write_text(content)
        assert fingerprint_files(tmp_path, [tmp_path / "x"]) == whole


@pytest.mark.parametrize("pid", [10**30, -1, 0, "1", None, 2**31])
def test_claims_of_no_process(pid: object, tmp_path: Path) -> None:
    import socket

    path = tmp_path / "claim.json"
    path.write_text(json.dumps({"host": socket.gethostname(), "pid": pid, "started": "x"}))
    assert is_live(path)  # it names no boot: only its silence would tell
    path.write_text(DEEP)
    assert is_live(path)  # unreadable, so somebody may just be writing it
    assert not alive(10**30)


@pytest.mark.parametrize("wall", ["1" + "0" * 400, "NaN", "1e999", '"x"', "[]"])
def test_an_index_names_a_run_that_is_damaged(wall: str, home: Path) -> None:
    (home / "run.json").write_text(f'{{"wall_s": {wall}}}')
    known = read_index(home.parents[1], "nyuv2").cells[CELL]
    assert known.problem == "run.json is damaged"
    assert known.wall_s is None


@pytest.mark.parametrize("content", ["[]", "3", "null", '"x"', DEEP, ""])
def test_files_that_are_no_objects(content: str, home: Path) -> None:
    (home / "run.json").write_text(content)
    (home / "failure.json").write_text(content)
    with pytest.raises(StoreError, match=r"run\.json"):
        read_sidecar(home / "run.json", RunSidecar)
    with pytest.raises(StoreError, match=r"failure\.json"):
        CellFolder(home.parents[1], "nyuv2", CELL).read_failure()
    with pytest.raises(StoreError, match=r"run\.json"):
        read_results(home.parents[1], "nyuv2")


@pytest.mark.parametrize(
    ("file", "key", "value"),
    [
        ("run.json", "wall_s", "long"),
        ("run.json", "wall_s", 10**400),
        ("run.json", "peak_rss_mb", [1]),
        ("run.json", "device", {"a": 1}),
        ("run.json", "environment", 3),
        ("run.json", "cost", [1, 2]),
        ("run.json", "cost", {"latency_s": "fast"}),
        ("../experiment.json", "cells", [1]),
        ("../experiment.json", "cells", {"a": None}),
        ("../experiment.json", "note", 3),
        ("../experiment.json", "report", "x"),
        ("../experiment.json", "report", {"grid": 3}),
        ("../experiment.json", "cells", {"../../x": "ta-lora s0"}),
    ],
)
def test_a_report_names_the_file_and_the_key(file: str, key: str, value: object, home: Path) -> None:
    path = home / file
    path.write_text(json.dumps(json.loads(path.read_text()) | {key: value}))
    with pytest.raises(StoreError) as caught:
        read_results(home.parents[1], "nyuv2")
    assert Path(file).name in str(caught.value) or "../../x" in str(caught.value)


@pytest.mark.parametrize("key", ["title", "note", "profile", "report", "table"])
def test_a_plan_without_a_text_is_read(key: str, home: Path) -> None:
    path = home.parent / "experiment.json"
    content = json.loads(path.read_text())
    del content[key]
    path.write_text(json.dumps(content))
    assert read_results(home.parents[1], "nyuv2").done


@pytest.mark.parametrize("content", ["{}", "[]", '{"array": "1", "cells": 3}', '{"cells": []}', DEEP])
def test_a_submission_that_names_no_cells(content: str, tmp_path: Path) -> None:
    (tmp_path / "submitted.json").write_text(content)
    with pytest.raises(StoreError, match=r"submitted\.json"):
        Submission(tmp_path).elements()


@pytest.mark.parametrize("job", [3, [], {}, {"method": "x"}, None])
def test_a_measurement_of_no_job(job: object, tmp_path: Path) -> None:
    content = {"bench_version": 1, "job": job, "parts": {}, "size": {}, "machine": "m", "measured": "x"}
    made.write(tmp_path / "m" / "a.json", content | {"environment": {}})
    with pytest.raises(StoreError, match=r"a\.json"):
        read_machines(tmp_path)
