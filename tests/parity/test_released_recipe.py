"""The `paper` recipe against the released training script, written out plainly: 20 steps in float64.

There each of four processes has one image, divides its loss by their number, and DistributedDataParallel
averages the gradients again; Adam has weight decay 1e-6 and its default eps.
"""

from __future__ import annotations

import copy
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from plain_msam import geometry, randomise
from torch import Tensor
from torch.nn import functional as F

from tabench.catalog import DATASETS, METHODS, TASKS
from tabench.data.base import Sample, Split
from tabench.data.draws import shuffled
from tabench.encoders.msam import MSam
from tabench.engine.checkpoint import CheckpointStore
from tabench.engine.context import TrainContext, units_of
from tabench.engine.loop import train_unit, trained_parameters
from tabench.engine.model import adapt
from tabench.engine.own_batch import own_gradients
from tabench.errors import SpecError
from tabench.spec.cell import BackbonePart, Cell, DatasetPart, EvaluationPart, MethodPart, TrainPart
from tabench.spec.experiment import load_experiment

CHANNELS = {"segmentation": 3, "depth": 1, "normals": 3}
IMAGES, PROCESSES, EPOCHS, STEPS, SIZE = 7, 4, 10, 20, (24, 32)
WEIGHTS = {"segmentation": 1.0, "depth": 1.0, "normals": 4.0}
EXPERIMENTS = Path(__file__).parents[2] / "experiments"


class Noise(Split):
    """Images of noise in double precision, with targets that have holes."""

    def __init__(self) -> None:
        rng = np.random.default_rng(0)
        holes = rng.random((IMAGES, *SIZE)) < 0.2
        normal = rng.normal(size=(IMAGES, 3, *SIZE)) * ~holes[:, None]
        self.images = rng.random((IMAGES, 3, *SIZE))
        self.targets: dict[str, np.ndarray] = {
            "label": np.where(holes, -1, rng.integers(0, 3, (IMAGES, *SIZE))),
            "depth": rng.uniform(1, 9, (IMAGES, 1, *SIZE)) * ~holes[:, None],
            "normal": normal / np.linalg.norm(normal, axis=1, keepdims=True).clip(1e-9),
        }

    def __len__(self) -> int:
        return IMAGES

    @property
    def ids(self) -> list[str]:
        return [f"train/{n}" for n in range(IMAGES)]

    def load(self, index: int, *, draw: tuple[int, int] | None = None) -> Sample:
        return Sample(self.ids[index], self.images[index], {k: t[index] for k, t in self.targets.items()})


@pytest.fixture(scope="module")
def start() -> MSam:
    torch.manual_seed(0)
    model = MSam(geometry(), CHANNELS)
    method = METHODS.get("ta-lora")
    adapt(model, method, method.params({"ranks": (3, 4, 2), "dropout": 0.0}))
    randomise(model)
    return model.double()


@pytest.fixture(scope="module")
def there(start: MSam) -> dict[str, Tensor]:
    """Trained parameters after the released script's steps."""
    model, data = copy.deepcopy(start), Noise()
    trained = list(trained_parameters(model).values())
    optimizer = torch.optim.Adam(trained, lr=1e-3, weight_decay=1e-6)
    warm = STEPS * 0.13  # a float

    def rate(step: int) -> float:
        return step / max(1, warm) if step < warm else max(0.0, (STEPS - step) / max(1, STEPS - warm))

    schedule = torch.optim.lr_scheduler.LambdaLR(optimizer, rate)
    for epoch in range(EPOCHS):
        order = shuffled(IMAGES, 0, epoch).tolist()
        order += order[:1]  # torch's DistributedSampler makes the epoch divisible
        for first in range(0, len(order), PROCESSES):
            optimizer.zero_grad()
            each = losses_there(model, data, order[first : first + PROCESSES])  # one image a process
            total = torch.zeros((), dtype=torch.float64)
            for segmentation, depth, normals in each:
                loss = (segmentation + depth + 4 * normals) / 6
                total = total + loss / PROCESSES / PROCESSES  # by the script, and by the average
            total.backward()
            (regulariser_there(model) / PROCESSES).backward()
            optimizer.step()
            schedule.step()
    return {name: p.detach() for name, p in trained_parameters(model).items()}


def losses_there(model: MSam, data: Noise, indices: list[int]) -> list[list[Tensor]]:
    """Each image's three losses; `test_paths` has the model itself in its plain form."""
    outputs = model(torch.from_numpy(data.images[indices]), SIZE)
    found = []
    for at, index in enumerate(indices):
        segmentation, estimate, raw = (outputs[name][at : at + 1] for name in CHANNELS)
        label, depth, normal = (torch.from_numpy(data.targets[k][index])[None] for k in data.targets)
        mask = (normal.sum(dim=1, keepdim=True) != 0).double()
        found.append(
            [
                F.nll_loss(F.log_softmax(segmentation, dim=1), label, ignore_index=-1),
                ((estimate - depth).abs() * (depth != 0)).sum() / (depth != 0).sum(),
                1 - (raw / raw.norm(dim=1, keepdim=True) * normal * mask).sum() / mask.sum(),
            ]
        )
    return found


def regulariser_there(model: MSam) -> Tensor:
    norms = []
    for block in model.image_encoder.blocks:
        f = block.attn.qkv.factors
        for x in (f.U1, f.U2, *f.G.unbind(-1)):
            norms.append(torch.norm(x.T @ x - torch.eye(x.shape[1], dtype=x.dtype)))
    return torch.stack(norms).mean()


def here(start: MSam, folder: Path, **recipe: Any) -> dict[str, Tensor]:
    """Trained parameters after this project's own loop."""
    model = copy.deepcopy(start)
    given = {"warmup": 0.13, "augment": "none", "epochs": EPOCHS, "task_weights": WEIGHTS, **recipe}
    cell = Cell(
        dataset=DatasetPart(name="x", fingerprint="x", tasks=tuple(CHANNELS), channels=(3, 1, 3)),
        backbone=BackbonePart(name="x", checkpoint="x"),
        method=MethodPart(name="ta-lora", params={"orthogonality": 1.0}),
        train=TrainPart.model_validate(given),
        evaluation=EvaluationPart(),
        seed=0,
    )
    (unit,) = units_of(cell, "task-aware")
    tasks = {name: TASKS.get(name)(count) for name, count in CHANNELS.items()}
    state = train_unit(
        model,
        TrainContext(cell=cell, unit=unit, tasks=tasks, train=Noise(), evaluated=Noise()),
        CheckpointStore(folder),
    )
    assert state.step == STEPS
    return {name: p.detach() for name, p in trained_parameters(model).items()}


def paper_recipe(experiment: str) -> dict[str, Any]:
    keys = ("batch_size", "lr", "weight_decay", "eps", "warmup_length", "last_batch", "precision")
    train = load_experiment(EXPERIMENTS / f"{experiment}.toml").profile("paper").train
    return {key: getattr(train, key) for key in keys}


def apart(start: MSam, one: dict[str, Tensor], other: dict[str, Tensor]) -> float:
    """Largest distance between two ends, as a share of the way from the start."""
    begin = {name: p.detach() for name, p in trained_parameters(start).items()}
    return max(float((one[n] - other[n]).norm() / (other[n] - begin[n]).norm()) for n in one)


def test_twenty_steps_end_where_the_released_script_ends(
    start: MSam, there: dict[str, Tensor], tmp_path: Path
) -> None:
    found = here(start, tmp_path / "paper", **paper_recipe("nyuv2"))
    for name, value in there.items():
        torch.testing.assert_close(found[name], value, rtol=0, atol=1e-9, msg=lambda t, n=name: f"{n}: {t}")
    plain = {"weight_decay": 1e-6, "eps": 1e-8, "warmup_length": "whole", "last_batch": "short"}
    other = here(start, tmp_path / "plain", **{**paper_recipe("nyuv2"), **plain})
    assert apart(start, other, there) > 0.05


@pytest.mark.parametrize("experiment", ["cityscapes", "pascal_context", "ranks", "orthogonality"])
def test_all_paper_profiles_have_that_recipe(experiment: str) -> None:
    assert paper_recipe(experiment) == paper_recipe("nyuv2")
    profile = load_experiment(EXPERIMENTS / f"{experiment}.toml").profile("paper")
    known = DATASETS.get(profile.dataset.name).paper_augmentation
    assert profile.train.augment == ("paper" if known else "clean")
    assert known == (profile.dataset.name != "pascal_context")


def test_a_step_of_ones_own_batch_is_the_formula(start: MSam) -> None:
    model, data = copy.deepcopy(start), Noise()
    named = trained_parameters(model)
    indices = [2, 5, 1]
    each = losses_there(model, data, indices)
    means = [torch.stack(row).mean() for row in zip(*each, strict=True)]
    penalty = regulariser_there(model)
    whole = (means[0] + means[1] + 4 * means[2]) / 6 + 0.5 * penalty
    expected = dict(zip(named, torch.autograd.grad(whole, list(named.values())), strict=True))
    tasks = {name: TASKS.get(name)(count) for name, count in CHANNELS.items()}
    terms = own_gradients(
        model,
        tasks,
        torch.from_numpy(data.images[indices]),
        {kind: torch.from_numpy(target[indices]) for kind, target in data.targets.items()},
        weights={"normals": 4.0},
        orthogonality=0.5,
    )
    assert terms.pop("loss") == pytest.approx(whole.item(), rel=1e-12)
    assert terms.pop("regulariser") == pytest.approx(penalty.item(), rel=1e-12)
    assert terms == pytest.approx(dict(zip(CHANNELS, [m.item() for m in means], strict=True)), rel=1e-12)
    for name, parameter in named.items():
        torch.testing.assert_close(parameter.grad, expected[name], rtol=1e-9, atol=1e-12)
    images = torch.zeros(2, 3, *SIZE, dtype=torch.float64)
    with pytest.raises(SpecError, match="'depth' needs 2 targets of kind 'depth', got 1"):
        own_gradients(model, {"depth": tasks["depth"]}, images, {"depth": images[:1, :1]})
    with pytest.raises(SpecError, match="no task 'edges'"):
        own_gradients(model, {"edges": tasks["depth"]}, images, {"depth": images[:, :1]})
    for wrong in (images[:, 0], images[:, :2]):  # both would be spread over the prediction
        with pytest.raises(SpecError, match=r"of kind 'depth' have shape \(2, 1, "):
            own_gradients(model, {"depth": tasks["depth"]}, images, {"depth": wrong})
    with pytest.raises(SpecError, match="of the model's type"):
        own_gradients(model, {"depth": tasks["depth"]}, images.float(), {"depth": images[:, :1]})
