"""Names to things: methods, tasks, datasets, backbones and executors.

Targets are "module:attribute" strings and are imported only when asked for, so that
listing names never imports torch. Other packages add entries through entry points
of the group named by the registry (for example ``tabench.methods``).
"""

from __future__ import annotations

import importlib
from collections.abc import Iterable
from dataclasses import dataclass
from importlib.metadata import entry_points
from typing import Generic, TypeVar, cast

from tabench.errors import SpecError
from tabench.text import suggestion

T = TypeVar("T")


@dataclass(frozen=True)
class Entry:
    """One registered name."""

    name: str  # the name users type
    target: str  # "module:attribute", imported on first use
    summary: str = ""  # one line for ``tabench list``
    source: str = "tabench"  # "tabench" or the distribution that added the entry
    # of this package's own code behind the name; raised by hand whenever its results change. (A task's
    # metrics have a version of their own. Other packages' code is known by its source.)
    version: int = 1


class Registry(Generic[T]):
    """A lazy, clash-free map from names to objects of one kind.

    Args:
        kind: The word used in messages, singular ("method").
        group: The entry-point group other packages use ("tabench.methods").
        builtin: The entries this package ships.
    """

    def __init__(self, kind: str, group: str, builtin: Iterable[Entry] = ()) -> None:
        self.kind = kind
        self.group = group
        self._entries: dict[str, Entry] = {}
        self._loaded: dict[str, T] = {}
        self._scanned = False
        for entry in builtin:
            self.register(entry)

    def register(self, entry: Entry) -> None:
        """Add an entry. Raises SpecError: the name is taken by another target."""
        held = self._entries.get(entry.name)
        if held is not None and held.target != entry.target:
            raise SpecError(
                f"{self.kind} '{entry.name}' is registered twice: "
                f"{held.target} ({held.source}) and {entry.target} ({entry.source})",
                hint="rename one of them or uninstall the package that adds it",
            )
        self._entries[entry.name] = entry

    def _scan(self) -> None:
        if self._scanned:
            return
        for point in entry_points(group=self.group):
            source = point.dist.name if point.dist is not None else "unknown"
            summary = ""  # the package's own: that of its object would have to be imported
            if point.dist is not None and "Summary" in point.dist.metadata:
                summary = point.dist.metadata["Summary"]
            self.register(Entry(point.name, point.value, summary, source))
        self._scanned = True

    def entries(self) -> list[Entry]:
        """All entries, built-in ones first, in order of registration."""
        self._scan()
        return list(self._entries.values())

    def names(self) -> list[str]:
        """All names, in order of registration."""
        return [entry.name for entry in self.entries()]

    def entry(self, name: str, *, where: str | None = None) -> Entry:
        """Look up an entry without importing its target.

        Raises SpecError: the name is unknown; the message proposes the nearest one.
        """
        self._scan()
        if name not in self._entries:
            hint = suggestion(name, self._entries)
            raise SpecError(f"unknown {self.kind} '{name}'", where=where, hint=hint)
        return self._entries[name]

    def get(self, name: str, *, where: str | None = None) -> T:
        """Import and return what a name stands for.

        Raises SpecError: the name is unknown, or its target cannot be imported.
        """
        entry = self.entry(name, where=where)
        if name not in self._loaded:
            self._loaded[name] = cast(T, self.load(entry, entry.target, where))
        return self._loaded[name]

    def load(self, entry: Entry, target: str, where: str | None = None) -> object:
        """Import a module or "module:attribute" of an entry. Raises SpecError: it cannot be."""
        module, _, attribute = target.partition(":")
        try:
            loaded: object = importlib.import_module(module)
            for part in attribute.split(".") if attribute else ():
                loaded = getattr(loaded, part)
        except Exception as error:  # another package's module may raise anything
            why = f"{type(error).__name__}: {error}"
            raise SpecError(
                f"{self.kind} '{entry.name}' cannot be loaded from '{target}': {why}",
                where=where,
                hint=f"reinstall or fix the package '{entry.source}'",
            ) from error
        return loaded
