"""A package of somebody else that is edited between two runs: no result is mistaken for another."""

from __future__ import annotations

import json
import os
from importlib.metadata import version
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from outside_package import install, printed, tabench
from tiny_run import make_cell, write_scenes, write_weights

from tabench.report.records.circumstances import outside_code
from tabench.report.records.reading import read_results
from tabench.runs.cell_run import run_cell
from tabench.runs.executor import Job, Options

CODE = """
from dataclasses import replace

import numpy as np
import pluggy  # a library that tabench does not know

from tabench.data.base import Split
from tabench.data.nyuv2 import Nyuv2
from tabench.methods.base import Method

SHARE = 1.0
ADAPTED = Method("adapted", "Adapted", "my_package.things:adapt", "shared", {})


def adapt(encoder, num_tasks, params):
    encoder.requires_grad_(False)
    encoder.neck[0].weight.requires_grad_(True)


class Dimmed(Split):
    def __init__(self, split):
        self.split, self.augmentation = split, split.augmentation

    def __len__(self):
        return len(self.split)

    @property
    def ids(self):
        return self.split.ids

    def load(self, index, *, draw=None):
        sample = self.split.load(index, draw=draw)
        return replace(sample, image=sample.image * np.float32(SHARE))

    def sources(self, index):
        return self.split.sources(index)


class Rooms(Nyuv2):
    name = "my-rooms"

    def split(self, root, name):
        return Dimmed(super().split(root, name))


ROOMS = Rooms()
"""
POINTS = {
    "tabench.methods": {"adapted": "my_package.things:ADAPTED"},
    "tabench.datasets": {"my-rooms": "my_package.things:ROOMS"},
}
WORDS = [
    "nyuv2",
    "--profile=demo",
    "--checkpoint=nano.safetensors",
    "--data-root=rooms",
    "--set=dataset.name=my-rooms",
    '--set=axes.methods=["adapted"]',
    "--set=axes.seeds=[0]",
    "--set=train.max_steps=1",
    "--set=train.batch_size=2",
    "--set=evaluation.pictures=1",
    "--threads=1",
    "--json",
]


def edit(path: Path, old: str, new: str) -> None:
    """Change a module and its time: Python compares whole seconds, and may run its .pyc file otherwise."""
    path.write_text(path.read_text().replace(old, new))
    later = path.stat().st_mtime + 10
    os.utime(path, (later, later))


def train(place: Path, site: Path) -> tuple[dict[str, Any], dict[str, Any], str]:
    """Record and circumstances of the one cell, and why it was trained."""
    ran = printed(tabench(place, "run", *WORDS, site=site))
    (outcome,), (planned,) = ran["outcomes"], ran["cells"]
    assert outcome["state"] == "done", outcome["message"]
    folder = place / "results" / "nyuv2" / outcome["id"]
    record, run = (json.loads((folder / name).read_text()) for name in ("record.json", "run.json"))
    return record, run, planned["why"]


def packed_image(place: Path) -> float:
    (path,) = place.glob("cache/packed/*/train/image.npy")
    return float(np.load(path, mmap_mode="r")[0].max())


@pytest.mark.slow
def test_an_edited_method_and_an_edited_reader_make_other_cells(tmp_path: Path) -> None:
    site, module = tmp_path / "site", tmp_path / "site" / "my_package" / "things.py"
    install(site, "my-package", "my_package.things", CODE, POINTS)
    write_weights(tmp_path / "nano.safetensors")
    write_scenes(tmp_path / "rooms")
    first, run, why = train(tmp_path, site)
    assert why == "never run"
    assert packed_image(tmp_path) == 255  # bytes stand for 1/255 of them
    told = run["environment"]["outside"]
    assert sorted(told) == ["dataset my-rooms", "method adapted"]
    for code in told.values():
        assert (code["distribution"], code["version"]) == ("my-package", "0.1")
        assert first["cell"]["method"]["code"] == f"my-package 0.1 sha256:{code['sha256'][:16]}"
    assert run["environment"]["packages"]["pluggy"] == version("pluggy")
    plan = json.loads((tmp_path / "results" / "nyuv2" / "experiment.json").read_text())
    assert plan["published"].startswith("paper,table,dataset,")  # what a report elsewhere shows

    edit(module, "SHARE = 1.0", "SHARE = 0.5")
    edit(module, "encoder.neck[0].weight", "encoder.patch_embed.proj.bias")
    second, _, why = train(tmp_path, site)
    assert why.startswith("changed: ")
    assert "dataset.code my-package 0.1 sha256:" in why
    assert "method.code my-package 0.1 sha256:" in why
    assert second["cell_id"] != first["cell_id"]
    assert second["parameters"]["trained"] < first["parameters"]["trained"]
    assert second["weights_sha256"] != first["weights_sha256"]
    assert packed_image(tmp_path) == 0.5
    here = outside_code(read_results(tmp_path / "results", "nyuv2"))  # where the package is not installed
    assert here == [f"{what}: {second['cell']['method']['code']}" for what in sorted(told)]
    inputs = [path.read_bytes() for path in tmp_path.glob("results/nyuv2/truth/*/*.input.png")]
    assert len(inputs) == len(set(inputs)) == 4  # two images as each reader gives them


def test_a_cell_of_other_code_than_is_here_is_refused(tmp_path: Path) -> None:
    cell = make_cell("frozen")
    for part in ("method", "dataset", "backbone"):
        changed = getattr(cell, part).model_copy(update={"code": "my-package 0.1 sha256:0123456789abcdef"})
        job = Job("x", cell.model_copy(update={part: changed}), "x", tmp_path, tmp_path)
        outcome = run_cell(
            job, Options(results=tmp_path / "results", device="cpu", threads=1), lambda _: None, lambda: False
        )
        assert (outcome.state, outcome.kind) == ("failed", "spec")
        for words in ("is not what the cell was planned with: version 1 here, my-package 0.1", "again"):
            assert words in outcome.message
