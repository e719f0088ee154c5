"""What of a model has changed since it was built: what decides its output, and building again does not give.

Trained parameters are kept anyway, and so is what a method made or changed when it adapted the model: that is
safer than to trust that it is made alike another time. A frozen parameter that a method moves by itself (an
average of weights) and a buffer that a forward pass moves (BatchNorm's running statistics, persistent or not)
decide the output as much: they are kept, too, once they differ from those of a model that was just built.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Final

import torch
from torch import Tensor, nn

from tabench.errors import SpecError

_BITS: Final = {1: torch.int8, 2: torch.int16, 4: torch.int32, 8: torch.int64}
_ODD: Final = 0x1E3779B97F4A7C15  # any odd number will do: then no change of one value goes unseen


def trained_parameters(model: nn.Module) -> dict[str, nn.Parameter]:
    """Parameters that the optimiser updates, by name, in the model's order."""
    return {name: p for name, p in model.named_parameters() if p.requires_grad}


def untrained(model: nn.Module) -> dict[str, Tensor]:
    """Frozen parameters and buffers by name."""
    return {name: value for name, value in _tensors(model) if not value.requires_grad}


def kept_untrained(model: nn.Module, origin: Snapshot) -> dict[str, Tensor]:
    """Frozen parameters and buffers, integers included, that the method made or changed, or training moved.

    `origin` is the model, or one built like it, as it was when it was just built.

    Raises:
        SpecError: As `Snapshot.moved`.
    """
    moved = origin.moved(model)
    made: frozenset[str] = vars(model).get("made", frozenset())
    return {name: value for name, value in untrained(model).items() if name in moved or name in made}


class Snapshot:
    """Fingerprints of all tensors of a model at one time, a number each; the model is not held."""

    def __init__(self, model: nn.Module) -> None:
        tensors = dict(_tensors(model))
        self._kinds = {name: _kind(value) for name, value in tensors.items()}
        self._prints = _fingerprints(tensors)

    @property
    def total(self) -> int:
        """One number for all of it."""
        return sum(self._prints.values())

    def moved(self, model: nn.Module) -> dict[str, Tensor]:
        """The frozen parameters and buffers that are not what they were.

        Raises:
            SpecError: One of them has come or changed its size since, so that a model built again has no
                place for its values.
        """
        now = untrained(model)
        for name, value in now.items():
            if self._kinds.get(name) != _kind(value):
                what = "changes its size" if name in self._kinds else "comes into being"
                raise SpecError(
                    f"'{name}' {what} in training: a model that is built again would have no place for it",
                    hint="make it as large as it gets when the method changes the encoder",
                )
        prints = _fingerprints(now)
        return {name: value for name, value in now.items() if prints[name] != self._prints[name]}


def _tensors(model: nn.Module) -> Iterator[tuple[str, Tensor]]:
    yield from model.named_parameters()
    yield from model.named_buffers()


def _kind(value: Tensor) -> tuple[tuple[int, ...], torch.dtype]:
    return tuple(value.shape), value.dtype


@torch.no_grad()
def _fingerprints(tensors: Mapping[str, Tensor]) -> dict[str, int]:
    """A sum over each tensor's bits, every value with an odd weight of its own, where the tensor is."""
    sums: dict[torch.device, dict[str, Tensor]] = {}
    for name, value in tensors.items():
        sums.setdefault(value.device, {})[name] = _weighted(value)
    found: dict[str, int] = {}
    for group in sums.values():  # one wait a device
        found |= dict(zip(group, torch.stack(list(group.values())).tolist(), strict=True))
    return found


def _weighted(value: Tensor) -> Tensor:
    flat = (torch.view_as_real(value) if value.is_complex() else value).detach().reshape(-1).contiguous()
    # As bits: -0 and 0 are equal as numbers, and NaN is not equal to itself.
    bits = flat.view(_BITS[flat.element_size()]).to(torch.int64)
    # Each place weighs otherwise, or two values that change places would go unseen; sums wrap around, which
    # is the same in any order, so a GPU gives the CPU's number.
    places = torch.arange(len(bits), device=bits.device)
    return (bits * (2 * places * _ODD + _ODD)).sum()
