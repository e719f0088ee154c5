from __future__ import annotations

import pytest
import torch
from tiny_run import make_cell
from torch.utils.flop_counter import FlopCounterMode

from tabench.encoders.sam.build import build_image_encoder
from tabench.encoders.sam.family import VIT_B, VIT_NANO, Backbone
from tabench.runs.estimate import cell_flops, checkpoint_bytes, estimate, walls_of
from tabench.spec.cell import Cell
from tabench.store.index import Known, settings_of


def _seed(cell: Cell, seed: int) -> Cell:
    return cell.model_copy(update={"seed": seed})


def test_other_seeds_of_the_same_cell_come_first() -> None:
    cell = make_cell("lora-hps")
    known = [
        Known(f"{n}", "done", settings_of(_seed(cell, n)), wall_s=t) for n, t in enumerate((10.0, 30.0, 20.0))
    ]
    found = estimate(cell, walls_of(known), {cell.id: 99.0}, (4, 2))
    assert (found.basis, found.seconds) == ("measured", 20.0)


def test_the_shipped_reference_run_comes_next() -> None:
    cell = make_cell("lora-hps")
    found = estimate(cell, {}, {cell.id: 99.0}, (4, 2))
    assert (found.basis, found.seconds) == ("reference", 99.0)


def test_without_any_run_the_estimate_is_called_rough() -> None:
    found = estimate(make_cell("lora-hps"), {}, {}, (4, 2), "cpu")
    assert found.basis == "rough"
    assert found.seconds > 0
    assert "assumed" in found.detail


def test_separate_encoders_cost_more_than_a_shared_one() -> None:
    shared, apart = (cell_flops(make_cell(m), 4, 2) for m in ("lora-hps", "lora-stl"))
    assert 1.5 < apart / shared < 3


@pytest.mark.parametrize("backbone", [VIT_B, VIT_NANO], ids=lambda backbone: backbone.name)
def test_encoder_flops_against_a_count(backbone: Backbone) -> None:
    side = backbone.image_size
    with torch.device("meta"), FlopCounterMode(display=False) as counter:
        build_image_encoder(backbone)(torch.empty(1, 3, side, side))
    assert backbone.flops() == pytest.approx(counter.get_total_flops(), rel=0.15)


def test_full_fine_tuning_needs_the_larger_checkpoint() -> None:
    assert checkpoint_bytes(make_cell("full-hps")) > checkpoint_bytes(make_cell("lora-hps"))
