"""What ``tabench doctor`` says of this machine and of what is installed. Never imports torch itself."""

from __future__ import annotations

import locale
import platform
import re
import sys
from dataclasses import dataclass
from importlib.metadata import PackageNotFoundError, version
from importlib.util import find_spec
from pathlib import Path
from typing import Literal, Self

from tabench.provenance.environment import capture
from tabench.text import bytes_text

OLDEST_PYTHON = (3, 11)
LITTLE_MEMORY = 2e9  # bytes


@dataclass(frozen=True)
class Finding:
    """One line of ``tabench doctor``."""

    level: Literal["ok", "note", "problem"]  # "ok", "note" (runs work, but know it) or "problem"
    message: str  # what was found
    hint: str = ""  # what to do; empty if nothing is

    @classmethod
    def unless(cls, wrong: bool, message: str, hint: str) -> Self:
        """A problem with its hint, or that all is well."""
        return cls("problem", message, hint) if wrong else cls("ok", message)


def machine_findings() -> list[Finding]:
    """Python, torchvision's build, memory, encodings and source."""
    return [_python(), _torchvision(), _memory(), _encoding(), _source()]


def _python() -> Finding:
    hint = f"use Python {'.'.join(map(str, OLDEST_PYTHON))} or newer"
    text = f"Python {platform.python_version()} on {platform.platform()}"
    return Finding.unless(sys.version_info[:2] < OLDEST_PYTHON, text, hint)


def _torchvision() -> Finding:
    """Compare the builds of torch and torchvision by their version files: importing takes seconds."""
    try:
        builds = {name: (version(name), _build(name)) for name in ("torch", "torchvision")}
    except PackageNotFoundError as error:
        hint = "install the locked versions: pip install --require-hashes -r requirements.lock"
        return Finding("problem", f"{error.name} is not installed", hint)
    text = ", ".join(f"{name} {v} ({build or 'build not told'})" for name, (v, build) in builds.items())
    if len({build for _, build in builds.values() if build}) > 1:
        hint = "take both from the same index in one install: torchvision's operators fail otherwise"
        return Finding("problem", f"{text}: they are of different builds", hint)
    return Finding("ok", text)


def _build(name: str) -> str:
    """The build that a package's version file names after "+": "cpu", "cu132"; "" where it names none."""
    spec = find_spec(name)
    path = Path(spec.origin).with_name("version.py") if spec is not None and spec.origin else None
    text = path.read_text(encoding="utf-8") if path is not None and path.is_file() else ""
    found = re.search(r"__version__\s*=\s*['\"][^'\"+]*\+([A-Za-z0-9.]+)", text)
    return found[1] if found else ""


def _memory() -> Finding:
    total, free = memory()
    if free is None:
        return Finding("note", "the memory of this system is not told")
    text = f"{bytes_text(free)} of memory free{f' of {bytes_text(total)}' if total else ''}"
    return Finding.unless(free < LITTLE_MEMORY, text, "close other programs, or give --micro-batch 1")


def memory() -> tuple[float | None, float | None]:
    """Bytes of memory in all and free to this process; a container's limit counts. None where not told."""
    facts: dict[str, float] = {}
    try:
        for line in Path("/proc/meminfo").read_text(encoding="utf-8").splitlines():
            name, _, rest = line.partition(":")
            facts[name] = float(rest.split()[0]) * 1024
    except (OSError, ValueError, IndexError):
        return None, None
    total, free = facts.get("MemTotal"), facts.get("MemAvailable")
    limit, used = (_number(Path("/sys/fs/cgroup") / name) for name in ("memory.max", "memory.current"))
    if limit is not None and used is not None and total is not None and free is not None and limit < total:
        total, free = limit, min(free, max(limit - used, 0.0))
    return total, free


def _number(path: Path) -> float | None:
    try:
        return float(path.read_text(encoding="utf-8"))
    except (OSError, ValueError):  # no such limit: "max"
        return None


def _encoding() -> Finding:
    used = {
        "files": locale.getpreferredencoding(False),
        "names": sys.getfilesystemencoding(),
        "output": getattr(sys.stdout, "encoding", None) or "none",
    }
    text = f"encodings: {', '.join(f'{what} {name}' for what, name in used.items())}"
    wrong = any(name.lower().replace("-", "") not in ("utf8", "none") for name in used.values())
    return Finding.unless(wrong, text, "set PYTHONUTF8=1, or a UTF-8 locale: export LC_ALL=C.UTF-8")


def _source() -> Finding:
    git = capture()["git"]
    if git is None:
        hint = "run from a git checkout, so that records name the commit"
        return Finding("note", "tabench is not run from a git checkout", hint)
    if git["dirty"]:
        hint = "commit before runs that will be published: run.json says that they were dirty"
        return Finding("note", f"commit {git['commit'][:12]} with uncommitted changes", hint)
    return Finding("ok", f"commit {git['commit'][:12]}, nothing uncommitted")
