"""Small sources in the formats of the real ones: HDF5 with MATLAB axes, zips and tars of the real names."""

from __future__ import annotations

import functools
import io
import tarfile
import tempfile
import zipfile
from pathlib import Path

import h5py
import numpy as np
import pascal_folder
from mat_files import save_mat
from PIL import Image

NAMES = ["wall", "floor", "chair", "toaster", "ceiling"]  # stand for the 894
TO_40 = [1, 2, 5, 40, 22]
TO_13 = [11, 4, 3, 6, 2]  # wall floor chair objects ceiling in CLASSES_13, worked out by hand
CAMERA = (518.8579, 519.46961, 325.58245, 253.73617)
MODES = {"image": "RGB", "label": "L"}


def plane_depth(normal, distance, height=480, width=640, camera=CAMERA):
    """Depth of the plane n . p = distance, every pixel by its own ray."""
    fx, fy, cx, cy = camera
    u, v = np.meshgrid(np.arange(width), np.arange(height))
    rays = np.stack([(u - cx) / fx, (v - cy) / fy, np.ones_like(u, dtype=float)], axis=-1)
    return distance / (rays @ np.asarray(normal, dtype=float))


def nyu_frames(count=4, seed=0):
    """Images, depths (tilted planes with a hole) and labels in the usual axes order."""
    rng = np.random.default_rng(seed)
    images = rng.integers(0, 256, (count, 480, 640, 3), dtype=np.uint8)
    depths = np.stack([plane_depth((0.2, 0.3, 1.0 + i / 10), 2.0 + i) for i in range(count)]).astype("f4")
    depths[:, 100:140, 200:260] = 0
    labels = rng.integers(0, len(NAMES) + 1, (count, 480, 640)).astype("u2")
    return images, depths, labels


def write_nyu(path: Path, frames=None, **change) -> Path:
    """nyu_depth_v2_labeled.mat; `change` replaces a variable (None leaves it out)."""
    images, depths, labels = frames or nyu_frames()
    variables = {
        "images": images.transpose(0, 3, 2, 1),
        "depths": depths.transpose(0, 2, 1),
        "labels": labels.transpose(0, 2, 1),
        **change,
    }
    path.parent.mkdir(parents=True, exist_ok=True)
    with h5py.File(path, "w", userblock_size=512) as file:
        for name, array in variables.items():
            if array is not None:
                chunk = (1, *array.shape[1:])
                file.create_dataset(name, data=array, chunks=chunk, compression="gzip", compression_opts=1)
        names = file.create_dataset("names", (1, len(NAMES)), h5py.ref_dtype)
        for i, name in enumerate(NAMES):
            letters = np.array([[ord(letter)] for letter in name], dtype="u2")
            names[0, i] = file.create_dataset(f"#refs#/{i}", data=letters).ref
    return path


def cells(words):
    array = np.empty((1, len(words)), dtype=object)
    array[0, :] = words
    return array


def write_class_map(path: Path, **change) -> Path:
    variables = {"mapClass": np.array([TO_40], dtype="u1"), "allClassName": cells(NAMES), **change}
    save_mat(path, {name: value for name, value in variables.items() if value is not None})
    return path


def write_splits(path: Path, train, test) -> Path:
    save_mat(path, {"trainNdxs": np.array([train]).T, "testNdxs": np.array([test]).T})
    return path


def png(array) -> bytes:
    buffer = io.BytesIO()
    Image.fromarray(array).save(buffer, "PNG")
    return buffer.getvalue()


def city_shot(seed, height=256, width=512):
    rng = np.random.default_rng(seed)
    return {
        "image": rng.integers(0, 256, (height, width, 3), dtype=np.uint8),
        "label": rng.integers(0, 34, (height, width), dtype=np.uint8),
        "depth": rng.integers(0, 32258, (height, width), dtype=np.uint16),
    }


CITY = {"train": ["bochum_000000_000313", "aachen_000001_000019"], "val": ["lindau_000000_000019"]}
FOLDERS = {
    "image": ("leftImg8bit", "leftImg8bit"),
    "label": ("gtFine", "gtFine_labelIds"),
    "depth": ("disparity", "disparity"),
}


def city_files():
    """Name in the archives -> content, with the files that are not used."""
    files = {}
    for split, stems in {**CITY, "test": ["berlin_000000_000019"]}.items():
        for stem in stems:
            shot = city_shot(sum(map(ord, stem)))
            for kind, (folder, ending) in FOLDERS.items():
                files[f"{folder}/{split}/{stem.split('_')[0]}/{stem}_{ending}.png"] = png(shot[kind])
            files[f"gtFine/{split}/{stem.split('_')[0]}/{stem}_gtFine_color.png"] = b"not read"
    return {**files, "README": b"x", "license.txt": b"x"}


def write_tree(folder: Path, files) -> Path:
    for name, data in files.items():
        path = folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(data)
    return folder


def write_zip(path: Path, files) -> Path:
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, data in files.items():
            archive.writestr(name, data)
    return path


def write_city_zips(folder: Path) -> Path:
    folder.mkdir(parents=True, exist_ok=True)
    for kind, (top, _) in FOLDERS.items():
        chosen = {
            name: data
            for name, data in city_files().items()
            if name.startswith(f"{top}/") or not name.count("/")
        }
        archive = {"image": "leftImg8bit", "label": "gtFine", "depth": "disparity"}[kind]
        write_zip(folder / f"{archive}_trainvaltest.zip", chosen)
    return folder


PASCAL = {"train": ["2008_000002", "2009_000011"], "val": ["2010_000003"]}


@functools.cache
def _pascal_files():
    with tempfile.TemporaryDirectory() as folder:
        root = Path(folder)
        for ids in PASCAL.values():
            for number, name in enumerate(ids):  # labels of odd seeds are in pascal-context
                pascal_folder.write_image(root, name, 2 * int(name[5:]) + 1 - number)
        pascal_folder.write_lists(root, PASCAL)
        return {
            path.relative_to(root).as_posix(): path.read_bytes()
            for path in sorted(root.rglob("*"))
            if path.is_file()
        }


def pascal_files():
    """Name below PASCAL_MT -> content."""
    return dict(_pascal_files())


def write_tar(path: Path, files, extra=()) -> Path:
    """A tar of files; `extra` are (TarInfo, content) pairs for what no honest archive has."""
    with tarfile.open(path, "w:gz") as archive:
        for name, data in files.items():
            info = tarfile.TarInfo(name)
            info.size = len(data)
            archive.addfile(info, io.BytesIO(data))
        for info, data in extra:
            info.size = len(data)
            archive.addfile(info, io.BytesIO(data))
    return path


def write_pascal(path: Path, extra=(), **change) -> Path:
    files = {**pascal_files(), **change}
    named = {f"PASCAL_MT/{name}": data for name, data in files.items() if data is not None}
    return write_tar(path, named, extra)
