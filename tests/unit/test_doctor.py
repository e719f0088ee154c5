"""What ``tabench doctor`` finds, and that it finds what is wrong."""

from __future__ import annotations

import errno
import fcntl
import json
import os
import subprocess
import sys
import time
from pathlib import Path

import pytest

from tabench.provenance import files, machine
from tabench.provenance.files import folder_findings
from tabench.provenance.machine import Finding

RUN = "import sys; from tabench.cli import main; main(sys.argv[1:])"


def levels(found: list[Finding]) -> list[str]:
    return [finding.level for finding in found]


def test_a_good_folder_is_ok_and_left_as_it_was(tmp_path: Path) -> None:
    found = folder_findings(tmp_path / "not" / "yet", "results folder")
    assert levels(found) == ["ok", "ok"]
    assert "renames, fsync, locks and clock work" in found[0].message
    assert "GB free for the results folder" in found[1].message
    assert list(tmp_path.iterdir()) == []


def test_a_folder_that_refuses_files_is_a_problem(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")

    def refuse(**options: object) -> str:
        raise OSError(errno.EROFS, os.strerror(errno.EROFS))

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("tempfile.mkdtemp", refuse)
        (found,) = folder_findings(tmp_path, "cache")
    assert found.level == "problem"
    assert "nothing can be written" in found.message
    assert found.hint


def test_missing_locks_are_told(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def unsupported(handle: int, operation: int) -> None:
        raise OSError(errno.ENOLCK, os.strerror(errno.ENOLCK))

    monkeypatch.setattr(fcntl, "flock", unsupported)
    first = folder_findings(tmp_path, "results folder")[0]
    assert (first.level, "there are no locks" in first.message) == ("note", True)
    monkeypatch.setattr(fcntl, "flock", lambda handle, operation: None)
    first = folder_findings(tmp_path, "results folder")[0]
    assert (first.level, "does not keep others out" in first.message) == ("note", True)


def test_failing_probes_are_told(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def full(handle: int) -> None:
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    monkeypatch.setattr(os, "fsync", full)
    first = folder_findings(tmp_path, "results folder")[0]
    assert first.level == "problem"
    assert "flush failed: No space left" in first.message
    monkeypatch.undo()
    monkeypatch.setattr(Path, "replace", lambda self, target: target.write_bytes(self.read_bytes()))
    first = folder_findings(tmp_path, "results folder")[0]
    assert (first.level, "does not replace a file at once" in first.message) == ("problem", True)


def test_a_wrong_clock_and_little_space_are_told(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    ahead = time.time() + 1000
    monkeypatch.setattr("tabench.provenance.files.time.time", lambda: ahead)
    monkeypatch.setattr(files, "FEW_BYTES", float("inf"))
    clock, space = folder_findings(tmp_path, "results folder")
    assert (clock.level, space.level) == ("problem", "problem")
    assert "-1000 s off" in clock.message


def build(folder: Path, name: str, text: str) -> None:
    (folder / name).mkdir(exist_ok=True)
    (folder / name / "__init__.py").touch()
    (folder / name / "version.py").write_text(f"__version__ = '{text}'\ncuda = None\n")


@pytest.mark.parametrize(
    ("torch", "torchvision", "level"),
    [("2.9.0+cpu", "0.24.0+cpu", "ok"), ("2.9.0+cpu", "0.24.0+cu128", "problem"), ("2.9.0", "0.24.0", "ok")],
)
def test_builds_of_torch_and_torchvision_must_agree(
    torch: str, torchvision: str, level: str, tmp_path: Path
) -> None:
    build(tmp_path, "torch", torch)
    build(tmp_path, "torchvision", torchvision)
    code = "from tabench.provenance.machine import _torchvision\nprint(_torchvision().level)"
    environment = {
        **os.environ,
        "PYTHONPATH": os.pathsep.join([str(tmp_path), str(Path(__file__).parents[2])]),
    }
    run = subprocess.run(
        [sys.executable, "-c", code], env=environment, capture_output=True, text=True, check=True
    )
    assert run.stdout.split() == [level]


def test_memory_and_encoding(monkeypatch: pytest.MonkeyPatch) -> None:
    total, free = machine.memory()
    assert total is not None
    assert free is not None
    assert 0 < free <= total
    monkeypatch.setattr(machine, "memory", lambda: (4e9, 1e9))
    assert machine._memory().level == "problem"
    monkeypatch.setattr("locale.getpreferredencoding", lambda do_setlocale: "ANSI_X3.4-1968")
    finding = machine._encoding()
    assert (finding.level, "PYTHONUTF8=1" in finding.hint) == ("problem", True)


def test_the_command_prints_one_finding_a_line_and_json(tmp_path: Path) -> None:
    environment = {**os.environ, "TABENCH_CACHE": str(tmp_path / "cache"), "CUBLAS_WORKSPACE_CONFIG": ":0:0"}
    run = subprocess.run(
        [sys.executable, "-c", RUN, "doctor", f"--results={tmp_path / 'results'}", "--json"],
        env=environment, capture_output=True, text=True, check=False, cwd=tmp_path,
    )  # fmt: skip
    assert run.returncode == 1, run.stderr
    found = json.loads(run.stdout)["findings"]
    assert all(set(finding) == {"level", "message", "hint"} for finding in found)
    problems = [finding for finding in found if finding["level"] == "problem"]
    assert [p["message"][:28] for p in problems] == ["CUBLAS_WORKSPACE_CONFIG=:0:0"]
    assert all(problem["hint"] for problem in problems)
    text = " ".join(finding["message"] for finding in found)
    for part in (
        "Python",
        "torchvision",
        "memory",
        "encodings",
        "BLAS",
        "threads",
        "in force",
        "TF32",
        "cache",
    ):
        assert part in text
    assert list(tmp_path.iterdir()) == []
