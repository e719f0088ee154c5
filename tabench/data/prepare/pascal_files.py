"""Which files PASCAL-Context's split lists ask for, and which of them are missing."""

from __future__ import annotations

from collections.abc import Container, Iterable, Mapping, Sequence

from tabench.data.pascal.layout import NAME, in_both
from tabench.data.prepare.guide import PASCAL
from tabench.errors import DataError
from tabench.text import few

LISTS = {split: f"ImageSets/Context/{split}.txt" for split in ("train", "val")}
NEEDED: Mapping[str, Sequence[str]] = {  # target: where it may be; one of these must be there
    "image": ("JPEGImages/{}.jpg",),
    "segmentation": ("semseg/VOC12/{}.png", "semseg/pascal-context/{}.png"),
    "human parts": ("human_parts/{}.mat",),
    "saliency": ("sal_distill/{}.png",),
    "normals": ("normals_distill/{}.png",),
    "the 459 classes": ("pascal-context/trainval/{}.mat",),  # edges come from them, and which normals count
}
SHOWN = 8


def read_list(content: bytes, where: str) -> list[str]:
    """Image ids of a split list, one a line.

    Raises:
        DataError: Empty, not text, an id twice, or an id that is no plain name.
    """
    try:
        ids = content.decode("utf-8-sig").split()
    except UnicodeDecodeError:
        ids = []
    wrong = [name for name in ids if not NAME.fullmatch(name)]
    if not ids or wrong or len(set(ids)) != len(ids):
        problem = (
            f"{wrong[0]!r} is no image id" if wrong else "an id is there twice" if ids else "no image ids"
        )
        raise DataError(problem, where=where, hint=PASCAL)
    return ids


def check_complete(ids: Mapping[str, Iterable[str]], names: Container[str], where: str) -> None:
    """Check that every listed image is in one list and has its files.

    Args:
        ids: Image ids of each split.
        names: Files that are there, relative to the dataset's folder.
        where: The archive or folder, for messages.

    Raises:
        DataError: Images are in both lists, or files are missing; says how many, and names the first.
    """
    shared = in_both(ids.values())
    if shared:
        raise DataError(shared, where=where, hint="take each out of one of the lists")
    missing: list[str] = []
    for split, listed in ids.items():
        for name in listed:
            for kind, places in NEEDED.items():
                if not any(place.format(name) in names for place in places):
                    missing.append(f"{split} {name}: {kind} ({' or '.join(places).format(*[name] * 2)})")
    if missing:
        raise DataError(
            f"{len(missing)} files that the split lists ask for are missing:\n  "
            + few(missing, SHOWN, apart="\n  "),
            where=where,
            hint=PASCAL,
        )
