"""A unit's balancer at work: what it is told of a step, and what becomes of what it says."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

import torch
from torch import Tensor, nn
from torch.optim import Optimizer

from tabench.balancing.balancer import Balancer, Step
from tabench.balancing.base import Asks, Balancing
from tabench.catalog import BALANCERS
from tabench.encoders.msam import MSam
from tabench.engine.checkpoint import AGAIN
from tabench.engine.context import derive_seed
from tabench.engine.model import load_target
from tabench.engine.process_group import ProcessGroup
from tabench.engine.reduction import Gradients
from tabench.engine.snapshot import trained_parameters
from tabench.errors import CheckpointError, DivergedError, SpecError
from tabench.methods.hooks import Hooks
from tabench.methods.parameters import owners

if TYPE_CHECKING:
    from tabench.engine.context import TrainContext

PREFIX, HOOKS = "balancer.", "hooks."  # before the names of what a checkpoint keeps of them
_ROUNDING = 1e-6  # of a factor


@contextmanager
def seeded(context: TrainContext, what: str, step: int) -> Iterator[None]:
    """Draws inside are those of (seed, step) on every process; those outside go on as if there were none."""
    # Naming the devices spares the others: by default every GPU of the machine would be asked for its state.
    devices = [context.device] if context.device.type == "cuda" else []
    with torch.random.fork_rng(devices):
        torch.manual_seed(derive_seed(context.unit.seed, what, step))
        yield


class Balance:
    """What stands between the loop and a balancer (on the model's device, in its type), for one unit."""

    def __init__(self, balancing: Balancing, balancer: Balancer, model: MSam, context: TrainContext) -> None:
        self.balancing, self.balancer, self._context = balancing, balancer, context
        self._like = next(model.parameters())
        owned = owners(model)
        self._shared = {n: p for n, p in trained_parameters(model).items() if n not in owned}
        self._step = Step(0, 0, 0, (), ())  # the one under way
        self._factors = self._losses = torch.empty(0)

    @property
    def asks(self) -> tuple[Asks, ...]:
        """See `Balancing.asks`."""
        return self.balancing.asks

    @property
    def parameters(self) -> dict[str, nn.Parameter]:
        """The balancer's own trained parameters by name."""
        return {f"{PREFIX}{n}": p for n, p in self.balancer.named_parameters() if p.requires_grad}

    def add_to(self, optimizer: Optimizer) -> None:
        """Make them a group of the optimiser, with their own rate ("scale", of the recipe's) and decay."""
        given, says = self._context.cell.balancing.params, self.balancing
        scale = float(given.get(says.rate, 1.0))  # type: ignore[arg-type]
        decay = float(given.get(says.decay, 0.0))  # type: ignore[arg-type]
        if own := list(self.parameters.values()):
            optimizer.add_param_group({"params": own, "scale": scale, "weight_decay": decay})

    def weights(self, seen: Mapping[str, float], number: int) -> dict[str, float]:
        """What each task's loss is multiplied with in step `number` (from 0); 0 for a task that is left out.

        `seen` has the labelled images of each task ("images of x") and, where it asks, losses; of all
        processes.

        Raises:
            SpecError: The balancer's scalar is none.
            DivergedError: A factor is not finite.
        """
        context, unit = self._context, self._context.unit
        counts = [int(seen[f"images of {name}"]) for name in unit.tasks]
        present = tuple(at for at, count in enumerate(counts) if count)
        images = tuple(counts[at] for at in present)
        self._step = Step(number, context.steps, number // context.epoch_steps, present, images)
        # With "gradients" the losses are summed as they are, and `combine` decides what becomes of their
        # rows.
        self._factors = torch.ones(len(present))
        if present and "gradients" not in self.asks:
            # A balancer that asks for no losses gets stand-ins, so that it needs no forward pass; `give`
            # checks with the real ones that its factors did not depend on them.
            known = seen if "losses" in self.asks else dict.fromkeys(unit.tasks, 1.0)
            self._factors = self._derived(self._vector(known))[0]
        factors = dict(zip(present, self._factors.tolist(), strict=True))
        return {name: unit.weights[name] * factors.get(at, 0.0) for at, name in enumerate(unit.tasks)}

    def rows(self) -> Gradients | None:
        """Room for each task's gradient of what the tasks share, where the balancer asks for them."""
        wanted = "gradients" in self.asks
        return Gradients(self._shared.items(), rows=len(self._context.unit.tasks)) if wanted else None

    def give(self, terms: Mapping[str, float], rows: Gradients | None, group: ProcessGroup) -> None:
        """Set the gradients that the balancer decides: of what the tasks share, and of its own parameters.

        `terms` are each task's mean loss of the whole step, `rows` what the method of this name gave. Only
        right after a meeting of the processes.

        Raises:
            SpecError: What it gives has another shape, or its factors depend on what it does not ask for.
            DivergedError: What it gives is not finite.
        """
        self._losses = self._vector(terms)
        if rows is not None:
            rows.sum(group)
            rows.give(self._combined(rows.matrix(self._step.tasks)))
        if not self._step.tasks:
            return
        # Own parameters get their gradient from the mean losses of the whole step, which every process has
        # alike; so no reduction is needed for them.
        factors, own = self._derived(self._losses)
        blind = not {"losses", "gradients"} & set(self.asks)
        if blind and not torch.allclose(factors, self._factors, rtol=_ROUNDING):
            raise self._wrong(
                "its factors depend on losses, which it does not ask for", 'let its `asks` name "losses"'
            )
        for parameter, gradient in zip(self.parameters.values(), own, strict=True):
            parameter.grad = gradient

    def after_step(self, after: Mapping[str, float] | None) -> None:
        """Tell the balancer that the step was taken, and what the tasks' losses are now, where it asks."""
        if self._step.tasks:
            now = None if after is None else self._vector(after)
            with seeded(self._context, "after balancing", self._step.number), torch.no_grad():
                self.balancer.after_step(self._losses, now, self._step)

    def _vector(self, means: Mapping[str, float]) -> Tensor:
        """Losses (P,) as a balancer sees them."""
        unit = self._context.unit
        names = [unit.tasks[at] for at in self._step.tasks]
        weighted = [unit.weights[name] * means[name] for name in names]
        return torch.tensor(weighted, dtype=self._like.dtype, device=self._like.device)

    def _derived(self, losses: Tensor) -> tuple[Tensor, list[Tensor | None]]:
        """Derivatives of the balancer's scalar by the losses and by its own parameters."""
        # Detached, so that the derivative stops at the losses: only the balancer's own scalar is
        # differentiated.
        losses = losses.detach().requires_grad_()
        with seeded(self._context, "balancing", self._step.number), torch.enable_grad():
            total = self.balancer.total(losses, self._step)
            if not isinstance(total, Tensor) or total.shape != () or not total.requires_grad:
                raise self._wrong("`total` gives no differentiable scalar of the losses")
            inputs = [losses, *self.parameters.values()]
            # A scalar need not read every loss or parameter; what it does not read has the derivative None.
            factors, *own = torch.autograd.grad(total, inputs, allow_unused=True)
        return self._finite(torch.zeros_like(losses) if factors is None else factors), list(own)

    def _combined(self, matrix: Tensor) -> Tensor:
        if not self._step.tasks:
            return matrix.sum(dim=0)  # of no row: zeros
        with seeded(self._context, "combining", self._step.number):
            found = self.balancer.combine(matrix, self._losses, self._step)
        if found.shape != matrix.shape[1:]:
            raise self._wrong(f"`combine` gives {tuple(found.shape)}, expected {tuple(matrix.shape[1:])}")
        return self._finite(found.detach())

    def _finite(self, values: Tensor) -> Tensor:
        if not torch.isfinite(values).all():
            raise DivergedError(
                f"balancing '{self.balancing.name}': values are not finite at step {self._step.number}",
                step=self._step.number,
                hint="lower train.lr, or change the balancer's hyper-parameters",
            )
        return values

    def _wrong(self, what: str, hint: str | None = None) -> SpecError:
        return SpecError(f"balancing '{self.balancing.name}': {what}", hint=hint)


def build_balance(model: MSam, context: TrainContext) -> Balance | None:
    """What balances a unit's tasks; None for the weighted sum, and where there is one task.

    Raises:
        SpecError: The balancer cannot be loaded, or is none.
    """
    part, unit = context.cell.balancing, context.unit
    balancing = BALANCERS.get(part.name)
    if not balancing.balancer or len(unit.tasks) == 1:
        return None
    make = load_target(f"balancing '{part.name}'", balancing.balancer)
    # Every process draws the balancer's start from the same seed, and the model's own draws are not moved by
    # it.
    with seeded(context, "balancer", 0):
        balancer = make(len(unit.tasks), part.params)
    if not isinstance(balancer, Balancer):
        raise SpecError(f"balancing '{part.name}': '{balancing.balancer}' makes no `Balancer`")
    like = next(model.parameters())
    return Balance(balancing, balancer.to(like.device, like.dtype), model, context)


def beside(hooks: Hooks | None, balance: Balance | None) -> dict[str, Any]:
    """What a checkpoint keeps beside the model: tensors and JSON values by name."""
    found: dict[str, Any] = {}
    if hooks is not None:
        found |= {f"{HOOKS}{name}": value for name, value in hooks.state_dict().items()}
    if balance is not None:
        found |= {f"{PREFIX}{name}": value for name, value in balance.balancer.state_dict().items()}
    return found


def restore(kept: Mapping[str, Any], hooks: Hooks | None, balance: Balance | None, where: str) -> None:
    """Take back what `beside` gave.

    Raises:
        CheckpointError: It does not fit, or there is nothing here that it belongs to.
    """
    parts = {HOOKS: hooks, PREFIX: balance.balancer if balance is not None else None}
    mine: dict[str, dict[str, Any]] = {prefix: {} for prefix, part in parts.items() if part is not None}
    try:
        for name, value in kept.items():
            prefix, dot, rest = name.partition(".")
            mine[prefix + dot][rest] = value
            if isinstance(value, Tensor) and value.isnan().any():
                raise ValueError(f"'{name}' holds values that are NaN")
        for prefix, values in mine.items():
            part = parts[prefix]
            assert part is not None
            part.load_state_dict(values)
    except Exception as error:  # a method's own code may raise anything at values that are not its
        first = " ".join(str(error).split())[:200]
        raise CheckpointError(
            f"what is kept beside the model does not fit: {first}", where=where, hint=AGAIN
        ) from error
