"""Which splits are read from a pack (see `data.pack`), where packs lie, and how one is built.

A pack saves decoding, checking and converting an image each time it is read. These, not the disk, are what
reading costs: small generated datasets, which lie in the page cache anyway, are packed for the same reason.
"""

from __future__ import annotations

import contextlib
import hashlib
import io
import os
import shutil
import time
from collections.abc import Callable, Mapping
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np

from tabench.data.base import DatasetDef, Progress, Sample, Split
from tabench.data.pack import (
    MANIFEST,
    DamagedPackError,
    Form,
    Packed,
    PackedSplit,
    Source,
    Values,
    check_pack,
    difference,
    forms_of,
    manifest_of,
    open_pack,
)
from tabench.errors import DataError, InterruptedRunError, SpecError, StoreError, TabenchError
from tabench.provenance.files import cache_root, free_bytes
from tabench.store.atomic import draft_of, explained, write_json
from tabench.store.claim import Claim, ClaimedError
from tabench.store.file_cache import stamp_of
from tabench.text import bytes_text

MANY = 32  # images of a pack that `tabench data verify` compares with their sources
SHARE = 0.2  # of the cache's free disk: larger packs are built only when asked for
Emit = Callable[[str, Mapping[str, Any]], None]


@dataclass(frozen=True)
class Opener:
    """Opens the splits of one dataset."""

    dataset: DatasetDef  # which
    root: Path  # its folder
    fingerprint: str  # of its contents
    # True packs whatever it takes, False never; None packs what takes at most `SHARE` of the disk
    wanted: bool | None
    # told "pack" with "split", "state" ("building", "built", "left out"), "bytes", "seconds" that it took,
    # and "message"
    emit: Emit
    should_stop: Callable[[], bool]  # asked after every image
    code: str = ""  # whose code reads it (`DatasetPart.code`)

    def check(self, *, fresh: bool = False) -> None:
        """Check that the folder still holds what the run was planned with; `fresh` reads every file again.

        Raises:
            DataError: It holds something else.
        """
        given = self.dataset.fingerprint
        # a reader that knows no `fresh` is never asked with it where no pack is in doubt
        found = given(self.root, fresh=True) if fresh else given(self.root)
        if found != self.fingerprint:
            raise DataError(
                f"changed since the run was planned: fingerprint {found}, then {self.fingerprint}",
                where=str(self.root),
                hint="give the same command again: other data are other cells",
            )

    def open(self, name: str) -> Split:
        """Open a split from its pack, which is built if need be; from its source where that cannot be.

        A split whose reader does not say which files it reads is never packed.

        Raises:
            DataError: Files of the dataset are missing or wrong, or not those of the fingerprint.
            SpecError: The dataset has no split of this name.
            InterruptedRunError: `should_stop` said so.
        """
        split = self.dataset.split(self.root, name)
        known = len(split) and split.augmentation is not None and split.sources(0)
        if self.wanted is False or not known:
            return split
        try:
            return self._packed(name, split)
        except ClaimedError:
            self._tell(name, "left out", "another process is building it")
        except (StoreError, UnpackableError, OSError) as error:
            self._tell(name, "left out", str(error))
        return split

    def _packed(self, name: str, split: Split) -> Split:
        source = self.source(name, split)
        folder = packs_root() / source.folder
        found, fault = self._usable(folder, source, split)
        if found is not None:
            return found
        size = room_for(split)
        free = free_bytes(folder)
        if self.wanted is None and size > SHARE * free:
            why = f"more than {SHARE:.0%} of the {bytes_text(free)} free; --pack builds it all the same"
            self._tell(name, "left out", why, size)
            return split
        with Claim(folder.with_name(f"{folder.name}.claim")):
            found, fault = self._usable(folder, source, split)  # another process may have been quicker
            if found is None:
                self._build(folder, source, split, size, fault)
        with contextlib.suppress(DamagedPackError):
            return open_pack(folder, source, split) or split
        return split

    def _usable(self, folder: Path, source: Source, split: Split) -> tuple[PackedSplit | None, str]:
        """The pack, if a sample of it is what the source holds, or why the one there cannot be used."""
        try:
            found = open_pack(folder, source, split)
        except DamagedPackError as error:
            return None, str(error)
        if found is not None and (fault := difference(found, split)):
            self.check(fresh=True)  # else it is the source that is another one, and the pack may be right
            return None, fault
        return found, ""

    def _build(self, folder: Path, source: Source, split: Split, size: int, fault: str) -> None:
        for left in folder.parent.glob(f".{folder.name}.*.tmp"):  # of processes that were killed
            shutil.rmtree(left, ignore_errors=True)
        started = time.monotonic()
        why = f"instead of one that cannot be used: {fault}" if fault else ""
        self._tell(source.split, "building", why, size)
        build_pack(folder, source, split, self._watch)
        try:
            self.check()
        except DataError:  # while it was built
            shutil.rmtree(folder, ignore_errors=True)
            raise
        self._tell(source.split, "built", size=size, seconds=time.monotonic() - started)

    def _watch(self, done: int, total: int, _: str) -> None:
        if self.should_stop():
            raise InterruptedRunError(
                f"stopped after packing {done} of {total} images", hint="run the same command again"
            )

    def _tell(self, name: str, state: str, message: str = "", size: int = 0, seconds: float = 0.0) -> None:
        facts = {"split": name, "state": state, "bytes": size, "message": message}
        self.emit("pack", {**facts, "seconds": round(seconds, 3)})

    def source(self, name: str, split: Split) -> Source:
        """What a split's pack stands for."""
        return Source(self.dataset.name, self.fingerprint, name, self._state(split), self.code)

    def _state(self, split: Split) -> str:
        """Names and stamps of a generated dataset's files: its fingerprint knows its recipe alone."""
        if not self.dataset.synthetic:
            return ""
        digest = hashlib.sha256(str(self.root.resolve()).encode())
        for path in (path for index in range(len(split)) for path in split.sources(index)):
            digest.update(f"{path.relative_to(self.root)}\0{stamp_of(path.stat())}\n".encode())
        return digest.hexdigest()


def packs_root() -> Path:
    """The folder of all packs."""
    return cache_root() / "packed"


def check_packs(
    dataset: DatasetDef, root: Path, fingerprint: str, progress: Progress | None = None, code: str = ""
) -> tuple[list[str], list[str]]:
    """Read every pack of a dataset; remove those that are damaged or of other images than the folder holds.

    Returns:
        A line for each sound pack, and a line for each removed one, which the next run builds again.
    """
    sound, removed = [], []
    opener = Opener(dataset, root, fingerprint, None, lambda *_: None, lambda: False, code)
    try:
        home = (packs_root() / Source(dataset.name, fingerprint, "any").folder).parent
    except StoreError:  # no cache, no packs
        return [], []
    for folder in sorted(home.iterdir()) if home.is_dir() else []:
        if not folder.is_dir() or folder.name.startswith("."):
            continue
        try:
            size = check_pack(folder, progress)
            split = dataset.split(root, folder.name)
            pack = open_pack(folder, opener.source(folder.name, split), split)
            if pack is not None and (fault := difference(pack, split, MANY)):
                raise DamagedPackError(fault)
            sound.append(f"pack of {folder.name}: {bytes_text(size)}, sound")
        except (DamagedPackError, SpecError) as error:
            shutil.rmtree(folder, ignore_errors=True)
            removed.append(f"pack of {folder.name}: damaged and removed ({error}); a run builds it again")
    return sound, removed


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

    The caller holds the pack's claim. A process that has the old files mapped keeps them.

    Raises:
        DataError: An image cannot be read.
        StoreError: The disk is full or cannot be written; nothing is left behind.
        UnpackableError: The images differ in shape.
    """
    forms: dict[str, list[Form]] = {}
    draft = draft_of(folder)
    with explained(draft):
        draft.mkdir(parents=True)
    try:
        while True:
            try:
                packed = _write(draft, split, forms, progress)
                break
            except _NarrowError as error:  # seldom beyond the first image: a kind is of one origin
                forms[error.kind] = forms[error.kind][1:]
        write_json(draft / MANIFEST, manifest_of(source, split.ids, packed))
        with explained(folder):
            shutil.rmtree(folder, ignore_errors=True)
            draft.rename(folder)
    finally:
        shutil.rmtree(draft, ignore_errors=True)


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
        return Packed(**asdict(self.form), shape=self.shape, bytes=size, sha256=self._digest.hexdigest())

    def __exit__(self, *_: object) -> None:
        with contextlib.suppress(OSError):  # what could not be flushed has been said
            self._handle.close()

    def _append(self, data: bytes) -> None:
        self._digest.update(data)
        with explained(self.path):
            self._handle.write(data)
