"""What a newcomer can get wrong with files, through the command line: one message, and what to do."""

from __future__ import annotations

import json
import os
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import commands
import numpy as np
import pytest
import torch
from tiny_run import write_weights

from tabench.errors import StoreError
from tabench.store.folders import CellFolder
from tabench.worlds.scenes import SCENES

EXPERIMENT = Path(__file__).parents[2] / "experiments" / "nyuv2.toml"
FROZEN = ["--profile=demo", "--select=method=frozen", "--select=seed=0", "--set=train.max_steps=1"]
RECIPE = "--set=dataset.generate={seed=0, train=2, val=1, height=32, width=48}"


@pytest.fixture(scope="module")
def home(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("home")
    state = write_weights(folder / "nano.safetensors")
    torch.save({key: value for key, value in state.items() if "neck.0" not in key}, folder / "keys.pth")
    torch.save(state, folder / "whole.pth")
    whole = (folder / "whole.pth").read_bytes()
    (folder / "torn.pth").write_bytes(whole[: len(whole) // 2])
    (folder / "page.pth").write_text("<html>404</html>")
    torch.save({**state, "extra": MakesAFolder()}, folder / "evil.pth")
    return folder


class MakesAFolder:
    """Leaves a folder `ran` where it is unpickled."""

    def __reduce__(self) -> tuple[object, ...]:
        return os.mkdir, ("ran",)


@pytest.fixture(autouse=True)
def _place(home: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    commands.settle(home, monkeypatch)
    monkeypatch.setenv("XDG_CACHE_HOME", str(home / "cache"))
    monkeypatch.setenv("COLUMNS", "200")


@pytest.fixture
def photos(home: Path) -> Any:
    """A folder in NYUv2's layout, with two images to train on and one to test."""
    SCENES.make(home / "photos", seed=0, train=2, val=1, height=32, width=48)
    (home / "photos" / "scenes.json").unlink()
    yield home / "photos"
    shutil.rmtree(home / "photos")


def call(capsys: pytest.CaptureFixture[str], *words: str) -> tuple[int, str, str]:
    """Exit code, standard output and standard error of a command."""
    capsys.readouterr()
    code = commands.call(*words)
    found = capsys.readouterr()
    assert "Traceback" not in found.out + found.err
    return code, found.out, found.err


def refused(capsys: pytest.CaptureFixture[str], *words: str) -> str:
    """The one message of a command that cannot start."""
    code, _, message = call(capsys, *words)
    assert code == 2
    assert message.count("error: ") == 1
    return message


def test_a_protocol_that_no_task_has(capsys: pytest.CaptureFixture[str]) -> None:
    words = [*FROZEN, RECIPE, "--checkpoint=nano.safetensors", '--set=evaluation.more_protocols=["libmlt"]']
    message = refused(capsys, "plan", str(EXPERIMENT), *words)
    assert "evaluation.more_protocols: no task of this experiment has a protocol 'libmlt'" in message
    assert "did you mean 'libmtl'?" in message
    message = refused(
        capsys, "plan", str(EXPERIMENT), *words[:-1], '--set=evaluation.more_protocols=["pixel"]'
    )
    assert "evaluation.more_protocols: scenes has the protocol 'pixel' anyway" in message


@pytest.mark.parametrize(
    ("words", "looked"),
    [
        ([], ["neither --data-root nor TABENCH_DATA is given", "$TABENCH_CHECKPOINTS (not set)"]),
        (["--data-root=nowhere", "--checkpoint=gone.pth"], ["not in nowhere", "looked in gone.pth"]),
    ],
)
def test_the_paper_profile_lists_all_it_lacks_at_once(
    capsys: pytest.CaptureFixture[str], words: list[str], looked: list[str]
) -> None:
    message = refused(capsys, "run", str(EXPERIMENT), "--profile=paper", *words)
    sources = ["github.com/lorenmt/mtan", "segment_anything/sam_vit_l_0b3195.pth"]
    places = ["ROOT/train/image/0.npy", "--checkpoint FILE", "TABENCH_CHECKPOINTS=DIR"]
    for part in [*looked, *sources, *places]:
        assert part in message


@pytest.mark.parametrize(
    ("file", "parts"),
    [
        ("keys.pth", ["is not sam_vit_nano", "misses 1 keys ('image_encoder.neck.0.weight')"]),
        ("torn.pth", ["cannot be read as weights of sam_vit_nano", "truncated"]),
        ("page.pth", ["cannot be read as weights of sam_vit_nano", "another kind of file"]),
        ("evil.pth", ["is refused", "mkdir", "none was run"]),
    ],
)
def test_weights_that_cannot_be_used(
    home: Path, capsys: pytest.CaptureFixture[str], file: str, parts: list[str]
) -> None:
    message = refused(capsys, "run", str(EXPERIMENT), *FROZEN, RECIPE, f"--checkpoint={file}")
    for part in [f"error: {file}: ", *parts]:
        assert part in message
    assert "weights_only" not in message  # torch's advice: to run what the file holds
    assert not (home / "ran").exists()
    assert not (home / "results").exists()


@pytest.mark.parametrize(
    ("file", "words"),
    [
        ("val/*/1.npy", "1 of 2 images of 'val' are not 32x48 as the others: val/1 is 30x48"),
        ("val/depth/1.npy", "sizes differ: image 32x48, label 32x48, depth 30x48"),
    ],
)
def test_an_image_of_odd_size_is_found_before_training(
    photos: Path, capsys: pytest.CaptureFixture[str], tmp_path: Path, file: str, words: str
) -> None:
    for path in photos.glob("val/*/0.npy"):
        shutil.copy(path, path.with_name("1.npy"))
    for path in photos.glob(file):
        np.save(path, np.load(path)[:30])
    place = ["--checkpoint=nano.safetensors", "--data-root=photos", f"--results={tmp_path}"]
    message = refused(capsys, "run", str(EXPERIMENT), *FROZEN, *place, "--set=train.batch_size=2")
    assert words in message
    assert not list(tmp_path.glob("nyuv2/*/journal.jsonl"))


def test_what_was_left_out_is_said_by_plan_and_run(
    photos: Path, capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    words = [str(EXPERIMENT), *FROZEN, "--checkpoint=nano.safetensors", "--data-root=photos"]
    notes = ["train: 2 images, published are 795", "val: 1 images, published are 654"]
    np.save(photos / "train" / "depth" / "0.npy", np.full((32, 48, 1), np.nan))  # no need to train here
    for command in ("plan", "run"):
        _, out, _ = call(capsys, command, *words, f"--results={tmp_path}")
        assert [line.strip() for line in out.splitlines() if "published are" in line] == [
            f"note    {note}" for note in notes
        ]
    _, out, _ = call(capsys, "plan", *words, f"--results={tmp_path}", "--json")
    assert json.loads(out)["data_notes"] == notes
    (journal,) = tmp_path.glob("nyuv2/*/journal.jsonl")
    events = [json.loads(line) for line in journal.read_text().splitlines()]
    assert [event["message"] for event in events if event["event"] == "warning"] == notes


def with_nan(array: Any) -> Any:
    array[3, 3] = np.nan
    return array


def with_label_40(array: Any) -> Any:
    array[0, 0] = 40
    return array


@pytest.mark.parametrize(
    ("file", "change", "words"),
    [
        ("train/depth/1.npy", with_nan, "1 values are NaN or infinite"),
        ("val/label/0.npy", with_label_40, "labels 40 outside -1..12"),
        ("train/normal/0.npy", lambda array: array[..., 0], "shape (32, 48), expected (H, W, 3)"),
        ("train/image/1.npy", lambda array: array * 255, "expected 0..1"),
    ],
)
def test_wrong_values_in_the_data_fail_the_cell_with_the_files_name(
    photos: Path,
    capsys: pytest.CaptureFixture[str],
    tmp_path: Path,
    file: str,
    change: Callable[[Any], Any],
    words: str,
) -> None:
    np.save(photos / file, change(np.load(photos / file)))
    inputs = ["--checkpoint=nano.safetensors", "--data-root=photos", f"--results={tmp_path}"]
    code, out, _ = call(capsys, "run", str(EXPERIMENT), *FROZEN, *inputs, "--threads=1")
    assert code == 1
    assert f"photos/{file}: " in out
    assert words in out
    (failure,) = (json.loads(path.read_text()) for path in tmp_path.glob("nyuv2/*/failure.json"))
    assert failure["kind"] == "data"
    assert f"photos/{file}" in failure["message"]
    code, out, _ = call(capsys, "data", "verify", "nyuv2", "--root=photos")
    assert code == 1
    assert f"photos/{file}: " in out
    assert words in out


def test_a_folder_that_is_not_there_is_met_with_where_to_get_it(capsys: pytest.CaptureFixture[str]) -> None:
    code, out, _ = call(capsys, "data", "verify", "nyuv2", "--root=nowhere")
    assert code == 1
    assert "nowhere/train/image: folder not found" in out
    assert "lorenmt/mtan" in out
    assert "class pixels" not in out


def test_a_journal_that_cannot_be_written_ends_no_run(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    def full(folder: CellFolder, event: str, **facts: object) -> None:
        raise StoreError("cannot be written: No space left on device", where=str(folder.journal_file))

    monkeypatch.setattr(CellFolder, "journal", full)
    inputs = [RECIPE, "--checkpoint=nano.safetensors", f"--results={tmp_path}"]
    code, out, _ = call(capsys, "run", str(EXPERIMENT), *FROZEN, *inputs, "--threads=1")
    assert code == 0, out
    assert list(tmp_path.glob("nyuv2/*/record.json"))
