"""Is the code that this process would run a cell's own? And what run.json says of it."""

from __future__ import annotations

import contextlib
from typing import Any

from tabench.catalog import BACKBONES, BALANCERS, DATASETS, METHODS, TASKS
from tabench.errors import TabenchError
from tabench.provenance.code import Code, check_code, code_of
from tabench.provenance.environment import capture
from tabench.registry import Registry
from tabench.spec.cell import Cell

_Named = tuple[Registry[Any], str, str]  # registry, name, the code that the cell holds


def check_cell(cell: Cell) -> None:
    """Refuse a cell whose code is not what this process would run; see `check_code` for what is raised."""
    for registry, name, planned in _named(cell):
        check_code(registry, name, planned)


def environment_of(cell: Cell) -> dict[str, Any]:
    """What a cell ran on (see `capture`), with what it took from elsewhere.

    "packages" has the distributions that its code imports or declares, and "outside", where there is any,
    says whose code it took: "method bias-only" to distribution, version and sha256.
    """
    content = capture()
    with contextlib.suppress(TabenchError):  # a name that is not known here has failed the cell already
        codes = {f"{registry.kind} {name}": code_of(registry, name) for registry, name, _ in _named(cell)}
        for code in codes.values():
            content["packages"] |= {**code.libraries, **code.requires}
        outside = {key: _facts(code) for key, code in codes.items() if code.sha256}
        content |= {"outside": outside} if outside else {}
    return content


def _named(cell: Cell) -> list[_Named]:
    tasks: list[_Named] = [(TASKS, name, cell.dataset.task_code.get(name, "")) for name in cell.dataset.tasks]
    return [
        (DATASETS, cell.dataset.name, cell.dataset.code),
        *tasks,
        (BACKBONES, cell.backbone.name, cell.backbone.code),
        (METHODS, cell.method.name, cell.method.code),
        (BALANCERS, cell.balancing.name, cell.balancing.code),
    ]


def _facts(code: Code) -> dict[str, Any]:
    return {"distribution": code.distribution, "version": code.version, "sha256": code.sha256}
