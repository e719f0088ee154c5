"""Two and three real processes (gloo) against one: the same step, the same evaluation, the same end."""

from __future__ import annotations

import json
import multiprocessing
from pathlib import Path
from typing import Any

import process_cases
import pytest
import torch
from patience import PATIENCE
from safetensors.torch import load_file
from tiny_run import write_weights

from tabench.engine.process_group import ProcessGroup

pytestmark = [pytest.mark.slow, pytest.mark.usefixtures("entries_of_tests")]
SIZES = (2, 3)
Found = dict[str, torch.Tensor]


@pytest.fixture(scope="module")
def home(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder in which three processes have gone through the cases, and then two of them."""
    home = tmp_path_factory.mktemp("group")
    write_weights(home / "nano.safetensors")
    process_cases.write_inputs(home)
    context = multiprocessing.get_context("forkserver")
    context.set_forkserver_preload(["process_cases"])  # what they import costs more than what they do
    processes = [context.Process(target=process_cases.take_part, args=(rank, home)) for rank in range(3)]
    for process in processes:
        process.start()
    for process in processes:
        process.join(timeout=PATIENCE)
    assert [process.exitcode for process in processes] == [0, 9, 0]
    return home


@pytest.fixture(scope="module", autouse=True)
def _one_thread() -> None:
    torch.set_num_threads(1)


def told(home: Path, name: str, size: int) -> list[Any]:
    """What the processes wrote, by rank; the one that `lost` ends writes nothing there."""
    count = size - (name == "lost")
    return [json.loads((home / f"{name}.{rank}-{size}.json").read_text()) for rank in range(count)]


def tensors(home: Path, name: str, size: int) -> list[Found]:
    return [load_file(home / f"{name}.{rank}-{size}.safetensors") for rank in range(size)]


def same(found: Found, expected: Found) -> None:
    """Equal to 1e-6 of a step's largest gradient in single precision, to 1e-9 in double; losses to 1e-6."""
    assert found.keys() == expected.keys()  # parameters without a gradient stay without one
    largest: dict[str, float] = {}
    for name, value in expected.items():
        place = name.rpartition(" ")[0]
        if not name.endswith("terms"):
            largest[place] = max(largest.get(place, 0.0), float(value.abs().max()))
    for name, value in expected.items():
        if name.endswith("terms"):
            torch.testing.assert_close(found[name], value, rtol=1e-6, atol=0.0)
        else:
            bound = 1e-6 if value.dtype == torch.float32 else 1e-9
            assert (found[name] - value).abs().max() <= bound * largest[name.rpartition(" ")[0]], name


@pytest.fixture(scope="module")
def alone(home: Path) -> Found:
    return process_cases.step_gradients(home, ProcessGroup())


@pytest.mark.parametrize("size", SIZES)
def test_shared_steps_have_the_gradients_and_losses_of_one_process(
    home: Path, alone: Found, size: int
) -> None:
    first, *others = tensors(home, "gradients", size)
    same(first, alone)
    for other in others:
        assert all(torch.equal(other[name], value) for name, value in first.items())


def test_memory_that_runs_out_on_one_process_makes_the_passes_of_all_smaller(home: Path) -> None:
    model, context = process_cases.unit_of(home, "ta-lora", ProcessGroup())
    expected = process_cases.one_step(model, context)
    for found in tensors(home, "short", 2):
        ladder = found.pop("ladder").tolist()
        assert ladder == [[1, False, False], [1, True, False], [1, True, True]]
        same(found, expected)


@pytest.mark.parametrize("size", SIZES)
def test_a_shared_evaluation_is_the_one_of_one_process_to_the_bit(home: Path, size: int) -> None:
    expected = json.loads(json.dumps(process_cases.results(home, ProcessGroup())))
    is_main, *others = told(home, "results", size)
    assert is_main == expected
    normals = next(r for r in is_main["results"] if r["task"] == "normals")
    assert list(normals["per_image"]["mean"]) == [f"val/{i}" for i in range(process_cases.VAL)]
    for other in others:
        assert other["results"] == []
        assert other["loss"] == expected["loss"]


def test_what_cannot_be_merged_is_evaluated_by_one_process(home: Path) -> None:
    expected = process_cases.results(home, ProcessGroup())["results"]
    assert told(home, "alone", 2) == [{"results": json.loads(json.dumps(expected))}, {"results": []}]


def test_weights_are_equal_to_the_last_bit_on_all_processes_and_one_writes(home: Path) -> None:
    first, *others = told(home, "trained", 2)
    assert all(other == first for other in others)
    assert first["state"]["step"] == 4
    assert [path.name for path in (home / "trained").iterdir()] == ["finished"]


def test_hooks_and_balancers_act_alike_and_resume_equal_to_the_bit(home: Path) -> None:
    first, other = told(home, "reallocated", 2)
    assert first == other
    assert first["whole"] == first["parts"]
    assert first["calls"] == [[step, 4] for step in range(4)]
    assert len(set(first["ranks"])) > 1


def test_a_stop_that_one_hears_stops_all_at_the_same_step(home: Path) -> None:
    messages = {found["message"] for found in told(home, "stopped", 2)}
    assert messages == {"stopped at step 2 of 4 of 'all', checkpoint written"}
    assert [path.name for path in (home / "stopped").iterdir()] == ["00000002"]


def test_a_loss_that_is_not_finite_on_one_process_ends_all_and_names_its_images(home: Path) -> None:
    found = told(home, "diverged", 2)
    assert found[-1]["own"]
    assert all((one["step"], one["ids"]) == (3, found[-1]["own"]) for one in found)
    assert found[0]["own"] != found[-1]["own"]


@pytest.mark.parametrize("size", SIZES)
def test_an_error_of_the_first_process_reaches_the_others_with_its_kind(home: Path, size: int) -> None:
    for found in told(home, "unread", size):
        assert found["kind"] == "infrastructure"
        assert "Input/output error" in found["text"]


def test_models_that_would_differ_between_processes_are_refused(home: Path) -> None:
    first, *others = (found["said"] for found in told(home, "changing", 2))
    assert all(other == first for other in others)
    statistics, start = first
    assert "neck.1.running_mean" in statistics
    assert "2 processes" in statistics
    assert "have built different models" in start


def test_values_of_any_length_arrive_by_rank(home: Path) -> None:
    assert told(home, "told", 3) == [{"values": [{"rank": r, "text": "x" * r} for r in range(3)]}] * 3
    assert told(home, "sent", 3) == [{"sizes": [0, 1000, 2000]}, {"sizes": []}, {"sizes": []}]


def test_a_process_that_is_gone_is_noticed(home: Path) -> None:
    for found in told(home, "lost", 2):
        assert (found["kind"], found["lost"]) == ("infrastructure", True)
        assert "does not answer" in found["text"]
