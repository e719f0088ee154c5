"""Methods of another package that change more than `attn.qkv`: what they compute is trained, and kept."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from commands import options
from outside_package import install, printed, tabench
from safetensors.torch import load_file
from tiny_run import write_weights

CODE = '''
import torch
from segment_anything.modeling.image_encoder import Block
from torch import nn

from tabench.methods.base import Method


class Parallel(Block):
    """A block with an adapter beside its mlp."""

    def forward(self, x):
        return super().forward(x) + self.up(self.down(x).relu())


def parallel(encoder, num_tasks, params):
    encoder.requires_grad_(False)
    for block in encoder.blocks:
        width = block.norm1.weight.numel()
        block.__class__ = Parallel
        block.down, block.up = nn.Linear(width, 4), nn.Linear(4, width)


def hooked(encoder, num_tasks, params):
    encoder.requires_grad_(False)
    encoder.neck.shift = nn.Parameter(torch.ones(encoder.neck[0].out_channels, 1, 1))
    encoder.neck[1].register_forward_hook(lambda module, given, output: output + encoder.neck.shift)


class Norm(nn.Module):
    def __init__(self, width):
        super().__init__()
        self.norm = nn.BatchNorm2d(width)

    def forward(self, x):
        return self.norm(x.permute(0, 3, 1, 2)).permute(0, 2, 3, 1)


def batch_norm(encoder, num_tasks, params):
    encoder.requires_grad_(False)
    for block in encoder.blocks:
        block.norm2 = Norm(block.norm2.weight.numel())


def dead(encoder, num_tasks, params):
    encoder.requires_grad_(False)
    encoder.blocks[0].router = nn.Linear(3, 3)


class Forgetful(nn.Module):
    """A norm whose statistics are no buffer."""

    def __init__(self):
        super().__init__()
        self.mean = 0.0

    def forward(self, x):
        if self.training:
            self.mean = x.detach().mean() + 1
        return x - self.mean


def forgetful(encoder, num_tasks, params):
    encoder.requires_grad_(False)
    encoder.blocks[1].norm1 = Forgetful()


def returned(encoder, num_tasks, params):
    return nn.Sequential(encoder)


def method(adapt, name="", **more):
    place = f"other.encoders:{adapt.__name__}"
    return Method(name or adapt.__name__, adapt.__name__, place, "shared", **more)


PARALLEL, HOOKED, BATCH_NORM = method(parallel), method(hooked), method(batch_norm)
DEAD, IDLE = method(dead), method(dead, "idle", idle=("blocks.*.router.*",))
FORGETFUL, RETURNED = method(forgetful), method(returned)
'''
NAMES = ("parallel", "hooked", "batch_norm", "dead", "idle", "forgetful", "returned")
RUN = options(
    "results",
    f"--set=axes.methods={json.dumps([*NAMES, 'frozen'])}",
    *("--set=train.lr=0.01", "--set=evaluation.pictures=0", "--threads=1", "--json"),
)
pytestmark = pytest.mark.slow


@pytest.fixture(scope="module")
def home(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("home")
    points = {"tabench.methods": {name: f"other.encoders:{name.upper()}" for name in NAMES}}
    install(folder / "site", "other", "other.encoders", CODE, points)
    write_weights(folder / "nano.safetensors")
    return folder


@pytest.fixture(scope="module")
def ran(home: Path) -> dict[str, dict[str, Any]]:
    """Outcome of each method of one command."""
    done = tabench(home, "run", *RUN, "--executor=inline", "--keep-weights", site=home / "site")
    outcomes = json.loads(done.stdout)["outcomes"]
    return {outcome["label"].removesuffix(" s0"): outcome for outcome in outcomes}


def cells(home: Path, method: str) -> list[Path]:
    """The finished cells of a method, oldest first."""
    found = [
        path for path in home.glob("results/nyuv2/*/record.json") if read(path)["label"] == f"{method} s0"
    ]
    return sorted((path.parent for path in found), key=lambda path: path.stat().st_mtime_ns)


def read(path: Path) -> dict[str, Any]:
    found: dict[str, Any] = json.loads(path.read_text())
    return found


def values(record: dict[str, Any]) -> list[float | None]:
    return [row["value"] for row in record["metrics"]]


@pytest.mark.parametrize(
    ("method", "foreign", "added"),
    [("parallel", "blocks.0", "up.bias"), ("hooked", "neck", "shift")],
)
def test_what_it_replaces_is_what_is_trained(
    method: str, foreign: str, added: str, home: Path, ran: dict[str, dict[str, Any]]
) -> None:
    assert ran[method]["state"] == "done", ran[method]
    (cell,), (frozen,) = cells(home, method), cells(home, "frozen")
    record, run = read(cell / "record.json"), read(cell / "run.json")
    assert values(record) != values(read(frozen / "record.json"))
    assert record["parameters"]["groups"]["adapters"] > 0
    path = read(frozen / "run.json")["path"]["all"]
    assert all(way.startswith("fast path") for way in path.values())
    assert run["path"]["all"]["encoder"].startswith(f"SAM's own forward (foreign: {foreign}")
    kept = {
        name: value for name, value in load_file(cell / "weights-all.safetensors").items() if added in name
    }
    assert kept
    assert added != "shift" or all((value != 1).all() for value in kept.values())
    assert read(cell / "factors.json")["kind"] == "none"


def test_statistics_are_kept_and_evaluated_with(home: Path, ran: dict[str, dict[str, Any]]) -> None:
    assert ran["batch_norm"]["state"] == "done", ran["batch_norm"]
    again = [word for word in RUN if "methods" not in word and "pictures" not in word]
    words = ['--set=axes.methods=["batch_norm"]', "--set=evaluation.pictures=1"]
    told = printed(tabench(home, "evaluate", *again, *words, site=home / "site"))
    assert [cell["state"] for cell in told["cells"]] == ["done"]
    first, second = (read(cell / "record.json") for cell in cells(home, "batch_norm"))
    assert first["cell_id"] != second["cell_id"]
    assert values(first) == values(second)
    assert first["weights_sha256"] == second["weights_sha256"]
    kept = load_file(cells(home, "batch_norm")[0] / "weights-all.safetensors")
    assert kept["image_encoder.blocks.0.norm2.norm.num_batches_tracked"] == 2
    assert kept["image_encoder.blocks.0.norm2.norm.running_mean"].any()


@pytest.mark.parametrize(
    ("method", "words"),
    [("dead", ("no gradient reaches 2 trained parameters", "blocks.0.router.weight", "`idle`")),
     ("forgetful", ("do not give the trained model back", "buffers")),
     ("returned", ("returns something", "in place"))],
)  # fmt: skip
def test_what_cannot_be_right_is_refused(
    method: str, words: tuple[str, ...], ran: dict[str, dict[str, Any]]
) -> None:
    assert (ran[method]["state"], ran[method]["kind"]) == ("failed", "spec")
    assert all(word in ran[method]["message"] for word in words), ran[method]["message"]


def test_parameters_that_are_said_to_be_idle_are_counted_so(
    home: Path, ran: dict[str, dict[str, Any]]
) -> None:
    assert ran["idle"]["state"] == "done", ran["idle"]
    (cell,), (frozen,) = cells(home, "idle"), cells(home, "frozen")
    found, before = (read(path / "record.json")["parameters"] for path in (cell, frozen))
    assert found["trained"] == before["trained"]
    assert found["idle"] - before["idle"] == found["groups"]["adapters"] == 12
