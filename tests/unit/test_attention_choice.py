"""Which kernel for attention is taken, by told times; and that a cell keeps what it began with."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
import torch
from tiny_run import make_cell

from tabench.encoders.sam import attention_choice
from tabench.encoders.sam.attention_choice import Case, Trial, cases, choose_one, try_kernel
from tabench.encoders.sam.family import VIT_B, Backbone
from tabench.engine.batch_split import BatchSplit
from tabench.engine.process_group import ProcessGroup
from tabench.errors import CheckpointError, SpecError
from tabench.events import KernelsChosen
from tabench.runs.compute import kernels_of
from tabench.store.folders import CellFolder

CPU = torch.device("cpu")
CASE = Case(3, 4, 8, 2, "float64")
VALUES, OTHERS = [torch.ones(4, dtype=torch.float64)], [torch.ones(4, dtype=torch.float64) + 1e-12]
NONE = [VALUES[0] * torch.nan]
TOLD = "two runs may differ"
FULL = torch.OutOfMemoryError("full\nof it")


def trial(seconds: float, first: list[Any] = VALUES, second: list[Any] = VALUES, kept: float = 0.0) -> Trial:
    return Trial(seconds, (first, second), kept)


def told(trials: Mapping[str, Trial | Exception | float]) -> Callable[..., Trial]:
    def attempt(name: str, case: Case, device: torch.device) -> Trial:
        found = trials[name]
        if isinstance(found, Exception):
            raise found
        return found if isinstance(found, Trial) else trial(found)

    return attempt


@pytest.mark.parametrize(
    ("strict", "trials", "kernel", "reasons"),
    [
        (True, {"widened": 1.0, "rows": 0.5}, "rows", {"flex": TOLD}),
        (True, {"widened": 1.0, "rows": 0.95}, "widened", {"flex": TOLD}),
        (False, {"widened": 1.0, "rows": 0.5, "flex": 0.4}, "flex", {}),
        (False, {"widened": 1.0, "rows": 0.5, "flex": ValueError("no\nit")}, "rows", {"flex": "no it"}),
        (True, {"widened": 1.0, "rows": trial(0.1, VALUES, OTHERS)}, "widened", {"rows": "two passes"}),
        (True, {"widened": trial(1, VALUES, OTHERS), "rows": 2.0}, "rows", {"widened": "two passes"}),
        (False, {"widened": 1.0, "rows": trial(0.1, VALUES, OTHERS), "flex": 2.0}, "rows", {}),
        (True, {"widened": 1.0, "rows": trial(0.1, kept=0.3)}, "widened", {"rows": "keep 30%"}),
        (True, {"widened": 1.0, "rows": trial(0.1, [VALUES[0] * 1.1])}, "widened", {"rows": "0.1 of their"}),
        (True, {"widened": 1.0, "rows": trial(0.1, VALUES, NONE)}, "widened", {"rows": "nan of their"}),
        (True, {"widened": 1.0, "rows": FULL}, "widened", {"rows": "full of it"}),
        (True, {"widened": FULL}, "widened", {"widened": "full of it"}),
    ],
)  # fmt: skip
def test_the_fastest_of_those_that_may_be_taken(
    strict: bool, trials: Any, kernel: str, reasons: Mapping[str, str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(attention_choice, "try_kernel", told(trials))
    found = choose_one(CASE, CPU, strict=strict)
    assert found["kernel"] == kernel
    for name, words in reasons.items():
        assert words in found["left_out"][name]
    assert set(found["left_out"]) - {"flex"} == set(reasons) - {"flex"}
    assert json.loads(json.dumps(found, allow_nan=False)) == found


def test_where_no_kernel_repeats_it_must_be_declared(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(
        attention_choice, "try_kernel", told(dict.fromkeys(("widened", "rows"), trial(1, VALUES, OTHERS)))
    )
    with pytest.raises(SpecError) as caught:
        choose_one(CASE, CPU, strict=True)
    assert "train.deterministic=false" in (caught.value.hint or "")


def test_kinds_of_attention_of_vit_b() -> None:
    assert cases(VIT_B, 3, "bfloat16") == [
        Case(3 * 12 * 25, 14, 64, 8, "bfloat16"),
        Case(3 * 12, 64, 64, 4, "bfloat16"),
    ]


@pytest.mark.parametrize("dtype", ["float64", "float32", "bfloat16"])
def test_real_trials_agree_and_leave_the_generators_alone(dtype: str) -> None:
    torch.manual_seed(3)
    before = torch.get_rng_state()
    assert try_kernel("rows", Case(3, 6, 8, 2, dtype), CPU).seconds > 0
    assert torch.equal(torch.get_rng_state(), before)
    found = choose_one(Case(3, 6, 8, 2, dtype), CPU, strict=True)
    assert (set(found["ms"]), set(found["left_out"])) == ({"widened", "rows"}, {"flex"})


def test_a_machine_measures_once(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    card = SimpleNamespace(name="a card", total_memory=1 << 30)
    monkeypatch.setenv("TABENCH_CACHE", str(tmp_path))
    monkeypatch.setattr(torch.cuda, "get_device_properties", lambda device: card)
    finds = iter(["rows", "widened", "rows"])

    def found(*given: Any, strict: bool) -> dict[str, Any]:
        return {"kernel": next(finds)}

    def slower(*given: Any, strict: bool) -> dict[str, Any]:
        monkeypatch.setattr(attention_choice, "choose_one", lambda *given, strict: {"kernel": "flex"})
        assert remembered() == "flex"  # another process begins and ends meanwhile
        return {"kernel": "widened"}

    def remembered() -> str:
        return str(attention_choice._remembered(CASE, CPU)["kernel"])

    monkeypatch.setattr(attention_choice, "choose_one", found)
    assert [remembered(), remembered()] == ["rows", "rows"]
    card.name = "another card"
    assert remembered() == "widened"
    for path in tmp_path.rglob("*.json"):
        path.write_text('{"kernel": "none"}')
    assert remembered() == "rows"
    card.name = "a third card"
    monkeypatch.setattr(attention_choice, "choose_one", slower)
    assert remembered() == "flex"


CHOSEN = {"4x4": {"kernel": "rows", "ms": {"rows": 1.0}, "left_out": {}}}
Measured = list[tuple[int, str]]


@pytest.fixture
def folder(tmp_path: Path) -> CellFolder:
    found = CellFolder(tmp_path, "one", "0" * 16)
    found.path.mkdir(parents=True)
    return found


@pytest.fixture
def measured(monkeypatch: pytest.MonkeyPatch) -> Measured:
    """A device on which kernels are measured: what was asked of it."""
    asked: Measured = []

    def choose(self: Backbone, rows: int, device: object, dtype: str) -> dict[str, Any]:
        asked.append((rows, dtype))
        return CHOSEN

    monkeypatch.setattr(Backbone, "choose_kernels", choose)
    return asked


def ask(folder: CellFolder, group: ProcessGroup | None = None, **changes: object) -> dict[str, Any]:
    cell, passes = make_cell("ta-lora", **changes), BatchSplit(images=2)
    return kernels_of(cell, passes, CPU, folder, group or ProcessGroup())


def test_a_cell_measures_at_its_beginning_alone(folder: CellFolder, measured: Measured) -> None:
    assert ask(folder, train__precision="bf16") == CHOSEN
    assert measured == [(2 * 3, "bfloat16")]
    event = KernelsChosen(chosen={"4x4": {"kernel": "widened"}})
    folder.journal(event.name, **event.facts())
    folder.journal("kernels", chosen=CHOSEN)  # of a later attempt
    assert ask(folder) == event.chosen
    assert len(measured) == 1


def test_a_cell_that_began_without_a_choice_goes_on_as_it_did(folder: CellFolder, measured: Measured) -> None:
    (folder.checkpoint / "all" / "00000003").mkdir(parents=True)
    assert ask(folder) == {}
    assert measured == []


def test_all_processes_take_what_the_first_one_found(folder: CellFolder, measured: Measured) -> None:
    class Other(ProcessGroup):
        def exchange(self, value: Any) -> list[Any]:
            return [CHOSEN, value]

    assert ask(folder, Other(1, 2)) == CHOSEN
    assert measured == []
    ask(folder, Other(0, 2))
    assert measured == [(1 * 3, "float32")]  # of a batch of two images


def test_a_kernel_of_a_later_version_is_an_error(folder: CellFolder) -> None:
    folder.journal("kernels", chosen={"4x4": {"kernel": "triton"}})
    with pytest.raises(CheckpointError, match="triton") as caught:
        ask(folder)
    assert caught.value.where == str(folder.journal_file)
