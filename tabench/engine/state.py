"""Where the training of a unit stands: everything a resumed run needs beside the weights."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass, field, fields
from typing import Any, ClassVar

from pydantic import ConfigDict, TypeAdapter
from torch import Tensor

from tabench.store.encoding import significant

Curve = list[dict[str, Any]]


@dataclass
class State:
    """Position, running sums and curves.

    There is no generator state: shuffling and augmentation are keyed by (seed, epoch, index) and
    dropout by (seed, unit, step).

    Attributes:
        sums: Sum over this epoch's `summed` steps so far of the loss and of each of its terms.
        eval_curve: One entry an evaluated epoch, task, metric and protocol.
        best_epoch: Epoch of `best_weights`, which have a file of their own; 0 = none yet.
        extra: What the balancer and the method's hooks keep: JSON values, and tensors in a file of their own.
    """

    step: int = 0
    sums: dict[str, float] = field(default_factory=dict)
    summed: int = 0
    train_curve: Curve = field(default_factory=list)
    eval_curve: Curve = field(default_factory=list)
    best_epoch: int = 0
    best_loss: float = 0.0
    finished: bool = False
    best_weights: Mapping[str, Tensor] = field(default_factory=dict)
    extra: dict[str, Any] = field(default_factory=dict)
    __pydantic_config__: ClassVar = ConfigDict(
        arbitrary_types_allowed=True, extra="forbid", allow_inf_nan=False
    )

    def add(self, terms: Mapping[str, float]) -> None:
        """Add one step's loss terms to the running sums."""
        for name, value in terms.items():
            self.sums[name] = self.sums.get(name, 0.0) + value
        self.summed += 1

    def close_epoch(self, unit: str, epoch: int, lr: float) -> dict[str, Any]:
        """Turn the running sums into this epoch's curve entry (means over its steps)."""
        means = {name: significant(value / self.summed) for name, value in self.sums.items()}
        entry = {
            "unit": unit,
            "epoch": epoch,
            "step": self.step,
            "lr": significant(lr),
            "loss": means.pop("loss"),
            "terms": means,
        }
        self.train_curve.append(entry)
        self.sums, self.summed = {}, 0
        return entry

    def to_json(self) -> dict[str, Any]:
        """Everything but tensors, as JSON values."""
        written = {f.name: getattr(self, f.name) for f in fields(self) if f.name != "best_weights"}
        return written | {"extra": {k: v for k, v in self.extra.items() if not isinstance(v, Tensor)}}

    @classmethod
    def from_json(cls, values: dict[str, Any]) -> State:
        """The inverse of `to_json`.

        Raises:
            ValueError: Unknown fields, values of another type, or numbers that cannot be.
        """
        # Strict JSON: a number that stands as a word, or a float where steps are counted, is a damaged file.
        state: State = TypeAdapter(cls).validate_json(json.dumps(values), strict=True)
        counts = (state.step, state.summed, state.best_epoch)
        if "best_weights" in values or not all(0 <= count < 2**31 for count in counts):
            raise ValueError("a count that is none, or weights in the wrong file")
        return state
