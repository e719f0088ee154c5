"""Building a pack: whole or not at all, once, whichever process comes first."""

from __future__ import annotations

import contextlib
import hashlib
import io
import os
import shutil
from collections.abc import Iterator
from pathlib import Path

import numpy as np

from tabench.data.base import Progress, Sample, Split
from tabench.data.codec import Form, Values, forms_of
from tabench.data.pack import MANIFEST, Packed, Source, manifest_of
from tabench.errors import TabenchError
from tabench.store.atomic import draft_of, explained, write_json


class UnpackableError(TabenchError):
    """A split whose images have no common shape or no common targets."""


class _NarrowError(Exception):
    """A form that does not hold an image of its kind."""

    def __init__(self, kind: str) -> None:
        super().__init__(kind)
        self.kind = kind


def room_for(split: Split) -> int:
    """Bytes that a split's pack will take, by its first image."""
    arrays = _arrays(split.load(0))
    forms = {kind: forms_of(kind, array.dtype) for kind, array in arrays.items()}
    encoded = {kind: [form.encode(array) for form in forms[kind]] for kind, array in arrays.items()}
    return len(split) * sum(next(e.nbytes for e in tried if e is not None) for tried in encoded.values())


def build_pack(folder: Path, source: Source, split: Split, progress: Progress | None = None) -> None:
    """Read every image and write the pack in a folder beside its own, then put it in place of what is there.

    A process that has the old files mapped keeps them; of two that build at once, one pack stays.

    Args:
        folder: Where the pack goes.
        source: What it is of.
        split: What is read; at least one image.
        progress: Told (images done, images in all, image).

    Raises:
        DataError: An image cannot be read.
        StoreError: The disk is full or cannot be written; nothing is left behind.
        UnpackableError: The images differ in shape.
    """
    forms: dict[str, list[Form]] = {}
    with _beside(folder) as draft:
        while True:
            try:
                packed = _write(draft, split, forms, progress)
                break
            except _NarrowError as error:  # seldom beyond the first image: a kind is of one origin
                forms[error.kind] = forms[error.kind][1:]
        write_json(draft / MANIFEST, manifest_of(source, split.ids, packed))
        _put(draft, folder)


@contextlib.contextmanager
def _beside(folder: Path) -> Iterator[Path]:
    draft = draft_of(folder)
    with explained(draft):
        draft.mkdir(parents=True)
    try:
        yield draft
    finally:
        shutil.rmtree(draft, ignore_errors=True)


def _put(draft: Path, folder: Path) -> None:
    old = draft_of(folder)
    with explained(folder):
        with contextlib.suppress(FileNotFoundError):
            folder.rename(old)
        try:
            draft.rename(folder)
        except OSError:
            if not folder.is_dir():  # else another process was quicker
                raise
    shutil.rmtree(old, ignore_errors=True)


def _write(
    folder: Path, split: Split, forms: dict[str, list[Form]], progress: Progress | None
) -> dict[str, Packed]:
    with contextlib.ExitStack() as stack:
        files: dict[str, _File] = {}
        for index in range(len(split)):
            sample = split.load(index)
            arrays = _arrays(sample)
            if not files:
                for kind, array in arrays.items():
                    forms.setdefault(kind, forms_of(kind, array.dtype))
                    file = _File(folder / f"{kind}.npy", forms[kind][0], (len(split), *array.shape))
                    files[kind] = stack.enter_context(file)
            found = {kind: (array.shape, array.dtype.name) for kind, array in arrays.items()}
            if found != {kind: (file.shape[1:], file.form.given) for kind, file in files.items()}:
                raise UnpackableError("images differ in size or targets", where=sample.id)
            for kind, array in arrays.items():
                files[kind].add(kind, array)
            if progress is not None:
                progress(index + 1, len(split), f"pack {sample.id}")
        return {kind: file.finish() for kind, file in files.items()}


def _arrays(sample: Sample) -> dict[str, Values]:
    return {"image": sample.image, **sample.targets}


class _File(contextlib.AbstractContextManager["_File"]):
    """A .npy file written image by image: a full disk is an error here, and a crash under a memory map."""

    def __init__(self, path: Path, form: Form, shape: tuple[int, ...]) -> None:
        self.path = path
        self.form = form
        self.shape = shape
        self._digest = hashlib.sha256()
        with explained(path):
            self._handle = path.open("wb")
        header = io.BytesIO()
        description = np.lib.format.dtype_to_descr(np.dtype(form.stored))
        content = {"descr": description, "fortran_order": False, "shape": shape}
        np.lib.format.write_array_header_1_0(header, content)
        self._append(header.getvalue())

    def add(self, kind: str, array: Values) -> None:
        stored = self.form.encode(array)
        if stored is None:
            raise _NarrowError(kind)
        self._append(stored.tobytes())

    def finish(self) -> Packed:
        with explained(self.path):
            self._handle.flush()
            os.fsync(self._handle.fileno())
            size = self._handle.tell()
        form = self.form
        return Packed(form.name, form.stored, form.given, self.shape, size, self._digest.hexdigest())

    def __exit__(self, *_: object) -> None:
        with contextlib.suppress(OSError):  # what could not be flushed has been said
            self._handle.close()

    def _append(self, data: bytes) -> None:
        self._digest.update(data)
        with explained(self.path):
            self._handle.write(data)
