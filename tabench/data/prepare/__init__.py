"""Datasets from the archives that their owners give out: ``tabench data prepare``.

Importing this is light: the command line reads the guides when it starts.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from importlib import import_module
from pathlib import Path
from typing import TYPE_CHECKING, cast

from tabench.data.prepare.guide import GUIDES
from tabench.errors import SpecError
from tabench.text import suggestion

if TYPE_CHECKING:
    from tabench.data.base import Progress

__all__ = ["GUIDES", "Outcome", "Request", "prepare"]


@dataclass(frozen=True)
class Request:
    """One call of ``tabench data prepare``."""

    sources: tuple[Path, ...]  # archives or folders as the dataset's owner gives them out
    root: Path  # folder that is written
    workers: int = 1  # threads
    class_map: Path | None = None  # NYUv2's classMapping40.mat, if it is not beside the source
    splits: Path | None = None  # NYUv2's splits.mat, if another split than the public one is wanted
    allow_missing: bool = False  # CityScapes: leave out images that lack a file, instead of refusing
    progress: Progress | None = None  # called with (done, total, what)


@dataclass
class Outcome:
    """What ``tabench data prepare`` did."""

    counts: dict[str, int] = field(default_factory=dict)  # images per split
    written: int = 0  # files written by this call
    kept: int = 0  # files that were complete already
    bytes: int = 0  # size of all output files
    notes: list[str] = field(default_factory=list)  # findings worth a look (other counts than published)


def prepare(name: str, request: Request) -> Outcome:
    """Prepare a dataset; a call that was stopped is finished by making it again.

    What was written is looked at as before a run, see `spot_check`; suspicious values are notes.

    Raises:
        SpecError: No such dataset can be prepared.
        DataError: A source is missing, damaged, unsafe or not what it should be, or holds impossible values.
        StoreError: The folder cannot be written, or the disk is too small.
    """
    guide = GUIDES.get(name)
    if guide is None:
        hint = suggestion(name, GUIDES, "these can be prepared")
        raise SpecError(f"no dataset '{name}' that can be prepared", hint=hint)
    from tabench.data.checks import check_folder

    module = import_module(guide.module)
    outcome = cast(Outcome, module.prepare(request))
    outcome.notes += check_folder(module.DATASET, request.root)
    return outcome
