"""What every registered task must do, on made-up targets. Each test is one sentence of the contract."""

from __future__ import annotations

import math
import random

import numpy as np
import pytest
import torch

from tabench.catalog import TASKS
from tabench.tasks.accumulator import from_bytes, to_bytes
from tabench.tasks.base import Evaluation
from tabench.testing.targets import (
    IDS,
    IMAGES,
    SIZE,
    fitted,
    labelled,
    make,
    measured,
    raw_of,
    rounding,
    target_of,
)


def test_it_is_what_its_entry_says(task: str) -> None:
    """Its name is the registered one; metrics have keys of their own and a direction."""
    kind = TASKS.get(task)
    assert kind.name == task
    assert isinstance(kind.version, int)
    assert len({metric.key for metric in kind.metrics}) == len(kind.metrics) > 0
    assert {metric.better for metric in kind.metrics} <= {"higher", "lower"}
    assert all(metric.title for metric in kind.metrics)
    assert kind.protocols
    assert set(kind.protocols) <= set(kind.supported)


def test_it_follows_a_dataset_in_the_protocols_it_supports(task: str) -> None:
    """A dataset's protocols come first; where it supports none of them, its own stay."""
    found = make(task)
    found.follow((found.supported[-1], "of another package"))
    assert found.protocols == (found.supported[-1],)
    found.follow(("of another package",))
    assert found.protocols == (found.supported[-1],)


@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16], ids=str)
def test_the_activation_keeps_the_shape_in_float32(task: str, dtype: torch.dtype) -> None:
    """A prediction is float32 and finite whatever type the channels have."""
    found = make(task)
    prediction = found.activate(raw_of(found).to(dtype))
    assert prediction.shape == (IMAGES, found.channels, *SIZE)
    assert prediction.dtype == torch.float32
    assert prediction.isfinite().all()


def test_the_loss_is_zero_with_a_gradient_where_nothing_is_labelled(task: str) -> None:
    """A batch without a label changes nothing, instead of being NaN."""
    found = make(task)
    raw = raw_of(found).requires_grad_()
    loss = found.loss(raw, target_of(found, valid=0.0))
    assert loss.shape == ()
    assert loss.item() == 0
    loss.backward()
    assert raw.grad is not None
    assert torch.equal(raw.grad, torch.zeros_like(raw))


def test_the_loss_sees_labelled_pixels_alone_and_falls(task: str) -> None:
    """What is predicted where no label is does not matter; what is fitted to the labels has a lower loss."""
    found = make(task)
    target, raw = target_of(found), raw_of(found)
    loss = found.loss(raw, target)
    assert loss.shape == ()
    assert math.isfinite(loss.item())
    elsewhere = torch.where(labelled(found, target)[:, None], raw, raw_of(found, seed=2) * 10)
    assert found.loss(elsewhere, target).item() == pytest.approx(loss.item(), rel=rounding(found), abs=0)
    assert found.loss(fitted(found, target), target) < loss


def test_the_loss_has_a_finite_gradient_everywhere(task: str) -> None:
    """Also at large channels, and beside an image that has no label."""
    found = make(task)
    target = torch.cat([target_of(found)[:2], target_of(found, valid=0.0)[:2]])
    for scale in (0.0, 1.0, 10.0):
        raw = (scale * raw_of(found)).requires_grad_()
        loss = found.loss(raw, target)
        loss.backward()
        assert loss.isfinite()
        assert raw.grad is not None
        assert raw.grad.isfinite().all(), scale


def test_every_metric_is_computed_and_points_the_right_way(task: str) -> None:
    """In each protocol a metric has a number that a fitted prediction makes better, or none (NaN) at all."""
    found = make(task)
    target = target_of(found)
    right = fitted(found, target)
    for protocol in found.supported:
        at_random = measured(found, raw_of(found), target, protocol).compute()
        best = measured(found, right, target, protocol).compute()
        metrics = found.metrics_in(protocol)
        assert set(at_random) == set(best) == {metric.key for metric in metrics}
        defined = [metric for metric in metrics if not math.isnan(at_random[metric.key])]
        assert defined, protocol
        for metric in defined:
            sign = 1 if metric.better == "higher" else -1
            assert math.isfinite(at_random[metric.key]), (protocol, metric.key)
            assert sign * best[metric.key] > sign * at_random[metric.key], (protocol, metric.key)
            if metric.unit == "%":
                assert 0 <= best[metric.key] <= 100, (protocol, metric.key)


def test_nothing_labelled_gives_no_number(task: str) -> None:
    """A split without a label is not a perfect one."""
    found = make(task)
    for protocol in found.supported:
        nothing = measured(found, raw_of(found), target_of(found, valid=0.0), protocol)
        assert set(nothing.compute()) == {metric.key for metric in found.metrics_in(protocol)}
        assert all(math.isnan(value) for value in nothing.compute().values()), protocol
        assert not any(nothing.per_image().values()), protocol


def test_an_image_without_a_label_changes_no_number(task: str) -> None:
    """Nor has it a value of its own."""
    found = make(task)
    target, raw = target_of(found), raw_of(found)
    more = torch.cat([raw, raw[:1]]), torch.cat([target, target_of(found, valid=0.0)[:1]])
    for protocol in found.supported:
        with_it = measured(found, *more, protocol)
        wanted = measured(found, raw, target, protocol).compute()
        assert with_it.compute() == pytest.approx(wanted, rel=rounding(found), abs=0, nan_ok=True), protocol
        assert all(IDS[-1] not in values for values in with_it.per_image().values())


def test_what_is_predicted_where_no_label_is_changes_no_number(task: str) -> None:
    """Metrics see labelled pixels alone."""
    found = make(task)
    target, raw = target_of(found), raw_of(found)
    elsewhere = torch.where(labelled(found, target)[:, None], raw, raw_of(found, seed=2) * 10)
    for protocol in found.supported:
        wanted = measured(found, raw, target, protocol).compute()
        other = measured(found, elsewhere, target, protocol).compute()
        assert other == pytest.approx(wanted, rel=rounding(found), abs=0, nan_ok=True), protocol


def test_neither_batches_nor_their_order_change_a_number(task: str) -> None:
    """One image at a time, several, or in another order."""
    found = make(task)
    target, raw = target_of(found), raw_of(found)
    turned = [2, 0, 3, 1]
    for protocol in found.supported:
        wanted = measured(found, raw, target, protocol)
        others = [measured(found, raw, target, protocol, batch) for batch in (1, 3)]
        others.append(
            measured(found, raw[turned], target[turned], protocol, ids=[IDS[number] for number in turned])
        )
        for other in others:
            for got, value in zip(_numbers(other), _numbers(wanted), strict=True):
                assert got == pytest.approx(value, rel=rounding(found), abs=0, nan_ok=True), protocol


def _numbers(evaluation: Evaluation) -> list[dict[str, float]]:
    """All numbers of an evaluation: of the split, and each metric's of the images."""
    return [evaluation.compute(), *evaluation.per_image().values()]


def test_processes_that_share_a_split_give_the_numbers_of_one(task: str) -> None:
    """However images are dealt to processes, also when one has none; where `mergeable` says so."""
    found = make(task)
    target = torch.cat([target_of(found), target_of(found, valid=0.0)[:1]])
    raw = torch.cat([raw_of(found), raw_of(found)[:1]])
    dice = random.Random(0)
    for protocol in found.supported:
        whole = measured(found, raw, target, protocol)
        if not whole.mergeable:
            pytest.skip(f"'{task}' is evaluated by one process")
        for _ in range(8):
            dealt: list[list[int]] = [[], [], []]
            for image in range(len(raw)):
                dealt[dice.randrange(3)].append(image)
            main, *others = (
                measured(found, raw[part], target[part], protocol, ids=[IDS[image] for image in part])
                for part in dealt
            )
            for other in others:
                main.absorb(from_bytes(to_bytes(other.parts())), IDS)
            for got, wanted in zip(_numbers(main), _numbers(whole), strict=True):
                assert got == pytest.approx(wanted, rel=rounding(found), abs=0, nan_ok=True), (
                    protocol,
                    dealt,
                )
                assert list(got) == list(wanted), (protocol, dealt)
            assert main.notes() == whole.notes(), (protocol, dealt)


def test_an_image_that_two_processes_measured_is_refused(task: str) -> None:
    """Counted twice, it would shift every number."""
    found = make(task)
    for protocol in found.supported:
        one, other = (measured(found, raw_of(found), target_of(found), protocol) for _ in range(2))
        if one.mergeable:
            with pytest.raises(ValueError, match=r"."):
                one.absorb(other.parts(), IDS)


def test_each_image_has_its_own_values(task: str) -> None:
    """An image's values are those it has alone: paired tests over images rest on them."""
    found = make(task)
    target, raw = target_of(found), raw_of(found)
    for protocol in found.supported:
        values = measured(found, raw, target, protocol).per_image()
        assert set(values) <= {metric.key for metric in found.metrics_in(protocol)}
        alone = measured(found, raw[2:3], target[2:3], protocol, ids=IDS[2:3]).per_image()
        for key, of_images in values.items():
            assert list(of_images) == IDS[:IMAGES]
            assert all(math.isfinite(value) for value in of_images.values())
            assert alone[key] == pytest.approx({IDS[2]: of_images[IDS[2]]}, rel=rounding(found), abs=0)


def test_pictures_show_predictions_targets_and_errors(task: str) -> None:
    """Unlabelled pixels are black in a target's picture and NaN in an error map, whose values are in 0..1."""
    found = make(task)
    target = target_of(found)
    mask = labelled(found, target)[0].numpy()
    prediction, stored = found.activate(raw_of(found))[0].numpy(), target[0].numpy()
    for picture in (found.colour_prediction(prediction), found.colour_target(stored)):
        assert picture.shape == (*SIZE, 3)
        assert picture.dtype == np.uint8
        assert len(np.unique(picture.reshape(-1, 3), axis=0)) > 1
    assert (found.colour_target(stored)[~mask] == 0).all()
    error = found.error_map(prediction, stored)
    assert error.shape == SIZE
    assert error.dtype == np.float32
    np.testing.assert_array_equal(np.isnan(error), ~mask)
    assert ((error[mask] >= 0) & (error[mask] <= 1)).all()
    right = found.error_map(found.activate(fitted(found, target))[0].numpy(), stored)
    assert right[mask].mean() < error[mask].mean()


def test_the_legend_shows_colours_of_the_pictures(task: str) -> None:
    """No two names share a colour, and no colour of a target's picture is missing."""
    found = make(task)
    legend = found.legend()
    assert len(set(legend.values())) == len(legend)
    assert all(len(colour) == 3 and all(0 <= part <= 255 for part in colour) for colour in legend.values())
    picture = found.colour_target(target_of(found)[0].numpy())
    drawn = {tuple(colour) for colour in picture.reshape(-1, 3).tolist()}
    assert not legend or drawn - {(0, 0, 0)} <= set(legend.values())
