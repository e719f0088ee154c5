"""Everything that a report of an experiment shows, each part made once, for its page and for its files."""

from __future__ import annotations

import gc
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from functools import partial

from matplotlib.figure import Figure

from tabench.report.figures import curves, images, paper_figures, sizes, style
from tabench.report.records import grid, wording
from tabench.report.records.circumstances import circumstances
from tabench.report.records.collector import set_aside
from tabench.report.records.factors import not_analysed, read_factors
from tabench.report.records.published import Published
from tabench.report.records.reading import Results
from tabench.report.records.reproduced import Reproduced, compared
from tabench.report.tables import agreement, cost, findings, sureness
from tabench.report.tables.chosen import FIGURE_ROWS, PAGE_ROWS, choose
from tabench.report.tables.claims import claim_table, claims
from tabench.report.tables.factors import factor_table
from tabench.report.tables.results import definitions_table, protocols_of, results_table
from tabench.report.tables.table import Table
from tabench.report.tables.verdicts import verdict_table, verdicts


@dataclass(frozen=True)
class Drawing:
    """A figure that can be drawn in several looks, and its caption."""

    caption: str
    draw: Callable[[], Figure]


@dataclass(frozen=True)
class Picture:
    """A figure as SVG, with its caption."""

    caption: str
    svg: bytes


class Content:
    """What is known of an experiment; templates read it.

    Args:
        results: What was run.
        published: Published values, or None.
        draw: Whether to draw the figures.

    Attributes:
        apart: Published values that stand apart from the results, of other data or models.
        whole_tables: The results tables with all rows, the main protocol first.
        tables: The same with the rows that the page shows; as `definitions`, `costs`, `paired`, `agreement`.
        sheets: Every table that is written as files.
        drawings: Stem to figure, if they are drawn.
        drawn: Stem to its files.
    """

    def __init__(self, results: Results, published: Published | None = None, *, draw: bool = False) -> None:
        self.results, self.published = results, published
        self.apart, comparable = published, None
        if published is not None and results.profile == "paper":
            comparable = published.of_dataset(str(results.first["data"]["name"]))
            self.apart = published.others()
        present = protocols_of(results)
        self.whole_tables = [results_table(results, name, comparable) for name in present]
        definitions = definitions_table(results, present)
        self.chosen = choose(results, self.whole_tables[0], PAGE_ROWS)
        self.tables = [self.chosen.table(table) for table in self.whole_tables]
        self.definitions = self.chosen.table(definitions) if definitions else None
        self.factors = read_factors(results)  # once for figures and table
        kept = [part for part in self.factors if part.method in self.chosen.rows]
        self.factor_table = factor_table(results, kept)
        self.not_analysed = {m: why for m, why in not_analysed(results).items() if m in self.chosen.rows}
        self.learned = bool(self.factor_table or self.not_analysed)
        self.claims = claims(results)
        self.verdicts = verdicts(results, published)
        self.verdict_table = verdict_table(results, self.verdicts) if self.verdicts else None
        self.costs = cost.cost_tables(self.chosen.results(results))
        self.contrasts = sureness.contrasts(results)
        self.paired = self._paired(self.contrasts) if self.contrasts else []
        self.reproduced = compared(results)
        self.agreement = self._agreement(self.reproduced) if self.reproduced else []
        self.data_warnings = wording.data_warnings(results)
        self.circumstances = circumstances(results)
        self.grid = grid.read_grid(results)
        self.grid_caption = grid.caption(results, self.grid) if self.grid else ""
        self.headline = findings.headline(results, self.whole_tables)
        self.total_wall = cost.total_wall(results)
        self.sheets = [*self.whole_tables, *filter(None, [definitions]), *cost.cost_tables(results)]
        if self.verdict_table:
            self.sheets.append(self.verdict_table)
        if self.reproduced and self.reproduced.compared:
            self.sheets.append(agreement.table(self.reproduced))
        if self.claims:
            self.sheets.append(claim_table(results, self.claims))
        if self.contrasts:
            self.sheets.append(sureness.contrast_matrix(results, self.contrasts))
            self.sheets.append(sureness.contrast_table(results, self.contrasts))
        self.drawings, self.drawn = self._drawings() if draw else {}, dict[str, style.Drawn]()
        with set_aside():
            for stem, drawing in self.drawings.items():
                # the grid stands on the page as real images
                self.drawn[stem] = style.drawn(drawing.draw, page=stem != "figure4")
                gc.collect()  # a figure is full of cycles, and takes 15 MB
        self.method_figures = self._pictures(paper_figures.METHOD)
        self.factor_figures = self._pictures(paper_figures.FACTORS)
        elsewhere = (*paper_figures.METHOD, *paper_figures.FACTORS)
        self.curves = self._pictures([stem for stem in self.drawn if stem not in elsewhere])

    def _paired(self, found: sureness.Contrasts) -> list[Table]:
        """The tests of the rows that the page shows: the overview, then one table a task."""
        rows = self.chosen.rows
        overview = sureness.contrast_matrix(self.results, found)
        kept = [row for method, row in zip(found.methods, overview.rows, strict=True) if method in rows]
        found = replace(found, rows=[row for row in found.rows if row.method in rows])
        tasks = dict.fromkeys(row.metric.group for row in found.rows)
        parts = [sureness.contrast_table(self.results, found, task) for task in tasks]
        return [replace(overview, rows=kept), *parts]

    def _agreement(self, found: Reproduced) -> list[Table]:
        """The comparison with the reference for the rows that the page shows: an overview, then all of it."""
        if len(self.chosen.rows) < self.chosen.of:
            kept = set(self.chosen.rows)
            rows = [row for row in found.runs if row.method in kept]
            found = replace(found, runs=rows, lines=[line for line in found.lines if line.method in kept])
        return [agreement.matrix(found), agreement.table(found)]

    def _pictures(self, stems: Sequence[str]) -> dict[str, Picture]:
        """Figures that the page shows as drawings."""
        files = {stem: self.drawn[stem].svg for stem in self.drawn if stem in stems}
        return {stem: Picture(self.drawings[stem].caption, svg) for stem, svg in files.items() if svg}

    def _drawings(self) -> dict[str, Drawing]:
        """File stem to figure, only what the records support."""
        chosen = choose(self.results, self.whole_tables[0], FIGURE_ROWS)
        results, table = chosen.results(self.results), chosen.table(self.whole_tables[0])
        found: dict[str, tuple[str, Callable[[], Figure]]] = {}
        if self.grid is not None:
            found["figure4"] = self.grid_caption, partial(images.draw_grid, results, self.grid)
        losses, metrics = curves.read_curves(results, table.protocol)
        if metrics:
            caption = "Metrics on the evaluated images during training"
            found["curves_metrics"] = (
                f"{caption} (protocol “{table.protocol}”). {curves.BAND}",
                partial(curves.draw_metrics, results, metrics, table.protocol),
            )
        if losses:
            draw = partial(curves.draw_losses, results, losses)
            found["curves_loss"] = f"Training loss of each task. {curves.BAND}", draw
        if sizes.has_sizes(results, table):
            found["sizes"] = sizes.SIZES, partial(sizes.draw_sizes, results, table)
        elif sizes.has_tradeoff(table):
            found["tradeoff"] = sizes.TRADEOFF, partial(sizes.draw_tradeoff, results, table)
        factors = [part for part in self.factors if part.method in chosen.rows]
        found |= paper_figures.drawings(results, table.protocol, factors)
        warning = wording.short_warning(results)
        return {
            stem: Drawing(f"{warning} {caption}{chosen.sentence}".strip(), draw)
            for stem, (caption, draw) in found.items()
        }
