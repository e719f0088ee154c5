"""What a model changes by itself is kept, and a first step shows whether it learns what it says."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any

import pytest
import torch
from safetensors.torch import load_file
from tiny_run import Stop, make_cell, make_context, make_unit
from torch import Tensor, nn

from tabench.encoders.msam import MSam
from tabench.engine.batch_split import BatchSplit
from tabench.engine.checkpoint import CheckpointStore
from tabench.engine.context import TrainContext
from tabench.engine.loop import train_unit
from tabench.engine.snapshot import Snapshot, trained_parameters, untrained
from tabench.engine.state import State
from tabench.errors import CheckpointError, InterruptedRunError, SpecError
from tabench.events import Event, FirstStep
from tabench.worlds.scenes import SCENES

Weights = dict[str, Tensor]


class Running(nn.Module):
    """BatchNorm's statistics, a frozen parameter that averages, and a buffer that is in no state dict."""

    def __init__(self, width: int) -> None:
        super().__init__()
        self.norm = nn.BatchNorm2d(width)
        self.average = nn.Parameter(torch.zeros(width), requires_grad=False)
        self.register_buffer("seen", torch.zeros((), dtype=torch.bfloat16), persistent=False)

    def forward(self, x: Tensor) -> Tensor:
        found: Tensor = self.norm(x.permute(0, 3, 1, 2)).permute(0, 2, 3, 1)
        if self.training:
            self.average.data.mul_(0.9).add_(found.detach().abs().mean(dim=(0, 1, 2)))
            self.seen += 1
        return found + self.average + self.seen


def built(weights: Weights, root: Path, **options: Any) -> tuple[MSam, TrainContext]:
    changes = {key: options.pop(key) for key in list(options) if "__" in key}
    cell = make_cell("frozen", **changes)

    def build() -> MSam:
        _, model = make_unit(cell, weights)
        model.image_encoder.blocks[1].norm2 = Running(model.backbone.embed_dim)
        return model

    unit, _ = make_unit(cell, weights)
    return build(), make_context(cell, unit, SCENES, root, rebuild=build, **options)


def trained(weights: Weights, root: Path, folder: Path, **options: Any) -> tuple[MSam, State]:
    model, context = built(weights, root, **options)
    return model, train_unit(model, context, CheckpointStore(folder))


def test_a_resumed_unit_has_the_statistics_of_one_that_was_not_stopped(
    weights: Weights, root: Path, tmp_path: Path
) -> None:
    whole, state = trained(weights, root, tmp_path / "whole")
    with pytest.raises(InterruptedRunError):
        trained(weights, root, tmp_path / "parts", should_stop=Stop(2))
    resumed, again = trained(weights, root, tmp_path / "parts")
    assert again.to_json() == state.to_json()
    expected = {**dict(whole.named_parameters()), **dict(whole.named_buffers())}
    for name, value in {**dict(resumed.named_parameters()), **dict(resumed.named_buffers())}.items():
        assert torch.equal(value, expected[name]), name
    kept = load_file(tmp_path / "parts" / "finished" / "model.safetensors")
    place = "image_encoder.blocks.1.norm2"
    names = [
        f"norm.{key}" for key in ("running_mean", "running_var", "num_batches_tracked", "weight", "bias")
    ]
    assert {name for name in kept if place in name} == {f"{place}.{n}" for n in [*names, "average", "seen"]}
    assert kept[f"{place}.norm.num_batches_tracked"] == kept[f"{place}.seen"] == 4
    assert not [name for name in kept if name.startswith("image_encoder") and place not in name]


def test_the_best_epoch_has_the_statistics_it_had(
    weights: Weights, root: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    losses = iter([1.0, 2.0])
    monkeypatch.setattr("tabench.engine.loop.validation_loss", lambda *_, **__: next(losses))
    best = {"evaluation__selection": "best-val", "evaluation__val_split": "train-159"}
    validation = SCENES.split(root, "train-159")
    model, state = trained(weights, root, tmp_path, validation=validation, **best)
    name = "image_encoder.blocks.1.norm2.seen"
    assert state.best_weights[name] == 2
    assert dict(model.named_buffers())[name] == 4
    assert torch.equal(load_file(tmp_path / "finished" / "best.safetensors")[name], state.best_weights[name])


@pytest.mark.parametrize(
    ("passes", "words"),
    [(BatchSplit(images=1), "1 images a pass"), (BatchSplit(recompute=True), "computed again")],
    ids=["images", "recompute"],
)
def test_a_model_that_a_pass_changes_is_not_cut(
    passes: BatchSplit, words: str, weights: Weights, root: Path, tmp_path: Path
) -> None:
    with pytest.raises(SpecError, match=words) as caught:
        trained(weights, root, tmp_path, passes=passes)
    assert "norm2.norm.num_batches_tracked" in caught.value.message
    assert "--micro-batch 2" in str(caught.value)
    assert not tmp_path.joinpath("finished").exists()


def test_memory_that_runs_out_does_not_cut_it_either(
    weights: Weights, root: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def greedy(*_: object) -> None:
        raise MemoryError("no memory left")

    model, context = built(weights, root)

    def after_the_first(event: Event) -> None:
        if isinstance(event, FirstStep):
            monkeypatch.setattr("tabench.engine.gradients.accumulate", greedy)

    context.emit = after_the_first
    with pytest.raises(MemoryError, match="no memory left"):
        train_unit(model, context, CheckpointStore(tmp_path))
    assert context.passes == BatchSplit()


def test_a_parameter_without_a_gradient_is_refused_and_at_a_resume_too(
    weights: Weights, root: Path, tmp_path: Path
) -> None:
    def dead(model: MSam) -> None:
        model.image_encoder.blocks[0].attn.extra = nn.Parameter(torch.ones(2))

    def run(change: Callable[[MSam], None], **options: Any) -> State:
        model, context = built(weights, root, **options)
        change(model)
        context.rebuild = None
        return train_unit(model, context, CheckpointStore(tmp_path))

    name = "image_encoder.blocks.0.attn.extra"
    with pytest.raises(SpecError, match=f"no gradient reaches 1 trained parameters.*'{name}'"):
        run(dead)

    def called_idle(model: MSam) -> None:
        dead(model)
        model.idle = frozenset({name})

    with pytest.raises(InterruptedRunError):
        run(called_idle, should_stop=Stop(2))
    with pytest.raises(SpecError, match=name):
        run(dead)
    with pytest.raises(SpecError, match=r"parameters idle that get a gradient: 'no_mask\.depth'"):
        run(lambda model: (dead(model), setattr(model, "idle", frozenset({name, "no_mask.depth"})))[0])
    assert run(called_idle).finished


class Late(nn.Module):
    """Makes its parameter when it first sees its input, or another one in its place at the second step."""

    def __init__(self, first: int) -> None:
        super().__init__()
        self.first, self.calls = first, 0
        if first:
            self.shift = nn.Parameter(torch.zeros(128))

    def forward(self, x: Tensor) -> Tensor:
        if self.calls == self.first:
            self.shift = nn.Parameter(torch.zeros(x.shape[-1]))
        self.calls += 1
        return x + self.shift


class Noisy(nn.Module):
    def forward(self, x: Tensor) -> Tensor:
        return x + 1e-3 * torch.randn_like(x)


@pytest.mark.parametrize(
    ("module", "words"),
    [(partial(Late, 0), "norm2.shift"), (partial(Late, 1), "norm2.shift"), (Noisy, "give the trained model")],
    ids=["first step", "later", "noise"],
)
def test_what_no_other_run_could_give_again_is_refused(
    module: Callable[[], nn.Module], words: str, weights: Weights, root: Path, tmp_path: Path
) -> None:
    cell = make_cell("frozen")

    def build() -> MSam:
        _, model = make_unit(cell, weights)
        model.image_encoder.blocks[1].norm2 = module()
        return model

    unit, _ = make_unit(cell, weights)
    with pytest.raises(SpecError, match=words):
        train_unit(build(), make_context(cell, unit, SCENES, root, rebuild=build), CheckpointStore(tmp_path))
    assert not tmp_path.joinpath("finished").exists()


def change(model: nn.Module, how: str) -> None:
    linear, norm = model[0], model[1]
    if how == "one value":
        linear.weight.data[1, 2] = torch.nextafter(linear.weight.data[1, 2], torch.tensor(9.0))
    elif how == "two values swapped":
        linear.weight.data = linear.weight.data.flip(0)
    elif how == "a count":
        norm.num_batches_tracked += 1
    elif how == "the sign of a zero":
        norm.running_mean.mul_(-1)


@pytest.mark.parametrize(
    ("how", "name"),
    [("nothing", None), ("one value", "0.weight"), ("two values swapped", "0.weight"),
     ("a count", "1.num_batches_tracked"), ("the sign of a zero", "1.running_mean")],
)  # fmt: skip
def test_every_change_is_seen(how: str, name: str | None) -> None:
    model = nn.Sequential(nn.Linear(3, 4), nn.BatchNorm1d(4), nn.Linear(4, 4))
    model[0].requires_grad_(False)
    before = Snapshot(model)
    change(model, how)
    model[2].weight.data.add_(1)  # trained: kept anyway
    assert list(before.moved(model)) == ([] if name is None else [name])


def test_what_has_no_place_in_a_model_built_again_is_refused() -> None:
    model = nn.BatchNorm1d(4)
    before = Snapshot(model)
    model.register_buffer("bank", torch.zeros(1))
    with pytest.raises(SpecError, match="'bank' comes into being"):
        before.moved(model)
    model.running_mean = torch.zeros(5)
    del model.bank
    with pytest.raises(SpecError, match="'running_mean' changes its size"):
        before.moved(model)


@pytest.mark.parametrize("damage", ["lacks", "adds", "kind"])
def test_a_file_that_does_not_fit_is_refused(damage: str, tmp_path: Path) -> None:
    def model() -> nn.Module:
        return nn.BatchNorm1d(4)

    source, target = model(), model()
    source.num_batches_tracked += 3
    named = trained_parameters(source)
    moved: dict[str, Tensor] = {"num_batches_tracked": source.num_batches_tracked}
    if damage == "lacks":
        del named["bias"]
    elif damage == "adds":
        moved["other"] = torch.zeros(2)
    else:
        moved["num_batches_tracked"] = torch.tensor(3, dtype=torch.int32)
    optimizer = torch.optim.Adam(target.parameters())
    CheckpointStore(tmp_path).save(named, optimizer, State(finished=True), moved)
    with pytest.raises(CheckpointError, match=r"'bias'|'other'|num_batches_tracked.*torch\.int32"):
        CheckpointStore(tmp_path).load(trained_parameters(target), optimizer, untrained(target))
    assert target.num_batches_tracked == 0
