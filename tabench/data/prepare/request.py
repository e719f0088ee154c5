"""What is asked of a preparation, and what came out of it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from tabench.data.base import Progress
    from tabench.data.prepare.outputs import Output


@dataclass(frozen=True)
class Request:
    """One call of ``tabench data prepare``.

    Attributes:
        sources: Archives or folders as the dataset's owner gives them out.
        root: Folder that is written.
        workers: Threads.
        class_map: NYUv2's classMapping40.mat, if it is not beside the source.
        splits: NYUv2's splits.mat, if another split than the public one is wanted.
        allow_missing: CityScapes: leave out images that lack a file, instead of refusing.
        progress: Called with (done, total, what).
    """

    sources: tuple[Path, ...]
    root: Path
    workers: int = 1
    class_map: Path | None = None
    splits: Path | None = None
    allow_missing: bool = False
    progress: Progress | None = None

    def report(self, done: int, total: int, what: str) -> None:
        """Pass progress on, if somebody listens."""
        if self.progress is not None:
            self.progress(done, total, what)


@dataclass
class Outcome:
    """What ``tabench data prepare`` did.

    Attributes:
        counts: Images per split.
        written: Files written by this call.
        kept: Files that were complete already.
        bytes: Size of all output files.
        notes: Findings worth a look (other counts than published).
    """

    counts: dict[str, int] = field(default_factory=dict)
    written: int = 0
    kept: int = 0
    bytes: int = 0
    notes: list[str] = field(default_factory=list)


def count_notes(counts: Mapping[str, int], published: Mapping[str, int]) -> list[str]:
    """One line for each split that has another size than the published one."""
    return [
        f"{split}: {counts.get(split, 0)} images, published are {expected}"
        for split, expected in published.items()
        if counts.get(split, 0) != expected
    ]


def outcome_of(counts: Mapping[str, int], outputs: Sequence[Output], notes: Sequence[str]) -> Outcome:
    """Sum up the files of a finished preparation."""
    written = sum(output.written for output in outputs)
    return Outcome(
        dict(counts),
        written,
        len(outputs) - written,
        sum(output.size for output in outputs),
        list(notes),
    )
