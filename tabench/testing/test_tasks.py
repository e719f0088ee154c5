"""What every registered task must do, on made-up targets. Each test is one sentence of the contract."""

from __future__ import annotations

import math
import random

import numpy as np
import pytest
import torch
from torch import Tensor

from tabench.catalog import TASKS
from tabench.tasks.accumulator import from_bytes, to_bytes
from tabench.tasks.base import Evaluation, Task
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


@pytest.fixture
def made(task: str) -> Task:
    """The task as a dataset's channels make it."""
    return make(task)


def agree(task: Task, one: Evaluation, other: Evaluation, what: object, *, ordered: bool = False) -> None:
    """All numbers of two evaluations are the same: of the split, and each metric's of the images."""
    numbers = ([found.compute(), *found.per_image().values()] for found in (one, other))
    for got, wanted in zip(*numbers, strict=True):
        assert not ordered or list(got) == list(wanted), what
        assert got == pytest.approx(wanted, rel=rounding(task), abs=0, nan_ok=True), what


def test_it_follows_a_dataset_in_the_protocols_it_supports(made: Task) -> None:
    """A dataset's protocols come first; where it supports none of them, its own stay."""
    made.follow((made.supported[-1], "of another package"))
    assert made.protocols == (made.supported[-1],)
    made.follow(("of another package",))
    assert made.protocols == (made.supported[-1],)


@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16], ids=str)
def test_the_activation_keeps_the_shape_in_float32(made: Task, dtype: torch.dtype) -> None:
    """A prediction is float32 and finite whatever type the channels have."""
    prediction = made.activate(raw_of(made).to(dtype))
    assert prediction.shape == (IMAGES, made.channels, *SIZE)
    assert prediction.dtype == torch.float32
    assert prediction.isfinite().all()


def gradient(task: Task, raw: Tensor, target: Tensor) -> tuple[Tensor, Tensor]:
    """The loss, a finite scalar, and its gradient, finite as well."""
    raw = raw.clone().requires_grad_()
    loss = task.loss(raw, target)
    assert loss.shape == ()
    loss.backward()
    assert raw.grad is not None
    assert loss.isfinite()
    assert raw.grad.isfinite().all()
    return loss.detach(), raw.grad


def test_the_loss_is_zero_with_a_gradient_where_nothing_is_labelled(made: Task) -> None:
    """A batch without a label changes nothing, instead of being NaN."""
    loss, slope = gradient(made, raw_of(made), target_of(made, valid=0.0))
    assert loss == 0
    assert torch.equal(slope, torch.zeros_like(slope))


def test_the_loss_has_a_finite_gradient_everywhere(made: Task) -> None:
    """Also at large channels, and beside an image that has no label."""
    target = torch.cat([target_of(made)[:2], target_of(made, valid=0.0)[:2]])
    for scale in (0.0, 1.0, 10.0):
        gradient(made, scale * raw_of(made), target)


def test_the_loss_sees_labelled_pixels_alone_and_falls(made: Task) -> None:
    """What is predicted where no label is does not matter; what is fitted to the labels has a lower loss."""
    target, raw = target_of(made), raw_of(made)
    loss = made.loss(raw, target)
    elsewhere = made.loss(changed_elsewhere(made, raw, target), target)
    assert elsewhere.item() == pytest.approx(loss.item(), rel=rounding(made), abs=0)
    assert made.loss(fitted(made, target), target) < loss


def changed_elsewhere(task: Task, raw: Tensor, target: Tensor) -> Tensor:
    """Other channels where no label is."""
    return torch.where(labelled(task, target)[:, None], raw, raw_of(task, seed=2) * 10)


def test_every_metric_is_computed_and_points_the_right_way(made: Task) -> None:
    """In each protocol a metric has a number that a fitted prediction makes better, or none (NaN) at all."""
    target = target_of(made)
    right = fitted(made, target)
    for protocol in made.supported:
        at_random = measured(made, raw_of(made), target, protocol).compute()
        best = measured(made, right, target, protocol).compute()
        metrics = made.metrics_in(protocol)
        assert set(at_random) == set(best) == {metric.key for metric in metrics}
        defined = [metric for metric in metrics if not math.isnan(at_random[metric.key])]
        assert defined, protocol
        for metric in defined:
            sign = 1 if metric.better == "higher" else -1
            assert math.isfinite(at_random[metric.key]), (protocol, metric.key)
            assert sign * best[metric.key] > sign * at_random[metric.key], (protocol, metric.key)
            if metric.unit == "%":
                assert 0 <= best[metric.key] <= 100, (protocol, metric.key)


def test_nothing_labelled_gives_no_number(made: Task) -> None:
    """A split without a label is not a perfect one."""
    for protocol in made.supported:
        nothing = measured(made, raw_of(made), target_of(made, valid=0.0), protocol)
        assert set(nothing.compute()) == {metric.key for metric in made.metrics_in(protocol)}
        assert all(math.isnan(value) for value in nothing.compute().values()), protocol
        assert not any(nothing.per_image().values()), protocol


def test_an_image_without_a_label_changes_no_number(made: Task) -> None:
    """Nor has it a value of its own."""
    target, raw = target_of(made), raw_of(made)
    more = torch.cat([raw, raw[:1]]), torch.cat([target, target_of(made, valid=0.0)[:1]])
    for protocol in made.supported:
        agree(made, measured(made, *more, protocol), measured(made, raw, target, protocol), protocol)


def test_what_is_predicted_where_no_label_is_changes_no_number(made: Task) -> None:
    """Metrics see labelled pixels alone."""
    target, raw = target_of(made), raw_of(made)
    elsewhere = changed_elsewhere(made, raw, target)
    for protocol in made.supported:
        wanted = measured(made, raw, target, protocol)
        agree(made, measured(made, elsewhere, target, protocol), wanted, protocol)


def test_neither_batches_nor_their_order_change_a_number(made: Task) -> None:
    """One image at a time, several, or in another order."""
    target, raw, turned = target_of(made), raw_of(made), [2, 0, 3, 1]
    for protocol in made.supported:
        others = [measured(made, raw, target, protocol, batch) for batch in (1, 3)]
        ids = [IDS[number] for number in turned]
        others.append(measured(made, raw[turned], target[turned], protocol, ids=ids))
        for other in others:
            agree(made, other, measured(made, raw, target, protocol), protocol)


def test_processes_that_share_a_split_give_the_numbers_of_one(made: Task) -> None:
    """However images are dealt to processes, also when one has none; where `mergeable` says so."""
    target = torch.cat([target_of(made), target_of(made, valid=0.0)[:1]])
    raw = torch.cat([raw_of(made), raw_of(made)[:1]])
    dice = random.Random(0)
    for protocol in made.supported:
        whole = measured(made, raw, target, protocol)
        if not whole.mergeable:
            pytest.skip(f"'{made.name}' is evaluated by one process")
        for _ in range(8):
            dealt: list[list[int]] = [[], [], []]
            for image in range(len(raw)):
                dealt[dice.randrange(3)].append(image)
            main, *others = (
                measured(made, raw[part], target[part], protocol, ids=[IDS[image] for image in part])
                for part in dealt
            )
            for other in others:
                main.absorb(from_bytes(to_bytes(other.parts())), IDS)
            agree(made, main, whole, (protocol, dealt), ordered=True)
            assert main.notes() == whole.notes(), (protocol, dealt)


def test_an_image_that_two_processes_measured_is_refused(made: Task) -> None:
    """Counted twice, it would shift every number."""
    for protocol in made.supported:
        one, other = (measured(made, raw_of(made), target_of(made), protocol) for _ in range(2))
        if one.mergeable:
            with pytest.raises(ValueError, match=r"."):
                one.absorb(other.parts(), IDS)


def test_each_image_has_its_own_values(made: Task) -> None:
    """An image's values are those it has alone: paired tests over images rest on them."""
    target, raw = target_of(made), raw_of(made)
    for protocol in made.supported:
        values = measured(made, raw, target, protocol).per_image()
        assert set(values) <= {metric.key for metric in made.metrics_in(protocol)}
        alone = measured(made, raw[2:3], target[2:3], protocol, ids=IDS[2:3]).per_image()
        for key, of_images in values.items():
            assert list(of_images) == IDS[:IMAGES]
            assert all(math.isfinite(value) for value in of_images.values())
            assert alone[key] == pytest.approx({IDS[2]: of_images[IDS[2]]}, rel=rounding(made), abs=0)


def test_pictures_show_predictions_targets_and_errors(made: Task) -> None:
    """Unlabelled pixels are black in a target's picture and NaN in an error map, whose values are in 0..1."""
    target = target_of(made)
    mask = labelled(made, target)[0].numpy()
    prediction, stored = made.activate(raw_of(made))[0].numpy(), target[0].numpy()
    for picture in (made.colour_prediction(prediction), made.colour_target(stored)):
        assert picture.shape == (*SIZE, 3)
        assert picture.dtype == np.uint8
        assert len(np.unique(picture.reshape(-1, 3), axis=0)) > 1
    assert (made.colour_target(stored)[~mask] == 0).all()
    error = made.error_map(prediction, stored)
    assert error.shape == SIZE
    assert error.dtype == np.float32
    np.testing.assert_array_equal(np.isnan(error), ~mask)
    assert ((error[mask] >= 0) & (error[mask] <= 1)).all()
    right = made.error_map(made.activate(fitted(made, target))[0].numpy(), stored)
    assert right[mask].mean() < error[mask].mean()


def test_the_legend_shows_colours_of_the_pictures(made: Task) -> None:
    """No two names share a colour, and no colour of a target's picture is missing."""
    legend = made.legend()
    assert len(set(legend.values())) == len(legend)
    assert all(len(colour) == 3 and all(0 <= part <= 255 for part in colour) for colour in legend.values())
    picture = made.colour_target(target_of(made)[0].numpy())
    drawn = {tuple(colour) for colour in picture.reshape(-1, 3).tolist()}
    assert not legend or drawn - {(0, 0, 0)} <= set(legend.values())
