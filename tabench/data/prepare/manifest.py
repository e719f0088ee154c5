"""prepare.json: from what, by what and how a folder was prepared; SHA256SUMS: every file in it.

prepare.json is written before the first image, so a folder that was begun can only be finished
with the same images of the same sources by the same recipe; SHA256SUMS
(``sha256sum -c SHA256SUMS``) comes last.
"""

from __future__ import annotations

import hashlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from importlib.metadata import version
from pathlib import Path
from typing import Any

import numpy as np
import PIL

from tabench import __version__
from tabench.data.base import Progress
from tabench.data.listing import LEFT_OUT, PREPARED, is_empty
from tabench.errors import DataError, StoreError
from tabench.provenance.files import sha256_file
from tabench.store.atomic import write_bytes, write_json
from tabench.store.encoding import read_json
from tabench.text import few

FILE = PREPARED
SUMS = "SHA256SUMS"
FORMAT = 1
COMPARED = ("format", "dataset", "recipe", "parameters", "images", "sources")


@dataclass(frozen=True)
class Output:
    """One file of the prepared dataset."""

    name: str  # path below the root, with slashes
    size: int  # bytes
    sha256: str  # 64 hex digits
    written: bool  # by this call; False if it was complete already


@dataclass(frozen=True)
class Manifest:
    """What decides the content of a prepared folder."""

    dataset: str  # name in the registry
    recipe: int  # version of the steps; another number means other output from the same sources
    parameters: Mapping[str, object]  # sizes, filters, maps and methods
    sources: Sequence[Mapping[str, object]]  # as `describe` gives them
    images: Sequence[str]  # names of the images in the order of their numbers
    left_out: Sequence[str] = ()  # names of images that lack files and were left out on demand

    def content(self) -> dict[str, Any]:
        """The JSON object, before anything is written."""
        return {
            "format": FORMAT,
            "dataset": self.dataset,
            "recipe": self.recipe,
            "parameters": dict(self.parameters),
            "images": hashlib.sha256("\n".join(self.images).encode()).hexdigest(),
            "sources": [dict(source) for source in self.sources],
            LEFT_OUT: list(self.left_out),
            "software": {
                "tabench": __version__,
                "numpy": np.__version__,
                "pillow": PIL.__version__,
                "h5py": version("h5py"),
            },
            "complete": False,
        }


def claim(root: Path, manifest: Manifest, *, in_place: bool = False) -> None:
    """Take a folder for this preparation, or continue one that was begun.

    The folder is new, empty, or holds prepare.json of the same preparation; `in_place`, where it is the
    source itself, it may hold other files.

    Raises:
        DataError: It holds another preparation (names the first difference) or other files.
    """
    path, wanted = root / FILE, manifest.content()
    if path.exists():
        held = _read(path)
        for key in COMPARED:
            if held.get(key) != wanted[key]:
                raise DataError(
                    f"begun with another '{key}': {_brief(held.get(key))}; asked for {_brief(wanted[key])}",
                    where=str(path),
                    hint="give the same sources and options, choose another folder, or delete this one",
                )
        return
    if root.exists() and not in_place and not is_empty(root):
        raise DataError(
            "the path is taken by something that `tabench data prepare` did not write",
            where=str(root),
            hint="choose an empty or a new folder",
        )
    write_json(path, wanted)


def finish(root: Path, manifest: Manifest, counts: Mapping[str, int], outputs: Sequence[Output]) -> None:
    """Write SHA256SUMS, then prepare.json with the counts and complete = true.

    Raises:
        DataError: A file that was kept is not what an earlier SHA256SUMS says.
        StoreError: The folder cannot be written.
    """
    _compare(root, outputs)
    lines = "".join(f"{item.sha256}  {item.name}\n" for item in sorted(outputs, key=lambda item: item.name))
    write_bytes(root / SUMS, lines.encode())
    content = manifest.content()
    content["counts"] = dict(counts)
    content["outputs"] = {
        "files": len(outputs),
        "bytes": sum(item.size for item in outputs),
        "sums": SUMS,
        "sha256": hashlib.sha256(lines.encode()).hexdigest(),
    }
    content["complete"] = True
    write_json(root / FILE, content)


def _compare(root: Path, outputs: Sequence[Output]) -> None:
    """Kept files must be what they were when the folder was complete."""
    path = root / SUMS
    if not path.exists():
        return
    pairs = (line.split("  ", 1) for line in path.read_text(encoding="utf-8").splitlines())
    before = {name: digest for digest, name in pairs}
    changed = [
        output.name
        for output in outputs
        if not output.written and before.get(output.name, output.sha256) != output.sha256
    ]
    if changed:
        raise DataError(
            f"changed since the folder was complete: {few(changed)}",
            where=str(path),
            hint="delete these files and give the same command again",
        )


def _read(path: Path) -> dict[str, Any]:
    try:
        held = read_json(path, hint="delete it and start again in an empty folder")
    except StoreError as error:
        raise DataError(error.message, where=error.where, hint=error.hint) from error
    return held if isinstance(held, dict) else {}


def _brief(value: object, longest: int = 200) -> str:
    text = str(value)
    return text if len(text) <= longest else f"{text[:longest]}..."


def describe(
    sources: Sequence[tuple[Path, Sequence[Path]]], progress: Progress | None = None
) -> list[dict[str, object]]:
    """Name, size and sha256 of each source, as prepare.json keeps them: nothing of where it lies.

    A source is a file with no further files, or a folder with the files of it that are used; a folder's
    sha256 is over its files' sorted "relative path NUL sha256" lines. Progress is in bytes of a file.

    Raises:
        DataError: A file cannot be read.
    """
    try:
        return [_entry(source, files, progress) for source, files in sources]
    except OSError as error:
        raise DataError(f"cannot be read: {error.strerror}", where=str(error.filename)) from error
    except StoreError as error:
        raise DataError(error.message, where=error.where) from error


def _entry(source: Path, files: Sequence[Path], progress: Progress | None) -> dict[str, object]:
    if not files:
        size = source.stat().st_size
        return {"name": source.name, "bytes": size, "sha256": sha256_file(source, progress)}
    lines = sorted(f"{f.relative_to(source).as_posix()}\0{sha256_file(f, progress)}\n" for f in files)
    return {
        "name": f"{source.resolve().name}/",
        "files": len(files),
        "bytes": sum(path.stat().st_size for path in files),
        "sha256": hashlib.sha256("".join(lines).encode()).hexdigest(),
    }
