"""The part of requirements.lock that rendering a report needs: no torch, hashes kept."""

from __future__ import annotations

import re
from collections.abc import Iterable
from importlib.metadata import PackageNotFoundError, requires
from pathlib import Path

from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

from tabench.errors import StoreError

REPORT_PACKAGES = (
    "fonttools",
    "jinja2",
    "matplotlib",
    "numpy",
    "packaging",
    "pandas",
    "pillow",
    "pydantic",
    "rich",
    "scipy",
    "seaborn",
    "typer",
)
_START = re.compile(r"([A-Za-z0-9][A-Za-z0-9._-]*)==")


def cut_lock(lock: Path, roots: Iterable[str] = REPORT_PACKAGES) -> str:
    """The lines of a lock file that pin some packages and all they need, on any system.

    What a package needs is read from its installed metadata; markers of systems are kept as the lock has
    them.

    Raises:
        StoreError: The lock cannot be read, lacks one of the packages, or holds an address.
    """
    try:
        blocks = _blocks(lock.read_text(encoding="utf-8"))
    except OSError as error:
        raise StoreError(f"cannot be read: {error.strerror or error}", where=str(lock)) from error
    wanted = _closure([canonicalize_name(name) for name in roots], set(blocks))
    missing = sorted(canonicalize_name(name) for name in roots if canonicalize_name(name) not in blocks)
    if missing:
        hint = "write it again with `nox -s lock`"
        raise StoreError(f"does not pin {', '.join(missing)}", where=str(lock), hint=hint)
    text = "".join(block for name in sorted(wanted & set(blocks)) for block in blocks[name])
    if "://" in text or " @ " in text:
        raise StoreError("holds an address", where=str(lock), hint="take versions from an index only")
    return text


def _blocks(text: str) -> dict[str, list[str]]:
    """Package to its pins with their hashes: several where versions depend on Python's."""
    blocks: dict[str, list[str]] = {}
    name = ""
    for line in text.splitlines(keepends=True):
        match = _START.match(line)
        if match is not None:
            name = canonicalize_name(match[1])
            blocks.setdefault(name, []).append(line)
        elif name and line.startswith(" "):
            blocks[name][-1] += line
    return blocks


def _closure(roots: list[str], locked: set[str]) -> set[str]:
    found: set[str] = set()
    pending = list(roots)
    while pending:
        name = pending.pop()
        if name in found:
            continue
        found.add(name)
        try:
            lines = requires(name) or []
        except PackageNotFoundError:  # of another system: it needs nothing that the lock would not name
            continue
        for need in map(Requirement, lines):
            wanted = need.marker is None or "extra" not in str(need.marker)
            if wanted and canonicalize_name(need.name) in locked:
                pending.append(canonicalize_name(need.name))
    return found
