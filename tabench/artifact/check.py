"""Checking an artifact before anything of it is used; nothing is unpacked or run."""

from __future__ import annotations

import hashlib
import re
import stat
import zipfile
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from pathlib import Path
from typing import IO

from pydantic import ValidationError

from tabench.artifact.archive import SUMS, is_safe
from tabench.errors import StoreError
from tabench.store.index import INDEX_FILE
from tabench.store.record import Record
from tabench.store.zips import BROKEN, METHODS, Zip

LARGEST_RECORD = 1 << 28  # bytes; larger ones are not read as records
LONGEST_LINE = 1 << 13  # bytes of SHA256SUMS
_BLOCK = 1 << 20
_LINE = re.compile(r"([0-9a-f]{64})  (.+)")
_RECORD = re.compile(r"results/(?:reference/)?[^/]+/([^/]+)/record\.json")
_AGAIN = "take the file, or all of the artifact, again from where it was published"
_REFUSE = "unpack none of it and fetch the artifact again from where it was published"
_STRAY = "it is no part of the artifact: remove it"
_ASK = "the sums do not tell: ask its authors, or run the cell again"


@dataclass
class Checked:
    """What a check found."""

    files: int = 0  # files with a right sum
    records: int = 0  # records that are valid
    # everything else, each with its file and what to do; empty means whole and unchanged
    problems: list[str] = field(default_factory=list)

    def wrong(self, name: str, what: str, hint: str) -> None:
        """Note a problem; control characters of a hostile name are never printed."""
        self.problems.append(f"{ascii(name)[1:-1]}: {what} -> {hint}")


def check_artifact(path: Path) -> Checked:
    """Check names, sums and records of a zip or an unpacked folder."""
    found = Checked()
    try:
        if path.is_dir():
            _check(_in_folder(path), lambda name: (path / name).open("rb"), _STRAY, str(path), found)
        else:
            with Zip(path) as archive:
                # zipfile never gives more of a member than the size that it declares
                _check(_in_zip(archive), archive.open, _REFUSE, str(path), found)
    except (OSError, *BROKEN) as error:
        why = getattr(error, "strerror", None) or error
        raise StoreError(
            f"cannot be read as an artifact: {why}", where=str(path), hint="fetch or export it again"
        ) from error
    return found


Listed = Iterable[tuple[str, str]]  # names of members, each with what forbids to read it
Opener = Callable[[str], IO[bytes]]


def _in_folder(path: Path) -> Listed:
    for entry in sorted(path.rglob("*")):
        name = entry.relative_to(path).as_posix()
        if entry.is_symlink():
            yield name, "is a link"
        elif not entry.is_dir() and entry.name != INDEX_FILE:  # which `plan` and `status` derive
            yield name, "" if entry.is_file() else "is no plain file"


def _in_zip(archive: zipfile.ZipFile) -> Listed:
    for info in archive.infolist():
        mode = info.external_attr >> 16
        plain = stat.S_ISREG(mode) or not stat.S_IFMT(mode)
        known = "" if info.compress_type in METHODS else "is packed by a method that artifacts do not use"
        if not info.orig_filename.endswith("/"):
            yield info.orig_filename, known if plain else "is no plain file"


def _check(listed: Listed, opener: Opener, unsafe: str, where: str, found: Checked) -> None:
    readable: dict[str, None] = {}
    for name, obstacle in listed:
        if not is_safe(name):
            found.wrong(name, "its name leads out of the folder or is not portable", unsafe)
        elif obstacle:
            found.wrong(name, obstacle, "remove it; if it is missing then, take the file itself again")
        elif name in readable:
            found.wrong(name, "is there twice", _REFUSE)
        else:
            readable[name] = None
    if SUMS not in readable:
        raise StoreError(f"has no {SUMS}", where=where, hint=f"{_AGAIN}; without it nothing can be checked")
    sums = _sums(opener, found)
    for name in sums:
        if name not in readable and is_safe(name):
            found.wrong(name, "is listed but missing", _AGAIN)
    for name in readable:
        if name == SUMS:
            continue
        if name not in sums:
            found.wrong(name, f"is not listed in {SUMS}", _STRAY)
            continue
        content = _hashed(opener, name, sums[name], found)
        match = _RECORD.fullmatch(name)
        if content is not None and match is not None:
            _check_record(name, match[1], content, found)


def _sums(opener: Opener, found: Checked) -> dict[str, str]:
    sums = {}
    with opener(SUMS) as file:
        while raw := file.readline(LONGEST_LINE):
            line = raw.decode("utf-8", "replace").rstrip("\n")
            match = _LINE.fullmatch(line)
            if match is None:
                found.wrong(SUMS, f"a line is no sum: {line[:80]!a}", _AGAIN)
            elif not is_safe(match[2]):
                found.wrong(SUMS, f"lists {match[2][:80]!a}, which leads out of the folder", _AGAIN)
            elif match[2] in sums:
                found.wrong(SUMS, f"lists {match[2][:80]!a} twice", _AGAIN)
            else:
                sums[match[2]] = match[1]
            if not raw.endswith(b"\n"):  # the end, or no list of names: what follows may have any length
                break
    return sums


def _hashed(opener: Opener, name: str, expected: str, found: Checked) -> bytes | None:
    """Compare a member's sum; gives the content of records back."""
    digest, kept, size = hashlib.sha256(), [], 0
    wanted = _RECORD.fullmatch(name) is not None
    try:
        with opener(name) as file:
            while block := file.read(_BLOCK):
                digest.update(block)
                size += len(block)
                if wanted and size <= LARGEST_RECORD:
                    kept.append(block)
    except BROKEN:
        found.wrong(name, "is damaged", _AGAIN)
        return None
    if digest.hexdigest() != expected:
        found.wrong(name, "has changed (its sha256 is not the listed one)", _AGAIN)
        return None
    found.files += 1
    return b"".join(kept) if wanted else None


def _check_record(name: str, cell_id: str, content: bytes, found: Checked) -> None:
    try:
        record = Record.model_validate_json(content)
    except ValidationError as error:
        first = error.errors(include_url=False)[0]
        found.wrong(name, f"no valid record: {first['msg']}", _ASK)
        return
    if record.cell_id != cell_id:
        found.wrong(name, f"holds the record of cell {record.cell_id}", _ASK)
    else:
        found.records += 1
