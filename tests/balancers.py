"""Ways of balancing of the tests' own: by losses, with state and a trained parameter, and by gradients."""

from __future__ import annotations

from collections.abc import Mapping

import torch
from torch import Tensor, nn

from tabench.balancing.balancer import Balancer, Step
from tabench.balancing.base import Balancing
from tabench.catalog import BALANCERS
from tabench.methods.base import Value
from tabench.registry import Entry


class ByLoss(Balancer):
    """Weighs the roots of losses by trained numbers, a running mean and a draw."""

    def __init__(self, tasks: int, start: float) -> None:
        super().__init__()
        self.logs = nn.Parameter(torch.full((tasks,), start))
        self.register_buffer("means", torch.ones(tasks))
        self.seen: list[Step] = []

    def total(self, losses: Tensor, step: Step) -> Tensor:
        at = list(step.tasks)
        share = (1 + 0.1 * torch.rand(len(at), dtype=losses.dtype)) / self.means[at]
        return ((-self.logs[at]).exp() * losses.sqrt() * share).sum() + self.logs[at].sum()

    def after_step(self, losses: Tensor, after: Tensor | None, step: Step) -> None:
        self.seen.append(step)
        self.means[list(step.tasks)] = 0.9 * self.means[list(step.tasks)] + losses


class Projecting(Balancer):
    """Takes out of each task's gradient what goes against another's, in an order that is drawn."""

    def combine(self, gradients: Tensor, losses: Tensor, step: Step) -> Tensor:
        found = gradients.clone()
        for row in found:
            for other in gradients[torch.randperm(len(gradients))]:
                row -= (row @ other).clamp(max=0) / other.square().sum().clamp(min=1e-30) * other
        return (found * losses[:, None] ** 0.1).sum(dim=0)


class Looking(Balancer):
    """Writes down a task's losses before and after each step, and leaves the tasks as they are."""

    def __init__(self) -> None:
        super().__init__()
        self.told: list[tuple[Tensor, Tensor | None]] = []

    def after_step(self, losses: Tensor, after: Tensor | None, step: Step) -> None:
        self.told.append((losses, after))


class Dishonest(Balancer):
    """Depends on losses that it has not asked for."""

    def total(self, losses: Tensor, step: Step) -> Tensor:
        return losses.square().sum()


def by_loss(tasks: int, params: Mapping[str, Value]) -> Balancer:
    return ByLoss(tasks, float(params["start"]))  # type: ignore[arg-type]


def projecting(tasks: int, params: Mapping[str, Value]) -> Balancer:
    return Projecting()


def looking(tasks: int, params: Mapping[str, Value]) -> Balancer:
    return Looking()


def plain(tasks: int, params: Mapping[str, Value]) -> Balancer:
    return Balancer()


def dishonest(tasks: int, params: Mapping[str, Value]) -> Balancer:
    return Dishonest()


BY_LOSS = Balancing(
    "by-loss",
    "By loss",
    "balancers:by_loss",
    {"start": 0.25, "rate": 50.0, "weight_decay": 0.5},
    asks=("losses",),
    rate="rate",
)
PROJECTING = Balancing("projecting", "Projecting", "balancers:projecting", asks=("gradients",))
LOOKING = Balancing("looking", "Looking", "balancers:looking", asks=("losses-after",))
PLAIN = Balancing("plain", "Plain", "balancers:plain")
DISHONEST = Balancing("dishonest", "Dishonest", "balancers:dishonest")

for _name, _entry in (
    ("by-loss", "BY_LOSS"),
    ("projecting", "PROJECTING"),
    ("looking", "LOOKING"),
    ("plain", "PLAIN"),
    ("dishonest", "DISHONEST"),
):
    BALANCERS.register(Entry(_name, f"balancers:{_entry}", "of the tests"))
