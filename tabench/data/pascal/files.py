"""Where PASCAL_MT keeps its files, and which images its lists name."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Container, Iterable, Mapping, Sequence
from pathlib import Path

from tabench.data.folder_dataset import FOLDERS
from tabench.data.listing import is_file, is_folder, names_in, unreadable
from tabench.errors import DataError
from tabench.store.encoding import parse_json
from tabench.text import few

NAME = re.compile(r"[0-9A-Za-z_-]+")

# kind -> (folder, suffix); the 21-class labels are looked for in two folders, see `label_file`
PLACES = {
    "image": ("JPEGImages", "jpg"),
    "parts": ("human_parts", "mat"),
    "normal": ("normals_distill", "png"),
    "saliency": ("sal_distill", "png"),
    "context": ("pascal-context/trainval", "mat"),
}
APART = "take each out of one of the lists"
LABEL_FOLDERS = ("semseg/VOC12", "semseg/pascal-context")  # VOC's own labels win where both exist


def file_of(root: Path, kind: str, name: str) -> Path:
    """Path of one file of an image; kinds as in `PLACES`."""
    folder, suffix = PLACES[kind]
    return root / folder / f"{name}.{suffix}"


def files_of(root: Path, name: str) -> dict[str, Path]:
    """All six files of an image, by kind; labels that are nowhere have the path they would have."""
    labels = [root / folder / f"{name}.png" for folder in LABEL_FOLDERS]
    label = next((path for path in labels if is_file(path)), labels[-1])
    return {"label": label, **{kind: file_of(root, kind, name) for kind in PLACES}}


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
        text = path.read_text(encoding="utf-8-sig")
    except FileNotFoundError:
        raise DataError("file not found", where=str(path), hint=hint) from None
    except OSError as error:
        raise unreadable(error, path) from error
    except UnicodeDecodeError as error:
        raise DataError(f"not a readable list: {error}", where=str(path), hint=hint) from error
    return names_of(text, str(path), hint)


def names_of(text: str, where: str, hint: str) -> list[str]:
    """Names of the images in a list's text, one a line; raises as `read_list`."""
    names = [line.strip() for line in text.splitlines() if line.strip()]
    twice = [name for name, times in Counter(names).items() if times > 1]
    wrong = [name for name in names if not NAME.fullmatch(name)]
    if wrong or twice or not names:
        problem = f"'{twice[0]}' is listed twice" if twice else "the list names no image"
        problem = f"'{wrong[0][:40]}' is not an image's name" if wrong else problem
        raise DataError(problem, where=where, hint=hint)
    return names


def in_both(lists: Iterable[Iterable[str]]) -> str | None:
    """What is wrong with lists that share images; None if they do not."""
    counts = Counter(name for names in lists for name in set(names))
    shared = sorted(name for name, count in counts.items() if count > 1)
    return f"{len(shared)} images are in both lists: {few(shared)}" if shared else None


def read_apart(root: Path, folder: str, *, hint: str) -> list[str]:
    """Names of the images of a list, as `read_list`; raises DataError where one is in the other list, too."""
    names = read_list(root, folder, hint=hint)
    other = next(other for other in FOLDERS if other != folder)
    shared = in_both([names, read_list(root, other, hint=hint)]) if is_file(list_file(root, other)) else None
    if shared:
        raise DataError(shared, where=str(list_file(root, folder)), hint=APART)
    return names


def check_complete(lists: Mapping[str, Sequence[str]], held: Container[str], where: str, hint: str) -> None:
    """Check that all images have their six files among those `held`; DataError says which lacks what."""
    broken = [
        f"{folder}/{name} lacks {', '.join(kinds)}"
        for folder, names in lists.items()
        for name, kinds in missing(names, held).items()
    ]
    if broken:
        images = sum(map(len, lists.values()))
        raise DataError(
            f"{len(broken)} of {images} images are incomplete: {few(broken, apart='; ')}",
            where=where,
            hint=f"these files are missing, the rest can stay: {hint}",
        )


def missing(names: Iterable[str], held: Container[str]) -> dict[str, list[str]]:
    """Images that lack files, with the kinds they lack."""
    lacking = {}
    for name in names:
        kinds = [kind for kind, (folder, suffix) in PLACES.items() if f"{folder}/{name}.{suffix}" not in held]
        if not any(f"{folder}/{name}.png" in held for folder in LABEL_FOLDERS):
            kinds.append("label")
        if kinds:
            lacking[name] = kinds
    return lacking


def held_files(root: Path) -> set[str]:
    """Files in the folders of all kinds, relative to the dataset's folder."""
    folders = [*LABEL_FOLDERS, *(folder for folder, _ in PLACES.values())]
    there = [folder for folder in folders if is_folder(root / folder)]
    return {f"{folder}/{name}" for folder in there for name in names_in(root / folder, hint="")}


def unlisted_notes(root: Path, names: Mapping[str, Sequence[str]]) -> list[str]:
    """A line about complete images in no list; none if there are none."""
    held, (folder, suffix) = held_files(root), PLACES["image"]
    photos = {name.removeprefix(f"{folder}/") for name in held if name.startswith(f"{folder}/")}
    found = {name.removesuffix(f".{suffix}") for name in photos if name.endswith(f".{suffix}")}
    unused = found.difference(*names.values())
    alone = sorted(unused.difference(missing(unused, held)))
    note = f"{len(alone)} images are complete and in no list, so not used: {few(alone)}"
    return [note] if alone else []


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
