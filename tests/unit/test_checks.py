"""Data that is impossible is refused by verification, preparation and run alike; what is odd is a warning."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pascal_folder
import pytest
from nyu_folder import save, write_folder
from PIL import Image
from street_folder import write_streets
from tiny_run import make_cell, write_weights

from tabench.data.base import DatasetDef
from tabench.data.checks import LOOKS, Checks, check_folder
from tabench.data.cityscapes import CITYSCAPES
from tabench.data.nyuv2 import NYUV2
from tabench.data.pascal import PASCAL_CONTEXT, PascalContextDataset
from tabench.data.pascal.reading import read_normals
from tabench.errors import DataError
from tabench.events import Warned
from tabench.runs.cell_run import run_cell
from tabench.runs.executor import CellEvent, Job, Options
from tabench.store.folders import CellFolder

Change = Callable[[np.ndarray], np.ndarray]


def change(root: Path, folder: str, kind: str, how: Change) -> None:
    """Store every array of a kind anew."""
    for path in sorted(root.glob(f"{folder}/{kind}/*.npy")):
        np.save(path, how(np.load(path)).astype(np.float32))


def border(normal: np.ndarray) -> np.ndarray:
    """A tenth of the picture in the grey of an 8-bit picture, decoded."""
    normal[:, :2] = 2 * np.float32(128) / 255 - 1
    return normal


@pytest.fixture
def nyu(tmp_path: Path) -> Path:
    return write_folder(tmp_path / "nyuv2", train=3, val=2)


def refused(dataset: DatasetDef, root: Path, words: str) -> None:
    """Verification has it as a problem; the look before a run and after a preparation stops."""
    assert any(words in line for line in dataset.verify(root).problems)
    with pytest.raises(DataError) as caught:
        check_folder(dataset, root)
    assert words in str(caught.value)
    assert str(root) in str(caught.value) or "train" in str(caught.value.where)


@pytest.mark.parametrize(
    ("kind", "how", "words"),
    [
        ("normal", lambda n: (n + 1) / 2, "coded as 0..1? take 2 n - 1"),
        ("normal", lambda n: np.abs(n), "no normal in 3 images has a negative component"),
        ("normal", border, "normals are no directions but greys of a picture"),
        ("normal", lambda n: 0.7 * n, "normals of length 0.7..0.7"),
        ("depth", lambda d: 1000 * d, "m: millimetres? divide by 1000"),
        ("depth", lambda d: 100 * d, "m: centimetres? divide by 100"),
        ("image", lambda i: i / 255, "divided by 255 twice?"),
    ],
)
def test_impossible_arrays(nyu: Path, kind: str, how: Change, words: str) -> None:
    assert check_folder(NYUV2, nyu) == []
    change(nyu, "train", kind, how)
    refused(NYUV2, nyu, words)


def test_metres_and_pixels_of_disparity(tmp_path: Path) -> None:
    for n, how in enumerate((lambda d: 0.22 * 2262 / (1e-3 + 256 * d), lambda d: 256 * d)):
        root = write_streets(tmp_path / str(n), train=2, val=1)
        change(root, "train", "depth", how)
        refused(CITYSCAPES, root, "published is 0.4922: metres, or pixels?")


@pytest.mark.parametrize(
    ("kind", "how", "words"),
    [
        ("label", lambda a: np.full_like(a, 4), "train: every valid pixel of 'label' is 4, in all 3 images"),
        ("label", lambda a: np.full_like(a, -1), "train: no image has a valid pixel of 'label'"),
        ("depth", lambda a: a / 10, "m: scaled to 0..1?"),
        ("depth", lambda a: 8 * a, "published is 10: another scale?"),
        ("normal", lambda a: np.where(a[..., :1] > 0.5, 0.9 * a, a), "within 0.05 of length 1"),
        ("normal", lambda a: np.full_like(a, 3**-0.5) * [1, -1, -1], "train: every normal is the same"),
    ],
)
def test_possible_but_odd_arrays(nyu: Path, kind: str, how: Change, words: str) -> None:
    change(nyu, "train", kind, how)
    report = NYUV2.verify(nyu)
    assert report.problems == []
    for warnings in (report.warnings, check_folder(NYUV2, nyu)):
        assert any(words in line for line in warnings), warnings


def test_normals_of_one_side_and_a_copied_split(tmp_path: Path) -> None:
    root = write_folder(tmp_path, train=9, val=9)
    change(root, "train", "normal", lambda n: n * [-1, 1, 1] * np.sign(n[..., :1]))
    for number in range(9):
        save(root, "val", "image", number, np.load(root / f"train/image/{number}.npy"))
    for warnings in (NYUV2.verify(root).warnings, check_folder(NYUV2, root)):
        assert "train: no normal has a positive x" in warnings
        assert "9 images are in both splits: train/0 and val/0, train/1 and val/1, " in " ".join(warnings)


def test_labels_that_are_one_off(nyu: Path) -> None:
    path = save(nyu, "train", "label", 0, np.arange(12 * 16).reshape(12, 16) % 13 + 1.0)
    with pytest.raises(
        DataError, match=r"labels 13 outside -1\.\.12; where 0 is unlabelled, subtract 1"
    ) as caught:
        check_folder(NYUV2, nyu)
    assert caught.value.where == str(path)
    checks = Checks(NYUV2.class_names, {})
    for number in range(100):
        assert checks.look(str(number), "label", np.arange(14) - 2 + (np.arange(14) == 0)) is None
        assert checks.look(str(number), "edge", np.arange(2)) is None
    assert checks.warnings() == ["of all 13 classes only the last is nowhere: is each label one too low?"]


def test_few_images_are_looked_at_and_always_the_same(tmp_path: Path) -> None:
    root = write_folder(tmp_path, train=LOOKS + 30, val=1)
    save(root, "train", "depth", 1, np.full((12, 16, 1), 3000.0))  # between two looks: only verify sees it
    assert check_folder(NYUV2, root) == []
    assert len(NYUV2.verify(root).problems) == 1
    save(root, "train", "depth", LOOKS + 29, np.full((12, 16, 1), 3000.0))
    with pytest.raises(DataError, match="median depth 3000 m") as caught:
        check_folder(NYUV2, root)
    assert caught.value.where == str(root / "train" / "depth" / f"{LOOKS + 29}.npy")


class Small(PascalContextDataset):
    size = (24, 32)


def test_a_pascal_split_without_a_salient_pixel(tmp_path: Path) -> None:
    root = pascal_folder.write_folder(tmp_path, train=2, val=1)
    for path in (root / "sal_distill").glob("2008*"):
        pascal_folder.save_png(path, np.asarray(Image.open(path)) // 3)
    refused(Small(), root, "no pixel is salient in any of 2 images")
    pascal_folder.save_png(path, np.full(np.asarray(Image.open(path)).shape, 255, np.uint8))
    assert not any("salient" in line for line in check_folder(Small(), root))
    other = next((root / "sal_distill").glob("2010*"))
    pascal_folder.save_png(other, np.full(np.asarray(Image.open(other)).shape, 255, np.uint8))
    assert "val: 100 % of all pixels are salient: inverted?" in check_folder(Small(), root)


def test_pascal_normals_of_another_coding_and_grey_borders(tmp_path: Path) -> None:
    root = pascal_folder.write_folder(tmp_path, train=1, val=1)
    path = root / "normals_distill" / f"{pascal_folder.name_of('train', 0)}.png"
    sound = np.array(Image.open(path))
    for grey in (40, 128, 192):  # decoded: vectors of length 1.19, 0.01 and 0.88
        sound[3:5] = grey
        normal = read_normals(pascal_folder.save_png(path, sound))
        assert not normal[:, 3:5].any()
        assert np.allclose(np.linalg.norm(normal[:, 5:], axis=0), 1)
    pascal_folder.save_png(path, (sound // 2 + 64).astype(np.uint8))
    refused(PASCAL_CONTEXT, root, "this is no picture of 255 (n + 1) / 2")


def run(root: Path, folder: Path, seen: list[CellEvent], stop: bool = False) -> CellFolder:
    """A run of a cell on a folder in NYUv2's layout, stopped at its first step if asked to."""
    write_weights(folder / "nano.safetensors")
    cell = make_cell("frozen")
    read = {"name": "nyuv2", "fingerprint": NYUV2.fingerprint(root)}
    cell = cell.model_copy(update={"dataset": cell.dataset.model_copy(update=read)})
    job = Job("x", cell, cell.label, root, folder / "nano.safetensors")
    run_cell(
        job,
        Options(results=folder / "results", device="cpu", threads=1, pack=False),
        seen.append,
        lambda: stop,
    )
    return CellFolder(folder / "results", "x", cell.id)


def test_a_run_refuses_what_verification_refuses(nyu: Path, tmp_path: Path) -> None:
    change(nyu, "train", "depth", lambda d: 1000 * d)
    cell = run(nyu, tmp_path, [])
    failure = json.loads(cell.failure.read_text())
    assert failure["kind"] == "data"
    assert f"{nyu / 'train' / 'depth' / '0.npy'}: median depth" in failure["message"]


def test_a_run_tells_and_keeps_what_is_odd(nyu: Path, tmp_path: Path) -> None:
    change(nyu, "train", "depth", lambda d: 8 * d)
    seen: list[CellEvent] = []
    for _ in range(2):  # an attempt does not add to what the one before it said
        kept = json.loads(run(nyu, tmp_path, seen, stop=True).run.read_text())["warnings"]
        assert kept[:2] == NYUV2.notes(nyu)
        assert len(kept) == 3
        assert kept[2].startswith("train: depth up to 7")
    assert [one.event.message for one in seen if isinstance(one.event, Warned)] == kept * 2
