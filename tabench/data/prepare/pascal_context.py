"""PASCAL-Context for several tasks: PASCAL_MT.tgz unpacked safely and checked against its split lists."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path

from tabench.data.fingerprint import CACHE_NAME
from tabench.data.folder_dataset import FOLDERS
from tabench.data.listing import PREPARED, is_file, is_folder, is_leftover
from tabench.data.pascal.dataset import PASCAL_CONTEXT as DATASET
from tabench.data.pascal.files import APART, check_complete, in_both, names_of
from tabench.data.prepare import Outcome, Request
from tabench.data.prepare.archives import HOSTILE, Budget, FolderTree
from tabench.data.prepare.guide import PASCAL
from tabench.data.prepare.manifest import SUMS, Manifest, Output, claim, describe
from tabench.data.prepare.outputs import existing_file, finished, require_space, run_all, write_file
from tabench.data.prepare.tarball import members
from tabench.errors import DataError, SpecError

RECIPE = 1
ARCHIVE = "PASCAL_MT.tgz"
LISTS = {folder: f"ImageSets/Context/{folder}.txt" for folder in FOLDERS}
LARGEST = 256 << 20  # one member, unpacked; the largest real ones are images


@dataclass
class Contents:
    """What the archive or folder holds."""

    top: str  # path in front of the dataset's own folders ("PASCAL_MT/" or "")
    sizes: dict[str, int]  # file below `top` -> bytes
    # file below `top` -> file below `top` that it is a link to
    links: dict[str, str] = field(default_factory=dict)
    ids: dict[str, list[str]] = field(default_factory=dict)  # image ids of each split


def prepare(request: Request) -> Outcome:
    """Write the dataset's own files below the root; see `tabench.data.prepare.prepare`."""
    if len(request.sources) != 1:
        raise SpecError("pascal_context has one source", hint=PASCAL)
    (source,) = request.sources
    if is_folder(source):  # which holds the archive, or is what it unpacks to
        if not is_file(source / ARCHIVE):
            return _from_folder(request, source)
        source = source / ARCHIVE
    if not is_file(source):
        raise DataError("no such file or folder", where=str(source), hint=PASCAL)
    return _from_archive(request, source)


def _from_archive(request: Request, source: Path) -> Outcome:
    root, contents = request.root, _scan(source, request)
    manifest = _claimed(request, contents, (source, []))
    outputs: dict[str, Output] = {}
    for member in members(source, Budget(str(source), largest=LARGEST), request.progress):
        name = member.name.removeprefix(contents.top)
        if member.link is None and member.name.startswith(contents.top) and name in contents.sizes:
            outputs[name] = _written(root, name, member.read)
    for name, target in contents.links.items():  # a link becomes a copy
        outputs[name] = write_file(root, root / name, (root / target).read_bytes())
    return _finish(request, manifest, contents, list(outputs.values()))


def _scan(source: Path, request: Request) -> Contents:
    """Read the whole archive once before anything is written, so that a bad one leaves no trace."""
    sizes: dict[str, int] = {}
    links: dict[str, str] = {}
    lists: dict[str, bytes] = {}
    for member in members(source, Budget(str(source), largest=LARGEST), request.progress):
        if is_leftover(member.name):
            continue
        if member.link is not None:
            links[member.name] = member.link
        else:
            sizes[member.name] = member.size
            if member.name.endswith(tuple(LISTS.values())):
                lists[member.name] = member.read()
    dangling = next((name for name, target in links.items() if target not in sizes), None)
    if dangling is not None:
        raise DataError(
            f"member {dangling!r} is a link to {links[dangling]!r}, which is no file of the archive",
            where=str(source),
            hint=HOSTILE,
        )
    return _contents(sizes, links, lambda name: lists.get(name, b""), str(source))


def _from_folder(request: Request, source: Path) -> Outcome:
    tree = FolderTree(source)
    contents = _contents(tree.sizes, {}, tree.read, str(source))
    root, here = request.root, source / contents.top
    in_place = root.resolve() == here.resolve()
    manifest = _claimed(request, contents, (here, [here / name for name in contents.sizes]), in_place)

    def copy(name: str) -> Output:
        if in_place:
            return existing_file(root, root / name)
        return _written(root, name, lambda: tree.read(contents.top + name))

    outputs = run_all(
        copy,
        sorted(contents.sizes),
        workers=request.workers,
        name=lambda name: name,
        progress=request.progress,
    )
    return _finish(request, manifest, contents, outputs)


def _contents(
    sizes: Mapping[str, int],
    links: Mapping[str, str],
    read: Callable[[str], bytes],
    where: str,
) -> Contents:
    """What lies below the dataset's own folder, complete and each image in one list.

    Raises:
        DataError: Lists are missing or wrong, images are in both, or files are missing; names them.
    """
    tops = [name.removesuffix(LISTS["train"]) for name in sizes if name.endswith("/" + LISTS["train"])]
    tops += [""] if LISTS["train"] in sizes else []
    absent = [name for top in tops for name in LISTS.values() if top + name not in sizes]
    if len(tops) != 1 or absent:
        problem = f"{absent[0]} is missing" if absent else f"{len(tops)} folders with {LISTS['train']}"
        raise DataError(problem, where=where, hint=PASCAL)
    (top,) = tops
    own = {top + name for name in (PREPARED, SUMS, CACHE_NAME)}  # of earlier calls on the same folder
    below = {name: name[len(top) :] for name in (*sizes, *links) if name.startswith(top) and name not in own}
    contents = Contents(
        top,
        {below[name]: size for name, size in sizes.items() if name in below},
        {below[name]: below[link] for name, link in links.items() if name in below and link in below},
    )
    for split, name in LISTS.items():
        place = f"{where}/{top}{name}"
        try:
            contents.ids[split] = names_of(read(top + name).decode("utf-8-sig"), place, PASCAL)
        except UnicodeDecodeError as error:
            raise DataError(f"not a readable list: {error}", where=place, hint=PASCAL) from error
    shared = in_both(contents.ids.values())
    if shared:
        raise DataError(shared, where=where, hint=APART)
    check_complete(contents.ids, {*contents.sizes, *contents.links}, where, PASCAL)
    return contents


def _claimed(
    request: Request, contents: Contents, source: tuple[Path, list[Path]], in_place: bool = False
) -> Manifest:
    """Take the folder, if there is room for what it lacks; see `claim`."""
    parameters = {
        "files": "as they are, below the root without the archive's own top folder",
        "links": "copies" if contents.links else "none",
    }
    images = [f"{split} {name}" for split, ids in contents.ids.items() for name in ids]
    manifest = Manifest("pascal_context", RECIPE, parameters, describe([source], request.progress), images)
    lacking = (size for name, size in contents.sizes.items() if not _there(request.root, name, size))
    require_space(request.root, sum(lacking))
    claim(request.root, manifest, in_place=in_place)
    return manifest


def _finish(request: Request, manifest: Manifest, contents: Contents, outputs: list[Output]) -> Outcome:
    counts = {split: len(ids) for split, ids in contents.ids.items()}
    return finished(request.root, DATASET, manifest, counts, outputs)


def _written(root: Path, name: str, read: Callable[[], bytes]) -> Output:
    """A file, written unless it is there; one of other content is written anew in an unfinished folder.

    What changed in a complete folder is told by its SHA256SUMS (see `finish`).
    """
    path, data = root / name, read()
    if path.is_file():
        output = existing_file(root, path)
        if (root / SUMS).exists() or output.sha256 == hashlib.sha256(data).hexdigest():
            return output
    return write_file(root, path, data)


def _there(root: Path, name: str, size: int) -> bool:
    path = root / name
    return path.is_file() and path.stat().st_size == size
