from __future__ import annotations

import json
import os
import signal
import time
from pathlib import Path

import pytest
from patience import until
from racing import line, race, start

from tabench.errors import StoreError
from tabench.store.claim import Claim, ClaimedError, is_live
from tabench.store.holder import SILENT_SECONDS, Holder

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


def test_a_claim_is_given_back_after_an_error(tmp_path: Path) -> None:
    path = tmp_path / "claim.json"
    with pytest.raises(ZeroDivisionError), Claim(path):
        raise ZeroDivisionError
    assert not path.exists()


def test_a_killed_process_loses_its_claim(tmp_path: Path) -> None:
    path = tmp_path / "claim.json"
    with start(HOLD, str(path)) as process:
        assert line(process) == "held"
        assert is_live(path)
        with pytest.raises(ClaimedError, match=f"process {process.pid}"), Claim(path):
            pass
        process.send_signal(signal.SIGKILL)
    assert path.exists()
    assert not is_live(path)
    with Claim(path):
        assert is_live(path)


def test_a_dead_process_that_nobody_waits_for_holds_nothing(tmp_path: Path) -> None:
    process = start(HOLD, str(tmp_path / "claim.json"))
    assert line(process) == "held"
    process.kill()
    os.waitid(os.P_PID, process.pid, os.WEXITED | os.WNOWAIT)  # it is dead, and stays in the table
    assert not is_live(tmp_path / "claim.json")
    process.communicate()


def test_a_reused_pid_is_another_process(tmp_path: Path) -> None:
    path = tmp_path / "claim.json"
    path.write_text(json.dumps({**Holder.this().to_json(), "started": "1"}))
    assert not is_live(path)


def test_another_hosts_claim_lives_as_long_as_its_heartbeat(tmp_path: Path) -> None:
    path = tmp_path / "claim.json"
    path.write_text(json.dumps({"host": "elsewhere.invalid", "pid": 1, "started": ""}))
    assert is_live(path)
    old = time.time() - SILENT_SECONDS - 1
    os.utime(path, (old, old))
    assert not is_live(path)


def test_the_heartbeat_goes_on_by_itself(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("tabench.store.claim.BEATS", SILENT_SECONDS / 0.01)
    path = tmp_path / "claim.json"
    with Claim(path):
        os.utime(path, (0, 0))
        until(lambda: path.stat().st_mtime > 0, "a beat")


def test_one_process_wins_the_race_for_a_dead_claim(tmp_path: Path) -> None:
    path = tmp_path / "claim.json"
    path.write_text(json.dumps({**Holder.this().to_json(), "started": "1"}))
    assert race(path) == ["lost", "lost", "won"]


def test_a_folder_that_cannot_be_made_is_named(tmp_path: Path) -> None:
    (tmp_path / "results").write_text("a file")
    with pytest.raises(StoreError, match="results"), Claim(tmp_path / "results" / "claim.json"):
        pass
