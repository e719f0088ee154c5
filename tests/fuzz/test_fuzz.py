"""A short run of every format, always the same contents; `nox -s fuzz` gives each thousands."""

from __future__ import annotations

import faulthandler
import json
import os
import subprocess
import sys
from collections.abc import Callable
from importlib import import_module
from pathlib import Path

import pytest
from hypothesis import strategies as st
from patience import PATIENCE

from fuzz import FORMATS
from fuzz import target as module
from fuzz.child import feed
from fuzz.target import CANARY, Target
from tabench.errors import DataError

TESTS = Path(__file__).parents[1]
INPUTS = 10
BELOW = "report figures"  # seconds each: only in the long run


# a page takes seconds: the few contents that fit in here would show nothing
TRIED = [pytest.param(name, marks=pytest.mark.long if name == "reports" else ()) for name in FORMATS]


@pytest.mark.parametrize("formats", TRIED)
def test_no_content_does_more_than_being_refused(formats: str, tmp_path: Path) -> None:
    found = tmp_path / "counts.json"
    words = ["--inputs", str(INPUTS), "--only", formats, "--leave", BELOW, "--json", str(found)]
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join([str(TESTS), str(TESTS.parent)])}
    done = subprocess.run(
        [sys.executable, "-m", "fuzz", *words],
        env=environment,
        capture_output=True,
        text=True,
        timeout=PATIENCE,
    )
    tallies = json.loads(found.read_text()) if found.exists() else []
    names = [name for name in import_module(f"fuzz.{formats}").TARGETS if name != BELOW]
    assert [tally["target"] for tally in tallies] == names, done.stderr
    for tally in tallies:
        assert not tally["faults"], f"{tally['target']}: {tally['faults'][:3]}"
        assert tally["tried"] > 0
        assert tally["peak_mb"] < 300, f"{tally['target']} took {tally['peak_mb']:.0f} MB for one small file"
    assert done.returncode == 0, done.stderr


def read(what: str) -> Callable[[bytes, Path], object]:
    """A reader that does wrong."""

    def use(content: bytes, folder: Path) -> object:
        if what == "raises":
            raise ValueError("not a TabenchError")
        if what == "unnamed":
            raise DataError("something is wrong")
        if what == "runs":
            Path(os.environ[CANARY]).mkdir()
        if what == "hangs":
            while True:
                pass
        if what == "crashes":
            faulthandler.disable()  # pytest's, whose report would stand in that of a run that passes
            os.abort()
        if what == "asks":
            return bytearray(3 << 30)  # more than the heap of any test before may have left
        if what == "leaves":
            (folder / "a").write_bytes(b"1")
            (folder / "a").open("rb")
        return content

    return use


@pytest.mark.parametrize(
    ("what", "words"),
    [
        ("raises", "ValueError: not a TabenchError"),
        ("unnamed", "does not name file.x"),
        ("runs", "was executed"),
        ("hangs", "took more than"),
        ("crashes", "crashed: SIGABRT"),
        ("asks", "MemoryError"),
        ("leaves", "unclosed file"),
    ],
)
def test_the_driver_tells_what_a_wrong_reader_does(
    what: str, words: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    if what == "hangs":
        monkeypatch.setattr(module, "SECONDS", 0.2)
    target = Target(what, st.sampled_from([b"a", b"b"]), read(what), "file.x")
    tally = feed(lambda: target, what, inputs=2, seed=0, limit_s=PATIENCE, keep=None)
    assert tally.faults
    assert words in tally.faults[0]


def test_the_driver_counts_what_a_sound_reader_does(tmp_path: Path) -> None:
    def use(content: bytes, folder: Path) -> object:
        if content > b"m":
            raise DataError("no", where=str(folder / "file.x"))
        return content

    target = Target("sound", st.sampled_from([b"a", b"z"]), use, "file.x")
    tally = feed(lambda: target, "sound", inputs=50, seed=0, limit_s=PATIENCE, keep=tmp_path / "kept")
    assert not tally.faults
    assert tally.tried == tally.accepted + tally.refused["DataError"]
    assert tally.accepted
    assert tally.refused["DataError"]
