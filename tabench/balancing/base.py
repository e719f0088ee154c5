"""What a way of balancing tasks says of itself. No torch here."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Literal

from tabench.methods.base import Value, filled

Asks = Literal["losses", "gradients", "losses-after"]


@dataclass(frozen=True)
class Balancing:
    """A way of balancing tasks.

    Attributes:
        name: Registry name.
        title: Name in reports.
        balancer: "module:attribute" of a callable ``make(tasks, params) -> Balancer``
            (`tabench.balancing.balancer`) that is given the number of tasks; "" for the weighted sum, which
            needs none.
        defaults: Every hyper-parameter with its default value.
        asks: What it has to see of a step beside its own state. Nothing costs nothing. "losses": the tasks'
            losses before the step is taken, at the price of a forward pass more. "gradients": each task's
            gradient of what the tasks share, at the price of a copy of them a task and, where all tasks read
            one embedding, of a backward pass of the encoder a task. "losses-after": the same batch's losses
            once the step is taken, for another forward pass.
        rate: Name of the hyper-parameter that is the learning rate of its own parameters as a multiple of the
            recipe's `lr`; 1 where it has none of this name.
        decay: Name of the one that is their weight decay; 0 where it has none of this name.
        requires: Distributions that its numbers depend on: their versions are part of a cell.
    """

    name: str
    title: str
    balancer: str = ""
    defaults: Mapping[str, Value] = field(default_factory=dict)
    asks: tuple[Asks, ...] = ()
    rate: str = "lr"
    decay: str = "weight_decay"
    requires: tuple[str, ...] = ()

    @property
    def code_modules(self) -> tuple[str, ...]:
        """Modules that hold its code, besides the one it is defined in."""
        return (self.balancer.partition(":")[0],) if self.balancer else ()

    def params(self, given: Mapping[str, Value], *, where: str = "balancing.params") -> dict[str, Value]:
        """Fill in defaults and refuse names this way of balancing does not have.

        Raises:
            SpecError: An unknown hyper-parameter, or a value of another type.
        """
        return filled(f"balancing '{self.name}'", self.defaults, given, where)


EQUAL = Balancing("equal", "Weighted sum")
