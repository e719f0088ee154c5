"""The one call that turns a results folder into a page, tables and figures; and several side by side."""

from __future__ import annotations

import re
import signal
from collections.abc import Iterator, Sequence
from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass, replace
from multiprocessing import get_context
from pathlib import Path

from tabench.report.figures.pictures import Album
from tabench.report.pages import summary
from tabench.report.pages.content import Content
from tabench.report.pages.page import page
from tabench.report.pages.run_page import RUNS_FILE, RunPages, runs_csv
from tabench.report.pages.templating import source
from tabench.report.records.collector import uncollected
from tabench.report.records.published import lacking, read_published
from tabench.report.records.reading import RUN_PAGES, Results, read_results
from tabench.report.tables import latex, text
from tabench.store.atomic import write_bytes
from tabench.store.encoding import dumps
from tabench.store.streams import steady

_CELL_PAGE = re.compile(r"[0-9a-f]{16}\.html")


@uncollected()
def render(
    results_dir: Path,
    experiment: str,
    out_dir: Path,
    *,
    published_file: Path | None = None,
    overview: bool = False,
    run_pages: int = RUN_PAGES,
) -> list[Path]:
    """Render an experiment's report.

    Args:
        results_dir: Folder that holds ``<experiment>/<cell id>/record.json``.
        experiment: Name of the experiment.
        out_dir: Gets ``index.html`` (one self-contained file), ``runs/``, ``tables/`` and ``figures/``.
        published_file: CSV of published values; by default the one that the experiment names.
        overview: Whether pages link to an overview one folder above `out_dir`.
        run_pages: Runs that are listed and get a page of their own, at most.

    Returns:
        The files written, ``index.html`` first.

    Raises:
        StoreError: No finished results, a damaged record, or a folder that cannot be written.
    """
    results = replace(read_results(results_dir, experiment), run_pages=run_pages)
    published = read_published(results, published_file)
    results = replace(results, lacks=lacking(results, published))
    content = Content(results, published).draw()
    drawings = content.drawings
    inputs = [sheet.name for sheet in content.sheets if sheet.fits] + [f"figure_{stem}" for stem in drawings]
    files: dict[str, str | bytes] = {
        "index.html": page(content, overview=overview),
        "tables/preview.tex": latex.preview(inputs),
        summary.FILE: dumps(summary.summarise(content, inputs).model_dump(mode="json")),
    }
    if len(results.listed) < len(results.cells):
        files[RUNS_FILE] = runs_csv(results)
    for sheet in content.sheets:
        files[f"tables/{sheet.name}.csv"] = text.csv(sheet)
        files[f"tables/{sheet.name}.md"] = text.markdown(sheet)
        if sheet.fits:
            files[f"tables/{sheet.name}.tex"] = latex.latex(sheet)
    for stem, drawing in drawings.items():
        label = f"{results.name}-{stem}"
        files[f"tables/figure_{stem}.tex"] = latex.figure(stem, drawing.caption, label)
        files[f"figures/{stem}.png"] = content.drawn[stem].png
        files[f"figures/{stem}.pdf"] = content.drawn[stem].pdf
    whole = [_write(out_dir / name, data) for name, data in files.items()]
    return whole + _write_runs(results, out_dir / "runs", overview=overview)


def _write_runs(results: Results, folder: Path, *, overview: bool) -> list[Path]:
    """Write the runs' pages and what they share; remove what belongs to cells that are gone."""
    album = Album(folder / "pictures")
    pages = RunPages(results, album, overview).pages()
    written = [_write(folder / f"{cell_id}.html", html) for cell_id, html in pages]
    for path in set(folder.glob("*.html")) - set(written):
        if _CELL_PAGE.fullmatch(path.name):
            path.unlink()
    album.sweep()
    shared = [_write(folder / name, source(name)) for name in ("style.css", "theme.js")]
    return written + shared + album.files


def _write(path: Path, content: str | bytes) -> Path:
    write_bytes(path, content.encode() if isinstance(content, str) else content, durable=False)
    return path


@dataclass(frozen=True)
class Page:
    """What `render` is called with, for a process of its own.

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
        given = {"published_file": self.published, "overview": self.overview, "run_pages": self.run_pages}
        return render(self.results, self.experiment, self.out, **given)  # type: ignore[arg-type]


def write_all(pages: Sequence[Page], workers: int) -> Iterator[list[Path]]:
    """Render pages, each independent of the others, and give the files of each in their order.

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
