from __future__ import annotations

import hashlib
import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

from tabench.provenance import files
from tabench.provenance.environment import capture
from tabench.provenance.files import sha256_file

# In a process of its own: the switches are global and would reach the other tests.
SWITCHED = """
import json, os, random, sys
import numpy, torch
from tabench.provenance.determinism import findings, set_determinism
from tabench.provenance.environment import capture

def draws():
    set_determinism(5, threads=1)
    return [random.random(), float(numpy.random.rand()), float(torch.rand(()))]

set_determinism(5, strict=False)
loose = torch.are_deterministic_algorithms_enabled()
first, second = draws(), draws()
os.environ["CUBLAS_WORKSPACE_CONFIG"] = ":0:0"
os.environ["NVIDIA_TF32_OVERRIDE"] = "1"
problems = [f.message for f in findings() if f.level == "problem"]
print(json.dumps([first == second, loose, torch.get_num_threads(), capture()["torch"], problems,
    torch.backends.cudnn.allow_tf32, torch.get_float32_matmul_precision()]))
"""


def test_sha256_agrees_with_hashlib_over_blocks(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(files, "BLOCK", 1000)
    content = os.urandom(2500)
    (tmp_path / "x").write_bytes(content)
    seen: list[tuple[int, int]] = []
    digest = sha256_file(tmp_path / "x", lambda done, total, what: seen.append((done, total)))
    assert digest == hashlib.sha256(content).hexdigest()
    assert seen == [(1000, 2500), (2000, 2500), (2500, 2500)]


def test_the_environment_is_json_and_names_versions(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("OMP_NUM_THREADS", "1")
    monkeypatch.setenv("TABENCH_SECRET", "never kept")
    facts = capture()
    assert json.loads(json.dumps(facts, allow_nan=False)) == facts
    assert facts["python"] == ".".join(map(str, sys.version_info[:3]))
    assert facts["packages"]["pydantic"]
    assert facts["variables"]["OMP_NUM_THREADS"] == "1"
    assert "never kept" not in json.dumps(facts)
    assert 1 <= facts["cores"] <= (os.cpu_count() or 1)
    root = Path(__file__).parents[2]
    if (root / ".git").exists():
        words = ["git", "rev-parse", "HEAD"]
        head = subprocess.run(words, cwd=root, capture_output=True, text=True, check=True)
        assert facts["git"]["commit"] == head.stdout.strip()


def test_determinism_is_switched_on_and_what_breaks_it_is_found() -> None:
    run = subprocess.run(
        [sys.executable, "-W", "error", "-c", SWITCHED], capture_output=True, text=True, check=True
    )
    same, loose, threads, torch, problems, tf32, precision = json.loads(run.stdout)
    assert same
    assert not loose
    assert threads == torch["threads"] == 1
    assert torch["deterministic"]
    assert not tf32
    assert precision == "highest"
    assert any("CUBLAS_WORKSPACE_CONFIG=:0:0" in problem for problem in problems)
    assert any("NVIDIA_TF32_OVERRIDE" in problem for problem in problems)
