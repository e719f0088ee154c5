"""Known cells have known ids: whatever changes one of these makes every finished run unfindable.

A new field of a cell must stay out of the canonical form while it holds its default; otherwise
`SCHEMA_VERSION` has to rise and the ids below are replaced with it.
"""

from __future__ import annotations

import hashlib
from pathlib import Path

import pytest

from tabench.spec.cell import Cell
from tabench.spec.expand import Resolved, expand
from tabench.spec.experiment import load_experiment
from tabench.spec.options import select_cells

CANONICAL = (
    (
        '{"backbone":{"checkpoint":"CHECKPOINT","name":"vit_l","pixel_norm":"none"},'
        '"dataset":{"channels":[13,1],"eval_split":"val","fingerprint":"FINGERPRINT","name":"nyuv2",'
        '"tasks":["segmentation","depth"],"train_split":"train"},'
        '"evaluation":{"every":10,"pictures":6,"protocols":{"depth":1,"segmentation":1},'
        '"selection":"last","val_split":""},'
        '"method":{"name":"ta-lora","params":{"dropout":0.1,"ranks":[32,32,4],"scale":1.0,"targets":"qkv"}},'
        '"schema_version":1,"seed":3,'
        '"train":{"augment":true,"batch_size":4,"embedding_lr":1.0,"epochs":200,"lr":0.001,'
        '"max_steps":0,"precision":"fp32",'
        '"task_weights":{"depth":1.0,"segmentation":0.5},"warmup":0.05,"weight_decay":1e-06}}'
    )
    .replace("CHECKPOINT", "a" * 64)
    .replace("FINGERPRINT", "f" * 64)
)

PAPER = {  # seed 0 of experiments/nyuv2.toml, profile "paper", on a made-up fingerprint and checkpoint
    "ta-lora": "616d9434175a2e1b",
    "ta-lora-cp": "21c13115c6b4a747",
    "lora-stl": "1290955a5264cb82",
    "lora-hps": "5f9b8ef663ecbbd8",
    "full-stl": "424c1ddaaf062730",
    "full-hps": "6392516801807362",
    "frozen": "632bac169d542d25",
}


def test_canonical_form_is_pinned_byte_for_byte() -> None:
    cell = Cell.model_validate_json(CANONICAL)
    assert cell.canonical() == CANONICAL
    assert cell.id == hashlib.sha256(CANONICAL.encode()).hexdigest()[:16] == "e7d71d60cbfa36d6"


@pytest.mark.parametrize(
    ("old", "new", "written"),
    [("true", '"clean"', "true"), ("false", '"none"', "false"), ("true", '"paper"', '"paper"')],
)
def test_an_augmentation_by_name_is_the_one_that_records_have_as_true_or_false(
    old: str, new: str, written: str
) -> None:
    cell = Cell.model_validate_json(CANONICAL.replace('"augment":true', f'"augment":{new}'))
    assert cell.canonical() == CANONICAL.replace('"augment":true', f'"augment":{written}')
    before = Cell.model_validate_json(CANONICAL.replace('"augment":true', f'"augment":{old}'))
    assert (cell.id == before.id) == (old == written)


@pytest.mark.parametrize("method", PAPER)
def test_the_papers_cells_keep_their_ids(method: str) -> None:
    tasks = {"segmentation": 13, "depth": 1, "normals": 3}
    resolved = Resolved("nyuv2", "f" * 64, tasks, "a" * 64, dict.fromkeys(tasks, 1))
    path = Path(__file__).parents[2] / "experiments" / "nyuv2.toml"
    cells = expand(load_experiment(path), "paper", resolved)
    (cell,) = select_cells(cells, [f"method={method}", "seed=0"])
    assert cell.id == PAPER[method]
