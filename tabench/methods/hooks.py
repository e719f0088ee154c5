"""What a method may do in training beside the forward pass: a loss term, and an act after each step."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any, Protocol, runtime_checkable

if TYPE_CHECKING:
    from torch import Tensor


@runtime_checkable
class Hooks(Protocol):
    """What `adapt` may return; subclasses have to write only what they need.

    Every process of a cell calls the same hooks with the same arguments. Random draws come from torch's own
    generators, which are seeded by (seed, step) around each call.
    """

    def loss(self, step: int, total: int) -> Tensor | None:
        """A scalar that is added once a step, as the regulariser is; None for none. Steps count from 0.

        It must change nothing: a step that is tried again (in smaller passes, as memory ran out) asks again.
        """
        return None

    def after_step(self, step: int, total: int) -> None:
        """Act on the model, once the optimiser has taken a step; steps count from 0.

        The parameters' `.grad` still hold the step's gradients, of all images, passes and processes. Which
        parameters are trained must not change.
        """

    def state_dict(self) -> Mapping[str, Any]:
        """What a resumed run needs beside the model's tensors: tensors and JSON values by name."""
        return {}

    def load_state_dict(self, state: Mapping[str, Any]) -> None:
        """Take back what `state_dict` gave.

        Raises:
            ValueError: It does not fit.
        """
