"""Source of packages that are not this one: which files it lies in, their sha256, and what they import.

Nothing is imported to find it: planning reads the source of methods that need torch to be imported.
"""

from __future__ import annotations

import ast
import hashlib
import importlib.metadata
import importlib.util
import os
import sys
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from functools import lru_cache
from importlib.machinery import ModuleSpec
from pathlib import Path

from tabench.errors import SpecError
from tabench.provenance.environment import version
from tabench.provenance.files import sha256_file

# Python, compiled extensions and what extensions are compiled from while a program runs
SUFFIXES = (".py", ".pyc", ".so", ".pyd", ".c", ".cc", ".cpp", ".cu", ".cuh", ".h", ".hpp", ".pyx")
MOST_FILES = 20_000
MOST_BYTES = 2**30
OWN = "tabench"


@dataclass(frozen=True)
class Source:
    """The source of some modules."""

    # dotted names of the packages and modules that were read, each with all that lies below it
    packages: tuple[str, ...]
    sha256: str  # of the names and contents of their files
    # distributions that they import and that are installed for themselves, with their versions
    libraries: dict[str, str]


def read_source(modules: Iterable[str], distribution: str) -> Source:
    """Read the whole packages that some modules lie in, and of what they import all that has no version.

    What they import is read along where it is of the same distribution, of none (files beside a script) or
    installed in editable form; other distributions are told by their versions. Raises SpecError: a module has
    no source that can be found, or far too much; StoreError: a file cannot be read.
    """
    roots: dict[str, list[tuple[str, Path]]] = {}
    libraries: set[str] = set()
    pending = [(name, True) for name in modules]
    seen: set[str] = set()
    while pending:
        name, must = pending.pop()
        if name in seen:
            continue
        seen.add(name)
        root = _root(name, must=must)
        if root is None or root[0] in roots:
            continue
        roots[root[0]] = files = list(_files(*root))
        for imported in set().union(*(_imports(path) for _, path in files)):
            owners = _owners(imported.partition(".")[0])
            if owners is None:
                continue
            if not owners or distribution in owners or any(_editable(owner) for owner in owners):
                pending.append((imported, False))
            else:
                libraries |= owners
    lines = sorted(f"{name}\0{sha256_file(path)}\n" for files in roots.values() for name, path in files)
    digest = hashlib.sha256("".join(lines).encode()).hexdigest()
    return Source(tuple(sorted(roots)), digest, {name: version(name) or "" for name in sorted(libraries)})


def owners_of(module: str) -> frozenset[str]:
    """Distributions that hold a module's top-level package; empty for files that belong to none."""
    return _distributions(tuple(sys.path)).get(module.partition(".")[0], frozenset())


def _owners(top: str) -> frozenset[str] | None:
    """The same; None for Python's own modules and this package, whose versions are known."""
    known = top in (OWN, "__main__") or top in sys.stdlib_module_names
    return None if known else owners_of(top)


@lru_cache(maxsize=4)
def _distributions(path: tuple[str, ...]) -> dict[str, frozenset[str]]:
    """Top-level name to the distributions that have it, as seen along `path`."""
    return {name: frozenset(found) for name, found in importlib.metadata.packages_distributions().items()}


@lru_cache(maxsize=256)
def _editable(distribution: str) -> bool:
    """Whether a distribution is installed as a link to a folder that somebody works in."""
    try:
        text = importlib.metadata.distribution(distribution).read_text("direct_url.json") or ""
    except importlib.metadata.PackageNotFoundError:
        return False
    return '"editable": true' in text or '"editable":true' in text


def _root(module: str, *, must: bool) -> tuple[str, ModuleSpec | None] | None:
    """The outermost package with files that a module lies in: namespaces above it belong to nobody.

    Raises SpecError: there is none, and there `must` be.
    """
    parts = module.split(".")
    for depth in range(1, len(parts) + 1):
        name = ".".join(parts[:depth])
        try:
            spec = importlib.util.find_spec(name)
        except (ImportError, ValueError, AttributeError):  # ValueError: a module without a spec
            spec = None
        if spec is None:
            if getattr(sys.modules.get(name), "__file__", None):  # a script, or a module made by hand
                return name, None
            break
        if spec.origin is not None and spec.has_location:
            return name, spec
    if must:
        raise SpecError(
            f"the code of module '{module}' cannot be read: it lies in no file",
            hint="put it into a .py file of a package: results are known by the code that made them",
        )
    return None


def _files(name: str, spec: ModuleSpec | None) -> Iterator[tuple[str, Path]]:
    """Each file of a package as (name that is the same on every machine, path)."""
    if spec is None:
        yield name, Path(str(sys.modules[name].__file__))
        return
    archive = getattr(spec.loader, "archive", None)  # a zip on sys.path: all of it
    if isinstance(archive, str):
        yield f"{name}.zip", Path(archive)
    elif not spec.submodule_search_locations:
        path = Path(str(spec.origin))
        yield f"{name}{path.suffix}", path
    else:
        for place in spec.submodule_search_locations:
            yield from _below(name, Path(place))


def _below(name: str, place: Path) -> Iterator[tuple[str, Path]]:
    count = size = 0
    for folder, folders, files in os.walk(place, followlinks=True):
        folders[:] = sorted(f for f in folders if f != "__pycache__" and not f.startswith("."))
        for file in sorted(files):
            if file.endswith(SUFFIXES) and not file.startswith("."):
                path = Path(folder, file)
                count, size = count + 1, size + (path.stat().st_size if path.exists() else 0)
                if count > MOST_FILES or size > MOST_BYTES:
                    raise SpecError(
                        f"package '{name}' has more than {MOST_FILES:,} files or {MOST_BYTES >> 20:,} MB of "
                        "code: it is not read to the end",
                        where=str(place),
                        hint="move what is no code of the package out of its folder",
                    )
                yield f"{name}/{path.relative_to(place).as_posix()}", path


def _imports(path: Path) -> set[str]:
    """Dotted names that a file imports anywhere; of `from a import b` both a.b and its start are meant."""
    if path.suffix != ".py":
        return set()
    try:
        tree = ast.parse(path.read_bytes())
    except (OSError, SyntaxError, ValueError, RecursionError):  # a template; what can be read is hashed
        return set()
    found = set()
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            found |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom) and node.level == 0 and node.module:
            found |= {f"{node.module}.{alias.name}" for alias in node.names}
    return found
