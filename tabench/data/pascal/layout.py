"""Where PASCAL_MT keeps its files, and which images its lists name."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path

from tabench.data.listing import is_file, is_folder, names_in, unreadable
from tabench.errors import DataError
from tabench.store.encoding import parse_json
from tabench.text import few

FOLDERS = ("train", "val")
NAME = re.compile(r"[0-9A-Za-z_-]+")
VERIFY = "`tabench data verify NAME --root ROOT` names every wrong file of a dataset"

# kind -> (folder, suffix); the 21-class labels are looked for in two folders, see `label_file`
PLACES = {
    "image": ("JPEGImages", "jpg"),
    "parts": ("human_parts", "mat"),
    "normal": ("normals_distill", "png"),
    "saliency": ("sal_distill", "png"),
    "context": ("pascal-context/trainval", "mat"),
}
LABEL_FOLDERS = ("semseg/VOC12", "semseg/pascal-context")  # VOC's own labels win where both exist


def file_of(root: Path, kind: str, name: str) -> Path:
    """Path of one file of an image; kinds as in `PLACES`."""
    folder, suffix = PLACES[kind]
    return root / folder / f"{name}.{suffix}"


def label_file(root: Path, name: str) -> Path:
    """Path of an image's 21-class labels; where there are none, the path they would have."""
    paths = [root / folder / f"{name}.png" for folder in LABEL_FOLDERS]
    return next((path for path in paths if is_file(path)), paths[-1])


def files_of(root: Path, name: str) -> dict[str, Path]:
    """All six files of an image, by kind ("label" and the kinds of `PLACES`)."""
    return {"label": label_file(root, name), **{kind: file_of(root, kind, name) for kind in PLACES}}


def list_file(root: Path, folder: str) -> Path:
    """The list of the images of "train" or "val"."""
    return root / "ImageSets" / "Context" / f"{folder}.txt"


def index_file(root: Path, folder: str) -> Path:
    """The optional JSON index of the objects in the images of "train" or "val"."""
    return root / "ImageSets" / "Parts" / f"{folder}.txt"


def read_list(root: Path, folder: str, *, hint: str) -> list[str]:
    """Names of the images of "train" or "val", in the list's order.

    Raises:
        DataError: The list is missing, empty, names an image twice or holds an impossible name.
    """
    path = list_file(root, folder)
    try:
        lines = path.read_text(encoding="utf-8-sig").splitlines()
    except FileNotFoundError:
        raise DataError("file not found", where=str(path), hint=hint) from None
    except OSError as error:
        raise unreadable(error, path) from error
    except UnicodeDecodeError as error:
        raise DataError(f"not a readable list: {error}", where=str(path), hint=hint) from error
    names = [line.strip() for line in lines if line.strip()]
    if not names:
        raise DataError("the list names no image", where=str(path), hint=hint)
    for name in names:
        if not NAME.fullmatch(name):
            raise DataError(f"'{name[:40]}' is not an image's name", where=str(path), hint=hint)
    if len(set(names)) != len(names):
        twice = next(name for at, name in enumerate(names) if name in names[:at])
        raise DataError(f"'{twice}' is listed twice", where=str(path), hint=hint)
    return names


def in_both(lists: Iterable[Iterable[str]]) -> str | None:
    """What is wrong with lists that share images; None if they do not."""
    counts = Counter(name for names in lists for name in set(names))
    shared = sorted(name for name, count in counts.items() if count > 1)
    if not shared:
        return None
    return f"{len(shared)} images are in both lists: {few(shared)}"


def read_apart(root: Path, folder: str, *, hint: str) -> list[str]:
    """Names of the images of a list, none of which is in the other list.

    Raises:
        DataError: As `read_list`, or an image is in both.
    """
    names = read_list(root, folder, hint=hint)
    other = next(other for other in FOLDERS if other != folder)
    shared = in_both([names, read_list(root, other, hint=hint)]) if is_file(list_file(root, other)) else None
    if shared:
        raise DataError(shared, where=str(list_file(root, folder)), hint="take each out of one of the lists")
    return names


def check_complete(root: Path, folder: str, names: Sequence[str], *, hint: str) -> None:
    """Check that every image has its six files.

    Raises:
        DataError: Files are missing; the message says which image lacks what.
    """
    lacking = missing(root, names)
    if lacking:
        broken = [f"{folder}/{name} lacks {', '.join(kinds)}" for name, kinds in lacking.items()]
        raise DataError(
            f"{len(broken)} of {len(names)} images are incomplete: {few(broken, apart='; ')}",
            where=str(root),
            hint=f"these files are missing, the rest can stay: {hint}",
        )


def missing(root: Path, names: Sequence[str]) -> dict[str, list[str]]:
    """Images that lack files, with the kinds they lack."""
    held = _held(root)
    lacking = {name: [kind for kind in held if name not in held[kind]] for name in names}
    return {name: kinds for name, kinds in lacking.items() if kinds}


def list_notes(root: Path, names: Mapping[str, Sequence[str]], published: Mapping[str, int]) -> list[str]:
    """Lines about lists with another number of images than published, and about images in no list.

    Args:
        root: Folder of the dataset.
        names: The images of each list.
        published: Images of each list in the complete dataset.
    """
    notes = [
        f"{folder}: {len(found)} images, published are {published[folder]}"
        for folder, found in names.items()
        if len(found) != published.get(folder, len(found))
    ]
    alone = sorted(set.intersection(*_held(root).values()).difference(*names.values()))
    if alone:
        notes.append(f"{len(alone)} images are complete and in no list, so not used: {few(alone)}")
    return notes


def _held(root: Path) -> dict[str, set[str]]:
    """Names of the files of each kind."""
    held = {kind: _stems(root / folder, suffix) for kind, (folder, suffix) in PLACES.items()}
    held["label"] = set().union(*(_stems(root / folder, "png") for folder in LABEL_FOLDERS))
    return held


def _stems(folder: Path, suffix: str) -> set[str]:
    if not is_folder(folder):
        return set()
    return {
        name.removesuffix(f".{suffix}") for name in names_in(folder, hint="") if name.endswith(f".{suffix}")
    }


def read_index(root: Path, folder: str) -> dict[str, list[int]]:
    """Categories of the objects of each image, from the index; empty if there is no index.

    The index only spares decoding annotations of images without a person.

    Raises:
        DataError: There is one, but it is not a JSON object of lists of numbers.
    """
    path = index_file(root, folder)
    if not is_file(path):
        return {}
    hint = "delete it: it is optional"
    try:
        held = parse_json(path.read_bytes())
    except OSError as error:
        raise unreadable(error, path) from error
    except ValueError as error:
        raise DataError(f"not a readable JSON index: {error}", where=str(path), hint=hint) from error
    fine = isinstance(held, dict) and all(
        isinstance(row, list) and all(type(item) is int for item in row) for row in held.values()
    )
    if not fine:
        raise DataError("not an index of object categories", where=str(path), hint=hint)
    return dict(held)
