"""A failed evaluation costs no training; kept weights under another rule give the record of a fresh run."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from collections.abc import Callable
from functools import cache
from pathlib import Path
from typing import Any, NamedTuple

import pytest
from commands import RECIPE, call_json
from tiny_run import make_cell, write_scenes, write_weights

from tabench.errors import CheckpointError, DataError
from tabench.runs.cell_run import run_cell
from tabench.runs.executor import CellEvent, Job, Options, Outcome
from tabench.runs.plan import _position
from tabench.runs.reevaluate import Source, find_source, put_weights
from tabench.spec.cell import Cell
from tabench.store.encoding import read_json
from tabench.store.folders import CellFolder
from tabench.store.index import read_index
from tabench.tasks.base import Task
from tabench.tasks.distance import Depth
from tabench.tasks.segmentation import Segmentation


class Whole(NamedTuple):
    folder: CellFolder
    steps: int


Reference = Callable[[str], Whole]


@pytest.fixture(scope="module")
def inputs(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Path]:
    home = tmp_path_factory.mktemp("inputs")
    write_weights(home / "nano.safetensors")
    return write_scenes(home / "scenes"), home / "nano.safetensors"


@pytest.fixture(scope="module")
def whole(tmp_path_factory: pytest.TempPathFactory, inputs: tuple[Path, Path]) -> Reference:
    """The folder of a method's cell, and its steps, where nothing disturbs the run."""

    @cache
    def made(method: str) -> Whole:
        cell, results = make_cell(method, train__max_steps=2), tmp_path_factory.mktemp("whole")
        taken = steps(done(cell, inputs, results))
        return Whole(CellFolder(results, "nyuv2", cell.id), taken)

    return made


def run(
    cell: Cell, inputs: tuple[Path, Path], results: Path, *, keep: bool = False
) -> tuple[Outcome, list[CellEvent]]:
    events: list[CellEvent] = []
    options = Options(results=results, device="cpu", threads=1, keep_weights=keep)
    outcome = run_cell(Job("nyuv2", cell, cell.label, *inputs), options, events.append, lambda: False)
    return outcome, events


def done(cell: Cell, inputs: tuple[Path, Path], results: Path, *, keep: bool = False) -> list[CellEvent]:
    """What a run that must succeed tells."""
    outcome, events = run(cell, inputs, results, keep=keep)
    assert outcome.state == "done", outcome.message
    return events


def steps(events: list[CellEvent]) -> int:
    return sum(event.event.name == "step" for event in events)


def once(function: Callable[..., Any], error: Exception) -> Callable[..., Any]:
    """A function whose first call raises."""
    pending = [error]

    def wrapped(*arguments: Any, **options: Any) -> Any:
        if pending:
            raise pending.pop()
        return function(*arguments, **options)

    return wrapped


@pytest.mark.parametrize(
    ("method", "task", "name", "error", "kind", "says"),
    [
        ("ta-lora", Depth, "evaluation", ValueError("bad\nmetric"), "unexpected",
         "trained; evaluation failed: ValueError: bad metric; run again to evaluate only"),
        ("ta-lora", Segmentation, "colour_prediction", DataError("no colour", where="val/0", hint="add it"),
         "data",
         "trained; evaluation failed: val/0: no colour; run again to evaluate only\n  -> add it"),
        ("lora-stl", Depth, "evaluation", ValueError("bad"), "unexpected",
         "depth trained; evaluation failed: ValueError: bad; run again to evaluate depth only and go on"),
    ],
    ids=["metric", "picture", "one-of-three-models"],
)  # fmt: skip
def test_a_failed_evaluation_is_repeated_without_training(
    method: str, task: type[Task], name: str, error: Exception, kind: str, says: str,
    inputs: tuple[Path, Path], whole: Reference, tmp_path: Path, monkeypatch: pytest.MonkeyPatch,
) -> None:  # fmt: skip
    cell = make_cell(method, train__max_steps=2)
    reference = whole(method)

    monkeypatch.setattr(task, name, once(getattr(task, name), error))
    failed, before = run(cell, inputs, tmp_path / "broken")
    assert (failed.state, failed.kind, failed.message) == ("failed", kind, says)
    folder = CellFolder(tmp_path / "broken", "nyuv2", cell.id)
    known = read_index(tmp_path / "broken", "nyuv2").cells[cell.id]
    assert (known.state, known.kind, known.message) == ("failed", kind, says)
    assert type(error).__name__ in folder.read_failure()["traceback"]

    after = done(cell, inputs, tmp_path / "broken")
    assert steps(before) + steps(after) == reference.steps, "a step was trained twice"
    if method == "ta-lora":
        assert steps(after) == 0
    assert folder.state() == "done"
    assert not folder.failure.exists()
    assert folder.record.read_bytes() == reference.folder.record.read_bytes()


KILLED = """
import os, signal, sys
from pathlib import Path
from tiny_run import make_cell
from tabench.runs import cell_run
from tabench.runs.executor import Job, Options

method, point, scenes, weights, results = sys.argv[1:]
cell = make_cell(method, train__max_steps=2)

def die(*arguments):
    os.kill(os.getpid(), signal.SIGKILL)

def hear(told):
    event = told.event
    name = "trained" if getattr(event, "finished", False) else event.name
    if getattr(event, "unit", "") in ("all", "normals") and point == name:
        die()

if point == "sums":
    cell_run.write_bytes = die  # the record
if point == "record":
    cell_run.tidy = die
job = Job("nyuv2", cell, cell.label, Path(scenes), Path(weights))
cell_run.run_cell(job, Options(results=Path(results), device="cpu", threads=1), hear, lambda: False)
"""


@pytest.mark.slow
@pytest.mark.parametrize(
    ("method", "point"),
    [
        ("lora-stl", "trained"),
        pytest.param("ta-lora", "final", marks=pytest.mark.long),
        pytest.param("lora-stl", "cost", marks=pytest.mark.long),
        pytest.param("ta-lora", "sums", marks=pytest.mark.long),
        ("ta-lora", "record"),
    ],
)
def test_a_kill_after_training_costs_the_evaluation_alone(
    method: str, point: str, inputs: tuple[Path, Path], whole: Reference, tmp_path: Path
) -> None:
    words = [method, point, *map(str, inputs), str(tmp_path / "killed")]
    path = os.pathsep.join([str(Path(__file__).parents[1]), *sys.path])
    ended = subprocess.run(
        [sys.executable, "-c", KILLED, *words], env={**os.environ, "PYTHONPATH": path}, check=False
    )
    assert ended.returncode == -signal.SIGKILL
    cell = make_cell(method, train__max_steps=2)
    folder = CellFolder(tmp_path / "killed", "nyuv2", cell.id)
    assert folder.record.exists() == (point == "record")

    assert steps(done(cell, inputs, tmp_path / "killed")) == 0
    reference = whole(method).folder
    for name in ("record", "checksums"):
        assert getattr(folder, name).read_bytes() == getattr(reference, name).read_bytes()
    assert [event["event"] for event in folder.read_journal()].count("done") == 1
    assert {path.name for path in folder.path.iterdir()} == {path.name for path in reference.path.iterdir()}


BEST = {"evaluation__selection": "best-val", "evaluation__val_split": "train"}


def found(cell: Cell, results: Path) -> Source | str:
    return find_source(cell, read_index(results, "nyuv2"), results, "nyuv2")


@pytest.mark.parametrize(
    ("method", "old", "new", "version"),
    [
        ("ta-lora", {"evaluation__every": 1}, {"evaluation__every": 1, "evaluation__pictures": 2}, 1),
        ("lora-hps", {"evaluation__every": 1},
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
    done(first, inputs, tmp_path / "kept", keep=True)
    monkeypatch.setattr(Depth, "version", version)
    done(cell, inputs, tmp_path / "fresh")

    source = found(cell, tmp_path / "kept")
    assert isinstance(source, Source), source
    folder = CellFolder(tmp_path / "kept", "nyuv2", cell.id)
    put_weights(source, cell, folder)
    assert folder.state() == "partial"
    assert _position(folder, cell) == "trained; only the evaluation is left"
    events = done(cell, inputs, tmp_path / "kept")
    assert steps(events) == 0, "it trained"
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
    done(first, inputs, tmp_path)

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
    done(first, inputs, tmp_path, keep=True)
    cell = make_cell("ta-lora", train__max_steps=2, evaluation__pictures=2)
    source = found(cell, tmp_path)
    assert isinstance(source, Source)
    folder = CellFolder(tmp_path, "nyuv2", cell.id)
    path = source.folder.path / "weights-all.safetensors"
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

    common = [
        f"--checkpoint={inputs[1]}",
        f"--set={RECIPE}",
        "--set=axes.seeds=[0]",
        "--set=train.max_steps=2",
        "--threads=1",
    ]

    def call(command: str, *more: str) -> tuple[int, Any]:
        return call_json(capsys, command, "nyuv2", "--profile=demo", *common, *more)

    ran = call("run", "--select=method=frozen,lora-hps", "--keep-weights", "--executor=inline")[1]["cells"]
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
