"""A run that reads from packs leaves the record of one that reads the source."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from tiny_run import make_cell, write_scenes, write_weights

from tabench.data.packs import packs_root
from tabench.events import Packed
from tabench.runs.cell_run import run_cell
from tabench.runs.executor import CellEvent, Job, Options
from tabench.store.folders import CellFolder

BEST = {"evaluation__every": 1, "evaluation__selection": "best-val", "evaluation__val_split": "train-159"}


def test_the_record_is_the_same(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TABENCH_CACHE", str(tmp_path / "cache"))
    write_weights(tmp_path / "nano.safetensors")
    root = write_scenes(tmp_path / "scenes")
    cell = make_cell("ta-lora", train__augment=True, **BEST)
    job = Job("nyuv2", cell, cell.label, root, tmp_path / "nano.safetensors")
    records = []
    for pack in (False, True, None):
        events: list[CellEvent] = []
        results = tmp_path / str(pack)
        options = Options(results=results, device="cpu", threads=1, pack=pack)
        assert run_cell(job, options, events.append, lambda: False).state == "done"
        records.append(CellFolder(results, "nyuv2", cell.id).record.read_bytes())
        packs = [one.event for one in events if isinstance(one.event, Packed)]
        built = sum(pack.seconds for pack in packs)
        facts = json.loads(CellFolder(results, "nyuv2", cell.id).run.read_text())
        assert (built > 0) == bool(pack)
        assert facts["train_s"] + facts["eval_s"] + built <= facts["wall_s"] + 0.01
        packed = [pack.split for pack in packs]
        assert packed == (["train"] * 2 + ["val"] * 2 + ["train-159"] * 2 if pack else [])
    assert records[0] == records[1] == records[2]
    assert len(list(packs_root().glob("*/*/manifest.json"))) == 3
