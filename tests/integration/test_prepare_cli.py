"""``tabench data prepare`` as it is called, and on a real frame."""

import json

import numpy as np
import pytest
from pascal_folder import write_folder
from PIL import Image
from real_frames import FRAMES, needs
from typer.testing import CliRunner

from tabench.cli import app, main
from tabench.data.prepare import GUIDES
from tabench.data.prepare.normals import NYU_CAMERA, normals_from_depth

REAL = FRAMES / "nyuv2" / "frames"


def test_a_call_and_its_json(tmp_path):
    source, root = write_folder(tmp_path / "in", train=1, val=1), tmp_path / "out"
    call = ["data", "prepare", "pascal_context", "--from", str(source), "--root", str(root)]
    first = CliRunner().invoke(app, call)
    assert first.exit_code == 0
    assert "train 1, val 1; 16 files written, 0 were there, " in first.stdout
    assert "note: train: 1 images, published are 4998" in first.stdout
    assert f"tabench data verify pascal_context --root {root}" in first.stdout
    again = CliRunner().invoke(app, [*call, "--json", "--workers", "2"])
    held = json.loads(again.stdout)
    assert (held["written"], held["kept"], held["counts"]) == (0, 16, {"train": 1, "val": 1})


def test_errors_are_one_message_and_exit_code_2(tmp_path, capsys):
    call = ["data", "prepare", "nyuv2", "--from", str(tmp_path / "raw.mat"), "--root", str(tmp_path / "out")]
    with pytest.raises(SystemExit) as caught:
        main(call)
    assert caught.value.code == 2
    error = capsys.readouterr().err
    assert "raw.mat: no such file" in error
    assert "Labeled dataset (~2.8 GB)" in error
    assert not (tmp_path / "out").exists()


@pytest.mark.parametrize("name", GUIDES)
def test_a_missing_dataset_tells_a_command_that_makes_it(name, tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    command = GUIDES[name].command
    with pytest.raises(SystemExit):
        main(["plan", name, "--profile=paper"])
    assert f"`{command}`" in capsys.readouterr().err
    with pytest.raises(SystemExit):
        main(command.split()[1:])  # understood as it stands; only the source is not there
    assert f"{GUIDES[name].given}: no such file" in capsys.readouterr().err


@needs("nyuv2/frames")
def test_normals_of_a_real_frame_agree_with_the_published_ones():
    depth = np.asarray(Image.open(REAL / "0433_depth.png")).astype(float) / 5000
    stored = np.asarray(Image.open(REAL / "0433_normal.png")).astype(float)
    published = stored / 127.5 - 1
    published /= np.linalg.norm(published, axis=-1, keepdims=True)
    rows, cols = np.arange(0, 480, 4), np.arange(0, 640, 4)
    found = normals_from_depth(depth, NYU_CAMERA, rows, cols)
    stored, published = stored[::4, ::4], published[::4, ::4]
    valid = (stored != 0).any(-1) & (found != 0).any(-1)
    assert valid.mean() > 0.6
    angle = np.degrees(np.arccos(np.clip((found * published).sum(-1)[valid], -1, 1)))
    assert np.median(angle) < 3  # 2.1 over all pixels
    assert (angle < 11.25).mean() > 0.9
