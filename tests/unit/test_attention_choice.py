"""Which way to attention is taken, by told times; and that a cell keeps what it began with."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
import torch

from tabench.encoders.sam import attention_choice
from tabench.encoders.sam.attention_choice import (
    Case,
    Choice,
    Trial,
    as_json,
    cases,
    choose,
    choose_one,
    read_choices,
    remembered,
    try_way,
    ways_of,
)
from tabench.encoders.sam.attention_cuda import WAYS
from tabench.encoders.sam.family import VIT_B
from tabench.engine.process_group import ProcessGroup
from tabench.errors import CheckpointError
from tabench.runs.kept_choice import kept_choice
from tabench.store.folders import CellFolder
from tabench.store.tidy import tidy

CPU = torch.device("cpu")
CASE = Case(3, (4, 5), 8, 2, "float64")
GLOBAL = Case(12, (64, 64), 64, 4, "bfloat16")
VALUES = [torch.ones(4, dtype=torch.float64)]


def told(**trials: Trial | Exception | float) -> Callable[..., Trial]:
    def attempt(name: str, case: Case, device: torch.device) -> Trial:
        found = trials[name]
        if isinstance(found, Exception):
            raise found
        return found if isinstance(found, Trial) else Trial(found, VALUES)

    return attempt


@pytest.mark.parametrize(
    ("strict", "trials", "way", "reasons"),
    [
        (True, {"widened": 1.0, "rows": 0.5}, "rows", {"flex": "two runs may differ"}),
        (True, {"widened": 1.0, "rows": 0.95}, "widened", {"flex": "two runs may differ"}),
        (False, {"widened": 1.0, "rows": 0.5, "flex": 0.4}, "flex", {}),
        (False, {"widened": 1.0, "rows": 2.0, "flex": 0.4}, "flex", {}),
        (
            False,
            {"widened": 1.0, "rows": 0.5, "flex": ValueError("no\nTriton")},
            "rows",
            {"flex": "no Triton"},
        ),
        (
            True,
            {"widened": 1.0, "rows": Trial(0.1, VALUES, repeats=False)},
            "widened",
            {"rows": "two passes"},
        ),
        (False, {"widened": 1.0, "rows": Trial(0.1, VALUES, False), "flex": 2.0}, "rows", {}),
        (True, {"widened": 1.0, "rows": Trial(0.1, VALUES, kept=0.3)}, "widened", {"rows": "keep 30%"}),
        (True, {"widened": 1.0, "rows": Trial(0.1, [VALUES[0] * 1.1])}, "widened", {"rows": "0.1 of their"}),
        (True, {"widened": 1.0, "rows": Trial(0.1, [VALUES[0] * torch.nan])}, "widened", {"rows": "nan of"}),
        (True, {"widened": 1.0, "rows": torch.OutOfMemoryError("full")}, "widened", {"rows": "full"}),
        (True, {"widened": torch.OutOfMemoryError("full")}, "widened", {"widened": "full"}),
    ],
)
def test_the_fastest_of_those_that_may_be_taken(
    strict: bool, trials: dict[str, Any], way: str, reasons: Mapping[str, str]
) -> None:
    found = choose_one(GLOBAL, CPU, strict=strict, attempt=told(**trials))
    assert found.way == way
    for name, words in reasons.items():
        assert words in found.left_out[name]
    assert set(found.left_out) - {"flex"} == set(reasons) - {"flex"}
    assert ways_of([found]) == {(64, 64, "bfloat16"): way}
    assert read_choices(json.loads(json.dumps(as_json([found])))) == [found]


def test_kinds_of_attention_of_vit_b() -> None:
    windowed, whole = cases(VIT_B, 3, "bfloat16")
    assert windowed == Case(3 * 12 * 25, (14, 14), 64, 8, "bfloat16")
    assert whole == Case(3 * 12, (64, 64), 64, 4, "bfloat16")


@pytest.mark.parametrize("name", [name for name in WAYS if name != "flex"])
@pytest.mark.parametrize("dtype", ["float64", "float32", "bfloat16"])
def test_a_trial_runs_apart_from_the_generators(name: str, dtype: str) -> None:
    torch.manual_seed(3)
    before = torch.get_rng_state()
    trial = try_way(name, Case(3, (4, 5), 8, 2, dtype), CPU)
    assert torch.equal(torch.get_rng_state(), before)
    assert trial.seconds > 0
    assert trial.repeats
    assert len(trial.results) == 6


@pytest.mark.parametrize("dtype", ["float64", "float32", "bfloat16"])
def test_rows_are_near_enough_to_be_taken(dtype: str) -> None:
    found = choose_one(Case(3, (6, 6), 8, 2, dtype), CPU, strict=True)
    assert set(found.ms) == {"widened", "rows"}
    assert set(found.left_out) == {"flex"}


def test_nothing_is_chosen_on_the_cpu() -> None:
    assert choose([CASE], CPU) == []
    assert VIT_B.choose(3, CPU, "float32") == []


def test_a_machine_measures_once(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    card = SimpleNamespace(name="a card", total_memory=1 << 30)
    monkeypatch.setenv("TABENCH_CACHE", str(tmp_path))
    monkeypatch.setattr(torch.cuda, "get_device_properties", lambda device: card)
    times = iter([1.0, 0.1, 1.0, 2.0, 1.0, 0.1])

    def attempt(*given: object) -> Trial:
        return Trial(next(times), VALUES)

    monkeypatch.setattr(attention_choice, "try_way", attempt)
    monkeypatch.setattr(torch, "are_deterministic_algorithms_enabled", lambda: True)
    assert remembered(CASE, CPU).way == "rows"
    assert remembered(CASE, CPU).way == "rows"
    card.name = "another card"
    assert remembered(CASE, CPU).way == "widened"
    for path in tmp_path.rglob("*.json"):
        path.write_text('{"way": "none"}')
    assert remembered(CASE, CPU).way == "rows"


KEPT = Choice(grid=(4, 5), dtype="float32", way="rows", ms={"rows": 1.0}, left_out={})


@pytest.fixture
def folder(tmp_path: Path) -> CellFolder:
    found = CellFolder(tmp_path, "one", "0" * 16)
    found.path.mkdir(parents=True)
    return found


def never() -> Any:
    raise AssertionError("a cell that has begun must not measure")


def test_a_resumed_cell_keeps_what_it_began_with(folder: CellFolder) -> None:
    first = kept_choice(folder, VIT_B, lambda: as_json([KEPT]), ProcessGroup())
    (folder.checkpoint / "all" / "00000003").mkdir(parents=True)
    assert kept_choice(folder, VIT_B, never, ProcessGroup()) == first == as_json([KEPT])
    tidy_with_claim(folder)
    assert not folder.attention.exists()


def tidy_with_claim(folder: CellFolder) -> None:
    folder.claim.write_text("{}")
    tidy(folder)


def test_a_cell_that_an_older_version_began_goes_on_as_it_did(folder: CellFolder) -> None:
    (folder.checkpoint / "all" / "00000003").mkdir(parents=True)
    assert kept_choice(folder, VIT_B, never, ProcessGroup()) == []


def test_nothing_is_written_where_there_is_no_choice(folder: CellFolder) -> None:
    assert kept_choice(folder, VIT_B, lambda: VIT_B.choose(1, CPU, "float32"), ProcessGroup()) == []
    assert list(folder.path.iterdir()) == []


@pytest.mark.parametrize(
    "text", ["{", "3", '[{"way": "rows"}]', json.dumps([{**as_json([KEPT])[0], "way": "of a later version"}])]
)
def test_a_damaged_choice_is_an_error_that_names_it(folder: CellFolder, text: str) -> None:
    folder.attention.write_text(text)
    with pytest.raises(CheckpointError) as caught:
        kept_choice(folder, VIT_B, never, ProcessGroup())
    assert caught.value.where == str(folder.attention)
    assert "delete it" in (caught.value.hint or "")
