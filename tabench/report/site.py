"""The one call that turns a results folder into a page, tables and figures."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path

from matplotlib.figure import Figure

from tabench.report import curves, grid, latex, plain, style, wording
from tabench.report.frames import Table, results_table
from tabench.report.grid_figure import draw_grid
from tabench.report.page import Picture, page
from tabench.report.published import read_published
from tabench.report.reading import Results, read_results
from tabench.report.tradeoff import draw_tradeoff, has_tradeoff
from tabench.store.atomic import write_bytes

PROTOCOLS = ("paper", "pascal", "pixel")  # the first that a run has is the main one


@dataclass(frozen=True)
class Drawing:
    """A figure that can be drawn in several looks, and its caption."""

    caption: str
    draw: Callable[[], Figure]


def render(
    results_dir: Path, experiment: str, out_dir: Path, *, published_file: Path | None = None
) -> list[Path]:
    """Render an experiment's report.

    Args:
        results_dir: Folder that holds ``<experiment>/<cell id>/record.json``.
        experiment: Name of the experiment.
        out_dir: Gets ``index.html`` (one self-contained file), ``tables/`` and ``figures/``.
        published_file: CSV of published values; by default the one that the experiment names.

    Returns:
        The files written, ``index.html`` first.

    Raises:
        StoreError: No finished results, a damaged record, or a folder that cannot be written.
    """
    results = read_results(results_dir, experiment)
    published = read_published(results, published_file)
    comparable = published.of_dataset(results.first["data"]["name"]) if published else None
    beside = comparable if results.profile == "paper" else None
    present = [p for p in PROTOCOLS if any(m["protocol"] == p for m in results.first["metrics"])]
    tables = [results_table(results, protocol, beside) for protocol in present]
    qualitative = grid.read_grid(results)
    figures = _drawings(results, tables, qualitative)
    pictures = {
        stem: Picture(drawing.caption, style.looks(drawing.draw))
        for stem, drawing in figures.items()
        if stem != "figure4"  # the grid stands on the page as real images
    }
    files: dict[str, str | bytes] = {
        "index.html": page(results, tables, qualitative, pictures, None if beside else published),
        "tables/preview.tex": latex.preview([*(t.name for t in tables), *(f"figure_{s}" for s in figures)]),
    }
    for table in tables:
        files[f"tables/{table.name}.tex"] = latex.latex(table)
        files[f"tables/{table.name}.csv"] = plain.csv(table)
        files[f"tables/{table.name}.md"] = plain.markdown(table)
    for stem, drawing in figures.items():
        drawn = style.files(drawing.draw)
        files[f"tables/figure_{stem}.tex"] = latex.figure(stem, drawing.caption, stem)
        files[f"figures/{stem}.png"] = drawn.png
        files[f"figures/{stem}.pdf"] = drawn.pdf
    return [_write(out_dir / name, content) for name, content in files.items()]


def _write(path: Path, content: str | bytes) -> Path:
    write_bytes(path, content.encode() if isinstance(content, str) else content)
    return path


def _drawings(results: Results, tables: list[Table], qualitative: grid.Grid | None) -> dict[str, Drawing]:
    """File stem to figure, only what the records support."""
    table = tables[0]
    found = {}
    if qualitative is not None:
        found["figure4"] = Drawing(
            grid.caption(results, qualitative), partial(draw_grid, results, qualitative)
        )
    metrics = curves.metric_frame(results, table.protocol)
    if not metrics.empty:
        found["curves_metrics"] = Drawing(
            f"Metrics on the evaluated images during training (protocol “{table.protocol}”). {curves.BAND}",
            partial(curves.draw_metrics, results, metrics, table.protocol),
        )
    losses = curves.loss_frame(results)
    if not losses.empty:
        found["curves_loss"] = Drawing(
            f"Training loss of each task. {curves.BAND}", partial(curves.draw_losses, results, losses)
        )
    if has_tradeoff(table):
        found["tradeoff"] = Drawing(
            "Relative improvement Δ_b against trained parameters; small points are runs, large markers means "
            "over seeds.",
            partial(draw_tradeoff, results, table),
        )
    warning = wording.short_warning(results)
    return {stem: replace(d, caption=f"{warning} {d.caption}".strip()) for stem, d in found.items()}
