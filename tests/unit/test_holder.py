from __future__ import annotations

import json
import os
import subprocess
from collections.abc import Sequence
from dataclasses import replace

import pytest

from tabench.errors import SpecError
from tabench.store import holder
from tabench.store.holder import SILENT_SECONDS, Holder, silence


def test_a_process_knows_itself_again() -> None:
    this = Holder.this()
    assert this.pid == os.getpid()
    assert this.near()
    assert this.runs()
    assert Holder.from_json(json.dumps(this.to_json()).encode()) == this


@pytest.mark.parametrize("other", ["host", "boot", "space"])
def test_a_number_means_nothing_on_another_host_boot_or_pid_namespace(other: str) -> None:
    assert not replace(Holder.this(), **{other: "another"}).near()


def test_claims_of_before_are_read_but_never_near() -> None:
    old = Holder.from_json(b'{"host": "a", "pid": 7, "started": "5"}')
    assert old == Holder("a", "", "", 7, "5", SILENT_SECONDS)
    assert not replace(old, host=Holder.this().host).near()


@pytest.mark.parametrize("content", [b"", b"{", b"[]", b'"x"', b"{}", b'{"host": "a", "pid": null}', b"\xff"])
def test_what_names_nobody_is_nobody(content: bytes) -> None:
    assert Holder.from_json(content) is None


def test_a_proc_of_another_pid_namespace_is_not_asked(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(holder.os, "readlink", lambda path: "999999999")
    assert Holder.this().started == ""


def test_the_silence_can_be_chosen(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("TABENCH_SILENCE", raising=False)
    assert silence() == SILENT_SECONDS
    monkeypatch.setenv("TABENCH_SILENCE", "42.5")
    assert Holder.this().silence == 42.5


@pytest.mark.parametrize("text", ["soon", "nan", "inf", "-1", "0", "4.9"])
def test_an_impossible_silence_is_refused(text: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TABENCH_SILENCE", text)
    with pytest.raises(SpecError, match="TABENCH_SILENCE"):
        silence()


def test_on_macos_the_system_is_asked(monkeypatch: pytest.MonkeyPatch) -> None:
    told = {"sysctl": "2F1A\n", "ps": "Mon Jan  5 10:11:12 2026\n"}

    def answer(words: Sequence[str], **_: object) -> subprocess.CompletedProcess[str]:
        return subprocess.CompletedProcess(words, 0, told[words[0]])

    monkeypatch.setattr(holder.sys, "platform", "darwin")
    monkeypatch.setattr(holder.subprocess, "run", answer)
    holder._boot.cache_clear()
    try:
        this = Holder.this()
        assert (this.boot, this.started) == ("2F1A", "Mon Jan  5 10:11:12 2026")
        assert this.near()
        assert this.runs()
        told["ps"] = "Mon Jan  5 10:59:00 2026\n"  # its number is another process' now
        assert not this.runs()
    finally:
        holder._boot.cache_clear()
