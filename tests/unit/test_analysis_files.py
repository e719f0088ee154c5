"""Files beside a record: there after a run, right, and never able to lose it."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image
from segment_anything import SamPredictor
from tiny_run import CHANNELS, make_cell, make_unit, write_scenes

from tabench.data.base import Split
from tabench.encoders.sam.build import build_sam
from tabench.encoders.sam.checkpoint import load_checkpoint
from tabench.encoders.sam.family import VIT_NANO
from tabench.encoders.sam.locate import find_checkpoint
from tabench.engine.pictures import GREYS, sam_masks, save_channels
from tabench.events import AnalysisFailed, Event
from tabench.runs import analysis_files
from tabench.runs.analysis_files import AnalysisFiles
from tabench.store.folders import CellFolder
from tabench.worlds.scenes import SCENES

CPU = torch.device("cpu")


@pytest.fixture(scope="module")
def split(tmp_path_factory: pytest.TempPathFactory) -> Split:
    return SCENES.split(write_scenes(tmp_path_factory.mktemp("scenes")), "val")


def visit(
    method: str, weights: dict[str, torch.Tensor], split: Split, root: Path
) -> tuple[CellFolder, list[Event]]:
    cell = make_cell(method)
    events: list[Event] = []
    folder = CellFolder(root, "e", "c")
    made = AnalysisFiles(cell, folder, split, CPU, events.append)
    for index in range(3 if method.endswith("stl") else 1):
        unit, model = make_unit(cell, weights, index)
        made.visit(unit.name, model)
    made.write(weights, root / "truth")
    return folder, events


def names(folder: Path) -> set[str]:
    return {path.name for path in folder.iterdir()} if folder.is_dir() else set()


@pytest.mark.parametrize("method", ["ta-lora", "lora-stl", "lora-hps", "full-stl", "frozen"])
def test_files_of_each_way_of_sharing(
    method: str, weights: dict[str, torch.Tensor], split: Split, tmp_path: Path
) -> None:
    folder, events = visit(method, weights, split, tmp_path)
    assert events == []
    alone = method.endswith("stl")
    assert set(json.loads(folder.architecture.read_text())["models"]) == (set(CHANNELS) if alone else {"all"})
    assert folder.factors.is_file() == (method in ("ta-lora", "lora-stl"))
    image = split.load(1).id.replace("/", "_")
    channels = {f"channels.{image}.{task}.{c}.png" for task, n in CHANNELS.items() for c in range(n)}
    assert names(folder.pictures) == (set() if alone else channels)
    assert names(tmp_path / "truth") == {f"{image}.sam_masks.x.{level}.png" for level in range(3)}


def test_a_failing_companion_is_told_and_loses_nothing_else(
    weights: dict[str, torch.Tensor], split: Split, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def broken(*args: object) -> None:
        raise RuntimeError("no memory left")

    for name in ("save_channels", "layers_of", "save_sam_masks"):
        monkeypatch.setattr(analysis_files, name, broken)
    folder, events = visit("ta-lora", weights, split, tmp_path)
    assert len(events) == 3
    assert events[0] == AnalysisFailed(what="factors.json", message="RuntimeError: no memory left")
    assert folder.architecture.is_file()
    assert not folder.factors.exists()


def test_thumbnails_are_the_channels_in_order(
    weights: dict[str, torch.Tensor], split: Split, tmp_path: Path
) -> None:
    _, model = make_unit(make_cell("ta-lora"), weights)
    with torch.no_grad():  # at the start all channels of a task are equal
        for rows in model.no_mask.values():
            rows.add_(torch.randn_like(rows))
    save_channels(model, split, 1, CPU, tmp_path)
    sample = split.load(1)
    with torch.inference_mode():
        outputs = model(torch.from_numpy(sample.image)[None], sample.image.shape[-2:])
    for task, channels in outputs.items():
        for index, channel in enumerate(channels[0].numpy()):
            path = CellFolder(tmp_path.parent, "e", "c").channel(sample.id, task, index)
            shown = np.asarray(Image.open(tmp_path / path.name)).astype(float)
            assert shown.shape == channel.shape  # 48 x 64 is below the thumbnails' size
            scaled = 255 * (channel - channel.min()) / (channel.max() - channel.min())
            assert np.abs(shown - scaled).max() <= 255 / (GREYS - 1) / 2 + 0.6


def test_masks_are_those_of_the_library_s_own_predictor() -> None:
    state = load_checkpoint(VIT_NANO, find_checkpoint(VIT_NANO, None))
    sam = build_sam(VIT_NANO)
    sam.load_state_dict(state)
    pixels = np.random.default_rng(0).integers(0, 256, (72, 96, 3), dtype=np.uint8)
    pixels[20:50, 30:70] = (200, 60, 30)  # an object under the point; no resizing at 96 pixels
    predictor = SamPredictor(sam.eval())
    predictor.set_image(pixels)
    expected, _, _ = predictor.predict(np.array([[48.0, 36.0]]), np.array([1]), multimask_output=True)
    got = sam_masks(VIT_NANO, state, pixels.transpose(2, 0, 1).astype(np.float32) / 255, CPU)
    assert got.shape == (3, 72, 96)
    assert set(np.unique(got)) <= {0, 255}
    assert np.mean((got > 0) != expected) < 1e-3
    assert expected.any()
