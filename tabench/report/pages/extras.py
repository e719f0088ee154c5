"""The parts of a report beside the results tables: verdicts, claims, paired tests and cost."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from functools import cached_property

from tabench.report.records.factors import MethodFactors, read_factors
from tabench.report.records.published import Published
from tabench.report.records.reading import Results
from tabench.report.tables import cost, sheet, sheet_latex
from tabench.report.tables.claims import RULE as CLAIM_RULE
from tabench.report.tables.claims import Assessed, claim_sheet, claims
from tabench.report.tables.sheet import Sheet
from tabench.report.tables.sureness import RULE as CONTRAST_RULE
from tabench.report.tables.sureness import Contrasts, contrast_matrix, contrast_sheet, contrasts, p_text
from tabench.report.tables.verdicts import Verdicts, measured_text, verdict_sheet, verdicts
from tabench.text import bytes_text, duration

Context = Mapping[str, object]


class Extras:
    """Everything computed once, for the page and for the files.

    Attributes:
        verdicts: Published values against the runs, or None.
        claims: The claims, assessed, or None.
        contrasts: Paired tests, or None.
        rows: Row keys that the page shows; None shows all.
    """

    def __init__(self, results: Results, published: Published | None) -> None:
        self.results = results
        self.verdicts: Verdicts | None = verdicts(results, published)
        self.claims: list[Assessed] | None = claims(results)
        self.contrasts: Contrasts | None = contrasts(results)
        self.rows: frozenset[str] | None = None

    def shows(self, method: str) -> bool:
        """Whether the page shows a row."""
        return self.rows is None or method in self.rows

    @cached_property
    def factors(self) -> list[MethodFactors]:
        """Analyses of the trained updates, read once for figures and table."""
        return read_factors(self.results)

    def claims_context(self) -> Context | None:
        """What claims.html.j2 reads."""
        return {"claims": self.claims, "claim_rule": CLAIM_RULE} if self.claims else None

    def verdicts_context(self) -> Context | None:
        """What verdicts.html.j2 reads."""
        return {"verdicts": self.verdicts, "measured_text": measured_text} if self.verdicts else None

    def cost_context(self) -> Context:
        """What cost.html.j2 reads."""
        costs = [each for each in cost.costs(self.results) if self.shows(each.method)]
        return {
            "costs": costs,
            "costs_measured": any(method.measured for method in costs),
            "cost_note": cost.NOTE,
            "cost_texts": {
                "bytes": bytes_text,
                "flops": cost.flops_text,
                "milliseconds": cost.milliseconds,
                "duration": duration,
            },
        }

    def sure_context(self) -> Context:
        """What sure.html.j2 reads."""
        found = self.contrasts
        if found is not None:
            methods = [method for method in found.methods if self.shows(method)]
            found = replace(
                found, methods=methods, rows=[row for row in found.rows if self.shows(row.method)]
            )
        return {
            "contrasts": found,
            "contrast_rule": CONTRAST_RULE,
            "contrast_count": len(self.contrasts.rows) if self.contrasts is not None else 0,
            "p_text": p_text,
        }

    def sheets(self) -> list[Sheet]:
        """The tables that are written as files."""
        found = [cost.cost_sheet(self.results)]
        if self.verdicts is not None:
            found.append(verdict_sheet(self.results, self.verdicts))
        if self.claims is not None:
            found.append(claim_sheet(self.results, self.claims))
        if self.contrasts is not None:
            found.append(contrast_matrix(self.results, self.contrasts))
            found.append(contrast_sheet(self.results, self.contrasts))
        return [replace(table, experiment=self.results.name) for table in found]

    def files(self) -> dict[str, str]:
        """File name under the report's folder to content."""
        formats = {"tex": sheet_latex.latex, "csv": sheet.csv, "md": sheet.markdown}
        return {
            f"tables/{table.name}.{ending}": write(table)
            for table in self.sheets()
            for ending, write in formats.items()
            if table.fits or ending != "tex"
        }
