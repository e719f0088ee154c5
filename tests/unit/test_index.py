"""The index answers as a read of all files does, whatever happened in between."""

from __future__ import annotations

import contextlib
import json
import os
import shutil
import tempfile
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from report_fixtures import record, run_facts

from tabench import __version__
from tabench.errors import StoreError
from tabench.spec.cell import Cell
from tabench.store.file_cache import CACHE_VERSION
from tabench.store.folders import CellFolder
from tabench.store.index import INDEX_FILE, Index, cell_of, read_cells, read_index, settings_of
from tabench.store.record import load_record

METHODS = ("ta-lora", "lora-stl", "frozen")
RECORDS = [record(method, seed) for method in METHODS for seed in (0, 1)]
IDS = [content["cell_id"] for content in RECORDS]
WRITES = ("record", "torn record", "foreign record", "run", "other run", "torn run", "checkpoint")
FAILURES = ("failure", "torn failure")
LOSSES = ("delete record", "delete cell", "tear index", "delete index")
ACTIONS = (*WRITES, *FAILURES, *LOSSES, "look", "look from two")


def oracle(root: Path) -> dict[str, dict[str, Any]]:
    """What the files say, read one by one with the readers that runs and reports use."""
    found = {}
    for name in IDS:
        folder = CellFolder(root, "nyuv2", name)
        known: dict[str, Any] = {"state": folder.state()}
        if known["state"] == "pending":
            continue
        if known["state"] == "done":
            with contextlib.suppress(StoreError):
                held = load_record(folder.record)
                known |= {"cell": held.cell, "method": held.cell.method.name, "seed": held.cell.seed}
            with contextlib.suppress(OSError, ValueError):
                run = json.loads(folder.run.read_text())
                known |= {"wall_s": run["wall_s"], "finished": run["finished"]}
        if known["state"] == "failed":
            with contextlib.suppress(StoreError):
                failure = folder.read_failure()
                known |= {"kind": failure["kind"], "message": failure["message"]}
        found[name] = known
    return found


def told(index: Index) -> dict[str, dict[str, Any]]:
    """The same facts as the index gives them."""
    found = {}
    for name, known in index.cells.items():
        facts: dict[str, Any] = {"state": known.state}
        if known.settings:
            facts |= {"cell": known.cell(), "method": known.method, "seed": known.seed}
        if known.wall_s is not None:
            facts |= {"wall_s": known.wall_s, "finished": known.finished}
        if known.kind:
            facts |= {"kind": known.kind, "message": known.message}
        found[name] = facts
    return found


class Folder:
    """A results folder whose files get times of their own, long past, so that the index keeps them."""

    def __init__(self, root: Path) -> None:
        self.root = root
        self.clock = 1_700_000_000

    def write(self, path: Path, text: str) -> None:
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)
        self.clock += 1
        os.utime(path, (self.clock, self.clock))

    def act(self, what: str, n: int) -> None:
        folder = CellFolder(self.root, "nyuv2", IDS[n])
        index = self.root / "nyuv2" / INDEX_FILE
        whole, facts = json.dumps(RECORDS[n]), run_facts("ta-lora", 0)
        writes = {
            "record": (folder.record, whole),
            "torn record": (folder.record, whole[: len(whole) // 2]),
            # the same size, another cell
            "foreign record": (folder.record, json.dumps({**RECORDS[n], "cell_id": IDS[n][::-1]})),
            "run": (folder.run, json.dumps(facts)),
            "other run": (folder.run, json.dumps(facts | {"wall_s": 999.0})),
            "torn run": (folder.run, '{"wall_s": 1'),
            "failure": (folder.failure, json.dumps({"kind": "data", "message": f"no image\n-> {n}"})),
            "torn failure": (folder.failure, "{"),
            "checkpoint": (folder.checkpoint / "all" / "00000001" / "state.json", "{}"),
        }
        if what in writes:
            self.write(*writes[what])
        elif what == "delete record":
            folder.record.unlink(missing_ok=True)
        elif what == "delete cell":
            shutil.rmtree(folder.path, ignore_errors=True)
        elif what == "tear index" and index.is_file():
            index.write_bytes(index.read_bytes()[:-7])
        elif what == "delete index":
            index.unlink(missing_ok=True)
        elif what == "look":
            read_index(self.root, "nyuv2")
        elif what == "look from two" and (self.root / "nyuv2").is_dir():
            # another process saved what it saw before the latest change
            read_index(self.root, "nyuv2")
            held = index.read_bytes() if index.is_file() else b""
            self.act("record", n)
            read_index(self.root, "nyuv2")
            index.write_bytes(held)


@given(st.lists(st.tuples(st.sampled_from(ACTIONS), st.integers(0, len(IDS) - 1)), max_size=25))
@settings(max_examples=60)
def test_the_index_equals_a_fresh_read(actions: list[tuple[str, int]]) -> None:
    with tempfile.TemporaryDirectory() as place:
        folder = Folder(Path(place))
        for what, n in actions:
            folder.act(what, n)
            assert told(read_index(folder.root, "nyuv2")) == oracle(folder.root)


@pytest.fixture
def folder(tmp_path: Path) -> Folder:
    made = Folder(tmp_path)
    for n in range(len(IDS)):
        made.act("record", n)
        made.act("run", n)
    return made


def test_settled_files_are_not_read_again(folder: Folder, monkeypatch: pytest.MonkeyPatch) -> None:
    first = read_index(folder.root, "nyuv2")

    def never(content: bytes) -> dict[str, Any]:
        raise AssertionError("read again")

    monkeypatch.setattr("tabench.store.index._record_facts", never)
    monkeypatch.setattr("tabench.store.index._run_facts", never)
    assert read_index(folder.root, "nyuv2") == first
    assert first.cells[IDS[0]].wall_s == 120.0


def opened(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """Files that the memo opens from now on, as "<cell's folder>/<name>"."""
    names: list[str] = []

    def counting(path: str, mode: str) -> Any:
        names.append("/".join(Path(path).parts[-2:]))
        return Path(path).open(mode)

    monkeypatch.setattr("tabench.store.file_cache.open", counting, raising=False)
    return names


def test_an_equal_size_and_time_do_not_hide_a_change(folder: Folder) -> None:
    """The time of the inode's last change cannot be set back."""
    read_index(folder.root, "nyuv2")
    run = CellFolder(folder.root, "nyuv2", IDS[0]).run
    before, times = run.read_text(), run.stat()
    run.write_text(before.replace('"wall_s": 120.0', '"wall_s": 987.0'))
    os.utime(run, ns=(times.st_atime_ns, times.st_mtime_ns))
    assert (run.stat().st_size, run.stat().st_mtime_ns) == (times.st_size, times.st_mtime_ns)
    assert read_index(folder.root, "nyuv2").cells[IDS[0]].wall_s == 987.0


def test_the_index_of_an_older_or_newer_version_is_made_again(
    folder: Folder, monkeypatch: pytest.MonkeyPatch
) -> None:
    first = read_index(folder.root, "nyuv2")
    index = folder.root / "nyuv2" / INDEX_FILE
    content = json.loads(index.read_text())
    for version in (f"{CACHE_VERSION}/99.0", f"{CACHE_VERSION + 1}/{__version__}", None):
        lies = {name: [stamp, {"problem": "a lie"}] for name, (stamp, _) in content["files"].items()}
        index.write_text(json.dumps({**content, "version": version, "files": lies}))
        assert read_index(folder.root, "nyuv2") == first
    names = opened(monkeypatch)
    assert read_index(folder.root, "nyuv2") == first
    assert names == [], "and it was written again"


def test_a_look_at_some_cells_reads_those_alone(folder: Folder, monkeypatch: pytest.MonkeyPatch) -> None:
    whole = read_index(folder.root, "nyuv2")
    held = (folder.root / "nyuv2" / INDEX_FILE).read_bytes()
    names = opened(monkeypatch)
    found = read_cells(folder.root, "nyuv2", [IDS[2], "0" * 16])
    assert found.cells == {IDS[2]: whole.cells[IDS[2]]}
    assert names == [f"{IDS[2]}/record.json", f"{IDS[2]}/run.json"]
    assert (folder.root / "nyuv2" / INDEX_FILE).read_bytes() == held


def test_a_file_that_changed_just_now_is_always_read_again(tmp_path: Path) -> None:
    folder = CellFolder(tmp_path, "nyuv2", IDS[0])
    folder.path.mkdir(parents=True)
    folder.record.write_text(json.dumps(RECORDS[0]))
    times: list[int] = []
    for wall in (1.5, 2.5):  # equal sizes, and equal times as a coarse clock would give
        folder.run.write_text(json.dumps({"wall_s": wall, "finished": "now"}))
        times.append(times[0] if times else folder.run.stat().st_mtime_ns)
        os.utime(folder.run, ns=(times[-1], times[-1]))
        assert read_index(tmp_path, "nyuv2").cells[IDS[0]].wall_s == wall
    assert not (tmp_path / "nyuv2" / INDEX_FILE).exists(), "nothing has settled, so nothing is kept"


def test_a_folder_that_cannot_be_written_is_read_all_the_same(
    folder: Folder, monkeypatch: pytest.MonkeyPatch
) -> None:
    def full(path: Path, data: bytes) -> None:
        raise StoreError("the disk is full")

    monkeypatch.setattr("tabench.store.file_cache.write_bytes", full)
    assert told(read_index(folder.root, "nyuv2")) == oracle(folder.root)


@pytest.mark.parametrize(
    "content",
    [
        "",
        "[]",
        '{"version": "0/0", "files": {}}',
        '{"version": "VERSION", "files": 3}',
        '{"version": "VERSION", "files": {"a": [[1], 7]}}',
        '{"version": "VERSION", "files": {"a": [[1], {"settings": [7]}]}}',
    ],
)
def test_a_damaged_index_counts_as_none(content: str, folder: Folder) -> None:
    read_index(folder.root, "nyuv2")
    index = folder.root / "nyuv2" / INDEX_FILE
    index.write_text(content.replace("VERSION", json.loads(index.read_text())["version"]))
    assert told(read_index(folder.root, "nyuv2")) == oracle(folder.root)


def test_other_folders_and_the_index_are_no_cells(folder: Folder) -> None:
    read_index(folder.root, "nyuv2")
    (folder.root / "nyuv2" / ".hidden").mkdir()
    (folder.root / "nyuv2" / "truth" / "abc").mkdir(parents=True)
    assert sorted(read_index(folder.root, "nyuv2").cells) == sorted(IDS)


def test_settings_and_seed_give_the_cell_back() -> None:
    cell = Cell.model_validate(RECORDS[1]["cell"])
    assert cell_of(settings_of(cell), cell.seed) == cell
    assert settings_of(cell) == settings_of(cell.model_copy(update={"seed": 77}))
