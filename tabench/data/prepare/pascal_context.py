"""PASCAL-Context for several tasks: PASCAL_MT.tgz unpacked safely and checked against its split lists."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Container, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from tabench.data.file_kinds import ARCHIVES, kind_of
from tabench.data.fingerprint import CACHE_NAME
from tabench.data.listing import is_file, is_folder, is_leftover, leftovers_note, names_in
from tabench.data.pascal.dataset import PASCAL_CONTEXT as DATASET
from tabench.data.pascal.files import APART, FOLDERS, check_complete, in_both, names_of
from tabench.data.prepare import Outcome, Request
from tabench.data.prepare.archives import HOSTILE, Budget, FolderTree
from tabench.data.prepare.guide import PASCAL
from tabench.data.prepare.manifest import FILE, SUMS, Manifest, Output, claim, describe
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
    leftovers: Sequence[str] = ()  # what desktops left; not among the files


def prepare(request: Request) -> Outcome:
    """Write the dataset's own files below the root; see `tabench.data.prepare.prepare`."""
    if len(request.sources) != 1:
        raise SpecError("pascal_context has one source", hint=PASCAL)
    (source,) = request.sources
    if is_folder(source):
        archive = _archive(source)
        if archive is None:
            return _from_folder(request, source)
        source = archive
    if not is_file(source):
        raise DataError("no such file or folder", where=str(source), hint=PASCAL)
    return _from_archive(request, source)


def _archive(folder: Path) -> Path | None:
    """The archive in a folder: the official one, else an only one that is called much like it."""
    if is_file(folder / ARCHIVE):
        return folder / ARCHIVE
    names = [name for name in names_in(folder, hint=PASCAL) if name.lower().startswith("pascal_mt")]
    found = [folder / name for name in names if is_file(folder / name)]
    return found[0] if len(found) == 1 and kind_of(found[0]) in ARCHIVES else None


def _from_archive(request: Request, source: Path) -> Outcome:
    contents = _scan(source, request)
    _check(contents, {*contents.sizes, *contents.links}, str(source))
    root = request.root
    manifest = _manifest(contents, describe([(source, ())], request.progress))
    require_space(root, sum(size for name, size in contents.sizes.items() if not _there(root, name, size)))
    manifest = claim(root, manifest)
    outputs: dict[str, Output] = {}
    for member in members(source, Budget(str(source), largest=LARGEST), request.progress):
        name = _below(contents.top, member.name)
        if name is None or name not in contents.sizes or member.link is not None:
            continue
        if not _there(root, name, member.size):
            outputs[name] = write_file(root, root / name, member.read())
        else:
            outputs[name] = _kept(root, name, member.read)
    for name, target in contents.links.items():  # a link becomes a copy
        outputs[name] = write_file(root, root / name, (root / target).read_bytes())
    return _finish(request, manifest, contents, list(outputs.values()))


def _scan(source: Path, request: Request) -> Contents:
    """Read the whole archive once before anything is written, so that a bad one leaves no trace."""
    sizes: dict[str, int] = {}
    links: dict[str, str] = {}
    lists: dict[str, bytes] = {}
    leftovers: list[str] = []
    for member in members(source, Budget(str(source), largest=LARGEST), request.progress):
        if is_leftover(member.name):
            leftovers.append(member.name)
            continue
        if member.link is not None:
            links[member.name] = member.link
            continue
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
    top = _top(sizes, str(source))
    below = {name: _below(top, name) for name in (*sizes, *links)}
    contents = Contents(
        top,
        {short: size for name, size in sizes.items() if (short := below[name]) is not None},
        {
            short: target
            for name, link in links.items()
            if (short := below[name]) is not None and (target := below.get(link)) is not None
        },
        leftovers=leftovers,
    )
    for split, name in LISTS.items():
        contents.ids[split] = _listed(lists.get(top + name, b""), f"{source}/{top}{name}")
    return contents


def _from_folder(request: Request, source: Path) -> Outcome:
    tree = FolderTree(source)
    top = _top(tree.sizes, str(source))
    own = {FILE, SUMS, CACHE_NAME}  # of earlier calls on the same folder
    sizes = {
        short: size
        for name, size in tree.sizes.items()
        if (short := _below(top, name)) is not None and short not in own
    }
    contents = Contents(top, sizes, leftovers=tree.leftovers)
    for split, name in LISTS.items():
        contents.ids[split] = _listed(tree.read(top + name), tree.place(top + name))
    _check(contents, sizes, str(source))
    root, here = request.root, source / top
    in_place = root.resolve() == here.resolve()
    manifest = _manifest(contents, describe([(here, [here / name for name in sizes])], request.progress))
    require_space(root, sum(size for name, size in sizes.items() if not _there(root, name, size)))
    manifest = claim(root, manifest, in_place=in_place)

    def copy(name: str) -> Output:
        if in_place:
            return existing_file(root, root / name)
        if _there(root, name, sizes[name]):
            return _kept(root, name, lambda: tree.read(top + name))
        return write_file(root, root / name, tree.read(top + name))

    outputs = run_all(
        copy, sorted(sizes), workers=request.workers, name=lambda name: name, progress=request.progress
    )
    return _finish(request, manifest, contents, outputs)


def _finish(request: Request, manifest: Manifest, contents: Contents, outputs: list[Output]) -> Outcome:
    counts = {split: len(ids) for split, ids in contents.ids.items()}
    told = leftovers_note(contents.leftovers)
    return finished(request.root, manifest, counts, DATASET.published_counts, outputs, told)


def _listed(content: bytes, where: str) -> list[str]:
    """Names of the images in a split list; see `names_of`."""
    try:
        return names_of(content.decode("utf-8-sig"), where, PASCAL)
    except UnicodeDecodeError as error:
        raise DataError(f"not a readable list: {error}", where=where, hint=PASCAL) from error


def _check(contents: Contents, held: Container[str], where: str) -> None:
    """Check that every listed image is in one list and has its files.

    Raises:
        DataError: Images are in both lists, or files are missing; names them.
    """
    shared = in_both(contents.ids.values())
    if shared:
        raise DataError(shared, where=where, hint=APART)
    check_complete(contents.ids, held, where, PASCAL)


def _manifest(contents: Contents, sources: list[dict[str, object]]) -> Manifest:
    parameters = {
        "files": "as they are, below the root without the archive's own top folder",
        "links": "copies" if contents.links else "none",
    }
    images = [f"{split} {name}" for split, ids in contents.ids.items() for name in ids]
    return Manifest("pascal_context", RECIPE, parameters, sources, images)


def _top(names: Mapping[str, int], where: str) -> str:
    """What stands in front of ImageSets/Context/train.txt."""
    tops = [name.removesuffix(LISTS["train"]) for name in names if name.endswith("/" + LISTS["train"])]
    tops += [""] if LISTS["train"] in names else []
    missing = [name for top in tops for name in LISTS.values() if top + name not in names]
    if len(tops) != 1 or missing:
        problem = f"{missing[0]} is missing" if missing else f"{len(tops)} folders with {LISTS['train']}"
        raise DataError(problem, where=where, hint=PASCAL)
    return tops[0]


def _below(top: str, name: str) -> str | None:
    return name.removeprefix(top) if name.startswith(top) else None


def _kept(root: Path, name: str, read: Callable[[], bytes]) -> Output:
    """A file of the right size that is there; one of other content is written anew in an unfinished folder.

    What changed in a complete folder is told by its SHA256SUMS (see `finish`).
    """
    output = existing_file(root, root / name)
    if (root / SUMS).exists():
        return output
    data = read()
    same = hashlib.sha256(data).hexdigest() == output.sha256
    return output if same else write_file(root, root / name, data)


def _there(root: Path, name: str, size: int) -> bool:
    path = root / name
    return path.is_file() and path.stat().st_size == size
