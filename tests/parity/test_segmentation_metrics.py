"""Segmentation metrics against torchmetrics and a brute-force count."""

import math

import metering
import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torchmetrics.classification import MulticlassAccuracy, MulticlassJaccardIndex

from tabench.errors import DivergedError
from tabench.tasks.segmentation import Segmentation

NAMES = ("bed", "books", "ceiling", "chair", "floor")


def scores_of(guess: torch.Tensor, channels: int) -> torch.Tensor:
    return torch.nn.functional.one_hot(guess, channels).movedim(-1, 1).float()


def evaluated(protocol, guess, label, channels=5, batch=1):
    task = Segmentation(channels, NAMES[:channels])
    return metering.evaluated(task, protocol, scores_of(guess, channels), label, batch)


def brute_force(guess, label, channels):
    """IoU of each class (None if in neither) and accuracy, pixel by pixel in Python."""
    pairs = [(int(g), int(t)) for g, t in zip(guess.flatten(), label.flatten(), strict=True) if int(t) != -1]
    ious = []
    for c in range(channels):
        both = sum(g == c and t == c for g, t in pairs)
        either = sum(c in (g, t) for g, t in pairs)
        ious.append(both / either if either else None)
    return ious, (sum(g == t for g, t in pairs) / len(pairs) if pairs else math.nan)


def random_case(seed, images=3, channels=5, size=(7, 9), ignored=0.3):
    rng = np.random.default_rng(seed)
    guess = torch.from_numpy(rng.integers(0, channels, (images, *size)))
    label = rng.integers(0, channels, (images, *size))
    label[rng.random(label.shape) < ignored] = -1
    return guess, torch.from_numpy(label)


@given(st.integers(0, 10**6), st.integers(2, 5), st.floats(0, 1), st.integers(1, 4))
@settings(max_examples=40, deadline=None)
def test_both_protocols_equal_brute_force(seed, channels, ignored, batch):
    guess, label = random_case(seed, channels=channels, size=(2, 3), ignored=ignored)
    ious, accuracy = brute_force(guess, label, channels)
    present = [iou for iou in ious if iou is not None]
    for protocol in ("paper", "pixel"):
        value = evaluated(protocol, guess, label, channels, batch).compute()
        over_all = math.nan if protocol == "paper" and len(present) < channels else None
        expected = over_all or (100 * np.mean(present) if present else math.nan)
        assert value["miou"] == pytest.approx(expected, nan_ok=True)
        assert value["pacc"] == pytest.approx(100 * accuracy, nan_ok=True)


@pytest.mark.parametrize("protocol", ["paper", "pixel"])
def test_equals_torchmetrics_where_all_classes_are_present(protocol):
    guess, label = random_case(0, images=4, size=(16, 16))
    value = evaluated(protocol, guess, label).compute()
    jaccard = MulticlassJaccardIndex(5, average="macro", ignore_index=-1)(guess, label)
    accuracy = MulticlassAccuracy(5, average="micro", ignore_index=-1)(guess, label)
    assert value["miou"] == pytest.approx(100 * float(jaccard), rel=1e-6)
    assert value["pacc"] == pytest.approx(100 * float(accuracy), rel=1e-6)


def test_absent_class_is_nan_on_paper_and_left_out_by_pixel_and_named_by_both():
    guess, label = random_case(2, images=2, channels=4)
    paper, pixel = evaluated("paper", guess, label), evaluated("pixel", guess, label)
    assert math.isnan(paper.compute()["miou"])
    assert paper.compute()["pacc"] == pixel.compute()["pacc"] > 0
    assert paper.notes() == [
        "1 of 5 classes absent from prediction and target (floor): mIoU over all classes is undefined"
    ]
    assert pixel.notes() == [
        "1 of 5 classes absent from prediction and target (floor): mIoU is the mean over the other 4"
    ]


def test_class_that_is_only_predicted_counts_zero_in_both():
    label = torch.tensor([[[0, 1, 2, 3, 0]]])
    guess = torch.tensor([[[0, 1, 2, 3, 4]]])
    for protocol in ("paper", "pixel"):
        evaluation = evaluated(protocol, guess, label)
        assert evaluation.compute()["miou"] == pytest.approx(100 * (0.5 + 1 + 1 + 1 + 0) / 5)
        assert evaluation.notes() == []


def test_a_class_predicted_only_on_ignored_pixels_is_absent():
    label = torch.tensor([[[0, 1, -1]]])
    guess = torch.tensor([[[0, 1, 2]]])
    assert math.isnan(evaluated("paper", guess, label, 3).compute()["miou"])
    assert evaluated("pixel", guess, label, 3).compute()["miou"] == 100


def test_per_image_is_the_mean_over_that_images_classes():
    guess, label = random_case(5, images=4, size=(2, 2))
    per_image = evaluated("paper", guess, label).per_image()
    for i in range(4):
        ious, accuracy = brute_force(guess[i], label[i], 5)
        present = [iou for iou in ious if iou is not None]
        if present:
            assert per_image["miou"][f"val/{i}"] == pytest.approx(100 * np.mean(present))
            assert per_image["pacc"][f"val/{i}"] == pytest.approx(100 * accuracy)
        else:
            assert f"val/{i}" not in per_image["miou"]


def test_bfloat16_predictions_are_accepted():
    guess, label = random_case(7)
    evaluation = Segmentation(5).evaluation("pixel")
    evaluation.update(scores_of(guess, 5).bfloat16(), label, ["a", "b", "c"])
    assert evaluation.compute() == evaluated("pixel", guess, label).compute()


def test_repeated_images_nan_predictions_and_unknown_protocols_are_refused():
    guess, label = random_case(8, images=2)
    evaluation = evaluated("paper", guess, label)
    with pytest.raises(ValueError, match="'val/1' was evaluated twice"):
        evaluation.update(scores_of(guess[:1], 5), label[:1], ["val/1"])
    scores = scores_of(guess, 5)
    scores[1, 0, 0, 0] = math.nan
    with pytest.raises(DivergedError, match=r"^val/9: the prediction holds NaN"):
        evaluation.update(scores, label, ["val/8", "val/9"])
    with pytest.raises(ValueError, match="unknown protocol 'best'"):
        Segmentation(5).evaluation("best")
