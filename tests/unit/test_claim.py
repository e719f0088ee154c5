"""One process a cell: claims, heartbeats, clocks of file systems, and who writes no more."""

from __future__ import annotations

import errno
import json
import os
import subprocess
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import pytest
from patience import until
from racing import line, race, start

from tabench.errors import SpecError, StoreError
from tabench.store import claim
from tabench.store.claim import SILENT_SECONDS, Claim, ClaimedError, ClaimLostError, Holder, is_live, silence

HOLD = """
import pathlib, sys
from tabench.store.claim import Claim
with Claim(pathlib.Path(sys.argv[1])):
    print("held", flush=True)
    sys.stdin.read()  # until it is killed
"""


def test_a_claim_is_held_and_given_back(tmp_path: Path) -> None:
    path = tmp_path / "cell" / "claim.json"
    assert not is_live(path)
    with Claim(path):
        assert is_live(path)
        with pytest.raises(ClaimedError, match=f"process {os.getpid()} on"), Claim(path):
            pass
        assert is_live(path), "the refused one took the file away"
    assert not path.exists()


def test_a_killed_process_loses_its_claim(path: Path) -> None:
    process = start(HOLD, str(path))
    assert line(process) == "held"
    assert is_live(path)
    with pytest.raises(ClaimedError, match=f"process {process.pid}"), Claim(path):
        pass
    process.kill()
    os.waitid(os.P_PID, process.pid, os.WEXITED | os.WNOWAIT)  # it is dead, and stays in the table
    assert not is_live(path)
    process.communicate()
    assert path.exists()
    assert not is_live(path)
    with Claim(path):
        assert is_live(path)


def test_the_heartbeat_goes_on_by_itself_until_somebody_removes_the_claim(
    path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(claim, "BEATS", SILENT_SECONDS / 0.01)
    with Claim(path) as held:
        os.utime(path, (0, 0))
        until(lambda: path.stat().st_mtime > 0, "a beat")
        path.unlink()
        until(lambda: not held.held(), "the loss")
    assert not path.exists()


@pytest.mark.parametrize("dead", [True, False])
def test_one_process_wins_the_race(dead: bool, path: Path) -> None:
    if dead:
        path.write_text(json.dumps({**Holder.this().to_json(), "started": "1"}))
    assert race(path, "" if dead else NO_LOCKS) == ["lost", "lost", "won"]
    assert list(path.parent.iterdir()) == []


def test_a_folder_that_cannot_be_made_is_named(tmp_path: Path) -> None:
    (tmp_path / "results").write_text("a file")
    with pytest.raises(StoreError, match="results"), Claim(tmp_path / "results" / "claim.json"):
        pass


ELSEWHERE = replace(Holder.this(), host="elsewhere.invalid")
# as two machines on NFS: locks do not reach from one to the other
NO_LOCKS = """
import fcntl
def refused(*arguments):
    raise OSError("no locks")
fcntl.flock = refused
"""


def write(path: Path, holder: Holder, age: float = 0.0) -> None:
    path.write_text(json.dumps(holder.to_json()))
    then = path.stat().st_mtime - age
    os.utime(path, (then, then))


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "claim.json"


@pytest.fixture(params=["host", "boot", "space"])
def far(request: pytest.FixtureRequest) -> Holder:
    """A process that does not run, of another machine, another boot, another container."""
    return replace(Holder.this(), started="1", **{request.param: "another"})


def test_a_far_holder_lives_as_long_as_it_is_heard(path: Path, far: Holder) -> None:
    write(path, far, SILENT_SECONDS / 2)
    assert is_live(path)
    with pytest.raises(ClaimedError, match=f"process {far.pid} on {far.host}"), Claim(path):
        pass
    assert not far.near()
    write(path, replace(far, silence=900.0), age=600)
    assert is_live(path)
    write(path, far, SILENT_SECONDS + 1)
    assert not is_live(path)
    with Claim(path) as held:
        assert held.held()
    assert list(path.parent.iterdir()) == [], "something is left of the dead claim"


def test_the_clock_of_the_one_who_asks_decides_nothing(path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    write(path, ELSEWHERE)
    monkeypatch.setattr(claim.time, "time", lambda: 4e9)
    with pytest.raises(ClaimedError), Claim(path):
        pass
    write(path, ELSEWHERE, SILENT_SECONDS + 60)
    monkeypatch.setattr(claim.time, "time", lambda: 0.0)
    with Claim(path):
        pass


def test_a_holder_that_comes_back_while_it_is_taken_for_dead_keeps_its_claim(
    path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    write(path, ELSEWHERE, SILENT_SECONDS + 60)
    rename = Path.rename

    def beat_first(self: Path, target: Path) -> Path:
        os.utime(self)
        return rename(self, target)

    monkeypatch.setattr(Path, "rename", beat_first)
    with pytest.raises(ClaimedError), Claim(path):
        pass
    assert Holder.from_json(path.read_bytes()) == ELSEWHERE
    assert list(path.parent.iterdir()) == [path]


def test_file_systems_without_links_have_claims_too(path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def refused(*arguments: object) -> None:
        raise OSError(errno.EPERM, "no links")

    monkeypatch.setattr(claim.os, "link", refused)
    with Claim(path) as held:
        assert held.held()
        with pytest.raises(ClaimedError), Claim(path):
            pass
    write(path, ELSEWHERE, SILENT_SECONDS + 60)
    with Claim(path):
        assert Holder.from_json(path.read_bytes()) == Holder.this()
    assert list(path.parent.iterdir()) == []


def test_a_full_disk_is_no_claim(path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def full(*arguments: object) -> None:
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr(claim.os, "link", full)
    with pytest.raises(claim.StoreError, match="No space left"), Claim(path):
        pass
    assert list(path.parent.iterdir()) == []


def test_who_was_taken_for_dead_is_told_before_it_writes(path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(claim, "BEATS", 1e-3)  # a heartbeat that never comes: the process is stopped
    with Claim(path) as held:
        path.unlink()
        write(path, ELSEWHERE, age=30)
        written = path.stat().st_mtime
        assert held.held(), "a short silence needs no look"
        held._sure -= held.holder.silence
        assert not held.held()
        with pytest.raises(ClaimLostError, match="another process"):
            held.check()
    assert Holder.from_json(path.read_bytes()) == ELSEWHERE
    assert path.stat().st_mtime == written, "the other's heart must not be beaten"


def test_a_long_silence_alone_loses_nothing(path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(claim, "BEATS", 1e-3)
    with Claim(path) as held:
        os.utime(path, (0, 0))
        held._sure -= held.holder.silence
        held.check()
        assert path.stat().st_mtime > 0, "it has come back, and others must know"


def test_a_disk_that_is_gone_for_a_while_loses_nothing(path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(claim, "BEATS", 1e-3)

    def broken(self: Path) -> bytes:
        raise OSError(errno.EIO, "Input/output error")

    with Claim(path) as held, monkeypatch.context() as patch:
        patch.setattr(Path, "read_bytes", broken)
        held._sure -= held.holder.silence
        assert held.held()
    assert not path.exists()


def test_claims_of_before_are_read_but_never_near() -> None:
    old = Holder.from_json(b'{"host": "a", "pid": 7, "started": "5"}')
    assert old == Holder("a", 7, "5")
    assert not replace(old, host=Holder.this().host).near()


@pytest.mark.parametrize("content", [b"", b"{", b"[]", b'"x"', b"{}", b'{"host": "a", "pid": null}', b"\xff"])
def test_what_names_nobody_is_nobody(content: bytes) -> None:
    assert Holder.from_json(content) is None


def test_a_proc_of_another_pid_namespace_is_not_asked(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(claim.os, "readlink", lambda path: "999999999")
    assert Holder.this().started == ""


@pytest.mark.parametrize("text", ["42.5", "soon", "nan", "inf", "-1", "0", "4.9"])
def test_a_silence_can_be_chosen_if_it_is_one(text: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TABENCH_SILENCE", text)
    if text == "42.5":
        assert Holder.this().silence == 42.5
        return
    with pytest.raises(SpecError, match="TABENCH_SILENCE"):
        silence()


def test_on_macos_the_system_is_asked(monkeypatch: pytest.MonkeyPatch) -> None:
    told = {"sysctl": "2F1A\n", "ps": "Mon Jan  5 10:11:12 2026\n"}

    def answer(words: Sequence[str], **_: object) -> subprocess.CompletedProcess[str]:
        return subprocess.CompletedProcess(words, 0, told[words[0]])

    monkeypatch.setattr(claim.sys, "platform", "darwin")
    monkeypatch.setattr(claim.subprocess, "run", answer)
    claim._boot.cache_clear()
    try:
        this = Holder.this()
        assert (this.boot, this.started) == ("2F1A", "Mon Jan  5 10:11:12 2026")
        assert this.near()
        assert this.runs()
        told["ps"] = "Mon Jan  5 10:59:00 2026\n"  # its number is another process' now
        assert not this.runs()
    finally:
        claim._boot.cache_clear()
