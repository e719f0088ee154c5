"""An exported artifact, unpacked elsewhere, renders the same tables in a process that cannot import torch."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
import zipfile
from pathlib import Path, PurePosixPath
from typing import Any

import pytest
from commands import call
from report_fixtures import cell_id, write, write_results

from tabench.artifact.contents import contents
from tabench.store.folders import CellFolder

ROOT = Path(__file__).parents[2]
METHODS = ("ta-lora", "lora-stl", "lora-hps")
WITHOUT_TORCH = """
import sys

class Refuse:
    def find_spec(self, name, path=None, target=None):
        if name.partition(".")[0] in {"torch", "torchvision", "segment_anything", "tensorly", "safetensors"}:
            raise ImportError(f"{name} is refused")

sys.meta_path.insert(0, Refuse())
import tabench
assert not tabench.__file__.startswith(sys.argv.pop(1)), tabench.__file__
from tabench.cli import main
main(sys.argv[1:])
"""


@pytest.fixture(scope="module")
def home(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Tiny made-up results with a failed cell and one that never ran, and their rendered tables."""
    home = tmp_path_factory.mktemp("home")
    folder = write_results(home / "results", seeds=(0, 1), methods=METHODS, pictures=False)
    about = json.loads((folder / "experiment.json").read_text())
    write_results(home / "results", name="cityscapes", seeds=(0, 1), methods=METHODS)
    about["cells"] |= {cell_id("frozen", 0): "frozen s0", cell_id("frozen", 1): "frozen s1"}
    write(folder / "experiment.json", about)
    gone = OSError(f"{Path.cwd() / 'data'}: disk gone")
    CellFolder(home / "results", "nyuv2", cell_id("frozen", 0)).write_failure(gone, attempt=1)
    write(folder / cell_id("ta-lora", 0) / "claim.json", {})
    write(folder / cell_id("full-hps", 0) / "checkpoint" / "all" / "00000001" / "state.json", {})
    write(folder / cell_id("ta-lora", 0) / "weights-all.safetensors", "large")
    assert (
        call("report", "nyuv2", f"--results={home / 'results'}", f"--out={home / 'reports' / 'nyuv2'}") == 0
    )
    return home


@pytest.fixture(scope="module")
def packed(home: Path) -> Path:
    words = [f"--results={home / 'results'}", f"--reports={home / 'reports'}", f"--out={home / 'a.zip'}"]
    assert call("export", "artifact", "nyuv2", *words) == 0
    return home / "a.zip"


def test_a_stranger_renders_the_same_tables_without_torch(packed: Path, home: Path, tmp_path: Path) -> None:
    with zipfile.ZipFile(packed) as archive:
        archive.extractall(tmp_path / "here")
    environment = {**os.environ, "PYTHONPATH": str(tmp_path / "here"), "PYTHONDONTWRITEBYTECODE": "1"}
    words = ["report", "nyuv2", "--results=results", "--out=../again"]
    run = subprocess.run(
        [sys.executable, "-c", WITHOUT_TORCH, str(ROOT / "tabench"), *words],
        cwd=tmp_path / "here", env=environment, capture_output=True, text=True, check=False,
    )  # fmt: skip
    assert run.returncode == 0, run.stderr
    tables = home / "reports" / "nyuv2" / "tables"
    names = sorted(path.name for path in tables.iterdir())
    assert names == sorted(path.name for path in (tmp_path / "again" / "tables").iterdir())
    assert any(name.endswith(".csv") for name in names)
    for name in names:
        assert (tmp_path / "again" / "tables" / name).read_bytes() == (tables / name).read_bytes(), name
    assert call("export", "check", str(tmp_path / "here")) == 0
    (tmp_path / "here" / "LICENSE").write_text("mine now")
    assert call("export", "check", str(tmp_path / "here")) == 1


def test_each_damage_is_named_with_what_to_do(
    packed: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    with zipfile.ZipFile(packed) as archive:
        archive.extractall(tmp_path)
    record = tmp_path / "results" / "nyuv2" / cell_id("ta-lora", 0) / "record.json"
    better = json.loads(record.read_text())
    better["metrics"][0]["value"] += 1
    write(record, better)
    (tmp_path / "CITATION.cff").unlink()
    (tmp_path / "tabench" / "report" / "extra.py").write_text("print()")
    (tmp_path / "experiments" / "secret").symlink_to("/etc/passwd")
    with (tmp_path / "SHA256SUMS").open("a") as file:
        file.write(f"{'0' * 64}  ../outside\n")
    capsys.readouterr()
    assert call("export", "check", str(tmp_path)) == 1
    *lines, last = capsys.readouterr().out.splitlines()
    told = {line.removeprefix("wrong: ").partition(": ")[0]: line.partition(" -> ")[2] for line in lines}
    again = "take the file, or all of the artifact, again from where it was published"
    assert told == {
        record.relative_to(tmp_path).as_posix(): again,
        "CITATION.cff": again,
        "tabench/report/extra.py": "it is no part of the artifact: remove it",
        "experiments/secret": "remove it; if it is missing then, take the file itself again",
        "SHA256SUMS": again,
    }
    assert last.endswith("5 problem(s)")


def test_what_is_packed_and_what_is_left_out(packed: Path) -> None:
    with zipfile.ZipFile(packed) as archive:
        names = set(archive.namelist())
    cell = f"results/nyuv2/{cell_id('ta-lora', 0)}"
    wanted = {"README.md", "BADGES.md", "SHA256SUMS", "LICENSE", "CITATION.cff", "requirements.lock",
              "ENVIRONMENT.json", "requirements-report.txt", "tabench/cli/__init__.py",
              "tabench/report/pages/templates/index.html.j2",
              "experiments/nyuv2.toml", "experiments/published/nyuv2.csv", "reports/nyuv2/tables/table1.csv",
              f"{cell}/record.json", f"{cell}/run.json", f"{cell}/journal.jsonl",
              f"results/nyuv2/{cell_id('frozen', 0)}/failure.json", "experiments/published/claims.toml",
              "results/cityscapes/experiment.json"}  # fmt: skip
    assert wanted <= names
    beside = {PurePosixPath(n).name for n in names if n.startswith("results/cityscapes/")}
    assert beside == {"experiment.json", "record.json", "run.json"}, "claims need no more of a neighbour"
    assert not {n for n in names if "checkpoint/" in n or "claim.json" in n or "weights-" in n or "/." in n}
    assert not {n for n in names if cell_id("full-hps", 0) in n}, "a cell that is under way"


def read(packed: Path, name: str) -> str:
    with zipfile.ZipFile(packed) as archive:
        return archive.read(name).decode()


def test_the_badges_say_what_is_there_and_what_is_not(packed: Path) -> None:
    page = read(packed, "BADGES.md")
    for line in (
        "- **A DOI or another permanent identifier**: no evidence",
        "nyuv2: 6 records whose id is the sha256 of their own cell",
        "nyuv2: 0 of these ids come out of experiments/nyuv2.toml as it is",
        "nyuv2: made at 1234abcd; the sources here are of ",
        "nyuv2: 6 of 8 cells have a record, 1 failed",
        "[ ] nyuv2: not run: frozen s1",
        "- **By another team**: no evidence",
        "ran on synthetic data, which says nothing about published numbers",
        "nyuv2: no verdict: synthetic data; runs of a demo never get a verdict against the paper",
    ):
        assert line in page
    readme = read(packed, "README.md")
    assert "**Synthetic data: these are not a paper's numbers.**" in readme
    assert "were run with options that `experiments/nyuv2.toml` does not hold" in readme


def test_the_shipped_records_come_out_of_their_experiment_file() -> None:
    spec = ROOT / "experiments" / "nyuv2.toml"
    packed = contents(ROOT / "results" / "reference", {"nyuv2": spec}, ROOT / "reports")
    (facts,) = packed.experiments
    assert facts.named == len(facts.done) == facts.planned
    readme = next(m for m in packed.members if m.name == "README.md")
    assert isinstance(readme.source, bytes)
    assert f"--select id={facts.example}" in readme.source.decode()
    based = {"ranks": spec.with_name("ranks.toml")}  # on nyuv2.toml, which comes along
    names = {m.name for m in contents(ROOT / "results" / "reference", based, ROOT / "none").members}
    assert {"experiments/ranks.toml", "experiments/nyuv2.toml"} <= names


def test_the_reference_that_runs_are_compared_with_comes_along(tmp_path: Path) -> None:
    shipped, here = ROOT / "results" / "reference" / "nyuv2", tmp_path / "nyuv2"
    one = next(shipped.glob("*/record.json")).parent
    shutil.copytree(one, here / one.name)
    shutil.copy(shipped / "experiment.json", here)
    packed = contents(tmp_path, {"nyuv2": None}, tmp_path / "none")
    names = {m.name for m in packed.members if m.name.startswith("results/reference/")}
    assert f"results/reference/nyuv2/{one.name}/record.json" in names
    assert not any(name.endswith(".png") for name in names)
    assert packed.experiments[0].compared["verdict"].startswith("Not decided: of 63 comparisons")


def test_the_same_results_give_the_same_bytes(
    home: Path, packed: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    words = [f"--results={home / 'results'}", f"--reports={home / 'reports'}", f"--out={home / 'b.zip'}"]
    assert call("export", "artifact", "nyuv2", *words, "--json") == 0
    said: dict[str, Any] = json.loads(capsys.readouterr().out)
    assert (home / "b.zip").read_bytes() == packed.read_bytes()
    assert (said["records"], said["beside"]) == (12, ["cityscapes"])


def test_a_report_of_other_cells_is_not_packed(
    home: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    write_results(tmp_path, name="nyuv2", seeds=(7,), methods=METHODS, pictures=False)
    words = [f"--results={tmp_path}", f"--reports={home / 'reports'}", f"--out={tmp_path / 'a.zip'}"]
    assert call("export", "artifact", "nyuv2", *words) == 2
    assert "reports/nyuv2: this report is of other cells" in capsys.readouterr().err
    assert not (tmp_path / "a.zip").exists()
