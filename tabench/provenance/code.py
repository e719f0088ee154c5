"""The code behind a registered name, as a cell, a pack, run.json and an artifact know it.

What this package ships has a version kept by hand, as protocols have: a hash of its source would make every
edit of a comment another result. Nobody keeps such versions in other packages for us, so their source is
hashed, and an edit of theirs makes another cell.
"""

from __future__ import annotations

import sys
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from importlib.machinery import SourceFileLoader
from typing import Any

from tabench.errors import SpecError
from tabench.provenance.environment import PACKAGES, version
from tabench.provenance.source import OWN, Source, owners_of, read_source
from tabench.registry import Entry, Registry


@dataclass(frozen=True)
class Code:
    """Whose code a name stands for."""

    # "tabench", or the distribution that added the name; the outermost package of its code where none did
    distribution: str
    version: str  # version of the distribution, "" where it is not installed; in this package, of the entry
    sha256: str = ""  # of the source; "" in this package
    # distributions that it declares to stand on, with their versions
    requires: Mapping[str, str] = field(default_factory=dict)
    # distributions that its source imports, with their versions
    libraries: Mapping[str, str] = field(default_factory=dict)

    @property
    def text(self) -> str:
        """What a cell holds: "my-package 0.1 sha256:0123456789abcdef"; "" for this package's first version.

        Declared libraries are in it, imported ones are not: like torch, they may be upgraded without making
        every result another one, unless whoever wrote the code says that its numbers depend on them.
        """
        mine = [f"version {self.version}"] if self.version != "1" else []
        parts = (self.distribution, self.version, f"sha256:{self.sha256[:16]}")
        own = " ".join(filter(None, parts)) if self.sha256 else "".join(mine)
        return ", ".join([*filter(None, [own]), *(f"{name} {held}" for name, held in self.requires.items())])


_KNOWN: dict[tuple[str, str], Code] = {}  # by kind and target, as of when this process first met them
# those of which this process is known to run this very code: their packages, and what it had imported of them
_PROVEN: dict[tuple[str, str], tuple[tuple[str, ...], frozenset[str]]] = {}


def code_of(registry: Registry[Any], name: str) -> Code:
    """The code that a name stands for, read once a process: what is edited later is not what it has loaded.

    Raises SpecError: the name is unknown, cannot be loaded, stands on a library that is not installed, or
    lies in no file; StoreError: a file of it cannot be read.
    """
    entry = registry.entry(name)
    key = (registry.kind, entry.target)
    if key not in _KNOWN:
        _KNOWN[key] = _read(registry, entry)[0]
    return _KNOWN[key]


def check_code(registry: Registry[Any], name: str, planned: str) -> Code:
    """Refuse to run other code than a cell was planned with: edited since, or another one on this host.

    To be asked before a cell is computed and again at its end: a module that was imported meanwhile may have
    been edited meanwhile. `planned` is `Code.text` as the cell holds it. Raises SpecError: the code differs,
    or Python runs an older one than the files hold; or as `code_of`.
    """
    code, entry = code_of(registry, name), registry.entry(name)
    key = (registry.kind, entry.target)
    packages, proven = _PROVEN.get(key, ((), frozenset()))
    if code.sha256 and (key not in _PROVEN or _loaded(packages) - proven):
        for module in _modules(registry, entry):
            registry.load(entry, module)
        again, source = _read(registry, entry)
        if again != code:
            raise SpecError(
                f"the code of {registry.kind} '{name}' was edited before this process had loaded all of it",
                hint="give the command again: the changed code makes other cells",
            )
        loaded = _loaded(source.packages)
        _refuse_stale(registry.kind, name, loaded)
        _PROVEN[key] = source.packages, loaded
    if code.text != planned:
        raise SpecError(
            f"the code of {registry.kind} '{name}' is not what the cell was planned with: "
            f"{code.text or 'version 1'} here, {planned or 'version 1'} in the cell",
            hint="give the command again, so that changed code makes other cells; "
            "where cells run on several hosts, install the same packages on each",
        )
    return code


def _read(registry: Registry[Any], entry: Entry) -> tuple[Code, Source]:
    module = entry.target.partition(":")[0]
    if module.partition(".")[0] == OWN:
        # tasks need torch to be loaded, and planning has none
        loaded = None if registry.kind == "task" else registry.get(entry.name)
        return Code(OWN, str(entry.version), requires=_required(registry, entry, loaded)), Source((), "", {})
    loaded = registry.get(entry.name)
    owners = (name for name in (entry.source, *sorted(owners_of(module))) if name != OWN and version(name))
    distribution = next(owners, module.partition(".")[0])
    source = read_source(_modules(registry, entry), distribution)
    requires = _required(registry, entry, loaded)
    libraries = source.libraries | requires
    return Code(distribution, version(distribution) or "", source.sha256, requires, libraries), source


def _modules(registry: Registry[Any], entry: Entry) -> list[str]:
    """Modules that an entry of another package is made of.

    They are the one it is defined in, those it names (`code_modules`: a method's parametrisation), and those
    of the classes it inherits from, but for this package, Python and the packages that run.json lists anyway.
    """
    loaded: Any = registry.get(entry.name)
    kind = loaded if isinstance(loaded, type) else type(loaded)
    inherited = (base.__module__ for base in kind.__mro__)
    found = [entry.target.partition(":")[0]]
    for module in (*getattr(loaded, "code_modules", ()), *inherited):
        top = module.partition(".")[0]
        if top != OWN and top not in sys.stdlib_module_names and not owners_of(top) & set(PACKAGES):
            found.append(module)
    return list(dict.fromkeys(found))


def _required(registry: Registry[Any], entry: Entry, loaded: Any) -> dict[str, str]:
    names: Iterable[str] = getattr(loaded, "requires", ())
    found = {name: version(name) for name in names}
    for name, held in found.items():
        if held is None:
            raise SpecError(
                f"{registry.kind} '{entry.name}' stands on '{name}', which is not installed",
                hint=f"pip install {name}",
            )
    return {name: held for name, held in found.items() if held is not None}


def _loaded(packages: tuple[str, ...]) -> frozenset[str]:
    """Names of the modules of some packages that this process has imported."""
    return frozenset(
        module for module in list(sys.modules) if any(f"{module}.".startswith(f"{p}.") for p in packages)
    )


def _refuse_stale(kind: str, name: str, modules: Iterable[str]) -> None:
    """Refuse modules that Python took from a .pyc file of an older source.

    Python compares sizes and whole seconds alone, so an edit that keeps both is not seen.
    """
    for module in sorted(modules):
        loader = getattr(getattr(sys.modules[module], "__spec__", None), "loader", None)
        if type(loader) is SourceFileLoader and not _is_fresh(loader):
            raise SpecError(
                f"{kind} '{name}': Python runs an older {loader.path} than the file holds, from a .pyc file",
                where=loader.path,
                hint="remove the __pycache__ folder beside it, then give the command again",
            )


def _is_fresh(loader: SourceFileLoader) -> bool:
    try:
        now = loader.source_to_code(loader.get_data(loader.path), loader.path)
        return bool(loader.get_code(loader.name) == now)
    except (OSError, SyntaxError, ValueError):
        return False
