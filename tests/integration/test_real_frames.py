"""Reader, metrics and pictures on real NYU Depth v2 frames, where they are at hand."""

import math
from functools import partial

import numpy as np
import pytest
from real_frames import as_arrays, best, check_images, evaluations, needs, one_hot

from tabench.catalog import TASKS
from tabench.data.nyuv2 import NYUV2

pytestmark = needs("to_npy.py")


@pytest.fixture(scope="module")
def root(tmp_path_factory):
    return as_arrays("nyuv2", tmp_path_factory.mktemp("real"), "--size", "96", "128", "--derive-normals")


def test_verify_finds_no_problem_and_says_what_is_missing(root):
    report = NYUV2.verify(root)
    assert report.problems == []
    assert report.counts == {"train": 16, "val": 6}
    assert len(report.fingerprint) == 64


def test_every_frame_reads_and_augments_to_the_contract(root):
    check_images(NYUV2.split(root, "train"), (96, 128), 13)


@pytest.mark.parametrize("name", ["segmentation", "depth", "normals"])
@pytest.mark.parametrize("split", ["train", "val"])
def test_missing_targets_turn_no_number_into_nan(root, name, split):
    channels = NYUV2.task_channels[name]
    task = TASKS.get(name)(channels, NYUV2.class_names)
    truth = partial(one_hot, channels=channels) if name == "segmentation" else lambda target: target
    evaluation, perfect = evaluations(task, NYUV2.split(root, split), "pixel", truth)
    assert all(math.isfinite(value) for value in evaluation.compute().values())
    assert perfect.compute() == pytest.approx(best(task), abs=0.05)
    assert any("without a valid pixel" in note for note in evaluation.notes())


def test_normals_face_the_camera_and_pictures_show_them(root):
    sample = next(
        s for s in (NYUV2.split(root, "val").load(i) for i in range(6)) if np.any(s.targets["normal"])
    )
    normal = sample.targets["normal"]
    valid = np.any(normal != 0, axis=0)
    assert np.mean(normal[2][valid] < 0) > 0.95
    picture = TASKS.get("normals")(3).colour_target(normal)
    assert np.all(picture[~valid] == 0)
    assert np.median(picture[valid][:, 2]) < 128
