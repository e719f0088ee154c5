"""A pack: a split's decoded images, one file a kind of array, mapped into memory and never unpickled.

`FOLDER/<kind>.npy` holds all images of a kind, (N, ...), as its dataset reads them: decoded, checked and
resized where it resizes. `manifest.json` says what they were read from. Images come back as the same bits
that the source gives. A pack is a cache: it can be deleted at any time.
"""

from __future__ import annotations

import hashlib
import mmap
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import cast

import numpy as np
import numpy.typing as npt
import PIL

from tabench.data.array_folders import map_npy
from tabench.data.base import Array, Progress, Sample, Split
from tabench.store.encoding import parse_json

VERSION = 2  # of this layout, and of what is known of a pack's sources when it is built
READER = 2  # raised whenever reading any dataset gives other values than before
Values = npt.NDArray[np.generic]
MANIFEST = "manifest.json"
SAMPLE = 4  # images of a pack that are compared with their sources when it is opened
RESIDENT = 2**24  # bytes of a pack that stay mapped in a process


@dataclass(frozen=True)
class Source:
    """What a pack stands for."""

    dataset: str  # registry name
    fingerprint: str  # of the dataset's contents
    split: str  # name of the split
    state: str = ""  # what besides the fingerprint tells one source from another; may be empty
    # whose code reads it (`DatasetPart.code`): another reader builds the pack again, in its place
    code: str = ""

    @property
    def folder(self) -> str:
        """Path of its pack below the folder of all packs."""
        digest = hashlib.sha256(f"{self.dataset}\0{self.fingerprint}".encode()).hexdigest()[:16]
        return f"{self.dataset}-{digest}/{self.split}"


@dataclass(frozen=True)
class Form:
    """One way to store arrays of one type."""

    form: str  # "unit8" (k / 255 as k), "int8", "float16", or "same"
    stored: str  # NumPy name of the stored type
    given: str  # NumPy name of the type it stands for

    def encode(self, array: Values) -> Values | None:
        """The array as stored, C-contiguous; None if this form would change a single bit of it."""
        if self.form == "same":
            return np.ascontiguousarray(array)
        with np.errstate(over="ignore", invalid="ignore"):  # what does not fit is found below
            if self.form == "unit8":
                stored: Values = np.rint(cast(Array, array) * np.float32(255)).astype(np.uint8)
            else:
                stored = np.ascontiguousarray(array).astype(self.stored)
        same = self.decode(stored).tobytes() == np.ascontiguousarray(array).tobytes()
        return stored if same else None

    def decode(self, stored: Values) -> Values:
        """The array as it was given: `stored` itself in the form "same", else a fresh one."""
        if self.form == "unit8":
            unit: Array = stored.astype(np.float32) / np.float32(255)
            return unit
        return stored.astype(self.given, copy=False)


def forms_of(kind: str, dtype: np.dtype[np.generic]) -> list[Form]:
    """The forms to try, the narrowest first; the last one takes everything."""
    narrower = []
    if kind == "image" and dtype == np.float32:
        narrower.append(Form("unit8", "uint8", "float32"))
    if dtype == np.float32:
        narrower.append(Form("float16", "float16", "float32"))
    if dtype == np.int64:
        narrower.append(Form("int8", "int8", "int64"))
    return [*narrower, Form("same", dtype.name, dtype.name)]


@dataclass(frozen=True)
class Packed(Form):
    """One kind's file."""

    shape: tuple[int, ...]  # (N, ...)
    bytes: int  # size of the file
    sha256: str  # of the file


class DamagedPackError(Exception):
    """A pack that cannot be used; the message says why. It can be built again."""


class PackedSplit(Split):
    """A split read from its pack: the mapped file of each kind, and how it is stored there."""

    def __init__(self, split: Split, arrays: Mapping[str, Values], forms: Mapping[str, Packed]) -> None:
        self.split = split
        self.augmentation, self.paper_augmentation = split.augmentation, split.paper_augmentation
        self.size = sum(packed.bytes for packed in forms.values())
        self._ids = split.ids
        self._maps = [held for array in arrays.values() if (held := _map_of(array)) is not None]
        self._resident = 0
        self._arrays, self._forms = dict(arrays), dict(forms)

    def __len__(self) -> int:
        return len(self._ids)

    @property
    def ids(self) -> list[str]:
        """As the source's."""
        return list(self._ids)

    def load(self, index: int, *, draw: tuple[int, int] | None = None) -> Sample:
        """One image out of the pack; see `Split.load`. Its targets may be read-only parts of the files."""
        self._let_go()
        arrays = {kind: self._forms[kind].decode(array[index]) for kind, array in self._arrays.items()}
        image = np.require(cast(Array, arrays.pop("image")), requirements="W")  # torch warns of others
        sample = Sample(self._ids[index], image, arrays)
        if draw is None:
            return sample
        assert self.augmentation is not None  # others are not packed
        return self.augmentation.one(sample, *draw, index)

    def shape(self, index: int) -> tuple[int, int]:
        """The same for all."""
        height, width = self._arrays["image"].shape[2:]
        return height, width

    def files(self, index: int) -> Mapping[str, Path]:
        """As the source's."""
        return self.split.files(index)

    def sources(self, index: int) -> list[Path]:
        """As the source's."""
        return self.split.sources(index)

    def _let_go(self) -> None:
        """Give pages back now and then, or a process' peak memory would tell the size of the pack.

        They stay in the page cache; an array that still shows them gets them back from there.
        """
        self._resident += self.size // max(len(self), 1)
        if self._resident > RESIDENT and hasattr(mmap, "MADV_DONTNEED"):
            for held in self._maps:
                held.madvise(mmap.MADV_DONTNEED)
            self._resident = 0


def manifest_of(source: Source, ids: Sequence[str], arrays: Mapping[str, Packed]) -> dict[str, object]:
    """Content of a pack's manifest."""
    return {**_claims(source, ids), "arrays": {kind: asdict(packed) for kind, packed in arrays.items()}}


def _claims(source: Source, ids: Sequence[str]) -> dict[str, object]:
    return {
        "version": VERSION,
        "reader": READER,
        "pillow": PIL.__version__,  # decodes and resizes
        **asdict(source),
        "ids": hashlib.sha256("\n".join(ids).encode()).hexdigest(),
    }


def open_pack(folder: Path, source: Source, split: Split) -> PackedSplit | None:
    """Open a pack after a look at its manifest and at its files' sizes; None if there is none.

    Raises:
        DamagedPackError: It is incomplete, damaged or of another source.
    """
    if not folder.is_dir():
        return None
    content, files = _read_manifest(folder)
    expected = _claims(source, split.ids)
    other = [key for key, value in expected.items() if content.get(key) != value]
    if other:
        raise DamagedPackError(f"another {other[0]}: {content.get(other[0])}, not {expected[other[0]]}")
    arrays = {kind: _mapped(folder / f"{kind}.npy", packed) for kind, packed in files.items()}
    if "image" not in arrays or any(len(array) != len(split) for array in arrays.values()):
        raise DamagedPackError("its files do not hold the split's images")
    for kind, packed in files.items():
        if Form(packed.form, packed.stored, packed.given) not in forms_of(kind, np.dtype(packed.given)):
            raise DamagedPackError(f"{MANIFEST}: a form that there is not")
    return PackedSplit(split, arrays, files)


def difference(pack: Split, split: Split, most: int = SAMPLE) -> str:
    """What tells a pack from its source in a sample of images, evenly spread; "" if nothing does."""
    steps = min(len(split), most)
    for index in sorted({round(step * (len(split) - 1) / max(steps - 1, 1)) for step in range(steps)}):
        kept, fresh = pack.load(index), split.load(index)
        arrays = [{"image": sample.image, **sample.targets} for sample in (kept, fresh)]
        told = [{k: (a.dtype, a.shape, a.tobytes()) for k, a in held.items()} for held in arrays]
        if told[0] != told[1]:
            return f"image {fresh.id} is not what its files hold"
    return ""


def _mapped(path: Path, packed: Packed) -> Values:
    try:
        size = path.stat().st_size
        array: Values = np.asarray(map_npy(path))
        if size == packed.bytes and array.shape == packed.shape and array.dtype == np.dtype(packed.stored):
            return array
    except (OSError, ValueError, TypeError) as error:
        raise DamagedPackError(f"{path.name}: {error}") from error
    raise DamagedPackError(f"{path.name}: {size} bytes of {array.dtype} {array.shape}")


def check_pack(folder: Path, progress: Progress | None = None) -> int:
    """Compare every byte of a pack with the manifest (else DamagedPackError); returns how many there are."""
    _, files = _read_manifest(folder)
    for done, (kind, packed) in enumerate(files.items(), start=1):
        path = folder / f"{kind}.npy"
        try:
            with path.open("rb") as handle:
                digest = hashlib.file_digest(handle, "sha256").hexdigest()
        except OSError as error:
            raise DamagedPackError(f"{path.name}: {error.strerror}") from error
        if digest != packed.sha256:
            raise DamagedPackError(f"{path.name}: its sha256 is not that of the manifest")
        if progress is not None:
            progress(done, len(files), f"hash {path.name}")
    return sum(packed.bytes for packed in files.values())


def _map_of(array: object) -> mmap.mmap | None:
    """What an array's memory is mapped by."""
    while isinstance(array, np.ndarray):
        array = array.base
    return array if isinstance(array, mmap.mmap) else None


def _read_manifest(folder: Path) -> tuple[dict[str, object], dict[str, Packed]]:
    try:
        content = parse_json((folder / MANIFEST).read_bytes())
        files = {
            str(kind): Packed(**{**entry, "shape": tuple(int(size) for size in entry["shape"])})
            for kind, entry in content["arrays"].items()
        }
        for packed in files.values():
            np.dtype(packed.stored), np.dtype(packed.given), packed.bytes + 0
    except (OSError, ValueError, TypeError, KeyError, AttributeError, OverflowError, SyntaxError) as error:
        raise DamagedPackError(f"{MANIFEST}: {error}") from error
    if any(not kind.isalnum() for kind in files):
        raise DamagedPackError(f"{MANIFEST}: names of kinds that are none")
    return content, files
