"""The command line end to end, on four ray-cast rooms and random weights."""

from __future__ import annotations

import json
import os
import shutil
import signal
import subprocess
import sys
from pathlib import Path

import pytest
from commands import call, call_json, options, settle, start, wait_for
from patience import output_of
from tiny_run import write_weights

from tabench.data.packs import Opener
from tabench.store.claim import Holder
from tabench.worlds.scenes import SCENES

pytestmark = pytest.mark.usefixtures("entries_of_tests")
TWO_ROOMS = ["--train=1", "--val=1", "--height=48", "--width=64"]


@pytest.fixture(scope="module")
def home(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("home")
    write_weights(folder / "nano.safetensors")
    return folder


@pytest.fixture(autouse=True)
def _place(home: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    settle(home, monkeypatch)
    monkeypatch.setenv("COLUMNS", "160")


def test_plan_run_status_and_run_again(home: Path, capsys: pytest.CaptureFixture[str]) -> None:
    select = ["--select=method=ta-lora,lora-stl"]
    code, plan = call_json(capsys, "plan", *options("first", *select))
    assert code == 0
    assert [cell["label"] for cell in plan["cells"]] == ["ta-lora s0", "lora-stl s0"]
    assert {cell["state"] for cell in plan["cells"]} == {"pending"}
    assert {cell["why"] for cell in plan["cells"]} == {"never run"}
    assert all(cell["basis"] == "rough" and cell["seconds"] > 0 for cell in plan["cells"])
    assert not (home / "first").exists()
    assert not (home / "cache").exists() or not list((home / "cache").glob("scenes-*"))

    code, ran = call_json(capsys, "run", *options("first", *select, "--threads=1", "--workers=1"))
    assert code == 0
    assert [outcome["state"] for outcome in ran["outcomes"]] == ["done", "done"]

    code, status = call_json(capsys, "status", "nyuv2", "--results=first")
    assert code == 0
    assert status["counts"] == {"done": 2, "pending": 5}

    first, second = (home / "first" / "nyuv2" / cell["id"] for cell in plan["cells"])
    record, run = (json.loads((first / name).read_text()) for name in ("record.json", "run.json"))
    assert record["cell_id"] == first.name
    assert record["data"]["counts"] == {"train": 4, "eval": 2}
    assert record["data"]["synthetic"] is True
    assert {m["task"] for m in record["metrics"]} == {"segmentation", "depth", "normals"}
    assert {m["protocol"] for m in record["metrics"]} == {"paper", "pixel"}
    assert record["curves"]["train"][-1]["step"] == 2
    assert all(spread["target"] > 0 for spread in record["spread"].values())
    assert record["spread"].keys() == {"segmentation", "depth", "normals"}
    assert run["attempts"] == 1
    assert run["threads"] == 1
    assert run["cost"]["train_flops"] > run["cost"]["inference_flops"] > 0
    assert run["cost"]["problems"] == []
    for picture in record["pictures"]:
        for names in picture["files"].values():
            assert (first / "pictures" / names["pred"]).is_file()
            assert (first / "pictures" / names["error"]).is_file()
    truth = home / "first" / "nyuv2" / "truth" / record["data"]["fingerprint"][:12]
    assert (truth / "val_0.input.png").is_file()
    assert not (first / "checkpoint").exists()
    units = [entry["unit"] for entry in json.loads((second / "record.json").read_text())["curves"]["train"]]
    assert list(dict.fromkeys(units)) == ["segmentation", "depth", "normals"]

    before = (first / "record.json").stat().st_mtime_ns
    (first / "checkpoint" / "all").mkdir(parents=True)  # as if its process was killed after the record
    (first / "claim.json").write_text(json.dumps({**Holder.this().to_json(), "started": "1"}))
    margins = '--set=repeats.margins={"depth.abs_err"=0.5}'  # declared after the runs, and no part of a cell
    code, again = call_json(capsys, "run", *options("first", *select, margins))
    assert (code, again["outcomes"], again["to_run"]) == (0, [], 0)
    about = json.loads((home / "first" / "nyuv2" / "experiment.json").read_text())
    assert about["repeats"] == {"margins": {"depth.abs_err": 0.5}, "source": ""}
    assert (first / "record.json").stat().st_mtime_ns == before
    assert not (first / "checkpoint").exists()
    assert not (first / "claim.json").exists()

    _, changed = call_json(
        capsys, "plan", *options("first", "--select=method=ta-lora", "--set=train.lr=0.001")
    )
    assert changed["cells"][0]["why"] == "changed: train.lr 0.002 -> 0.001"

    assert call("report", "nyuv2", "--results=first", "--out=page") == 0
    assert (home / "page" / "index.html").is_file()


def test_a_failing_cell_is_recorded_and_the_others_go_on(
    home: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    broken = options("broken", "--select=method=lora-hps,frozen", "--set=methods.lora-hps.dropout=1.5")
    how = ["--threads=1", "--executor=inline", "--debug", "--json"]
    capsys.readouterr()
    assert call("run", *broken, *how) == 1
    printed = capsys.readouterr()
    ran = json.loads(printed.out)
    assert "lora-hps s0: Traceback (most recent call last):" in printed.err
    assert "SpecError: method.params.dropout: dropout must be" in printed.err
    assert [(o["state"], o["kind"]) for o in ran["outcomes"]] == [("failed", "spec"), ("done", "")]
    assert "dropout" in ran["outcomes"][0]["message"]
    failure = json.loads((home / "broken" / "nyuv2" / ran["cells"][0]["id"] / "failure.json").read_text())
    assert failure["kind"] == "spec"
    assert "Traceback" in failure["traceback"]
    _, plan = call_json(capsys, "plan", *broken)
    assert plan["cells"][0]["why"].startswith("failed before (spec)")
    _, status = call_json(capsys, "status", "nyuv2", "--results=broken")
    assert status["counts"] == {"failed": 1, "done": 1, "pending": 5}


@pytest.mark.slow
def test_a_killed_run_and_a_stopped_run_end_in_the_same_record(
    home: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    def words(results: str) -> list[str]:
        two_models = '--set=dataset.tasks=["depth", "normals"]'
        return options(results, two_models, "--set=train.max_steps=8", "--select=method=lora-stl")

    how = ["--threads=1", "--checkpoint-every=0"]
    assert call("run", *words("whole"), *how) == 0

    process = start("run", *words("killed"), *how)
    wait_for(process, home / "killed", "checkpoint")
    process.kill()
    process.communicate()
    _, status = call_json(capsys, "status", "nyuv2", "--results=killed")
    assert status["counts"] == {"partial": 1, "pending": 6}

    process = start("run", *words("killed"), *how)
    wait_for(process, home / "killed", "resume")
    process.send_signal(signal.SIGTERM)
    output = output_of(process)
    assert process.returncode == 130, output
    assert "to resume" in output

    _, plan = call_json(capsys, "plan", *words("killed"))
    assert plan["cells"][0]["why"].startswith("resumes: ")
    assert call("run", *words("killed"), *how) == 0
    (whole,) = (home / "whole").glob("nyuv2/*/record.json")
    (killed,) = (home / "killed").glob("nyuv2/*/record.json")
    assert killed.read_bytes() == whole.read_bytes()
    run = json.loads((killed.parent / "run.json").read_text())
    assert run["attempts"] == 3
    assert len(run["resumed_from_step"]) >= 2


@pytest.mark.parametrize(
    ("words", "parts"),
    [
        (["plan", "nyuv3"], ["no experiment 'nyuv3'", "did you mean 'nyuv2'?"]),
        (["plan", "missing.toml"], ["missing.toml", "no such experiment file"]),
        (["run", *options("x", "--set=train.epoch=2")], ["train.epoch", "epochs"]),
        (["run", *options("x", "--executor=slrum")], ["unknown executor 'slrum'"]),
        (["run", *options("x", "--device=mps")], ["--device: cells do not run on a device 'mps'", "cuda:1"]),
        (["plan", *options("x", "--device=cuda:x")], ["cells do not run on a device 'cuda:x'"]),
        (["run", *options("x", "--device=cuda:99")], ["'cuda:99' asked for", "CUDA device(s) found"]),
        (["doctor", "--device=cuda:99"], ["'cuda:99' asked for", "CUDA device(s) found"]),
        (["describe", "ta-lorra"], ["did you mean 'ta-lora'?"]),
        (["describe", "ta-lora", "--channels=13;1"], ["is not a list of numbers"]),
        (["describe", "ta-lora", "--channels=a=13,a=1"], ["is not a list of numbers"]),
        (["describe", "frozen", "--backbone=sam_vit_nano", "--figures=."], ["no diagram of 'frozen'"]),
        (["status", "nyuv2", "--results=nowhere"], ["no results of this experiment"]),
    ],
)
def test_a_wrong_command_gives_one_message(
    words: list[str], parts: list[str], capsys: pytest.CaptureFixture[str]
) -> None:
    assert call(*words) == 2
    printed = capsys.readouterr().err
    assert printed.startswith("error: ")
    assert "Traceback" not in printed
    for part in parts:
        assert part in printed


def test_a_folder_of_photographs_turns_the_demo_into_nyuv2(
    home: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert call("data", "make-scenes", "--root=photos", *TWO_ROOMS) == 0
    (home / "photos" / "scenes.json").unlink()
    words = ["nyuv2", "--profile=demo", "--checkpoint=nano.safetensors", "--data-root=photos"]
    code, plan = call_json(capsys, "plan", *words, "--select=seed=0")
    assert (code, plan["dataset"], plan["data_root"]) == (0, "nyuv2", "photos")
    shutil.rmtree(home / "photos")


def test_data_verify_names_a_wrong_file(home: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert call("data", "make-scenes", "--root=rooms", *TWO_ROOMS) == 0
    code, report = call_json(capsys, "data", "verify", "scenes", "--root=rooms")
    assert (code, report["problems"], report["counts"]) == (0, [], {"train": 1, "val": 1})
    assert report["packs"] == []
    before = set((home / "cache" / "packed").glob("*"))
    splits = Opener(SCENES, home / "rooms", report["fingerprint"], None, lambda *_: None, lambda: False)
    assert [len(splits.open(name)) for name in ("train", "val")] == [1, 1]
    (pack,) = set((home / "cache" / "packed").iterdir()) - before
    (pack / "val" / "label.npy").write_bytes(b"torn")
    code, report = call_json(capsys, "data", "verify", "scenes", "--root=rooms")
    assert code == 0  # a cache is not the dataset
    assert [line.partition(":")[0] for line in report["packs"]] == ["pack of train"]
    assert "pack of val: damaged and removed (label.npy" in report["warnings"][-1]
    (home / "rooms" / "val" / "depth" / "0.npy").write_bytes(b"torn")
    code, report = call_json(capsys, "data", "verify", "scenes", "--root=rooms")
    assert code == 1
    assert "0.npy" in report["problems"][0]


def test_describe_draws_without_weights(capsys: pytest.CaptureFixture[str], tmp_path: Path) -> None:
    options = ["--backbone=sam_vit_nano", "--channels=segmentation=13,depth=1", f"--figures={tmp_path}"]
    code, found = call_json(capsys, "describe", "ta-lora-cp", *options)
    assert code == 0
    assert found["architecture"]["models"]["all"]["tasks"] == {"segmentation": 13, "depth": 1}
    assert [Path(path).name for path in found["figures"]] == [
        "figure2.pdf", "figure2.png", "figure3.pdf", "figure3.png",
    ]  # fmt: skip
    assert all(Path(path).stat().st_size > 10_000 for path in found["figures"])


def test_describe_tells_what_a_balancer_needs(capsys: pytest.CaptureFixture[str]) -> None:
    options = ("describe", "ta-lora", "--backbone=sam_vit_nano", "--channels=13,1,3", "--set=ranks=[4,4,2]")
    _, plain = call_json(capsys, *options)
    assert plain["balancing"] == {
        "name": "equal", "title": "Weighted sum", "params": {}, "asks": [], "gradient_copies_bytes": 0,
    }  # fmt: skip
    _, found = call_json(capsys, *options, "--balancing=projecting")
    width, depth = 128, 4
    adapters = depth * (width * 4 + 3 * width * 4 + 4 * 4 * 2)  # without U3, whose rows are the tasks' own
    norms = depth * 2 * 2 * width
    assert found["balancing"]["gradient_copies_bytes"] == 3 * 4 * (adapters + norms)
    assert found["balancing"]["asks"] == ["gradients"]


@pytest.mark.parametrize("kind", ["methods", "balancers", "tasks", "datasets", "backbones", "executors"])
def test_every_registry_is_listed(kind: str, capsys: pytest.CaptureFixture[str]) -> None:
    code, entries = call_json(capsys, "list", kind)
    assert code == 0
    assert entries
    assert all(entry["name"] and entry["summary"] for entry in entries)


def test_help_and_plan_import_nothing_heavy() -> None:
    code = (
        "import sys\n"
        "from tabench.cli import main\n"
        "try: main(sys.argv[1:])\n"
        "except SystemExit as ended: assert not ended.code, ended.code\n"
        "heavy = {'torch', 'pandas', 'scipy', 'matplotlib', 'PIL'} & set(sys.modules)\n"
        "assert not heavy, heavy\n"
    )
    for words in (["--help"], ["plan", *options("none")], ["list", "methods"]):
        done = subprocess.run(
            [sys.executable, "-c", code, *words], capture_output=True, text=True, env=os.environ, check=False
        )
        assert done.returncode == 0, done.stderr
