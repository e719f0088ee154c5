"""Kept weights evaluated under another rule give the record that training again would give."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from tiny_run import make_cell, write_scenes, write_weights

from tabench.cli import main
from tabench.errors import CheckpointError
from tabench.runs.cell_run import run_cell
from tabench.runs.executor import Event, Job, Options
from tabench.runs.plan import _position
from tabench.runs.reevaluate import Source, find_source, put_weights
from tabench.spec.cell import Cell
from tabench.store.encoding import read_json
from tabench.store.folders import CellFolder
from tabench.store.index import read_index
from tabench.tasks.distance import Depth

BEST = {"evaluation__selection": "best-val", "evaluation__val_split": "train"}


@pytest.fixture(scope="module")
def inputs(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Path]:
    home = tmp_path_factory.mktemp("inputs")
    write_weights(home / "nano.safetensors")
    return write_scenes(home / "scenes"), home / "nano.safetensors"


def run(cell: Cell, inputs: tuple[Path, Path], results: Path, *, keep: bool = False) -> list[Event]:
    events: list[Event] = []
    options = Options(results, "cpu", threads=1, keep_weights=keep)
    outcome = run_cell(Job("nyuv2", cell, cell.label, *inputs), options, events.append, lambda: False)
    assert outcome.state == "done", outcome.message
    return events


def found(cell: Cell, results: Path) -> Source | str:
    return find_source(cell, read_index(results, "nyuv2"), results, "nyuv2")


@pytest.mark.parametrize(
    ("method", "old", "new", "version"),
    [
        ("ta-lora", {"evaluation__every": 1}, {"evaluation__every": 1, "evaluation__pictures": 2}, 1),
        ("lora-stl", {"evaluation__every": 1},
         {"evaluation__protocols": {"depth": 2}, "evaluation__more_protocols": ("libmtl",)}, 2),
        ("lora-stl", {"evaluation__every": 1, **BEST},
         {"evaluation__every": 1, "evaluation__pictures": 0, **BEST}, 1),
    ],
    ids=["pictures", "newer-and-more-protocols", "best-val"],
)  # fmt: skip
def test_the_record_is_the_one_of_a_fresh_run(
    method: str, old: dict[str, Any], new: dict[str, Any], version: int,
    inputs: tuple[Path, Path], tmp_path: Path, monkeypatch: pytest.MonkeyPatch,
) -> None:  # fmt: skip
    first, cell = make_cell(method, **old), make_cell(method, **new)
    assert first.id != cell.id
    run(first, inputs, tmp_path / "kept", keep=True)
    monkeypatch.setattr(Depth, "version", version)
    run(cell, inputs, tmp_path / "fresh")

    source = found(cell, tmp_path / "kept")
    assert isinstance(source, Source), source
    folder = CellFolder(tmp_path / "kept", "nyuv2", cell.id)
    put_weights(source, cell, folder)
    assert folder.state() == "partial"
    assert _position(folder, cell) == "trained; only the evaluation is left"
    events = run(cell, inputs, tmp_path / "kept")
    assert not [event for event in events if event.kind == "step"], "it trained"
    fresh = CellFolder(tmp_path / "fresh", "nyuv2", cell.id)
    assert folder.record.read_bytes() == fresh.record.read_bytes()
    for picture in fresh.pictures.glob("*"):
        assert (folder.pictures / picture.name).read_bytes() == picture.read_bytes()

    told = {metric["protocol"] for metric in read_json(folder.record)["metrics"]}
    assert told == {"paper", "pixel", *cell.evaluation.more_protocols}

    facts, before = read_json(folder.run), read_json(CellFolder(tmp_path / "kept", "nyuv2", first.id).run)
    assert facts["weights_from"] == first.id
    assert facts["wall_s"] >= before["wall_s"] - 0.1, "the time of the training counts"
    assert facts["peak_rss_mb"] >= before["peak_rss_mb"]


def test_what_would_not_be_the_same_is_refused(inputs: tuple[Path, Path], tmp_path: Path) -> None:
    first = make_cell("ta-lora", train__max_steps=2, evaluation__every=1)
    run(first, inputs, tmp_path)

    def reason(**changes: Any) -> str:
        source = found(
            make_cell("ta-lora", **{"train__max_steps": 2, "evaluation__every": 1, **changes}), tmp_path
        )
        assert isinstance(source, str)
        return source

    assert "were not kept (run it with --keep-weights)" in reason(evaluation__pictures=2)
    assert "curve over training is of another protocol" in reason(evaluation__protocols={"depth": 2})
    assert "curve over training is of another protocol" in reason(evaluation__more_protocols=("libmtl",))
    assert "curve over training is of another protocol or interval" in reason(evaluation__every=2)
    assert "selected by another rule" in reason(**BEST)
    assert "no finished cell differs from it in the evaluation alone" in reason(train__lr=0.5)


def test_changed_weights_are_refused(inputs: tuple[Path, Path], tmp_path: Path) -> None:
    first = make_cell("ta-lora", train__max_steps=2)
    run(first, inputs, tmp_path, keep=True)
    cell = make_cell("ta-lora", train__max_steps=2, evaluation__pictures=2)
    source = found(cell, tmp_path)
    assert isinstance(source, Source)
    folder = CellFolder(tmp_path, "nyuv2", cell.id)
    path = source.weights("all")
    content = bytearray(path.read_bytes())
    content[-3] ^= 1
    path.write_bytes(content)
    with pytest.raises(CheckpointError, match="not those of the record"):
        put_weights(source, cell, folder)
    path.write_bytes(content[:100])
    with pytest.raises(CheckpointError, match="cannot be read"):
        put_weights(source, cell, folder)
    assert not folder.path.exists()


def test_the_command_evaluates_what_it_can_and_says_what_it_cannot(
    inputs: tuple[Path, Path],
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    monkeypatch.setenv("TABENCH_CACHE", str(tmp_path / "cache"))
    monkeypatch.chdir(tmp_path)

    def call(command: str, *more: str) -> tuple[int, Any]:
        recipe = "--set=dataset.generate={seed=0, train=4, val=2, height=48, width=64}"
        words = [
            command,
            "nyuv2",
            "--profile=demo",
            f"--checkpoint={inputs[1]}",
            recipe,
            "--json",
            "--threads=1",
        ]
        short = ["--set=axes.seeds=[0]", "--set=train.max_steps=2"]
        capsys.readouterr()
        with pytest.raises(SystemExit) as ended:
            main([*words, *short, *more])
        return int(ended.value.code or 0), json.loads(capsys.readouterr().out)

    ran = call("run", "--select=method=frozen,lora-hps", "--keep-weights")[1]["cells"]
    damaged = next(cell["id"] for cell in ran if cell["label"] == "lora-hps s0")
    (tmp_path / "results" / "nyuv2" / damaged / "weights-all.safetensors").write_bytes(b"nothing")
    code, said = call("evaluate", "--set=evaluation.pictures=1", "--select=method=frozen,lora-hps,ta-lora")
    assert code == 1
    states = {cell["label"]: cell["state"] for cell in said["cells"]}
    assert states == {"frozen s0": "done", "lora-hps s0": "failed", "ta-lora s0": "left"}
    told = {cell["state"]: cell["message"] for cell in said["cells"]}
    assert "no finished cell" in told["left"]
    assert "cannot be read" in told["failed"]
    assert call("evaluate", "--set=evaluation.pictures=1", "--select=method=frozen")[1]["cells"] == []
