"""Rendered tables, byte for byte. Rewrite them with TABENCH_REWRITE_GOLDEN=1 and read the difference."""

from __future__ import annotations

import os
from pathlib import Path

import pytest
import report_fixtures as made

from tabench.report.records.reading import read_results
from tabench.report.tables import latex, text
from tabench.report.tables.results import results_table

GOLDEN = Path(__file__).parent / "report"
FORMATS = {"tex": latex.latex, "csv": text.csv, "md": text.markdown}


@pytest.mark.parametrize("protocol", ["paper", "pixel"])
def test_tables_are_the_golden_ones(tmp_path: Path, protocol: str) -> None:
    made.write_results(tmp_path, pictures=False)
    table = results_table(read_results(tmp_path, "nyuv2"), protocol)
    for kind, render in FORMATS.items():
        golden = GOLDEN / f"{table.name}.{kind}"
        if os.environ.get("TABENCH_REWRITE_GOLDEN"):
            golden.parent.mkdir(exist_ok=True)
            golden.write_text(render(table), encoding="utf-8")
        assert render(table) == golden.read_text(encoding="utf-8"), golden.name
