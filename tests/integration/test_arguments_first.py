"""What is wrong with the words of a command is told before anything that takes time is begun."""

from __future__ import annotations

import sys
from pathlib import Path

import pytest
from commands import call

REFERENCE = Path(__file__).parents[2] / "results" / "reference"
PLANS, SITE = "tabench.runs.plan", "tabench.report.pages.site"


@pytest.mark.parametrize(
    ("words", "later", "told"),
    [
        (("report", f"--results={REFERENCE}", "--out=page"), SITE, "nyuv2, orthogonality"),
        (("report", "nyuv2", f"--results={REFERENCE}", "--out=file/x"), SITE, "file/x"),
        (("bench", "--suite=gpuu"), "torch", "no suite 'gpuu'"),
        (("bench", "--method=ta-lor"), "torch", "did you mean 'ta-lora'?"),
        (("bench", "--backbone=vit_bb"), "torch", "did you mean 'vit_b'?"),
        (("bench", "--only=paths-ta-lora-nano-n2"), "", "paths-ta-lora-nano"),
        (("bench", "--out=file/x"), "torch", "file/x"),
        (("describe", "nope"), "tabench.engine.describe", "unknown method 'nope'"),
        (("describe", "ta-lora", "--channels=a"), "tabench.engine.describe", "not a list of numbers"),
        (("describe", "ta-lora", "--figures=file/x"), "tabench.engine.describe", "file/x"),
        (("pretrain", "--out=file/x"), "tabench.worlds.pretrain", "file/x"),
        (("run", "nyuv2", "--retry=nope"), PLANS, "no kind of failure 'nope'"),
        (("run", "nyuv2", "--slurm=partition=gpu"), PLANS, "add --executor slurm"),
        (("plan", "nyuv2", "--shard=5/4"), "", "expected I/N"),
        (("plan", "nyuv2", "--select=methods=frozen"), "", "did you mean 'method'?"),
        (("export", "artifact", f"--results={REFERENCE}", "--out=full"), "", "not the name of a .zip file"),
    ],
)
def test_words_are_checked_first(
    words: tuple[str, ...],
    later: str,
    told: str,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "file").touch()
    (tmp_path / "full").mkdir()
    (tmp_path / "full" / "something").touch()
    if later:
        monkeypatch.setitem(sys.modules, later, None)  # to import it is an error from now on
    monkeypatch.setattr(f"{PLANS}.resolve", _too_late)
    monkeypatch.setattr("tabench.artifact.contents.contents", _too_late)
    assert call(*words) == 2
    assert told in capsys.readouterr().err.replace("\n", " ")


@pytest.mark.parametrize(
    ("word", "told"), [("--executor=slurm", "`sbatch` is not on this host"), ("--results=file/x", "file")]
)
def test_where_cells_go_is_looked_at_before_what_they_read(
    word: str, told: str, place: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("PATH", "")
    monkeypatch.setitem(sys.modules, "tabench.encoders.sam.checkpoint", None)  # takes seconds to import
    (place / "file").touch()
    small = "--set=dataset.generate={seed=0, train=2, val=1, height=32, width=48}"
    assert call("run", "nyuv2", "--profile=demo", "--checkpoint=nano.safetensors", small, word) == 2
    assert told in capsys.readouterr().err.replace("\n", " ")
    assert not (place / "results").exists()


def _too_late(*_: object) -> None:
    raise AssertionError("work was begun")
