"""The one call that turns a results folder into a page, tables and figures."""

from __future__ import annotations

import gc
import re
from collections.abc import Callable
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path

from matplotlib.figure import Figure

from tabench.report.figures import curves, paper_figures, style
from tabench.report.figures.grid import draw_grid
from tabench.report.figures.pictures import Album
from tabench.report.figures.tradeoff import draw_tradeoff, has_tradeoff
from tabench.report.figures.variants import CAPTION, draw_sizes, has_sizes
from tabench.report.pages import summary
from tabench.report.pages.extras import Extras
from tabench.report.pages.page import page
from tabench.report.pages.run_page import RUNS_FILE, RunPages, runs_csv
from tabench.report.pages.sections import Content, Picture, shown
from tabench.report.pages.templating import source
from tabench.report.records import grid, wording
from tabench.report.records.collector import set_aside, uncollected
from tabench.report.records.listed import RUN_PAGES
from tabench.report.records.published import lacking, read_published
from tabench.report.records.reading import Results, read_results
from tabench.report.tables import latex, plain
from tabench.report.tables.chosen import FIGURE_ROWS, PAGE_ROWS, choose
from tabench.report.tables.definitions import definitions_table
from tabench.report.tables.frames import Table, protocols_of, results_table
from tabench.store.atomic import write_bytes
from tabench.store.encoding import dumps

_CELL_PAGE = re.compile(r"[0-9a-f]{16}\.html")


@dataclass(frozen=True)
class Drawing:
    """A figure that can be drawn in several looks, and its caption."""

    caption: str
    draw: Callable[[], Figure]


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
    comparable = published.of_dataset(results.first["data"]["name"]) if published else None
    beside = comparable if results.profile == "paper" else None
    apart = published.others() if published and beside else published
    extras = Extras(results, published)
    present = protocols_of(results)
    tables = [results_table(results, protocol, beside) for protocol in present]
    definitions = definitions_table(results, present)
    qualitative = grid.read_grid(results)
    figures = _drawings(results, tables, qualitative, extras)
    # the grid stands on the page as real images
    drawn = {}
    with set_aside():
        for stem, drawing in figures.items():
            drawn[stem] = style.drawn(drawing.draw, page=stem != "figure4")
            gc.collect()  # a figure is full of cycles, and takes 15 MB
    pictures = {stem: Picture(figures[stem].caption, files.svg) for stem, files in drawn.items() if files.svg}
    shown_rows = choose(results, tables[0], PAGE_ROWS)
    extras.rows = frozenset(shown_rows.rows)
    short = [shown_rows.table(table) for table in tables]
    shorter = shown_rows.table(definitions) if definitions is not None else None
    content = Content(results, short, qualitative, pictures, apart, shorter, extras)
    sections, names = shown(content)
    written = [*tables, *([definitions] if definitions is not None else [])]
    stems = [*(table.name for table in written), *(sheet.name for sheet in extras.sheets() if sheet.fits)]
    inputs = [*stems, *(f"figure_{stem}" for stem in figures)]
    files: dict[str, str | bytes] = {
        "index.html": page(content, sections, names, overview=overview),
        "tables/preview.tex": latex.preview(inputs),
        **extras.files(),
        summary.FILE: dumps(summary.summarise(results, tables, sections, inputs).model_dump(mode="json")),
    }
    if len(results.listed) < len(results.cells):
        files[RUNS_FILE] = runs_csv(results)
    for table in written:
        files[f"tables/{table.name}.tex"] = latex.latex(table)
        files[f"tables/{table.name}.csv"] = plain.csv(table)
        files[f"tables/{table.name}.md"] = plain.markdown(table)
    for stem, drawing in figures.items():
        label = f"{results.name}-{stem}"
        files[f"tables/figure_{stem}.tex"] = latex.figure(stem, drawing.caption, label)
        files[f"figures/{stem}.png"] = drawn[stem].png
        files[f"figures/{stem}.pdf"] = drawn[stem].pdf
    whole = [_write(out_dir / name, content) for name, content in files.items()]
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


def _drawings(
    results: Results, tables: list[Table], qualitative: grid.Grid | None, extras: Extras
) -> dict[str, Drawing]:
    """File stem to figure, only what the records support."""
    chosen = choose(results, tables[0], FIGURE_ROWS)
    results, table = chosen.results(results), chosen.table(tables[0])
    factors = [part for part in extras.factors if part.method in chosen.rows]
    found = {}
    if qualitative is not None:
        found["figure4"] = Drawing(
            grid.caption(results, qualitative), partial(draw_grid, results, qualitative)
        )
    losses, metrics = curves.curve_frames(results, table.protocol)
    if not metrics.empty:
        found["curves_metrics"] = Drawing(
            f"Metrics on the evaluated images during training (protocol “{table.protocol}”). {curves.BAND}",
            partial(curves.draw_metrics, results, metrics, table.protocol),
        )
    if not losses.empty:
        found["curves_loss"] = Drawing(
            f"Training loss of each task. {curves.BAND}", partial(curves.draw_losses, results, losses)
        )
    if has_sizes(results, table):
        found["sizes"] = Drawing(CAPTION, partial(draw_sizes, results, table))
    elif has_tradeoff(table):
        found["tradeoff"] = Drawing(
            "Relative improvement Δ_b against trained parameters; small points are runs, large markers means "
            "over seeds.",
            partial(draw_tradeoff, results, table),
        )
    for stem, (caption, draw) in paper_figures.drawings(results, table.protocol, factors).items():
        found[stem] = Drawing(caption, draw)
    warning = wording.short_warning(results)
    return {
        stem: replace(d, caption=f"{warning} {d.caption}{chosen.sentence}".strip())
        for stem, d in found.items()
    }
