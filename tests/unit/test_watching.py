"""A look at thousands of cells again: what is done is not read, what matters is shown."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import pytest
import report_fixtures as made

from tabench.cli.watching import status_rows
from tabench.store.folders import ExperimentFolder

METHODS = ("ta-lora", "frozen")


@pytest.fixture
def folder(tmp_path: Path) -> ExperimentFolder:
    made.write_results(tmp_path, seeds=(0, 1), methods=METHODS, pictures=False)
    shutil.rmtree(tmp_path / "nyuv2" / made.cell_id("frozen", 1))
    return ExperimentFolder(tmp_path, "nyuv2")


def test_a_second_look_reads_only_what_was_not_done(
    folder: ExperimentFolder, monkeypatch: pytest.MonkeyPatch
) -> None:
    content = folder.read_experiment()
    first, _ = status_rows(folder, content)
    assert [row["state"] for row in first] == ["done", "done", "done", "pending"]
    fresh = folder.cell(made.cell_id("frozen", 1))
    made.write(fresh.record, made.record("frozen", 1))
    monkeypatch.setattr("tabench.store.index.read_index", lambda *_: pytest.fail("all were read"))
    second, _ = status_rows(folder, content, first)
    assert second[:3] == first[:3]
    assert (second[3]["state"], second[3]["id"]) == ("done", fresh.cell_id)
    assert json.dumps(second[3])
