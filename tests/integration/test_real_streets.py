"""Reader, metrics, training and pictures on real street photographs, where they are at hand.

They are CamVid frames with CityScapes' 7 categories and without any disparity, so the second task
meets images without a single valid pixel.
"""

import math

import numpy as np
import pytest
import torch
from PIL import Image
from real_frames import as_arrays, check_images, needs, noise
from tiny_run import make_cell

from tabench.catalog import TASKS
from tabench.data.cityscapes import CITYSCAPES, CLASSES_7
from tabench.encoders.sam.checkpoint import load_checkpoint
from tabench.encoders.sam.family import VIT_NANO
from tabench.encoders.sam.locate import find_checkpoint
from tabench.engine.batch_split import BatchSplit
from tabench.engine.checkpoint import CheckpointStore
from tabench.engine.context import TrainContext, units_of
from tabench.engine.evaluate import evaluate
from tabench.engine.events import Step
from tabench.engine.loop import train_unit
from tabench.engine.model import build_unit
from tabench.engine.pictures import save_pictures
from tabench.spec.cell import DatasetPart

TASK_NAMES = tuple(CITYSCAPES.task_channels)

pytestmark = needs("to_npy.py")


@pytest.fixture(scope="module")
def root(tmp_path_factory):
    return as_arrays("camvid", tmp_path_factory.mktemp("streets"), "--size", "128", "256", "--map7")


@pytest.fixture(scope="module")
def tasks():
    return {name: TASKS.get(name)(count, CLASSES_7) for name, count in CITYSCAPES.task_channels.items()}


def test_verify_finds_no_problem_and_says_that_no_disparity_is_there(root):
    report = CITYSCAPES.verify(root)
    assert report.problems == []
    assert report.counts == {"train": 24, "val": 12}
    assert len(report.fingerprint) == 64


def test_every_frame_reads_and_augments_to_the_contract(root):
    check_images(CITYSCAPES.split(root, "train"), (128, 256), 7)


@pytest.mark.parametrize("split", ["train", "val"])
def test_losses_stay_finite_and_metrics_have_no_number_only_where_nothing_is_valid(root, tasks, split):
    meters = {
        (name, protocol): task.evaluation(protocol)
        for name, task in tasks.items()
        for protocol in task.protocols
    }
    for name, task in tasks.items():
        for prediction, target, ids, loss in noise(task, CITYSCAPES.split(root, split), 4):
            assert (loss == 0) == (name == "disparity")
            for protocol in task.protocols:
                meters[name, protocol].update(prediction, target, ids)
    count = len(CITYSCAPES.split(root, split))
    for protocol in ("paper", "pixel"):
        assert all(0 < value < 100 for value in meters["segmentation", protocol].compute().values())
        disparity = meters["disparity", protocol]
        assert all(math.isnan(value) for value in disparity.compute().values())
        assert all(images == {} for images in disparity.per_image().values())
        assert f"images without a valid pixel, left out: {count}" in disparity.notes()


def test_two_steps_of_training_an_evaluation_and_pictures(root, tasks, tmp_path):
    torch.set_num_threads(1)
    data = DatasetPart(name="cityscapes", fingerprint="x", tasks=TASK_NAMES, channels=(7, 1))
    weights = {"segmentation": 1, "disparity": 1}
    short = {"params__ranks": (4, 4, 2), "train__max_steps": 2, "evaluation__pictures": 2}
    cell = make_cell("ta-lora", train__epochs=1, train__task_weights=weights, **short)
    cell = cell.model_copy(update={"dataset": data})
    (unit,) = units_of(cell, "task-aware")
    model = build_unit(cell, unit, load_checkpoint(VIT_NANO, find_checkpoint(VIT_NANO)))
    losses = []
    context = TrainContext(
        cell=cell,
        unit=unit,
        tasks=tasks,
        train=CITYSCAPES.split(root, "train"),
        evaluated=CITYSCAPES.split(root, "val"),
        passes=BatchSplit(evaluated=4),
        emit=lambda event: losses.append(event.loss) if isinstance(event, Step) else None,
    )
    state = train_unit(model, context, CheckpointStore(tmp_path / "checkpoints"))
    assert state.step == len(losses) == 2
    assert all(math.isfinite(loss) for loss in losses)
    assert all(torch.isfinite(p).all() for p in model.parameters())

    for result in evaluate(model, context):
        if result.task == "disparity":
            assert set(result.values.values()) == {None}
            assert result.per_image == {"abs_err": {}, "rel_err": {}}
        else:
            assert all(value is None or 0 < value < 100 for value in result.values.values())
            assert all(len(images) == 12 for images in result.per_image.values())

    entries = save_pictures(model, context, tmp_path / "pictures")
    assert len(entries) == 2
    for entry in entries:
        for name in TASK_NAMES:
            seen = np.asarray(Image.open(tmp_path / "pictures" / entry["files"][name]["pred"]))
            error = np.asarray(Image.open(tmp_path / "pictures" / entry["files"][name]["error"]))
            assert seen.shape[:2] == error.shape[:2] == (128, 256)
            assert error.any() == (name == "segmentation")
