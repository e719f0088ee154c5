"""Entries that a registry has while a test module runs, and no longer: other tests go over all there are."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

from tabench.catalog import BALANCERS, METHODS
from tabench.registry import Entry, Registry

BALANCING = ("by-loss", "projecting", "looking", "plain", "dishonest")


@contextmanager
def registered() -> Iterator[None]:
    """The methods and balancers of the tests."""
    points = [(METHODS, "reallocating", "reallocating:REALLOCATING")]
    names: list[tuple[Registry, str, str]] = [  # type: ignore[type-arg]
        *points,
        *((BALANCERS, name, f"balancers:{name.upper().replace('-', '_')}") for name in BALANCING),
    ]
    for registry, name, target in names:
        registry.register(Entry(name, target, "of the tests"))
    try:
        yield
    finally:
        for registry, name, _ in names:
            registry._entries.pop(name, None)
            registry._loaded.pop(name, None)
