"""The labelled set of NYU Depth v2: nyu_depth_v2_labeled.mat, image by image."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from types import TracebackType

import h5py
import numpy as np
import numpy.typing as npt

from tabench.data.prepare.guide import NYU_FILE
from tabench.data.prepare.matlab import AGAIN, H5_BROKEN, dataset_of, open_v73
from tabench.errors import DataError

NAME = "nyu_depth_v2_labeled.mat"
WIDTH, HEIGHT = 640, 480
MOST_NAMES = 10_000  # the file has 894


@dataclass(frozen=True)
class Frame:
    """One image as the file holds it, axes put in the usual order.

    Attributes:
        image: (480, 640, 3) uint8.
        depth: (480, 640) float64 metres, holes filled by the authors; 0 = invalid.
        label: (480, 640) int64, 0 = unlabelled, k = k-th of the 894 names.
    """

    image: npt.NDArray[np.uint8]
    depth: npt.NDArray[np.float64]
    label: npt.NDArray[np.int64]


class NyuFile:
    """The open file; usable from several threads.

    Args:
        path: nyu_depth_v2_labeled.mat.

    Raises:
        DataError: Not that file, cut off, or with variables of other shapes.
    """

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
        """Read one image.

        Args:
            index: Position in the file, from 0.

        Raises:
            DataError: It cannot be read, or its depth has impossible values.
        """
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
