"""Everything that a report of an experiment shows, each part made once, for its page and for its files."""

from __future__ import annotations

import gc
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import cached_property, partial

from matplotlib.figure import Figure

from tabench.report.figures import curves, paper_figures, sizes, style
from tabench.report.figures import grid as grid_figure
from tabench.report.records import grid, wording
from tabench.report.records.circumstances import circumstances
from tabench.report.records.collector import set_aside
from tabench.report.records.factors import MethodFactors, not_analysed, read_factors
from tabench.report.records.published import Published
from tabench.report.records.reading import Results
from tabench.report.records.reproduction import Reproduced, reproduced
from tabench.report.tables import cost, findings, sureness
from tabench.report.tables.chosen import FIGURE_ROWS, PAGE_ROWS, Chosen, choose
from tabench.report.tables.claims import Assessed, claim_table, claims
from tabench.report.tables.factors import factor_table
from tabench.report.tables.results import definitions_table, protocols_of, results_table
from tabench.report.tables.table import Table
from tabench.report.tables.verdicts import Verdicts, verdict_table, verdicts


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


@dataclass(frozen=True)
class Content:
    """What is known of an experiment; templates read its properties.

    Attributes:
        results: What was run.
        published: Published values, or None.
        drawn: Stem to the files of every figure that the page may show; see `draw`.
    """

    results: Results
    published: Published | None = None
    drawn: Mapping[str, style.Drawn] = field(default_factory=dict)

    def draw(self) -> Content:
        """The same with its figures drawn."""
        drawn = {}
        with set_aside():
            for stem, drawing in self.drawings.items():
                # the grid stands on the page as real images
                drawn[stem] = style.drawn(drawing.draw, page=stem != "figure4")
                gc.collect()  # a figure is full of cycles, and takes 15 MB
        other = replace(self, drawn=drawn)
        other.__dict__.update(self.__dict__ | {"drawn": drawn})  # parts that are made already stay made
        return other

    @cached_property
    def beside(self) -> Published | None:
        """Published values that stand in the results table: same data, paper profile."""
        if self.published is None or self.results.profile != "paper":
            return None
        return self.published.of_dataset(str(self.results.first["data"]["name"]))

    @cached_property
    def apart(self) -> Published | None:
        """Published values that stand apart from the results, of other data or models."""
        return self.published.others() if self.published and self.beside else self.published

    @cached_property
    def whole_tables(self) -> list[Table]:
        """The results tables with all rows, the main protocol first."""
        return [results_table(self.results, name, self.beside) for name in protocols_of(self.results)]

    @cached_property
    def whole_definitions(self) -> Table | None:
        """Delta_b under every definition, all rows."""
        return definitions_table(self.results, protocols_of(self.results))

    @cached_property
    def chosen(self) -> Chosen:
        """The rows that the page shows."""
        return choose(self.results, self.whole_tables[0], PAGE_ROWS)

    @cached_property
    def shown(self) -> Results:
        """The results of those rows."""
        return self.chosen.results(self.results)

    @cached_property
    def tables(self) -> list[Table]:
        """The results tables as the page shows them."""
        return [self.chosen.table(table) for table in self.whole_tables]

    @cached_property
    def definitions(self) -> Table | None:
        """The definitions as the page shows them."""
        return self.chosen.table(self.whole_definitions) if self.whole_definitions else None

    @cached_property
    def carded(self) -> list[Table]:
        """Tables whose numbers open a card."""
        return [*self.tables, *filter(None, [self.definitions])]

    @cached_property
    def factors(self) -> list[MethodFactors]:
        """Analyses of the trained updates, read once for figures and table."""
        return read_factors(self.results)

    @cached_property
    def factor_table(self) -> Table | None:
        """Directions of the updates, of the rows that the page shows."""
        return factor_table(self.results, [f for f in self.factors if f.method in self.chosen.rows])

    @cached_property
    def not_analysed(self) -> dict[str, str]:
        """Why updates of a method are not analysed, by row, of the rows that the page shows."""
        return {row: why for row, why in not_analysed(self.results).items() if row in self.chosen.rows}

    @property
    def factor_parts(self) -> bool:
        """Whether anything is to be said of the updates."""
        return bool(self.factor_table or self.not_analysed)

    @cached_property
    def claims(self) -> list[Assessed] | None:
        """The claims, assessed."""
        return claims(self.results)

    @cached_property
    def verdicts(self) -> Verdicts | None:
        """Published values against the runs."""
        return verdicts(self.results, self.published)

    @cached_property
    def verdict_table(self) -> Table | None:
        """The same as a table."""
        return verdict_table(self.results, self.verdicts) if self.verdicts else None

    @cached_property
    def costs(self) -> list[Table]:
        """What the methods cost that the page shows."""
        return cost.cost_tables(self.shown)

    @cached_property
    def contrasts(self) -> sureness.Contrasts | None:
        """Paired tests."""
        return sureness.contrasts(self.results)

    @cached_property
    def paired(self) -> list[Table]:
        """The tests of the rows that the page shows: the overview, then one table a task."""
        found, rows = self.contrasts, self.chosen.rows
        if found is None:
            return []
        overview = sureness.contrast_matrix(self.results, found)
        kept = [row for method, row in zip(found.methods, overview.rows, strict=True) if method in rows]
        found = replace(found, rows=[row for row in found.rows if row.method in rows])
        tasks = dict.fromkeys(row.metric.group for row in found.rows)
        parts = [sureness.contrast_table(self.results, found, task) for task in tasks]
        return [replace(overview, rows=kept), *parts]

    @cached_property
    def reproduced(self) -> list[Reproduced] | None:
        """The comparison with the shipped reference records."""
        return reproduced(self.results)

    @cached_property
    def data_warnings(self) -> list[str]:
        """What runs found suspicious in their data."""
        return wording.data_warnings(self.results)

    @cached_property
    def circumstances(self) -> dict[str, list[str]]:
        """Where and with what the runs ran."""
        return circumstances(self.results)

    @cached_property
    def grid(self) -> grid.Grid | None:
        """The qualitative grid."""
        return grid.read_grid(self.results)

    @cached_property
    def grid_caption(self) -> str:
        """What it shows."""
        return grid.caption(self.results, self.grid) if self.grid else ""

    @cached_property
    def headline(self) -> str:
        """The one sentence on top."""
        return findings.headline(self.results, self.whole_tables)

    @cached_property
    def total_wall(self) -> float:
        """Seconds of all runs together."""
        return cost.total_wall(self.results)

    @cached_property
    def sheets(self) -> list[Table]:
        """Every table that is written as files."""
        found = [*self.whole_tables, *filter(None, [self.whole_definitions])]
        found += [*cost.cost_tables(self.results), *filter(None, [self.verdict_table])]
        if self.claims:
            found.append(claim_table(self.results, self.claims))
        if self.contrasts:
            found.append(sureness.contrast_matrix(self.results, self.contrasts))
            found.append(sureness.contrast_table(self.results, self.contrasts))
        return found

    @cached_property
    def drawings(self) -> dict[str, Drawing]:
        """File stem to figure, only what the records support."""
        chosen = choose(self.results, self.whole_tables[0], FIGURE_ROWS)
        results, table = chosen.results(self.results), chosen.table(self.whole_tables[0])
        found: dict[str, tuple[str, Callable[[], Figure]]] = {}
        if self.grid is not None:
            found["figure4"] = self.grid_caption, partial(grid_figure.draw_grid, results, self.grid)
        losses, metrics = curves.curve_frames(results, table.protocol)
        if not metrics.empty:
            caption = "Metrics on the evaluated images during training"
            found["curves_metrics"] = (
                f"{caption} (protocol “{table.protocol}”). {curves.BAND}",
                partial(curves.draw_metrics, results, metrics, table.protocol),
            )
        if not losses.empty:
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

    def pictures(self, stems: Sequence[str] = (), *, but: Sequence[str] = ()) -> dict[str, Picture]:
        """Figures for the page: those of these stems, or all but some."""
        return {
            stem: Picture(self.drawings[stem].caption, files.svg)
            for stem, files in self.drawn.items()
            if files.svg and (stem in stems or (not stems and stem not in but))
        }

    @cached_property
    def curves(self) -> dict[str, Picture]:
        """Figures that stand in no other section."""
        return self.pictures(but=(*paper_figures.METHOD, *paper_figures.FACTORS))

    @cached_property
    def method_figures(self) -> dict[str, Picture]:
        """Figures 1 to 3."""
        return self.pictures(paper_figures.METHOD)

    @cached_property
    def factor_figures(self) -> dict[str, Picture]:
        """What was learned."""
        return self.pictures(paper_figures.FACTORS)
