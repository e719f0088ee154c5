"""What lies in a folder of data: no name is lost in silence, and what cannot be read is not called missing.

`pathlib` passes over folders without read permission and over everything inside them; here that is an error.
Files that desktops leave between others (`._0.npy`, `.DS_Store`, `__MACOSX/`, `Thumbs.db`) are no data: they
are left out everywhere.
"""

from __future__ import annotations

import stat
from collections.abc import Mapping, Sequence
from pathlib import Path

from tabench.errors import DataError
from tabench.store.encoding import parse_json
from tabench.text import few

PREPARED = "prepare.json"  # what `tabench data prepare` notes of a folder
LEFT_OUT = "left out"  # its key for images that were left out on demand
SHOWN = 8  # entries a message lists before it counts the rest
# in lower case: of macOS, of Windows, of file systems and network disks
LEFTOVERS = frozenset(
    (".ds_store", "__macosx", ".appledouble", ".spotlight-v100", ".fseventsd", ".trashes", ".temporaryitems",
     ".localized", "icon\r", "thumbs.db", "ehthumbs.db", "desktop.ini", "$recycle.bin",
     "system volume information", "lost+found", "@eadir")
)  # fmt: skip
ALLOW = "give your user the right to read it (chmod -R u+rX FOLDER), or ask its owner to"


def is_leftover(name: str) -> bool:
    """Whether a file of this name or relative path, or a folder that it is in, was left by a desktop."""
    return any(part.startswith("._") or part.lower() in LEFTOVERS for part in name.split("/"))


def names_in(folder: Path, *, hint: str) -> list[str]:
    """Names of the files and folders in a folder, sorted, without leftovers.

    Raises:
        DataError: It is not there (then `hint` says where its content comes from), or cannot be read.
    """
    try:
        return sorted(path.name for path in folder.iterdir() if not is_leftover(path.name))
    except (FileNotFoundError, NotADirectoryError):
        raise DataError("folder not found", where=str(folder), hint=hint) from None
    except OSError as error:
        raise unreadable(error, folder) from error


def is_folder(path: Path) -> bool:
    """Whether this is a folder; it need not be there; raises DataError where that cannot be seen."""
    found = _mode(path)
    return found is not None and stat.S_ISDIR(found)


def is_file(path: Path) -> bool:
    """Whether this is a file; it need not be there; raises DataError where that cannot be seen."""
    found = _mode(path)
    return found is not None and stat.S_ISREG(found)


def is_empty(folder: Path) -> bool:
    """Whether this is a folder without anything in it but leftovers."""
    return is_folder(folder) and not names_in(folder, hint="")


def _mode(path: Path) -> int | None:
    try:
        return path.stat().st_mode
    except (FileNotFoundError, NotADirectoryError):
        return None
    except OSError as error:
        raise unreadable(error, path) from error


def unreadable(error: OSError, path: Path | str) -> DataError:
    """The error for a file or folder that is there and cannot be read."""
    hint = ALLOW if isinstance(error, PermissionError) else "see whether its disk or network is in order"
    return DataError(f"cannot be read: {error.strerror or error}", where=str(path), hint=hint)


def count_notes(counts: Mapping[str, int], published: Mapping[str, int]) -> list[str]:
    """A line for each split that has another number of images than the complete dataset."""
    return [
        f"{split}: {count} images, published are {published[split]}"
        for split, count in counts.items()
        if count != published.get(split, count)
    ]


def left_out_note(names: Sequence[object]) -> list[str]:
    """A line about images that `tabench data prepare --allow-missing` did without; none if there are none."""
    return [f"{len(names)} images were left out for want of files: {few(names)}"] if names else []


def left_out_notes(root: Path) -> list[str]:
    """That line for a folder that was prepared so."""
    try:
        held = parse_json((root / PREPARED).read_bytes())
    except FileNotFoundError:
        return []
    except (OSError, ValueError) as error:
        return [f"whether images were left out is not known: {PREPARED} cannot be read ({error})"]
    names = held.get(LEFT_OUT) if isinstance(held, dict) else None
    return left_out_note(names) if isinstance(names, list) else []
