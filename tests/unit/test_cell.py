from __future__ import annotations

import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import ValidationError

from tabench.spec.cell import Cell

CONTENT: dict[str, Any] = {
    "dataset": {"name": "nyuv2", "fingerprint": "f", "tasks": ["depth"], "channels": [1]},
    "backbone": {"name": "vit_b", "checkpoint": "c"},
    "method": {"name": "lora-stl", "params": {"rank": 4, "scale": 0.5, "on": True, "ranks": [1, 2]}},
    "train": {"lr": 1, "task_weights": {"depth": 1}},
    "evaluation": {"protocols": {"depth": 1}},
    "seed": 0,
}


def changed(path: str, value: object) -> dict[str, Any]:
    content = json.loads(json.dumps(CONTENT))
    *parents, last = path.split(".")
    table = content
    for name in parents:
        table = table[name]
    table[last] = value
    return content


@given(st.randoms(use_true_random=False))
def test_id_does_not_depend_on_key_order(random: Any) -> None:
    def shuffle(value: Any) -> Any:
        if not isinstance(value, dict):
            return value
        items = [(key, shuffle(item)) for key, item in value.items()]
        random.shuffle(items)
        return dict(items)

    whole = changed("train.lr", 1.0)  # a whole number is the same learning rate
    assert Cell.model_validate(shuffle(CONTENT)).id == Cell.model_validate(whole).id


@pytest.mark.parametrize(
    "value", [[], [1], [1, 2, 3, 4, 5], [0.5, 1], ["mlp.lin1", "qkv"], [True, 1, "1", 1.0]]
)
def test_hyper_parameters_may_be_lists_of_anything(value: list[Any]) -> None:
    cell = Cell.model_validate(changed("method.params.ranks", value))
    held = cell.method.params["ranks"]
    assert isinstance(held, tuple)
    assert [(type(item), item) for item in held] == [(type(item), item) for item in value]
    assert json.loads(cell.canonical())["method"]["params"]["ranks"] == value
    assert Cell.model_validate_json(cell.canonical()).id == cell.id


@pytest.mark.parametrize(
    ("path", "value"),
    [
        ("seed", 1),
        ("method.params.rank", 5),
        ("method.params.on", 1),  # True and 1 are different values
        ("train.epochs", 3),
        ("train.eps", 4e-8),
        ("train.warmup_length", "exact"),
        ("train.last_batch", "filled"),
        ("train.numerics", "portable"),
        ("train.deterministic", False),
        ("train.augment", "paper"),
        ("dataset.fingerprint", "g"),
        ("backbone.checkpoint", "d"),
        ("evaluation.protocols", {"depth": 2}),
        ("evaluation.more_protocols", ["libmtl"]),
    ],
)
def test_every_part_is_in_the_id(path: str, value: object) -> None:
    assert Cell.model_validate(changed(path, value)).id != Cell.model_validate(CONTENT).id


@pytest.mark.parametrize(
    ("path", "value", "message"),
    [
        ("train.epochs", 0, "greater than or equal to 1"),
        ("train.epochs", True, "valid integer"),
        ("train.lr", float("nan"), "finite"),
        ("train.deterministic", 0, "valid boolean"),
        ("train.augment", "zoom", "'none', 'clean' or 'paper'"),
        ("train", {"numerics": "portable", "precision": "bf16"}, 'needs precision "fp32"'),
        ("train.task_weights", {"depth": 0}, "greater than 0"),
        ("dataset.channels", [1, 2], "1 tasks but 2 channel counts"),
        ("dataset.tasks", ["depth", "depth"], "listed twice"),
        ("evaluation.selection", "best-test", "'last' or 'best-val'"),
        ("evaluation.selection", "best-val", "needs val_split"),
        ("evaluation.val_split", "train-159", "only read with"),
        ("evaluation", {"selection": "best-val", "val_split": "val"}, "reported split"),
        ("schema_version", 2, "should be 1"),
        ("colour", "blue", "not permitted"),
    ],
)
def test_impossible_values_are_refused(path: str, value: object, message: str) -> None:
    with pytest.raises(ValidationError, match=message):
        Cell.model_validate(changed(path, value))
