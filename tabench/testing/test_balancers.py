"""What every registered way of balancing must do. Each test is a sentence of the contract."""

from __future__ import annotations

from typing import get_args

import pytest
import torch
from torch import Tensor

from tabench.balancing.balancer import Balancer, Step
from tabench.balancing.base import Asks, Balancing
from tabench.catalog import BALANCERS
from tabench.engine.model import load_target

TASKS, VALUES = 3, 7
LOSSES = torch.tensor([0.7, 0.2, 1.5])


def made(name: str) -> tuple[Balancing, Balancer]:
    """What it says of itself, and a balancer of three tasks, drawn from one seed."""
    balancing = BALANCERS.get(name)
    if not balancing.balancer:
        pytest.skip("the weighted sum has no balancer")
    torch.manual_seed(0)
    return balancing, load_target(f"balancing '{name}'", balancing.balancer)(TASKS, balancing.params({}))


def step_of(number: int = 0, tasks: tuple[int, ...] = (0, 1, 2)) -> Step:
    """A step of some tasks with two labelled images each."""
    return Step(number, 10, 0, tasks, tuple(2 for _ in tasks))


def derived(balancer: Balancer, losses: Tensor, step: Step) -> Tensor:
    """The factors of the losses, with the draws of one seed."""
    torch.manual_seed(step.number)
    losses = losses.clone().requires_grad_()
    total = balancer.total(losses, step)
    assert total.shape == ()
    (found,) = torch.autograd.grad(total, losses)
    assert torch.isfinite(found).all()
    return found


def combined(balancer: Balancer, losses: Tensor, step: Step) -> Tensor:
    """The combination of made-up gradients, with the draws of one seed."""
    gradients = torch.randn(len(losses), VALUES, generator=torch.Generator().manual_seed(1))
    torch.manual_seed(step.number)
    found = balancer.combine(gradients, losses, step)
    assert found.shape == (VALUES,)
    assert torch.isfinite(found).all()
    return found.detach()


def walked(balancer: Balancer, steps: int) -> list[Tensor]:
    """Answers of some steps, the middle one without the second task."""
    found = []
    for number in range(steps):
        tasks = (0, 2) if number == 1 else (0, 1, 2)
        step, losses = step_of(number, tasks), (LOSSES / (1 + number))[list(tasks)]
        found += [derived(balancer, losses, step), combined(balancer, losses, step)]
        balancer.after_step(losses, 0.9 * losses, step)
    return found


def test_its_entry_says_what_it_is(balancing: str) -> None:
    """Its name is the registered one, and what it asks for is known."""
    found = BALANCERS.get(balancing)
    assert found.name == balancing
    assert found.title
    assert set(found.asks) <= set(get_args(Asks))
    assert found.params({}) == dict(found.defaults)


def test_it_gives_a_scalar_and_changes_nothing_by_being_asked(balancing: str) -> None:
    """`total` is pure and differentiable; its factors know losses only where it asks for them."""
    says, balancer = made(balancing)
    before = {name: str(value) for name, value in balancer.state_dict().items()}
    first = derived(balancer, LOSSES, step_of())
    assert torch.equal(derived(balancer, LOSSES, step_of()), first)
    assert {name: str(value) for name, value in balancer.state_dict().items()} == before
    if not {"losses", "gradients"} & set(says.asks):
        torch.testing.assert_close(derived(balancer, 3 * LOSSES, step_of()), first)


@pytest.mark.parametrize("tasks", [(0, 1, 2), (0, 2), (1,)], ids=len)
def test_it_goes_without_tasks_that_have_no_labelled_image(balancing: str, tasks: tuple[int, ...]) -> None:
    """It gives a factor for each task that is there, and one gradient for all."""
    _, balancer = made(balancing)
    losses = LOSSES[list(tasks)]
    assert len(derived(balancer, losses, step_of(tasks=tasks))) == len(tasks)
    combined(balancer, losses, step_of(tasks=tasks))


def test_a_restored_one_goes_on_as_the_one_that_was_saved(balancing: str) -> None:
    """What decides its answers is in its state."""
    _, balancer = made(balancing)
    walked(balancer, 3)
    _, again = made(balancing)
    again.load_state_dict(balancer.state_dict())
    for one, other in zip(walked(balancer, 2), walked(again, 2), strict=True):
        assert torch.equal(one, other)
