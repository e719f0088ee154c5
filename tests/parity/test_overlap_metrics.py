"""Saliency, edges and the protocol "pascal" against plain loops and torchmetrics, on adversarial masks."""

import math

import numpy as np
import pytest
import torch
from metering import evaluated
from torch.nn import functional as F
from torchmetrics.functional.classification import binary_f1_score, binary_jaccard_index

from tabench.tasks.binary import Edges, Saliency
from tabench.tasks.normals import Normals
from tabench.tasks.segmentation import HumanParts, Segmentation

SIZE = (7, 9)


def maps(seed=0, images=6):
    """Probabilities and labels, among them the cases that break meters."""
    rng = np.random.default_rng(seed)
    probability = rng.random((images, 1, *SIZE)).astype(np.float32)
    label = rng.integers(-1, 2, (images, *SIZE))
    label[0] = -1  # nothing labelled
    label[1] = -1
    label[1, 2, 3] = 1  # one pixel
    label[2][label[2] == 1] = 0  # the class is absent
    probability[3, 0] = label[3] != 1  # all wrong
    probability[4, 0], label[4] = 0, 0  # neither predicted nor there
    return torch.from_numpy(probability), torch.from_numpy(label)


def jaccard(truth, guess):
    return 1.0 if not (truth | guess).any() else (truth & guess).sum() / (truth | guess).sum()


def by_loops(probability, label):
    """MTLoRA's meter in words: means over images at each threshold, then the largest."""
    best_iou, best_f = 0.0, 0.0
    for threshold in np.linspace(0.2, 0.9, 15):
        ious, precisions, recalls = [], [], []
        for p, t in zip(probability[:, 0].numpy(), label.numpy(), strict=True):
            valid = t != -1
            if not valid.any():
                continue
            guess, truth = p[valid].astype(np.float64) > threshold, t[valid] == 1
            hits = (guess & truth).sum()
            ious.append(jaccard(truth, guess))
            precisions.append(hits / (guess.sum() + 1e-12))
            recalls.append(hits / (truth.sum() + 1e-12))
        precision, recall = np.mean(precisions), np.mean(recalls)
        best_iou = max(best_iou, np.mean(ious))
        best_f = max(best_f, 2 * precision * recall / (precision + recall + 1e-12))
    return {"max_iou": 100 * best_iou, "max_f": 100 * best_f}


def test_a_split_without_a_positive_pixel_says_so():
    """Nothing to find and nothing found counts 1, as in the field's code; of a whole split it is said."""
    nothing = torch.zeros(2, 1, *SIZE)
    task = Saliency(1)
    for labels, told in ((torch.zeros(2, *SIZE), True), (torch.eye(*SIZE).expand(2, -1, -1), False)):
        for protocol in ("pascal", "pixel"):
            evaluation = evaluated(task, protocol, nothing, labels.long())
            assert evaluation.compute()["max_iou"] == (100 if told else 0)
            assert any("no image has a positive pixel" in note for note in evaluation.notes()) == told


@pytest.mark.parametrize("seed", range(5))
@pytest.mark.parametrize("protocol", ["pascal", "paper"])
def test_saliency_is_the_fields_meter(seed, protocol):
    probability, label = maps(seed)
    evaluation = evaluated(Saliency(1), protocol, probability, label)
    assert evaluation.compute() == pytest.approx(by_loops(probability, label), abs=1e-9)
    assert evaluation.notes() == ["images without a valid pixel, left out: 1"]
    assert len(Saliency.thresholds) == 15


@pytest.mark.parametrize("seed", range(3))
def test_pooled_ratios_are_torchmetrics(seed):
    probability, label = maps(seed)
    hundredths = tuple(n / 100 for n in range(1, 100))
    for task, thresholds in ((Saliency(1), Saliency.thresholds), (Edges(1), hundredths)):
        values = evaluated(task, "pixel", probability, label).compute()
        options = {"ignore_index": -1}
        f1 = max(float(binary_f1_score(probability[:, 0], label, t, **options)) for t in thresholds)
        assert values["max_f"] == pytest.approx(100 * f1, abs=1e-4)
        if "max_iou" in values:
            iou = max(float(binary_jaccard_index(probability[:, 0], label, t, **options)) for t in thresholds)
            assert values["max_iou"] == pytest.approx(100 * iou, abs=1e-4)


def test_extreme_masks():
    task = Saliency(1)
    ones, zeros = torch.ones(1, *SIZE, dtype=torch.int64), torch.zeros(1, *SIZE, dtype=torch.int64)
    for truth, guess, iou, f in (
        (ones, ones, 100, 100),
        (ones, zeros, 0, 0),
        (zeros, ones, 0, 0),
        (zeros, zeros, 100, 0),  # the field's rule: nothing found where nothing is, is right
    ):
        for protocol in ("pascal", "pixel"):
            values = evaluated(task, protocol, guess[:, None].float(), truth).compute()
            assert values == pytest.approx({"max_iou": iou, "max_f": f}, abs=1e-6)


def test_edges_say_that_they_are_not_ods():
    probability, label = maps()
    assert any("not odsF" in note for note in evaluated(Edges(1), "pascal", probability, label).notes())
    one = torch.zeros(1, 9, 9, dtype=torch.int64)
    one[0, 4] = 1
    shifted = one.roll(1, dims=1)[:, None].float()
    assert evaluated(Edges(1), "pascal", shifted, one).compute()["max_f"] == pytest.approx(0, abs=1e-9)


@pytest.mark.parametrize(("task", "kind"), [(Segmentation, "label"), (HumanParts, "parts")])
@pytest.mark.parametrize("case", ["random", "absent", "one pixel", "all wrong"])
def test_miou_of_the_protocol_pascal_by_loops(task, kind, case):
    rng = np.random.default_rng(1)
    channels = 5
    label, guess = rng.integers(-1, channels, (3, *SIZE)), rng.integers(0, channels, (3, *SIZE))
    if case == "absent":
        label, guess = np.minimum(label, 2), np.minimum(guess, 2)
    elif case == "one pixel":
        label[:] = -1
        label[1, 0, 0] = 3
        guess[1, 0, 0] = 3
    elif case == "all wrong":
        guess = (label + 1) % channels
    label[2] = -1
    ious = []
    for c in range(channels):
        tp = np.sum((label == c) & (guess == c))
        fp = np.sum((label != c) & (guess == c) & (label != -1))
        fn = np.sum((label == c) & (guess != c))
        ious.append(tp / max(tp + fp + fn, 1e-8))
    made = task(channels)
    assert made.needs == kind
    scores = F.one_hot(torch.from_numpy(guess), channels).movedim(-1, 1).float()
    evaluation = evaluated(made, "pascal", scores, torch.from_numpy(label))
    values = evaluation.compute()
    assert values["miou"] == pytest.approx(100 * np.mean(ious), abs=1e-9)
    assert set(values) == ({"miou"} if task is HumanParts else {"miou", "pacc"})
    if case in ("absent", "one pixel"):
        assert any("each counts as 0" in note for note in evaluation.notes())


def test_normals_of_the_protocol_pascal_are_means_over_pixels():
    rng = np.random.default_rng(3)
    target = F.normalize(torch.from_numpy(rng.normal(size=(3, 3, *SIZE)).astype(np.float32)), dim=1)
    target[0, :, 2:] = 0
    target[1] = 0
    guess = F.normalize(torch.from_numpy(rng.normal(size=(3, 3, *SIZE)).astype(np.float32)), dim=1)
    evaluation = evaluated(Normals(3), "pascal", guess, target)
    valid = target.norm(dim=1) != 0
    angle = torch.rad2deg(torch.acos((guess.double() * target.double()).sum(1).clamp(-1, 1)))[valid]
    values = evaluation.compute()
    assert values["mean"] == pytest.approx(float(angle.mean()), abs=1e-6)
    assert values["median"] == pytest.approx(float(np.median(angle)), abs=1e-4)
    assert any("rmse" in note for note in evaluation.notes())


def plain_balanced(logit, label, weight):
    """Balanced cross-entropy by torch's own, over valid pixels."""
    valid = label != -1
    x, y = logit[:, 0][valid], label[valid].double()
    each = F.binary_cross_entropy_with_logits(x, y, reduction="none")
    w = (y == 0).double().mean() if weight is None else weight
    return (torch.where(y == 1, w, 1 - w) * each).mean()


@pytest.mark.parametrize(("task", "weight"), [(Saliency, None), (Edges, 0.95)])
def test_the_loss_is_balanced_cross_entropy(task, weight):
    _, label = maps()
    rng = np.random.default_rng(4)
    logit = torch.from_numpy(rng.normal(size=(len(label), 1, *SIZE)) * 20)
    assert task(1).loss(logit, label).item() == pytest.approx(
        float(plain_balanced(logit, label, weight)), rel=1e-5
    )
    extreme = torch.full_like(logit, -1e4).requires_grad_()
    loss = task(1).loss(extreme, label)
    loss.backward()
    assert math.isfinite(loss.item())
    assert torch.isfinite(extreme.grad).all()
