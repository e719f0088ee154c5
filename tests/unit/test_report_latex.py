"""Tables in LaTeX: nothing lost, nothing beyond a page, numbers to the right."""

from __future__ import annotations

import re
import shutil
import subprocess
from collections.abc import Sequence
from pathlib import Path

import pytest

from tabench.report.tables import latex
from tabench.report.tables.table import Column, Table, words


def table_of(titles: Sequence[str], rows: Sequence[Sequence[str]], *, name: str, numbers: int = 0) -> Table:
    """A table of texts whose last columns hold numbers."""
    last = len(titles) - numbers
    columns = [Column(title, words=place < last) for place, title in enumerate(titles)]
    return Table(name, "T", "What is said.", columns, [[*map(words, row)] for row in rows], ["Rule."])


def long_table() -> Table:
    columns = [Column("Claim", words=True, width=4.0), Column("Evidence", words=True, width=8.0)]
    rows = [[words(f"Claim {i // 3}"), words(f"evidence {i} " + "word " * 60)] for i in range(30)]
    return Table("claims", "Claims", "What is said.", columns, rows, ["Rule."], experiment="e")


def wide_table() -> Table:
    heads = ["Method", *(f"Long heading number {i}" for i in range(latex.WIDE))]
    rows = [[f"m{r}", "–", "cpu", *(f"{r}{i}.5" for i in range(latex.WIDE - 2))] for r in range(3)]
    return table_of(heads, rows, name="cost", numbers=latex.WIDE - 2)


def bodies(tex: str) -> list[str]:
    return re.findall(r"\\midrule\n(.*?)\\bottomrule", tex, re.DOTALL)


def test_a_long_table_is_parted_and_keeps_one_number_and_one_label() -> None:
    tex = latex.latex(long_table())
    parts = bodies(tex)
    assert len(parts) > 1
    lines = -(-len(long_table().rows[0][1].shown) // int(latex.LETTERS * 8.0))
    assert max(part.count(r" \\") * lines for part in parts) <= latex.LINES
    assert tex.count(r"\addtocounter{table}{-1}") == len(parts) - 1
    assert tex.count(r"\label{tab:e-claims}") == 1
    assert tex.count("Rule.") == 1
    assert "".join(parts).count("evidence") == 30


def test_a_text_is_printed_once_a_group_and_again_in_the_next_part() -> None:
    for part in bodies(latex.latex(long_table())):
        firsts = [line.partition(" & ")[0] for line in part.splitlines() if " & " in line]
        assert firsts[0].startswith("Claim ")
        named = [first for first in firsts if first]
        assert len(named) == len(set(named))


def test_columns_that_never_differ_stand_below_a_wide_table() -> None:
    tex = latex.latex(wide_table())
    assert "Long heading number 0: – in every row.".replace("–", "--") in tex
    assert "Long heading number 1: cpu in every row." in tex
    assert bodies(tex)[0].count("cpu") == 0
    kinds = re.search(r"\\begin\{tabular\}\{(\w+)\}", tex)
    assert kinds is not None
    assert kinds[1] == "l" + "r" * (latex.WIDE - 2)


def test_a_narrow_table_keeps_all_its_columns() -> None:
    tex = latex.latex(table_of(["a", "b"], [["x", "same"], ["y", "same"]], name="t"))
    assert tex.count("same") == 2


@pytest.mark.skipif(shutil.which("pdflatex") is None, reason="pdflatex is not installed")
def test_nothing_reaches_beyond_the_page(tmp_path: Path) -> None:
    body = latex.latex(long_table()) + latex.latex(wide_table())
    head = r"\documentclass{article}\usepackage[a4paper,landscape,margin=15mm]{geometry}"
    head += r"\usepackage{array,booktabs,graphicx}\begin{document}"
    (tmp_path / "t.tex").write_text(f"{head}\n{body}\n\\end{{document}}\n", encoding="utf-8")
    done = subprocess.run(
        ["pdflatex", "-interaction=nonstopmode", "-halt-on-error", "t.tex"],
        cwd=tmp_path, capture_output=True, text=True, check=False,
    )  # fmt: skip
    assert done.returncode == 0, done.stdout[-2000:]
    assert "Float too large" not in done.stdout
    assert "Overfull" not in done.stdout
