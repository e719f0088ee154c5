"""What ``tabench doctor`` finds, and that it finds what is wrong."""

from __future__ import annotations

import errno
import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

from tabench.provenance import machine
from tabench.provenance.machine import folder_findings

RUN = "import sys; from tabench.cli import main; main(sys.argv[1:])"


def test_a_good_folder_is_ok_and_left_as_it_was(tmp_path: Path) -> None:
    found = folder_findings(tmp_path / "not" / "yet", "results folder")
    assert [finding.level for finding in found] == ["ok", "ok"]
    assert "renames, fsync, locks and clock work" in found[0].message
    assert "GB free for the results folder" in found[1].message
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize(
    ("target", "replacement", "level", "message"),
    [
        ("fcntl.flock", OSError(errno.ENOLCK, "No locks available"), "note", "there are no locks"),
        ("fcntl.flock", None, "note", "does not keep others out"),
        ("os.fsync", OSError(errno.ENOSPC, "No space left"), "problem", "No space left"),
        ("time.time", 4e9, "problem", "s off this machine's"),
        ("tempfile.mkdtemp", OSError(errno.EROFS, "Read-only"), "problem", "cannot be kept here: Read-only"),
    ],
)
def test_a_wrong_folder_is_told(
    target: str,
    replacement: object,
    level: str,
    message: str,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    def instead(*words: object, **named: object) -> object:
        if isinstance(replacement, OSError):
            raise replacement
        return replacement

    monkeypatch.setattr(target, instead)
    first = folder_findings(tmp_path, "results folder")[0]
    assert (first.level, message in first.message, bool(first.hint)) == (level, True, True), first


def test_a_rename_that_copies_and_little_space_are_told(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(Path, "replace", lambda self, target: target.write_bytes(self.read_bytes()))
    monkeypatch.setattr(machine, "FEW_BYTES", float("inf"))
    rename, space = folder_findings(tmp_path, "results folder")
    assert (rename.level, space.level) == ("problem", "problem")
    assert "does not replace a file at once" in rename.message


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
    code = "from tabench.provenance.machine import build_finding\nprint(build_finding().level)"
    environment = {
        **os.environ,
        "PYTHONPATH": os.pathsep.join([str(tmp_path), str(Path(__file__).parents[2])]),
    }
    run = subprocess.run(
        [sys.executable, "-c", code], env=environment, capture_output=True, text=True, check=True
    )
    assert run.stdout.split() == [level]


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
    for part in ("torchvision", "BLAS", "threads", "in force", "TF32", "cache"):
        assert part in text
    assert list(tmp_path.iterdir()) == []
