"""The one call that turns a results folder into a page, tables and figures."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path

from matplotlib.figure import Figure

from tabench.errors import StoreError
from tabench.report import curves, grid, latex, plain, style, wording
from tabench.report.frames import Table, results_table
from tabench.report.grid_figure import draw_grid
from tabench.report.page import Picture, page
from tabench.report.published import read_published
from tabench.report.reading import Results, read_results
from tabench.report.tradeoff import draw_tradeoff, has_tradeoff

PROTOCOLS = ("paper", "pixel")


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
    drawings = _drawings(results, tables, qualitative)
    html = page(results, tables, qualitative, _pictures(drawings), None if beside else published)
    try:
        return _write(out_dir, tables, drawings, html)
    except OSError as error:
        raise StoreError(
            f"the report cannot be written: {error.strerror or error}",
            where=str(error.filename or out_dir),
            hint="choose another folder with --out, or free some space",
        ) from error


def _write(
    out_dir: Path,
    tables: list[Table],
    drawings: dict[str, Drawing],
    html: str,
) -> list[Path]:
    written = [out_dir / "index.html"]
    for folder in (out_dir, out_dir / "tables", out_dir / "figures"):
        folder.mkdir(parents=True, exist_ok=True)
    written[0].write_text(html, encoding="utf-8")
    texts = {"preview.tex": latex.preview([*(t.name for t in tables), *(f"figure_{s}" for s in drawings)])}
    for table in tables:
        texts[f"{table.name}.tex"] = latex.latex(table)
        texts[f"{table.name}.csv"] = plain.csv(table)
        texts[f"{table.name}.md"] = plain.markdown(table)
    for stem, drawing in drawings.items():
        texts[f"figure_{stem}.tex"] = latex.figure(stem, drawing.caption, stem)
        written += style.save(drawing.draw, out_dir / "figures", stem)
    for name, text in texts.items():
        path = out_dir / "tables" / name
        path.write_text(text, encoding="utf-8")
        written.append(path)
    return written


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
            "Relative improvement Δ_b against trained parameters; small points are runs, large markers means over "
            "seeds.",
            partial(draw_tradeoff, results, table),
        )
    warning = wording.short_warning(results)
    return {stem: replace(d, caption=f"{warning} {d.caption}".strip()) for stem, d in found.items()}


def _pictures(drawings: dict[str, Drawing]) -> dict[str, Picture]:
    """The figures of the page; the grid stands there as real images instead."""
    return {
        stem: Picture(drawing.caption, style.svg(drawing.draw, "light"), style.svg(drawing.draw, "dark"))
        for stem, drawing in drawings.items()
        if stem != "figure4"
    }
