"""What macOS and Windows leave between files is no data, wherever it lies, and may be deleted at any time."""

from __future__ import annotations

import shutil
from pathlib import Path

import pascal_folder
import pytest
from nyu_folder import write_folder
from prepare_sources import city_files, pascal_files, write_tar, write_tree, write_zip

from tabench.data.listing import is_leftover
from tabench.data.nyuv2 import NYUV2
from tabench.data.pascal import PASCAL_CONTEXT
from tabench.data.prepare import Request, prepare
from tabench.worlds.scenes import SCENES


def with_leftovers(files: dict[str, bytes]) -> dict[str, bytes]:
    """The files as a Mac hands them on: a shadow beside each, and another tree of shadows."""
    found = dict(files)
    for name in files:
        path = Path(name)
        found[f"{path.parent.as_posix()}/._{path.name}"] = b"\0\5\x16\7 Mac OS X"
        found[f"__MACOSX/{path.parent.as_posix()}/._{path.name}"] = b"\0\5\x16\7 Mac OS X"
        found[f"{path.parent.as_posix()}/.DS_Store"] = b"\0\0\0\1Bud1"
    return {**found, "Thumbs.db": b"x", "desktop.ini": b"x"}


def remove_leftovers(folder: Path) -> None:
    shutil.rmtree(folder / "__MACOSX", ignore_errors=True)
    for path in sorted(folder.rglob("*")):
        if path.is_file() and is_leftover(path.relative_to(folder).as_posix()):
            path.unlink()


def test_which_names_they_have() -> None:
    assert all(map(is_leftover, ("a/._b.png", "__MACOSX/a.png", "a/THUMBS.DB", "lost+found")))
    assert not any(map(is_leftover, ("a/b._c.png", "DS_Store/a.png", "a/.hidden")))


def prepared(name: str, source: Path, root: Path) -> tuple[str, list[str]]:
    """The sums of a prepared folder, and the notes about leftovers."""
    outcome = prepare(name, Request((source,), root))
    return (root / "SHA256SUMS").read_text(), [note for note in outcome.notes if "desktop" in note]


@pytest.mark.parametrize("form", ["folder", "zip"])
def test_cityscapes_is_prepared_as_without_them(tmp_path: Path, form: str) -> None:
    wanted, none = prepared("cityscapes", write_tree(tmp_path / "in", city_files()), tmp_path / "wanted")
    dirty = with_leftovers(city_files())
    if form == "zip":
        source = write_zip(tmp_path / "dirty.zip", dirty)
    else:
        source = write_tree(tmp_path / "dirty", dirty)
    found, notes = prepared("cityscapes", source, tmp_path / "out")
    assert (found, none) == (wanted, [])
    assert "._" in notes[0]
    if form == "folder":
        remove_leftovers(source)
        assert prepared("cityscapes", source, tmp_path / "out") == (wanted, [])


@pytest.mark.parametrize("form", ["in place", "tar"])
def test_pascal_is_prepared_as_without_them(tmp_path: Path, form: str) -> None:
    files = {f"PASCAL_MT/{name}": data for name, data in pascal_files().items()}
    wanted, none = prepared("pascal_context", write_tar(tmp_path / "in.tgz", files), tmp_path / "wanted")
    dirty = with_leftovers(files)
    if form == "tar":
        found, notes = prepared("pascal_context", write_tar(tmp_path / "d.tgz", dirty), tmp_path / "out")
        assert not [path for path in (tmp_path / "out").rglob("*") if is_leftover(path.name)]
    else:
        folder = write_tree(tmp_path / "dirty", dirty) / "PASCAL_MT"
        found, notes = prepared("pascal_context", folder, folder)
        remove_leftovers(folder)
        (folder / ".tabench-fingerprint.json").write_text("{}")  # as `verify` leaves it
        assert prepared("pascal_context", folder, folder) == (wanted, [])
    assert (found, none) == (wanted, [])
    assert "._" in notes[0]


def test_folders_are_read_as_without_them(tmp_path: Path) -> None:
    rooms, people = write_folder(tmp_path / "rooms"), pascal_folder.write_folder(tmp_path / "people")
    for dataset, root in ((NYUV2, rooms), (PASCAL_CONTEXT, people)):
        before, notes = dataset.fingerprint(root), dataset.notes(root)
        names = [path.relative_to(root).as_posix() for path in root.rglob("*.*") if path.is_file()]
        write_tree(root, {f"{Path(n).parent.as_posix()}/._{Path(n).name}": b"\0\5\x16\7" for n in names})
        report = dataset.verify(root)
        assert (report.problems, report.fingerprint) == ([], before)
        assert [line for line in report.warnings if "a desktop left are not read" in line]
        assert dataset.notes(root) == notes


def test_an_empty_folder_may_hold_them(tmp_path: Path) -> None:
    for name in ("prepared", "generated"):
        write_tree(tmp_path / name, {".DS_Store": b"x"})
    source = write_tree(tmp_path / "in", city_files())
    assert prepare("cityscapes", Request((source,), tmp_path / "prepared")).written == 15
    SCENES.make(tmp_path / "generated", seed=0, train=1, val=1, height=16, width=16)
