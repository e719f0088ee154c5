from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from tiny_run import Stop, make_cell, make_context, make_unit
from torch.optim import Adam

from tabench.data.loading import batches
from tabench.engine import checkpoint
from tabench.engine.batch_split import BatchSplit
from tabench.engine.checkpoint import CheckpointStore
from tabench.engine.context import TrainContext
from tabench.engine.gradients import accumulate
from tabench.engine.loop import train_unit
from tabench.engine.snapshot import trained_parameters
from tabench.engine.state import State
from tabench.errors import DivergedError, InterruptedRunError
from tabench.events import Event, Validated
from tabench.methods.regulariser import regulariser
from tabench.spec.cell import Cell
from tabench.worlds.scenes import SCENES


def _first_batch(context: TrainContext, size: int) -> Any:
    return next(iter(batches(context.train, seed=0, epoch=0, batch_size=size, augment="clean")))


def test_the_loss_is_the_weighted_mean_over_images_plus_the_regulariser_once(
    root: Path, weights: dict[str, torch.Tensor]
) -> None:
    cell = make_cell("ta-lora", params__dropout=0.0, params__ranks=(4, 4, 2), params__orthogonality=0.5)
    unit, model = make_unit(cell, weights)
    context = make_context(cell, unit, SCENES, root, passes=BatchSplit(images=1))
    batch = _first_batch(context, 4)
    model.train()
    terms = accumulate(model, context, batch, 0)
    with torch.no_grad():
        outputs = model(batch.image, (48, 64))
        expected = 0.0
        for name, weight in (("segmentation", 1 / 6), ("depth", 1 / 6), ("normals", 4 / 6)):
            task = context.tasks[name]
            target = batch.targets[task.needs]
            each = [float(task.loss(outputs[name][i : i + 1], target[i : i + 1])) for i in range(4)]
            expected += weight * float(np.mean(each))
        expected += 0.5 * float(regulariser(model))
    assert terms["regulariser"] > 0
    assert terms["loss"] == pytest.approx(expected, rel=1e-5)


def _train(cell: Cell, weights: Any, root: Path, folder: Path, index: int = 0, **options: Any) -> Any:
    unit, model = make_unit(cell, weights, index)
    context = make_context(cell, unit, SCENES, root, **options)
    state = train_unit(model, context, CheckpointStore(folder))
    return state, {n: p.detach().clone() for n, p in trained_parameters(model).items()}


@pytest.mark.parametrize(
    ("method", "index", "stops"), [("ta-lora", 0, [1, 1]), ("lora-stl", 1, [3]), ("full-hps", 0, [2])]
)
def test_a_resumed_unit_is_equal_bit_for_bit(
    root: Path, weights: dict[str, torch.Tensor], tmp_path: Path, method: str, index: int, stops: list[int]
) -> None:
    cell = make_cell(method, evaluation__every=1)
    state, expected = _train(cell, weights, root, tmp_path / "whole", index)
    for stop in stops:
        with pytest.raises(InterruptedRunError, match="checkpoint written"):
            _train(cell, weights, root, tmp_path / "parts", index, should_stop=Stop(stop))
    resumed, found = _train(cell, weights, root, tmp_path / "parts", index)
    assert resumed.to_json() == state.to_json()
    assert [entry["step"] for entry in state.train_curve] == [2, 4]
    assert {entry["epoch"] for entry in state.eval_curve} == {1}
    for name, value in expected.items():
        assert torch.equal(found[name], value), name


def test_training_changes_what_is_trained_and_nothing_else(
    root: Path, weights: dict[str, torch.Tensor], tmp_path: Path
) -> None:
    cell = make_cell("lora-hps")
    unit, model = make_unit(cell, weights)
    before = {name: p.detach().clone() for name, p in model.named_parameters()}
    train_unit(model, make_context(cell, unit, SCENES, root), CheckpointStore(tmp_path))
    moved = {name for name, p in model.named_parameters() if not torch.equal(p, before[name])}
    assert moved
    assert moved <= set(trained_parameters(model))


def test_the_best_epoch_is_the_one_with_the_lowest_validation_loss(
    root: Path, weights: dict[str, torch.Tensor], tmp_path: Path
) -> None:
    cell = make_cell("frozen", evaluation__selection="best-val", evaluation__val_split="train-159")
    losses: dict[int, float] = {}

    def listen(event: Event) -> None:
        if isinstance(event, Validated):
            losses[event.epoch] = event.loss

    unit, model = make_unit(cell, weights)
    validation = SCENES.split(root, "train-159")
    context = make_context(cell, unit, SCENES, root, validation=validation, emit=listen)
    state = train_unit(model, context, CheckpointStore(tmp_path))
    assert set(losses) == {1, 2}
    assert state.best_epoch == min(losses, key=lambda epoch: losses[epoch])
    assert state.best_loss == min(losses.values())
    unit, again = make_unit(cell, weights)
    kept = train_unit(again, make_context(cell, unit, SCENES, root), CheckpointStore(tmp_path))
    assert all(torch.equal(kept.best_weights[n], v) for n, v in state.best_weights.items())


def test_a_loss_that_is_not_finite_names_step_and_images(
    root: Path, weights: dict[str, torch.Tensor], tmp_path: Path
) -> None:
    cell = make_cell("lora-hps", train__lr=1e30, train__warmup=0.0)
    with pytest.raises(DivergedError, match="step 1") as caught:
        _train(cell, weights, root, tmp_path)
    assert caught.value.step == 1
    assert len(caught.value.ids) == 2
    assert all(image.startswith("train/") for image in caught.value.ids)


def test_an_unfinished_checkpoint_is_never_loaded(tmp_path: Path) -> None:
    (tmp_path / "writing").mkdir()
    (tmp_path / "writing" / "state.json").write_text("{")
    assert CheckpointStore(tmp_path).latest() is None
    (tmp_path / "00000002").mkdir()
    (tmp_path / "00000010").mkdir()
    latest = CheckpointStore(tmp_path).latest()
    assert latest is not None
    assert latest.name == "00000010"


def test_two_processes_that_write_at_once_never_mix_a_checkpoint(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """One was stopped in the middle of a write; another took the cell, went on, and it comes back."""

    def held(value: float) -> tuple[dict[str, torch.nn.Parameter], Adam]:
        parameters = {"w": torch.nn.Parameter(torch.full((3,), value))}
        optimizer = Adam(parameters.values())
        parameters["w"].grad = torch.full((3,), value)
        optimizer.step()
        return parameters, optimizer

    early, late = held(1.0), held(2.0)
    write = checkpoint.save_file

    def interrupted(tensors: dict[str, torch.Tensor], path: Path) -> None:
        write(tensors, path)
        if path.name == "model.safetensors":
            monkeypatch.setattr(checkpoint, "save_file", write)
            CheckpointStore(tmp_path).save(*late, State(step=8))

    monkeypatch.setattr(checkpoint, "save_file", interrupted)
    CheckpointStore(tmp_path).save(*early, State(step=5))
    parameters, optimizer = held(0.0)
    state = CheckpointStore(tmp_path).load(parameters, optimizer)
    assert state is not None
    assert state.step == 8, "the later one is lost"
    assert torch.equal(parameters["w"], late[0]["w"])
    moments, expected = (o.state[p["w"]]["exp_avg"] for p, o in ((parameters, optimizer), late))
    assert torch.equal(moments, expected)
    assert not list(tmp_path.glob("writing*"))
