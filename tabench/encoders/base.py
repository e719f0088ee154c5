"""What an encoder says of itself, so that nobody else need know its insides. No torch here."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING, Protocol

from tabench.errors import SpecError

if TYPE_CHECKING:
    from torch import nn


@dataclass(frozen=True)
class LayerSpec:
    """A linear layer of an encoder.

    Attributes:
        name: Dotted, inside the encoder ("blocks.0.attn.qkv").
        block: Index of its block.
        role: "qkv", "proj", "mlp.lin1" or "mlp.lin2"; "q", "k" or "v" where an encoder has them apart.
        inputs: Its input features.
        outputs: Its output features.
        parts: The roles whose outputs lie side by side in it, in blocks of equal size: ("q", "k", "v") of a
            fused qkv, else (role,).
        heads: Attention heads that it serves; 0 in an MLP.
    """

    name: str
    block: int
    role: str
    inputs: int
    outputs: int
    parts: tuple[str, ...]
    heads: int


class Encoder(Protocol):
    """An entry of the registry of backbones: it builds an encoder and knows its insides."""

    @property
    def name(self) -> str:
        """Registry name."""
        ...

    def linears(self, encoder: nn.Module) -> list[LayerSpec]:
        """The linear layers of its blocks, in order; the same before and after they are adapted."""
        ...

    def norms(self, encoder: nn.Module) -> list[str]:
        """Names of its blocks' norms, in order."""
        ...


def family_of(encoder: nn.Module) -> Encoder:
    """The registered encoder that built a module.

    Raises:
        SpecError: None did.
    """
    found: Encoder | None = vars(encoder).get("family")
    if found is None:
        raise SpecError(
            f"'{type(encoder).__name__}' was built by no registered backbone",
            hint="build it with `build()` of an entry of tabench.catalog.BACKBONES",
        )
    return found


def linears(encoder: nn.Module) -> list[LayerSpec]:
    """The linear layers of an encoder's blocks, in order; the same before and after they are adapted."""
    return family_of(encoder).linears(encoder)


def norms(encoder: nn.Module) -> list[str]:
    """Names, inside an encoder, of its blocks' norms, in order."""
    return family_of(encoder).norms(encoder)


def declares(module: nn.Module, what: str) -> bool:
    """Whether a module's own class has something, and no hooks change what the module does.

    What a subclass has from its base is not enough: it may compute something else, and has to say it again.
    """
    return what in vars(type(module)) and not any(map(_touched, module.modules()))


def _touched(module: nn.Module) -> bool:
    return bool(
        module._forward_hooks
        or module._forward_pre_hooks
        or module._backward_hooks
        or module._backward_pre_hooks
        or "forward" in vars(module)
    )


class TaskFold:
    """Which tasks the folded batch holds, shared by all that a method put into one encoder.

    A method whose encoder tells tasks apart leaves it there as `encoder.task_fold`.

    Args:
        num_tasks: Number of tasks T; all of them are selected at first.
        first_block: The block from which on tasks differ. What comes before it is computed once for all.
        free_stream: Whether rows of no task (index `FREE`, the first of `tasks`) run along.
    """

    FREE = -1

    def __init__(self, num_tasks: int, *, first_block: int = 0, free_stream: bool = False) -> None:
        self.first_block, self.free_stream = first_block, free_stream
        self.tasks = self._rows(range(num_tasks))

    @contextmanager
    def select(self, tasks: Sequence[int]) -> Iterator[None]:
        """Announce the tasks, outermost in the batch, of the forward passes inside the context."""
        before, self.tasks = self.tasks, self._rows(tasks)
        try:
            yield
        finally:
            self.tasks = before

    def _rows(self, tasks: Sequence[int]) -> tuple[int, ...]:
        return (self.FREE, *tasks) if self.free_stream else tuple(tasks)
