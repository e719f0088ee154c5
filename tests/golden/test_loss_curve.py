"""Six steps of training are pinned: a change of the data, the model, the losses or the optimiser shows.

The values hold within 1e-3 relative, since machines differ in how they add up; the model is in float64,
as Adam turns float32's rounding into steps. It starts from random weights of a fixed seed and sees four
ray-cast rooms, so the values say nothing about how good a method is.
After a wanted change: ``python tests/golden/test_loss_curve.py`` writes them again.
"""

from __future__ import annotations

import json
import sys
from dataclasses import replace
from pathlib import Path
from tempfile import TemporaryDirectory

import numpy as np
import pytest
import torch

if __name__ == "__main__":  # pytest puts this folder on the path by itself
    sys.path.insert(0, str(Path(__file__).parents[1]))

from tiny_run import make_cell, make_context, write_scenes

from tabench.catalog import METHODS
from tabench.data.base import Sample, Split
from tabench.encoders.msam import MSam
from tabench.encoders.sam.family import Backbone
from tabench.engine.checkpoint import CheckpointStore
from tabench.engine.context import units_of
from tabench.engine.loop import train_unit
from tabench.engine.model import adapt
from tabench.events import Event, Step
from tabench.worlds.scenes import SCENES

PINNED = ("ta-lora", "lora-hps")
TINY = Backbone("tiny", 64, 8, 32, 2, 4, (1,), 4, 32, 4, 64, 32)
FILE = Path(__file__).parent / "loss_curve.json"
TOLERANCE = 1e-3


def draw_weights(model: MSam) -> None:
    """Start where no output is near 0, as the direction of a normal of length 0 is rounding alone.

    NumPy draws them: torch's values depend on the processor. Factors that start at 0 stay so.
    """
    rng = np.random.default_rng(0)
    for parameter in model.parameters():
        if parameter.detach().any():
            parameter.data = torch.from_numpy(rng.normal(scale=0.2, size=tuple(parameter.shape)))
    frequencies = model.pe_layer.positional_encoding_gaussian_matrix
    frequencies.copy_(torch.from_numpy(rng.normal(size=tuple(frequencies.shape))))


class InDouble(Split):
    """A split whose images are float64."""

    def __init__(self, split: Split) -> None:
        self.split = split

    def __len__(self) -> int:
        return len(self.split)

    @property
    def ids(self) -> list[str]:
        return self.split.ids

    def load(self, index: int, *, draw: tuple[int, int] | None = None) -> Sample:
        sample = self.split.load(index, draw=draw)
        return replace(sample, image=sample.image.astype(np.float64))


def curve(method: str, folder: Path) -> dict[str, list[float]]:
    """Loss of every step, and the terms of every epoch, of a run of three epochs of two steps."""
    torch.set_num_threads(1)
    root = write_scenes(folder / "scenes")
    losses: list[float] = []

    def listen(event: Event) -> None:
        if isinstance(event, Step):
            losses.append(event.loss)

    # no dropout: its masks differ between processors; and at its default weight of 1 the regulariser
    # would hide the tasks' losses
    params = {"params__dropout": 0.0, "params__orthogonality": 1e-3}
    known = METHODS.get(method).defaults
    params = {key: value for key, value in params.items() if key.removeprefix("params__") in known}
    cell = make_cell(method, train__epochs=3, train__lr=5e-4, **params)
    (unit,) = units_of(cell, METHODS.get(method).sharing)
    torch.manual_seed(unit.seed)
    model = MSam(TINY, unit.channels, "sam")
    adapt(model, METHODS.get(method), cell.method.params)
    draw_weights(model.double())
    setting = make_context(cell, unit, SCENES, root, emit=listen)
    setting.train = InDouble(setting.train)
    state = train_unit(model, setting, CheckpointStore(folder / "kept"))
    found = {"loss": losses}
    for name in state.train_curve[0]["terms"]:
        found[name] = [entry["terms"][name] for entry in state.train_curve]
    return {name: [float(f"{value:.6g}") for value in values] for name, values in found.items()}


@pytest.mark.parametrize("method", PINNED)
def test_the_loss_curve_is_as_pinned(method: str, tmp_path: Path) -> None:
    pinned = json.loads(FILE.read_text(encoding="utf-8"))[method]
    found = curve(method, tmp_path)
    assert len(found["loss"]) == 6
    assert found.keys() == pinned.keys()
    for name, values in pinned.items():
        assert found[name] == pytest.approx(values, rel=TOLERANCE), name


def test_the_pinned_curves_fall_by_far_more_than_the_tolerance() -> None:
    pinned = json.loads(FILE.read_text(encoding="utf-8"))
    for method in PINNED:
        for name in ("depth", "normals"):  # six steps hardly move the logits of 13 classes
            first, *_, last = pinned[method][name]
            assert first > last * (1 + 20 * TOLERANCE)


if __name__ == "__main__":
    content = {}
    for name in PINNED:
        with TemporaryDirectory() as place:
            content[name] = curve(name, Path(place))
    FILE.write_text(json.dumps(content, indent=2) + "\n", encoding="utf-8")
