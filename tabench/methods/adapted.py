"""What a method leaves in an encoder, and the one way to walk over it.

An adapted layer is a linear layer of the encoder with its update. Only what it makes of an input must be
there; what else it can say (its update as a matrix, itself as a plain layer, that it works row by row) it
declares by having it, and whoever needs what is absent keeps the layer as it is, or refuses it by name.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any, Protocol, cast, runtime_checkable

from torch import Tensor, nn

from tabench.encoders.base import LayerSpec, declares, linears


@runtime_checkable
class TaskModule(Protocol):
    """A module of which is known what it does for each task: an adapted layer, or one that was inserted."""

    def applied(self, x: Tensor, tasks: Sequence[int]) -> Tensor:
        """What it makes, (T*B, ..., k), of the rows (T*B, ..., d) of T tasks, task-major.

        (`apply` is torch's own word for something else.)
        """
        ...


@runtime_checkable
class AdaptedLayer(TaskModule, Protocol):
    """A linear layer of an encoder with its update.

    What follows is optional. It is read of a class that has it itself (`declares`): a subclass, which may
    compute something else, has to say it again. A layer with hooks is taken to have none of it.

    - ``dense(tasks) -> Tensor | None``: its update (d, k, len(tasks)); the layer is W0 x + b + x U with U one
      slice of it, x behind the layer's `dropout`, if it has one, where it meets U.
    - ``merged(task) -> nn.Linear | None``: the plain layer that it is for a task, in evaluation.
    - ``row_wise``, ``at_zero``, ``spread``: what an encoder's fast path needs (`tabench.encoders`).
    - ``chosen``: indices of the base's parts that are updated; without it all of them are.
    - ``facts() -> Mapping``: "scale", "kind" of its factors ("tucker", "cp", "lora") and "factors", the
      tensors by name. Without it an update is neither analysed nor drawn.

    Attributes:
        base: The layer that is adapted.
    """

    base: nn.Linear


class Shared(nn.Module):
    """Parameters that several adapted layers share: registered once, in the encoder, under a name.

    Each layer keeps a reference that does not register them again (in a tuple), and an index of its own.
    So they are counted, saved and regularised once; a copy of the encoder has a copy of them that its own
    layers refer to. A regularised holder has `columns`, and the layers have none.
    """

    group = "adapted"


@dataclass(frozen=True)
class Adapted:
    """An adapted layer and its place: see `LayerSpec`; `chosen` are those of its parts that are updated.

    `block` is None and `role` "" of a layer that the encoder does not name.
    """

    name: str
    block: int | None
    role: str
    layer: AdaptedLayer
    parts: tuple[str, ...]
    heads: int
    chosen: tuple[str, ...]


def adapted_layers(encoder: nn.Module) -> Iterator[Adapted]:
    """All adapted layers of an encoder, wherever they are; one that stands in two places comes twice."""
    specs = {spec.name: spec for spec in linears(encoder)} if "family" in vars(encoder) else {}
    # Duplicates are kept: a layer that stands in two places must be merged in both.
    for name, module in list(encoder.named_modules(remove_duplicate=False)):
        if isinstance(module, AdaptedLayer):
            yield _at(name, module, specs.get(name))


def _at(name: str, layer: AdaptedLayer, spec: LayerSpec | None) -> Adapted:
    if spec is None:
        return Adapted(name, None, "", layer, (), 0, ())
    chosen = getattr(layer, "chosen", range(len(spec.parts)))
    updated = tuple(part for index, part in enumerate(spec.parts) if index in chosen)
    return Adapted(name, spec.block, spec.role, layer, spec.parts, spec.heads, updated)


def said(layer: AdaptedLayer, what: str, *given: object) -> Any:
    """What a layer declares ("merged", "facts"), called with arguments; None where it declares nothing."""
    if not declares(cast(nn.Module, layer), what):
        return None
    method = getattr(layer, what)
    return None if method is None else method(*given)


class OneTask(nn.Module):
    """A module that always serves one task, whatever is announced."""

    def __init__(self, inner: TaskModule, task: int) -> None:
        super().__init__()
        self.inner, self.tasks = inner, (task,)

    def forward(self, x: Tensor) -> Tensor:
        """Apply the module to the task's rows."""
        return self.inner.applied(x, self.tasks)
