"""Several experiments rendered side by side: each is independent of the others."""

from __future__ import annotations

import signal
from collections.abc import Iterator, Sequence
from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass
from multiprocessing import get_context
from pathlib import Path

from tabench.report.pages.site import render
from tabench.report.records.listed import RUN_PAGES
from tabench.store.streams import steady


@dataclass(frozen=True)
class Page:
    """What `render` is called with.

    Attributes:
        results: Folder that holds experiments.
        experiment: Name of one.
        out: Where its page goes.
        published: CSV of published values, or None.
        overview: Whether it links to an overview one folder up.
        run_pages: Runs that get a page of their own, at most.
    """

    results: Path
    experiment: str
    out: Path
    published: Path | None
    overview: bool
    run_pages: int = RUN_PAGES

    def write(self) -> list[Path]:
        """Render it; the files written, the page first."""
        return render(
            self.results,
            self.experiment,
            self.out,
            published_file=self.published,
            overview=self.overview,
            run_pages=self.run_pages,
        )


def write_all(pages: Sequence[Page], workers: int) -> Iterator[list[Path]]:
    """Render pages, and give the files of each in their order.

    Args:
        pages: What to render.
        workers: Pages at a time; with one, or for one page, in this process.

    Raises:
        StoreError: A page cannot be rendered; later ones may be left out.
    """
    if min(workers, len(pages)) < 2:
        yield from (page.write() for page in pages)
        return
    with ProcessPoolExecutor(
        min(workers, len(pages)), mp_context=get_context("spawn"), initializer=_end_quietly
    ) as pool:
        yield from pool.map(Page.write, pages)


def _end_quietly() -> None:
    """Let an interrupt end this process without a trace of its own; the first process tells."""
    signal.signal(signal.SIGINT, signal.SIG_DFL)
    steady()
