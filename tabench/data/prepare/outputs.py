"""Output files: written whole, skipped when complete, counted by their sha256; images in parallel."""

from __future__ import annotations

import hashlib
from collections import Counter, deque
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from itertools import islice
from math import prod
from pathlib import Path
from typing import TypeVar

import numpy as np
import numpy.typing as npt

from tabench.data.array_folders import file_of, npy_bytes
from tabench.data.base import Progress
from tabench.data.folder_dataset import FolderDataset
from tabench.data.listing import count_notes, left_out_note
from tabench.data.prepare import Outcome, Request
from tabench.data.prepare.manifest import Manifest, Output, claim, describe, finish
from tabench.errors import DataError, StoreError
from tabench.provenance.files import free_bytes, sha256_file
from tabench.store.atomic import write_bytes
from tabench.text import bytes_text, few

Arrays = Mapping[str, npt.NDArray[np.generic]]
Item = TypeVar("Item")
Result = TypeVar("Result")
HEADER = 128  # bytes before the values of a .npy file of this size
SPARE = 64 << 20  # left free for everybody else
MOST_WRONG = 20  # then the source as a whole is wrong, and reading on is a waste


def write_images(
    request: Request,
    dataset: FolderDataset,
    images: Sequence[tuple[str, str, Item]],
    make: Callable[[Item], Arrays],
    *,
    recipe: int,
    parameters: Mapping[str, object],
    sources: Sequence[tuple[Path, Sequence[Path]]],
    channels: Mapping[str, int],
    left_out: Sequence[str] = (),
) -> Outcome:
    """Write the arrays of all images that are not there yet, ROOT/FOLDER/KIND/NUMBER.npy.

    A file that exists is complete, for each appears whole or not at all. Sources are read when there is room.

    Args:
        request: Where and how.
        dataset: What is prepared; all arrays have its size.
        images: Folder, name in the record and source of each; they are numbered in this order.
        make: Computes all kinds of one image as float32; not called if nothing is missing.
        recipe: See `Manifest`, as for `parameters` and `left_out`.
        parameters: What decides the content.
        sources: What was given, for `describe`.
        channels: Kind to channels.
        left_out: Images that lack files.
    """
    root, counts = request.root, Counter[str]()
    work: list[tuple[str, Item, dict[str, Path]]] = []
    for folder, _, source in images:
        number = counts[folder]
        paths = {kind: file_of(root, folder, kind, number) for kind in channels}
        work.append((f"{folder}/{number}", source, paths))
        counts[folder] += 1
    missing = (kind for _, _, paths in work for kind, path in paths.items() if not path.exists())
    require_space(root, sum(4 * prod(dataset.size) * channels[kind] + HEADER for kind in missing))
    described = describe(sources, request.progress)
    names = [name for _, name, _ in images]
    manifest = Manifest(dataset.name, recipe, parameters, described, names, left_out)
    claim(root, manifest)

    def write(item: tuple[str, Item, dict[str, Path]]) -> list[Output]:
        _, source, paths = item
        absent = {kind for kind, path in paths.items() if not path.exists()}
        arrays = make(source) if absent else {}
        return [
            write_file(root, path, npy_bytes(arrays[kind])) if kind in absent else existing_file(root, path)
            for kind, path in paths.items()
        ]

    written = run_all(
        write, work, workers=request.workers, name=lambda item: item[0], progress=request.progress
    )
    return finished(root, dataset, manifest, counts, [output for files in written for output in files])


def finished(
    root: Path,
    dataset: FolderDataset,
    manifest: Manifest,
    counts: Mapping[str, int],
    outputs: Sequence[Output],
) -> Outcome:
    """Complete the folder's record and sum up; see `finish`."""
    finish(root, manifest, counts, outputs)
    written, size = sum(output.written for output in outputs), sum(output.size for output in outputs)
    all_counts = {**dict.fromkeys(dataset.published_counts, 0), **counts}
    found = [*left_out_note(manifest.left_out), *count_notes(all_counts, dataset.published_counts)]
    return Outcome(dict(counts), written, len(outputs) - written, size, found)


def write_file(root: Path, path: Path, data: bytes) -> Output:
    """Write one file whole; raises StoreError where it cannot be written."""
    write_bytes(path, data)
    digest = hashlib.sha256(data).hexdigest()
    return Output(path.relative_to(root).as_posix(), len(data), digest, written=True)


def existing_file(root: Path, path: Path) -> Output:
    """A file that is there already; raises StoreError where it cannot be read."""
    name, size = path.relative_to(root).as_posix(), path.stat().st_size
    return Output(name, size, sha256_file(path), written=False)


def require_space(root: Path, needed: int) -> None:
    """Raise StoreError if the disk that `root`, which need not exist, is or will be on lacks room."""
    free = free_bytes(root)
    if needed + SPARE > free:
        raise StoreError(
            f"{bytes_text(needed)} are still to be written, {bytes_text(free)} are free",
            where=str(root),
            hint="free some space or choose a folder on another disk; what is written already is kept",
        )


def run_all(
    work: Callable[[Item], Result],
    items: Sequence[Item],
    *,
    workers: int,
    name: Callable[[Item], str],
    progress: Progress | None = None,
) -> list[Result]:
    """Apply `work` to every item on `workers` threads (decoding and arithmetic release the lock).

    Gives the results in the order of the items. Items that are wrong are one DataError, which names some of
    them after the others are done; where writing fails (StoreError) nothing new is started.
    """
    results: list[Result] = []
    wrong: list[DataError] = []
    waiting: deque[tuple[Item, Future[Result]]] = deque()
    ahead = iter(items)
    with ThreadPoolExecutor(workers) as pool:
        try:
            while True:
                # few wait at a time, or all images' results would be held before the first error is seen
                for item in islice(ahead, 2 * workers - len(waiting) if len(wrong) < MOST_WRONG else 0):
                    waiting.append((item, pool.submit(work, item)))
                if not waiting:
                    break
                item, future = waiting.popleft()
                try:
                    results.append(future.result())
                except DataError as error:
                    wrong.append(error)
                if progress is not None:
                    progress(len(results) + len(wrong), len(items), name(item))
        finally:
            for _, future in waiting:
                future.cancel()
    if len(wrong) == 1:
        raise wrong[0]
    if wrong:
        lines = few((f"{error.where}: {error.message}" for error in wrong), apart="\n  ")
        message = f"{len(wrong)} of the first {len(results) + len(wrong)} cannot be used:\n  {lines}"
        raise DataError(message, hint=wrong[0].hint)
    return results
