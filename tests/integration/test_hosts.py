"""Two hosts, two containers on one folder: for real, with the kernel's own namespaces."""

from __future__ import annotations

import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from commands import call, events, options, wait_for
from patience import PATIENCE, output_of, until

from tabench.store.claim import LEAST_SECONDS, Claim, ClaimedError, is_live

SILENCE = 3 * LEAST_SECONDS  # a heart on a busy machine may miss a few seconds
HOST = ["unshare", "--uts", "sh", "-c", 'hostname soak-b; exec "$@"', "sh"]
CONTAINER = ["unshare", "--pid", "--fork", "--kill-child", "--mount-proc"]
HOLD = """
import pathlib, sys, time
from tabench.store.claim import Claim, ClaimLostError
with Claim(pathlib.Path(sys.argv[1])) as held:
    print("held", flush=True)
    try:
        while True:
            time.sleep(0.05)
            held.check()
    except ClaimLostError:
        print("lost", flush=True)
"""


def refused(words: list[str]) -> bool:
    try:
        return subprocess.run([*words, "true"], capture_output=True, check=False).returncode != 0
    except OSError:
        return True


pytestmark = [
    pytest.mark.skipif(refused(HOST), reason="namespaces cannot be made here"),
    pytest.mark.long,
]


@pytest.fixture
def begin(monkeypatch: pytest.MonkeyPatch) -> Iterator[Callable[..., subprocess.Popen[bytes]]]:
    """Starts a process in a namespace; ends it after the test."""
    monkeypatch.setenv("TABENCH_SILENCE", f"{SILENCE:g}")
    begun: list[subprocess.Popen[bytes]] = []

    def start(where: list[str], *words: str) -> subprocess.Popen[bytes]:
        process = subprocess.Popen(
            [*where, sys.executable, "-c", *words], stdout=subprocess.PIPE, stderr=subprocess.STDOUT
        )
        begun.append(process)
        return process

    yield start
    for process in begun:
        process.kill()
        process.wait()
        assert process.stdout is not None
        process.stdout.close()


def line(process: subprocess.Popen[bytes]) -> str:
    assert process.stdout is not None
    return process.stdout.readline().decode().strip()


def taken(path: Path) -> bool:
    try:
        with Claim(path):
            return True
    except ClaimedError:
        return False


@pytest.mark.parametrize("where", [HOST, CONTAINER], ids=["host", "container"])
def test_a_claim_from_elsewhere_is_respected_while_its_process_lives(
    where: list[str], begin: Callable[..., subprocess.Popen[bytes]], tmp_path: Path
) -> None:
    path = tmp_path / "claim.json"
    process = begin(where, HOLD, str(path))
    assert line(process) == "held"
    watched = time.monotonic() + SILENCE + 1
    while time.monotonic() < watched:
        assert is_live(path)
        assert not taken(path), "a number that runs nowhere here was taken for a dead process"
        time.sleep(0.2)
    process.kill()  # with the container, all in it
    assert not taken(path), "it went without a silence"
    until(lambda: taken(path), "the end of the silence")


def test_a_process_that_was_stopped_too_long_finds_its_claim_taken(
    begin: Callable[..., subprocess.Popen[bytes]], tmp_path: Path
) -> None:
    path = tmp_path / "claim.json"
    process = begin(HOST, HOLD, str(path))
    assert line(process) == "held"
    process.send_signal(signal.SIGSTOP)
    until(lambda: not is_live(path), "the end of the silence")
    with Claim(path) as ours:
        process.send_signal(signal.SIGCONT)
        assert line(process) == "lost"
        process.wait(timeout=PATIENCE)
        assert ours.held()
        assert path.exists(), "the loser took the claim away"


def test_a_cell_taken_from_a_stopped_run_is_finished_once(
    begin: Callable[..., subprocess.Popen[bytes]], place: Path
) -> None:
    how = ["--select=method=lora-hps", "--set=train.max_steps=10", "--threads=1", "--checkpoint-every=0"]
    words = ["run", *options("shared", *how), "--executor=inline"]
    process = begin(HOST, "from tabench.cli import main; main()", *words)
    wait_for(process, Path("shared"), "checkpoint")
    process.send_signal(signal.SIGSTOP)
    (claim,) = Path("shared").glob("nyuv2/*/claim.json")
    until(lambda: not is_live(claim), "the end of the silence")
    assert call(*words) == 0
    (record,) = Path("shared").glob("nyuv2/*/record.json")
    before = record.stat().st_mtime_ns, record.read_bytes()
    process.send_signal(signal.SIGCONT)
    assert "1 busy" in output_of(process)
    assert (record.stat().st_mtime_ns, record.read_bytes()) == before
    assert events(Path("shared"), "done") == 1
    assert not (record.parent / "checkpoint").exists()
    assert not (record.parent / "claim.json").exists()
