"""Failed cells, one by one or not at all; two results folders brought together."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import pretending
import pytest
from commands import call, call_json, options

from tabench.runs.local import pool

DIVERGES = "--set=train.lr=1e30"


pytestmark = pytest.mark.usefixtures("place")


def words(results: str, methods: str, *more: str) -> list[str]:
    return options(results, f"--select=method={methods}", "--threads=1", *more)


@pytest.mark.parametrize("executor", ["inline", "pool"])
def test_a_run_stops_at_a_failure_and_the_same_command_goes_on(
    executor: str, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(
        pool, "_work", pretending.work
    )  # the pool's processes, as they are, are tested elsewhere
    asked = words("results", "lora-hps,lora-stl", f"--executor={executor}", "--workers=1", DIVERGES)
    code, ran = call_json(capsys, "run", *asked, "--on-error=stop")
    assert code == 1
    assert [(o["state"], o["kind"]) for o in ran["outcomes"]] == [("failed", "diverged")]
    code, ran = call_json(capsys, "run", *asked, "--retry=none")
    assert [o["id"] for o in ran["outcomes"]] != [c["id"] for c in ran["cells"] if c["state"] == "failed"]
    assert len(ran["outcomes"]) == 1
    failures = sorted(Path("results").glob("nyuv2/*/failure.json"))
    assert len(failures) == 2
    failures[0].write_text(json.dumps({**json.loads(failures[0].read_text()), "kind": "out-of-memory"}))
    code, ran = call_json(capsys, "run", *asked, "--retry=out-of-memory", "--retry=data")
    assert [o["id"] for o in ran["outcomes"]] == [failures[0].parent.name]
    assert len(call_json(capsys, "run", *asked)[1]["outcomes"]) == 2, "all failed cells by themselves"


def test_results_of_two_folders_come_together(capsys: pytest.CaptureFixture[str]) -> None:
    assert call("run", *words("one", "frozen", "--keep-weights")) == 0
    assert call("run", *words("two", "lora-hps", "--keep-weights")) == 0
    code, merged = call_json(capsys, "store", "merge", "two", "--results=one")
    assert (code, merged["counts"]) == (0, {"taken": 1})
    code, verified = call_json(capsys, "store", "verify", "nyuv2", "--results=one")
    (experiment,) = verified["experiments"]
    assert (code, experiment["records"], experiment["summed"], experiment["found"]) == (0, 2, 2, [])
    assert call_json(capsys, "status", "nyuv2", "--results=one")[1]["counts"]["done"] == 2
    assert call_json(capsys, "run", *words("one", "frozen,lora-hps"))[1]["outcomes"] == []

    cell = merged["cells"][0]["cell_id"]
    kept = Path("one", "nyuv2", cell, "weights-all.safetensors")
    other = next(path for path in Path("one").glob("nyuv2/*/weights-all.safetensors") if path != kept)
    Path("one", "nyuv2", cell, "checksums.json").unlink()  # the record alone knows its weights, too
    shutil.copyfile(other, kept)
    code, verified = call_json(capsys, "store", "verify", "--results=one")
    assert (code, verified["problems"]) == (1, 1)
    assert "not those of the record" in verified["experiments"][0]["found"][0]["message"]
    assert call("store", "verify", "--results=one") == 1
    assert "train again" in capsys.readouterr().out

    assert call("store", "merge", "one", "--results=three") == 1
    assert "damaged: nyuv2/" in (told := capsys.readouterr().out)
    assert "1 taken, 1 damaged" in told or "1 damaged, 1 taken" in told


def test_a_folder_without_results_is_told(capsys: pytest.CaptureFixture[str]) -> None:
    assert call("store", "verify", "--results=nowhere") == 2
    assert call("store", "merge", "nowhere") == 2
    assert "no results here" in capsys.readouterr().err
