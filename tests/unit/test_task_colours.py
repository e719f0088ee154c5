import numpy as np
import pytest

from tabench.data.nyuv2 import CLASSES_13
from tabench.tasks.colours import class_palette
from tabench.tasks.distance import Depth, Disparity
from tabench.tasks.normals import Normals
from tabench.tasks.segmentation import Segmentation

# Machado, Oliveira, Fernandes 2009, severity 1, on linear RGB
SIGHTS = {
    "normal": np.eye(3),
    "deuteranopia": np.array(
        [[0.367322, 0.860646, -0.227968], [0.280085, 0.672501, 0.047413], [-0.011820, 0.042940, 0.968881]]
    ),
    "protanopia": np.array(
        [[0.152286, 1.052583, -0.204868], [0.114503, 0.786281, 0.099216], [-0.003882, -0.048116, 1.051998]]
    ),
}


def lab(colours, sight):
    """CIELAB (D65) of sRGB bytes seen with a kind of sight."""
    share = colours / 255
    linear = np.where(share <= 0.04045, share / 12.92, ((share + 0.055) / 1.055) ** 2.4)
    linear = np.clip(linear @ SIGHTS[sight].T, 0, 1)
    to_xyz = np.array([[0.4124, 0.3576, 0.1805], [0.2126, 0.7152, 0.0722], [0.0193, 0.1192, 0.9505]])
    xyz = linear @ to_xyz.T / np.array([0.95047, 1, 1.08883])
    f = np.where(xyz > 0.008856, np.cbrt(xyz), 7.787 * xyz + 16 / 116)
    return np.stack([116 * f[:, 1] - 16, 500 * (f[:, 0] - f[:, 1]), 200 * (f[:, 1] - f[:, 2])], axis=1)


@pytest.mark.parametrize("sight", SIGHTS)
def test_thirteen_colours_and_black_stay_apart(sight):
    seen = lab(np.vstack([class_palette(13), [[0, 0, 0]]]), sight)
    apart = np.linalg.norm(seen[:, None] - seen[None], axis=2) + 1e9 * np.eye(14)
    assert apart.min() > 18
    assert apart[:13, :13].min() > 25


@pytest.mark.parametrize("count", [1, 2, 7, 13, 21, 40, 150])
def test_palettes_of_any_size_hold_different_colours_without_black(count):
    palette = class_palette(count)
    assert palette.shape == (count, 3)
    assert palette.dtype == np.uint8
    assert len({tuple(colour) for colour in palette.tolist()} | {(0, 0, 0)}) == count + 1
    np.testing.assert_array_equal(palette[:13], class_palette(13)[:count])


def test_segmentation_pictures():
    task = Segmentation(13, CLASSES_13)
    label = np.array([[0, 12, -1]])
    prediction = np.zeros((13, 1, 3), np.float32)
    prediction[[0, 3, 5], 0, [0, 1, 2]] = 1
    palette = class_palette(13)
    np.testing.assert_array_equal(task.colour_target(label)[0], [palette[0], palette[12], [0, 0, 0]])
    np.testing.assert_array_equal(task.colour_prediction(prediction)[0], palette[[0, 3, 5]])
    np.testing.assert_array_equal(task.error_map(prediction, label), [[0, 1, np.nan]])
    assert task.error_map(prediction, label).dtype == np.float32
    assert list(task.legend()) == list(CLASSES_13)
    assert task.legend()["window"] == (128, 255, 212)


def test_depth_pictures_use_one_range_for_all():
    task = Depth(1)
    target = np.array([[[0, 2, 4, 10, 30]]], np.float32)
    prediction = np.array([[[1, 2, 3, 30, -5]]], np.float32)
    picture, truth = task.colour_prediction(prediction), task.colour_target(target)
    assert truth[0, 0].tolist() == [0, 0, 0]
    assert picture[0, 1].tolist() == truth[0, 1].tolist()
    assert picture[0, 3].tolist() == truth[0, 3].tolist() == truth[0, 4].tolist() == [253, 231, 37]
    assert picture[0, 4].tolist() == [68, 1, 84]
    np.testing.assert_allclose(task.error_map(prediction, target), [[np.nan, 0, 0.25, 1, 1]])


def test_disparity_pictures_span_the_stored_range():
    target = np.array([[[0, 0.15, 0.3, 0.4922]]], np.float32)
    truth = Disparity(1).colour_target(target)[0].tolist()
    assert truth[0] == [0, 0, 0]
    assert truth[2] == truth[3] == [253, 231, 37]
    assert truth[1] not in (truth[0], truth[2])
    np.testing.assert_allclose(
        Disparity(1).error_map(target + 0.15, target), [[np.nan, 1, 0.5, 0.15 / 0.4922]], rtol=1e-5
    )


def test_depth_colours_are_perceptually_ordered():
    ramp = np.linspace(0, 10, 64, dtype=np.float32)[None, None]
    lightness = lab(Depth(1).colour_prediction(ramp)[0].astype(float), "normal")[:, 0]
    assert np.all(np.diff(lightness) > 0)


def test_normal_pictures():
    task = Normals(3)
    target = np.zeros((3, 1, 4), np.float32)
    target[:, 0, 0] = [0, 0, -1]
    target[:, 0, 1] = [1, 0, 0]
    target[:, 0, 2] = [0, -1, 0]
    prediction = np.zeros_like(target)
    prediction[2, 0] = -1
    picture = task.colour_target(target)
    assert picture[0].tolist() == [[128, 128, 0], [255, 128, 128], [128, 0, 128], [0, 0, 0]]
    assert task.colour_prediction(prediction)[0, 3].tolist() == [128, 128, 0]
    np.testing.assert_allclose(task.error_map(prediction, target), [[0, 1, 1, np.nan]], atol=1e-6)
    np.testing.assert_allclose(task.error_map(-prediction, target)[0, 0], 1)


def test_the_background_is_grey_and_moves_the_others_up():
    palette = class_palette(21, background=True)
    assert palette[0].tolist() == [96, 96, 96]
    np.testing.assert_array_equal(palette[1:], class_palette(20))
    assert len({tuple(colour) for colour in palette.tolist()}) == 21
