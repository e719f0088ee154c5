"""Folders of arrays as mtan lays them out: root/{train,val}/FOLDER/{i}.npy, a folder for each kind of array.

A kind says what an array is ("image", "label", "depth", "disparity", "normal"); its folder is named after
it unless a dataset says otherwise. Files are read memory-mapped and never unpickled. Floats may
be of any width, labels may be floats; every array is checked before it is used, and an error names its file.
"""

from __future__ import annotations

import io
import re
from collections.abc import Mapping, Sequence
from itertools import count, islice
from pathlib import Path
from tokenize import TokenError

import numpy as np
import numpy.typing as npt

from tabench.data.checks import out_of_range
from tabench.data.folder_dataset import FOLDERS, VERIFY
from tabench.data.listing import SHOWN, names_in, unreadable
from tabench.errors import DataError
from tabench.store.atomic import write_bytes
from tabench.text import few

CHANNELS = {"image": 3, "depth": 1, "disparity": 1, "normal": 3}  # last axis; a label has none
NUMBER = re.compile(r"0|[1-9][0-9]*")
IGNORE = -1
MAX_PIXELS = 8192 * 8192  # the largest benchmark has 1024x2048; more is a wrong or a hostile file
LONGEST_HEADER = 10_000  # bytes; one of plain values has 100
# what NumPy's header parser and memory map meet damaged and forged headers with
_BROKEN = (ValueError, TypeError, EOFError, SyntaxError, TokenError, OverflowError, FloatingPointError,
           RecursionError, UnicodeError, KeyError, IndexError, AttributeError)  # fmt: skip


def list_images(root: Path, folder: str, folders: Mapping[str, str], *, hint: str) -> list[int]:
    """Numbers of the images of "train" or "val", ascending; each has a file in the folder of every kind.

    Raises:
        DataError: The folder is missing, unreadable or empty (`hint` says where data come from), arrays have
            other names than numbers, or images lack files; the message names which image lacks what.
    """
    tree = f"ROOT/{{{','.join(FOLDERS)}}}/{{{','.join(folders.values())}}}/N.npy"
    found: dict[str, set[int]] = {}
    other: list[str] = []
    for name in folders.values():
        files = names_in(root / folder / name, hint=f"the tree is {tree}: {hint}")
        stems = {file: file[:-4] for file in files if file.lower().endswith(".npy")}
        other += [f"{name}/{f}" for f, s in stems.items() if not (NUMBER.fullmatch(s) and f.endswith(".npy"))]
        found[name] = {int(stem) for stem in stems.values() if NUMBER.fullmatch(stem)}
    if other:
        raise DataError(
            f"{len(other)} arrays have names that are not read (expected 0.npy, 1.npy, ..., without leading "
            f"zeros): {few(other)}",
            where=str(root / folder),
            hint="rename them, alike in every folder, or move them out of here",
        )
    everything = sorted(set().union(*found.values()))
    if not everything:
        raise DataError("no image here (expected 0.npy, 1.npy, ...)", where=str(root / folder), hint=hint)
    lacking = {i: [name for name in found if i not in found[name]] for i in everything}
    broken = [f"{folder}/{i} lacks {', '.join(names)}" for i, names in lacking.items() if names]
    if broken:
        raise DataError(
            f"{len(broken)} of {len(everything)} images are incomplete: {few(broken, apart='; ')}",
            where=str(root / folder),
            hint="these files are missing, the rest can stay (to do without such an image, remove its other "
            f"files too): {hint}",
        )
    return everything


def gap_notes(folder: str, numbers: Sequence[int]) -> list[str]:
    """A line about the numbers that a folder leaves out, of its ascending ones; none if there are none."""
    gaps, held = numbers[-1] + 1 - len(numbers), set(numbers)
    if not gaps:
        return []
    first = list(islice((number for number in count() if number not in held), min(gaps, SHOWN)))
    left = few(first, total=gaps)
    return [f"{folder}: file numbers up to {numbers[-1]} with {gaps} left out: {left}"]


def file_of(root: Path, folder: str, name: str, number: int) -> Path:
    """Path of one array; `name` is its kind's folder."""
    return root / folder / name / f"{number}.npy"


def write_array(path: Path, array: npt.NDArray[np.generic]) -> None:
    """Write a .npy file, whole or not at all; raises StoreError where it cannot be written."""
    write_bytes(path, npy_bytes(array))


def npy_bytes(array: npt.NDArray[np.generic]) -> bytes:
    """The content of a .npy file."""
    buffer = io.BytesIO()
    np.save(buffer, array, allow_pickle=False)
    return buffer.getvalue()


def open_array(path: Path) -> npt.NDArray[np.generic]:
    """Map a .npy file into memory; raises DataError where `map_npy` cannot."""
    try:
        return map_npy(path)
    except FileNotFoundError:
        raise DataError("file not found", where=str(path), hint=VERIFY) from None
    except OSError as error:
        raise unreadable(error, path) from error
    except ValueError as error:
        raise DataError(
            f"not a readable .npy array: {error}", where=str(path), hint="download this file again"
        ) from error


def map_npy(path: Path) -> npt.NDArray[np.generic]:
    """Map a .npy file; its values are read when they are used.

    A shape is believed only as far as the file has bytes for it; objects and pickles are refused.

    Raises:
        OSError: It cannot be opened.
        ValueError: It is not a whole .npy file of plain values; says why.
    """
    with path.open("rb") as file:
        begin = file.read(12)
    if begin[:6] != b"\x93NUMPY":
        raise ValueError("no header of a .npy file")
    length = int.from_bytes(begin[8:10] if begin[6:7] == b"\1" else begin[8:12], "little")
    if length > LONGEST_HEADER:  # NumPy would make room for it first
        raise ValueError(f"a header of {length} bytes")
    try:
        with np.errstate(all="raise"):  # a product of sizes that wraps around
            return np.lib.format.open_memmap(path, mode="r")
    except _BROKEN as error:
        raise ValueError(" ".join(str(error).split())[:300] or type(error).__name__) from error


def fault(kind: str, array: npt.NDArray[np.generic], classes: int) -> str | None:
    """What is wrong with an array as stored, in one sentence; None if nothing is."""
    if array.size > MAX_PIXELS * CHANNELS.get(kind, 1):
        return f"shape {array.shape}, more than the {MAX_PIXELS} pixels accepted"
    if kind == "label":
        if array.ndim != 2 or 0 in array.shape:
            return f"shape {array.shape}, expected (H, W)"
        if array.dtype.kind not in "fiu":
            return f"dtype {array.dtype}, expected integers or floats"
        return _label_fault(np.asarray(array), classes)
    if array.ndim != 3 or array.shape[2] != CHANNELS[kind] or 0 in array.shape:
        return f"shape {array.shape}, expected (H, W, {CHANNELS[kind]})"
    if array.dtype.kind != "f":
        scale = "; divide 0..255 images by 255" if kind == "image" else ""
        return f"dtype {array.dtype}, expected a float type{scale}"
    values = np.asarray(array)
    bad = int(np.count_nonzero(~np.isfinite(values)))
    if bad:
        return f"{bad} values are NaN or infinite"
    return out_of_range(kind, float(values.min()), float(values.max()))


def _label_fault(values: npt.NDArray[np.generic], classes: int) -> str | None:
    numbers = values.astype(np.float64)
    whole = np.isfinite(numbers) & (numbers == np.rint(numbers))
    if not whole.all():
        return f"{int((~whole).sum())} labels are not whole numbers"
    outside = np.unique(numbers[(numbers < IGNORE) | (numbers >= classes)])
    if outside.size:
        strange = few(f"{value:g}" for value in outside)
        known = {classes: "; where 0 is unlabelled, subtract 1", 255: "; ignored is -1 here, not 255"}
        likely = known.get(int(outside[0]), "") if outside.size == 1 else ""
        return f"labels {strange} outside {IGNORE}..{classes - 1}{likely}"
    return None


def read_array(path: Path, kind: str, classes: int) -> npt.NDArray[np.generic]:
    """Read, check and convert one array.

    Gives "image" and "normal" (3, H, W) float32, "depth" and "disparity" (1, H, W) float32, "label" (H, W)
    int64.

    Raises:
        DataError: Unreadable, or of the wrong shape, dtype or range; names the file.
    """
    stored = open_array(path)
    problem = fault(kind, stored, classes)
    if problem:
        raise DataError(problem, where=str(path), hint=VERIFY)
    if kind == "label":
        return np.array(stored, dtype=np.int64)
    return np.ascontiguousarray(planes(stored), dtype=np.float32)


def planes(array: npt.NDArray[np.generic]) -> npt.NDArray[np.generic]:
    """A stored array (H, W) or (H, W, C) with the axes of a sample: (H, W) or (C, H, W)."""
    return array if array.ndim == 2 else np.moveaxis(array, 2, 0)


def check_same_size(sizes: Mapping[str, Sequence[int]], where: str) -> None:
    """Check that the arrays of an image, by kind, have one height and width; raises DataError."""
    if len(set(sizes.values())) > 1 or any(len(size) < 2 for size in sizes.values()):
        told = ", ".join(f"{kind} {'x'.join(map(str, size))}" for kind, size in sizes.items())
        raise DataError(f"sizes differ: {told}", where=where, hint=VERIFY)
