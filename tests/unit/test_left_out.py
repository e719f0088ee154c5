"""Images are never silently fewer: what is left out has a name, and what cannot be read is not missing."""

from __future__ import annotations

import shutil
from pathlib import Path

import pascal_folder
import pytest
from locked_folder import locked, reachable  # noqa: F401 - a fixture
from nyu_folder import write_folder
from prepare_sources import city_files, pascal_files, write_tar, write_tree, write_zip
from street_folder import write_streets

from tabench.catalog import BACKBONES
from tabench.data.cityscapes import CITYSCAPES
from tabench.data.listing import is_leftover
from tabench.data.nyuv2 import NYUV2
from tabench.data.pascal import PASCAL_CONTEXT
from tabench.data.prepare import Request, prepare
from tabench.errors import DataError
from tabench.runs.resolve import Request as Asked
from tabench.runs.resolve import find_weights, missing_inputs, weights_sha256
from tabench.spec.experiment import load_experiment

EXPERIMENT = Path(__file__).parents[2] / "experiments" / "nyuv2.toml"
KINDS = ("image", "label", "depth", "normal")
PUBLISHED = ["train: 5 images, published are 795", "val: 3 images, published are 654"]


@pytest.mark.parametrize("name", ["00.npy", "2.NPY", "frame_7.npy"])
def test_arrays_of_other_names_are_refused_by_name(tmp_path: Path, name: str) -> None:
    root = write_folder(tmp_path)
    for kind in KINDS:
        shutil.copy(root / "train" / kind / "0.npy", root / "train" / kind / name)
    with pytest.raises(
        DataError, match=rf"4 arrays have names that are not read .*image/{name}, label/{name}"
    ):
        NYUV2.split(root, "train")
    (problem,) = NYUV2.verify(root).problems
    assert f"normal/{name}" in problem


def test_other_counts_and_numbers_left_out_are_notes(tmp_path: Path) -> None:
    root = write_folder(tmp_path, train=20)
    for kind in KINDS:
        for number in (2, *range(8, 18)):
            (root / "train" / kind / f"{number}.npy").unlink()
    notes = NYUV2.notes(root)
    assert notes == [
        "train: 9 images, published are 795",
        "val: 3 images, published are 654",
        "train: file numbers up to 19 with 11 left out: 2, 8, 9, 10, 11, 12, 13, 14 and 3 more",
    ]
    assert NYUV2.verify(root).warnings[:3] == notes
    (root / "train" / "image" / "99999999999999.npy").write_bytes(b"")
    with pytest.raises(DataError, match="lacks label, depth, normal"):
        NYUV2.notes(root)


def test_images_in_no_list_are_named(tmp_path: Path) -> None:
    root = pascal_folder.write_folder(tmp_path)
    assert PASCAL_CONTEXT.notes(root) == [
        "train: 5 images, published are 4998",
        "val: 2 images, published are 5105",
    ]
    listed = root / "ImageSets" / "Context" / "train.txt"
    listed.write_text("\n".join(listed.read_text().split()[1:]))
    note = "1 images are complete and in no list, so not used: 2008_000000"
    assert PASCAL_CONTEXT.notes(root)[2] == note
    assert note in PASCAL_CONTEXT.verify(root).warnings


CITY = "{}/train/bochum/bochum_000000_000313_{}.png"
FILES = {
    "image": CITY.format("leftImg8bit", "leftImg8bit"),
    "label": CITY.format("gtFine", "gtFine_labelIds"),
    "depth": CITY.format("disparity", "disparity"),
}


@pytest.mark.parametrize("kind", FILES)
def test_an_image_that_lacks_a_file_is_left_out_only_on_demand(tmp_path: Path, kind: str) -> None:
    files = {name: data for name, data in city_files().items() if name != FILES[kind]}
    folder = write_tree(tmp_path / "in", files)
    with pytest.raises(DataError, match=r"1 of 3 images have no \*_.*: train/bochum_000000_000313") as caught:
        prepare("cityscapes", Request((folder,), tmp_path / "out"))
    assert "--allow-missing" in str(caught.value)
    outcome = prepare("cityscapes", Request((folder,), tmp_path / "out", allow_missing=True))
    note = "1 images were left out for want of files: train/bochum_000000_000313"
    assert outcome.counts == {"train": 1, "val": 1}
    assert note in outcome.notes
    assert note in CITYSCAPES.notes(tmp_path / "out")
    assert note in CITYSCAPES.verify(tmp_path / "out").warnings


def test_files_in_no_citys_folder_are_told_the_tree(tmp_path: Path) -> None:
    flat = write_tree(
        tmp_path / "flat", {Path(n).name: d for n, d in city_files().items() if "/test/" not in n}
    )
    with pytest.raises(DataError, match="9 files are in no city's folder of train or val: ") as caught:
        prepare("cityscapes", Request((flat,), tmp_path / "out"))
    assert "the tree is leftImg8bit/{train,val}/CITY/CITY_000000_000019_leftImg8bit.png" in str(caught.value)
    moved = {n.replace("train/bochum/", "train/"): data for n, data in city_files().items()}
    partly = write_tree(tmp_path / "partly", moved)
    with pytest.raises(DataError, match="3 files are in no city's folder"):
        prepare("cityscapes", Request((partly,), tmp_path / "out"))
    outcome = prepare("cityscapes", Request((partly,), tmp_path / "out", allow_missing=True))
    assert outcome.counts == {"train": 1, "val": 1}
    assert "3 images were left out" in outcome.notes[0]
    with pytest.raises(DataError, match="folder not found") as caught:
        CITYSCAPES.split(flat, "train")
    assert "the tree is ROOT/{train,val}/{image,label_7,depth}/N.npy" in str(caught.value)


def test_what_may_not_be_read_is_not_missing(reachable: Path) -> None:  # noqa: F811
    rooms, streets = write_folder(reachable / "nyuv2"), write_streets(reachable / "streets")
    people = pascal_folder.write_folder(reachable / "people")
    raw = write_tree(reachable / "raw", city_files())
    paper = load_experiment(EXPERIMENT).profile("paper")
    assert len(missing_inputs(paper, Asked(data_root=rooms))) <= 1  # SAM's weights
    denied = "cannot be read: Permission denied"
    for root, dataset, path in (
        (rooms, NYUV2, rooms / "train" / "depth"),
        (rooms, NYUV2, rooms / "val"),
        (streets, CITYSCAPES, streets / "train"),
        (people, PASCAL_CONTEXT, people / "semseg" / "VOC12"),
        (people, PASCAL_CONTEXT, people / "ImageSets"),
    ):
        dataset.verify(root)
        with locked(path):
            problems = dataset.verify(root).problems
            with pytest.raises(DataError, match=denied):
                dataset.fingerprint(root)
        assert problems
        assert all(denied in line for line in problems)
    for root, dataset, path in (
        (rooms, NYUV2, rooms / "val" / "depth" / "0.npy"),
        (people, PASCAL_CONTEXT, people / "JPEGImages" / "2010_000000.jpg"),
        (people, PASCAL_CONTEXT, people / "human_parts" / "2010_000000.mat"),
    ):
        with locked(path):
            (problem,) = dataset.verify(root).problems
        assert problem == f"{path}: {denied}"
    with locked(reachable / "nyuv2"), pytest.raises(DataError, match=denied):
        missing_inputs(paper, Asked(data_root=rooms))
    checkpoints = write_tree(reachable / "sam", {"sam_vit_l_0b3195.pth": b"x"})
    for path in (checkpoints, checkpoints / "sam_vit_l_0b3195.pth"):
        with locked(path), pytest.raises(DataError, match=denied):
            weights_sha256(find_weights(BACKBONES.get("vit_l"), checkpoints))
    with locked(raw / "gtFine" / "train" / "bochum"), pytest.raises(DataError, match=f"bochum: {denied}"):
        prepare("cityscapes", Request((raw,), reachable / "out", allow_missing=True))


# What macOS and Windows leave between files is no data, wherever it lies, and may be deleted at any time.


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


def prepared(name: str, source: Path, root: Path) -> str:
    """The sums of a prepared folder."""
    prepare(name, Request((source,), root))
    return (root / "SHA256SUMS").read_text()


@pytest.mark.parametrize("form", ["folder", "zip"])
def test_cityscapes_is_prepared_as_without_them(tmp_path: Path, form: str) -> None:
    wanted = prepared("cityscapes", write_tree(tmp_path / "in", city_files()), tmp_path / "wanted")
    dirty = with_leftovers(city_files())
    if form == "zip":
        source = write_zip(tmp_path / "dirty.zip", dirty)
    else:
        source = write_tree(tmp_path / "dirty", dirty)
    found = prepared("cityscapes", source, tmp_path / "out")
    assert found == wanted
    if form == "folder":
        remove_leftovers(source)
        assert prepared("cityscapes", source, tmp_path / "out") == wanted


@pytest.mark.parametrize("form", ["in place", "tar"])
def test_pascal_is_prepared_as_without_them(tmp_path: Path, form: str) -> None:
    files = {f"PASCAL_MT/{name}": data for name, data in pascal_files().items()}
    wanted = prepared("pascal_context", write_tar(tmp_path / "in.tgz", files), tmp_path / "wanted")
    dirty = with_leftovers(files)
    if form == "tar":
        found = prepared("pascal_context", write_tar(tmp_path / "d.tgz", dirty), tmp_path / "out")
        assert not [path for path in (tmp_path / "out").rglob("*") if is_leftover(path.name)]
    else:
        folder = write_tree(tmp_path / "dirty", dirty) / "PASCAL_MT"
        found = prepared("pascal_context", folder, folder)
        remove_leftovers(folder)
        (folder / ".tabench-fingerprint.json").write_text("{}")  # as `verify` leaves it
        assert prepared("pascal_context", folder, folder) == wanted
    assert found == wanted


def test_folders_are_read_as_without_them(tmp_path: Path) -> None:
    rooms, people = write_folder(tmp_path / "rooms"), pascal_folder.write_folder(tmp_path / "people")
    for dataset, root in ((NYUV2, rooms), (PASCAL_CONTEXT, people)):
        before, notes = dataset.fingerprint(root), dataset.notes(root)
        names = [path.relative_to(root).as_posix() for path in root.rglob("*.*") if path.is_file()]
        write_tree(root, {f"{Path(n).parent.as_posix()}/._{Path(n).name}": b"\0\5\x16\7" for n in names})
        report = dataset.verify(root)
        assert (report.problems, report.fingerprint) == ([], before)
        assert dataset.notes(root) == notes
