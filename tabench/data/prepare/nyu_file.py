"""The labelled set of NYU Depth v2: nyu_depth_v2_labeled.mat, image by image.

It is HDF5. Only named variables are read, and their types are checked: a file from elsewhere may hold
anything under any name.
"""

from __future__ import annotations

from dataclasses import dataclass
from math import prod
from pathlib import Path
from types import TracebackType

import h5py
import numpy as np
import numpy.typing as npt

from tabench.data.listing import is_file, unreadable
from tabench.data.prepare.guide import NYU_FILE
from tabench.errors import DataError

NAME = "nyu_depth_v2_labeled.mat"
WIDTH, HEIGHT = 640, 480
MOST_NAMES = 10_000  # the file has 894
LARGEST_CHUNK = 64 << 20  # bytes unpacked at once; the real file's have some thousand
# what h5py meets damage with: HDF5's own messages come as any of these
H5_BROKEN = (OSError, RuntimeError, LookupError, ValueError, TypeError, OverflowError, MemoryError)
TYPES = {"u1": "uint8", "u": "unsigned integers", "f": "floating point numbers", "O": "references"}
AGAIN = (
    "the file is open in another program, cut off, or saved in another format: close it there, or download "
    "it again and compare its size with the site's"
)


@dataclass(frozen=True)
class Frame:
    """One image as the file holds it, axes put in the usual order."""

    image: npt.NDArray[np.uint8]  # (480, 640, 3) uint8
    depth: npt.NDArray[np.float64]  # (480, 640) float64 metres, holes filled by the authors; 0 = invalid
    label: npt.NDArray[np.int64]  # (480, 640) int64, 0 = unlabelled, k = k-th of the 894 names


class NyuFile:
    """The open file, usable from several threads; raises DataError for another, or one that is cut off."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self.file = open_v73(path, NYU_FILE)
        try:
            self.images = dataset_of(self.file, "images", (None, 3, WIDTH, HEIGHT), "u1", path)
            count = self.images.shape[0]
            self.depths = dataset_of(self.file, "depths", (count, WIDTH, HEIGHT), "f", path)
            self.labels = dataset_of(self.file, "labels", (count, WIDTH, HEIGHT), "u", path)
            self.names = self._names()
        except BaseException:
            self.file.close()
            raise

    def __len__(self) -> int:
        return int(self.images.shape[0])

    def __enter__(self) -> NyuFile:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.file.close()

    def where(self, index: int) -> str:
        """How messages name an image: by its number in MATLAB, from 1."""
        return f"{self.path}, image {index + 1}"

    def read(self, index: int) -> Frame:
        """Read the image at a position from 0; DataError where it, or its depth, cannot be."""
        try:
            image, depth, label = (part[index] for part in (self.images, self.depths, self.labels))
        except H5_BROKEN as error:  # a chunk beyond the end, or one that cannot be unpacked
            raise DataError(f"cannot be read: {error}", where=self.where(index), hint=AGAIN) from error
        frame = Frame(
            np.ascontiguousarray(image.transpose(2, 1, 0), dtype=np.uint8),
            np.ascontiguousarray(depth.T, dtype=np.float64),
            np.ascontiguousarray(label.T, dtype=np.int64),
        )
        if not np.isfinite(frame.depth).all() or float(frame.depth.min()) < 0:
            raise DataError("depth that is negative or not finite", where=self.where(index), hint=AGAIN)
        return frame

    def _names(self) -> list[str]:
        """The class names, in the order of the label numbers from 1."""
        references = dataset_of(self.file, "names", (1, None), "O", self.path)
        names = []
        try:
            if references.shape[1] > MOST_NAMES:
                raise ValueError(f"{references.shape[1]} class names")
            for reference in references[0]:
                letters = self.file[reference] if isinstance(reference, h5py.Reference) else None
                if not isinstance(letters, h5py.Dataset) or letters.dtype.kind != "u" or letters.size > 1000:
                    raise ValueError("a class name that is not text")
                names.append("".join(map(chr, letters[()].ravel())))
        except H5_BROKEN as error:
            raise DataError(f"variable 'names': {error}", where=str(self.path), hint=AGAIN) from error
        return names


def open_v73(path: Path, hint: str) -> h5py.File:
    """Open a MATLAB v7.3 (HDF5) file for reading; raises DataError where that cannot be."""
    if not is_file(path):
        raise DataError("no such file", where=str(path), hint=hint)
    try:
        path.open("rb").close()  # HDF5's own words for a file that may not be read are long
    except OSError as error:
        raise unreadable(error, path) from error
    try:
        return h5py.File(path, "r", locking="best-effort")
    except H5_BROKEN as error:
        problem = f"not a whole MATLAB v7.3 (HDF5) file: {error}"
        raise DataError(problem, where=str(path), hint=f"{AGAIN}; {hint}") from error


def dataset_of(
    file: h5py.File, name: str, shape: tuple[int | None, ...], kinds: str, path: Path
) -> h5py.Dataset:
    """A variable of a v7.3 file, its axes in the order of the file (the reverse of MATLAB's).

    Expected are lengths (None accepts any), and how the NumPy type begins: "f", "u1", "O". Raises DataError
    for a variable that is missing, another one, or kept outside this file.
    """
    try:
        variable = file.get(name) if isinstance(file.get(name, getlink=True), h5py.HardLink) else None
        fault = _fault(variable, shape, kinds) if isinstance(variable, h5py.Dataset) else "is missing"
    except H5_BROKEN as error:
        raise DataError(f"variable '{name}': {error}", where=str(path), hint=AGAIN) from error
    if fault:
        hint = f"give {NAME} as it was downloaded: the labelled set (2.8 GB), not the raw one"
        raise DataError(f"variable '{name}' {fault}", where=str(path), hint=hint)
    return variable


def _fault(variable: h5py.Dataset, shape: tuple[int | None, ...], kinds: str) -> str:
    """What is wrong with a variable; "" if nothing is."""
    fits = len(shape) == len(variable.shape) and all(
        wanted in (None, length) for wanted, length in zip(shape, variable.shape, strict=True)
    )
    if not fits or not variable.dtype.str[1:].startswith(kinds):
        expected = " x ".join("N" if length is None else str(length) for length in shape)
        found = f"is {variable.shape} of {variable.dtype}"
        return f"{found}, expected {expected} (in HDF5's order) of {TYPES[kinds]}"
    if variable.external or variable.is_virtual:
        return "is kept in another file"
    if variable.chunks is not None and prod(variable.chunks) * variable.dtype.itemsize > LARGEST_CHUNK:
        return f"is packed in pieces of {variable.chunks}, too large to read one image"
    return ""
