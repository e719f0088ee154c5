from __future__ import annotations

import errno
import json
import os
import stat
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tabench.errors import StoreError
from tabench.store.atomic import append_line, write_bytes, write_json
from tabench.store.encoding import dumps, read_json, read_lines

VALUES = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False, allow_infinity=False) | st.text(),
    lambda inner: st.lists(inner) | st.dictionaries(st.text(), inner),
    max_leaves=20,
)


@pytest.mark.parametrize("code", [errno.ENOSPC, errno.EDQUOT, errno.EROFS, errno.EACCES, None])
@pytest.mark.parametrize(("place", "call"), [(os, "fsync"), (Path, "replace")])
def test_a_failed_write_keeps_the_old_file_and_names_the_path(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, code: int | None, place: Any, call: str
) -> None:
    path = tmp_path / "record.json"
    write_bytes(path, b"old")

    def fail(*arguments: object) -> None:
        raise KeyboardInterrupt if code is None else OSError(code, os.strerror(code))

    monkeypatch.setattr(place, call, fail)
    with pytest.raises(KeyboardInterrupt if code is None else StoreError) as caught:
        write_bytes(path, b"new")
    if isinstance(caught.value, StoreError):
        assert str(path) in str(caught.value)
        assert caught.value.hint is not None
    assert path.read_bytes() == b"old"
    assert list(tmp_path.iterdir()) == [path]


def test_a_file_in_the_place_of_a_folder_is_named(tmp_path: Path) -> None:
    (tmp_path / "results").write_text("a file")
    for write in (write_bytes, append_line):
        with pytest.raises(StoreError, match="results"):
            write(tmp_path / "results" / "x", b"" if write is write_bytes else "")  # type: ignore[operator]


def test_content_and_folder_are_synced_around_the_rename(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    events: list[str] = []
    fsync, replace = os.fsync, Path.replace

    def spy_fsync(handle: int) -> None:
        events.append("folder" if stat.S_ISDIR(os.fstat(handle).st_mode) else "file")
        fsync(handle)

    def spy_replace(self: Path, target: Path) -> Path:
        events.append("rename")
        return replace(self, target)

    monkeypatch.setattr(os, "fsync", spy_fsync)
    monkeypatch.setattr(Path, "replace", spy_replace)
    write_bytes(tmp_path / "x", b"1")
    assert events == ["file", "rename", "folder"]


@given(VALUES)
def test_any_json_value_comes_back(value: Any) -> None:
    assert json.loads(dumps(value)) == value


def test_the_layout_of_a_file_is_fixed(tmp_path: Path) -> None:
    write_json(tmp_path / "x.json", {"a": [1, 2.5], "b": {"c": "é"}, "d": [{"e": None}], "f": {}, "g": []})
    text = (
        '{\n "a": [1, 2.5],\n "b": {\n  "c": "é"\n },\n "d": [\n  {"e": null}\n ],\n "f": {},\n "g": []\n}\n'
    )
    assert (tmp_path / "x.json").read_text(encoding="utf-8") == text


def test_nan_is_refused_and_nothing_is_written(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match="not JSON compliant"):
        write_json(tmp_path / "x.json", {"a": float("nan")})
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("torn", [b"", b'{"a": 1', b'{"a": "\xc3', b"{'a': 1}"])
def test_a_torn_file_is_named_with_what_to_do(tmp_path: Path, torn: bytes) -> None:
    path = tmp_path / "x.json"
    path.write_bytes(torn)
    with pytest.raises(StoreError, match="not whole JSON") as caught:
        read_json(path, hint="do this")
    assert str(path) in str(caught.value)
    assert "do this" in str(caught.value)


def test_lines_are_appended_after_a_torn_one(tmp_path: Path) -> None:
    path = tmp_path / "journal.jsonl"
    assert read_lines(path) == []
    append_line(path, '{"n": 1}')
    with path.open("ab") as file:
        file.write(b'{"n": 2')  # killed here
    append_line(path, '{"n": 3}')
    assert [event["n"] for event in read_lines(path)] == [1, 3]
