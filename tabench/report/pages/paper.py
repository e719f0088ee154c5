"""One LaTeX document with every table and every figure of every rendered experiment."""

from __future__ import annotations

from collections.abc import Sequence

from tabench.report.pages.summary import Summary
from tabench.report.tables.latex import escape_latex


def paper(experiments: Sequence[tuple[str, Summary]]) -> str:
    r"""A document for ``pdflatex paper.tex`` inside the paper folder.

    Tables and figures are read from the experiments' own folders, so nothing is copied that could
    differ. Figures name their file relative to a tables folder, which ``\graphicspath`` sets.

    Args:
        experiments: Folder beside the paper's own, and what its page says.
    """
    lines = [
        "% Written by tabench report; needs booktabs and graphicx. Compile: pdflatex paper.tex (twice).",
        r"\documentclass[10pt]{article}",
        r"\usepackage[T1]{fontenc}",
        r"\usepackage{lmodern}",
        r"\usepackage[a4paper,landscape,margin=15mm]{geometry}  % wide tables keep their size",
        r"\usepackage{array,booktabs,graphicx}",
        # the first float may stand below a section's text, and numbers are not taken for the paper's
        r"\renewcommand{\bottomfraction}{.9}\renewcommand{\topfraction}{.9}\renewcommand{\textfraction}{.05}",
        r"\counterwithin{table}{section}\counterwithin{figure}{section}",
        r"\title{Tables and figures}",
        r"\author{}",
        r"\date{}",
        r"\begin{document}",
        r"\maketitle",
        r"\tableofcontents",
    ]
    for folder, summary in experiments:
        lines += [
            r"\clearpage",
            rf"\section{{{escape_latex(_title(summary))}}}\suppressfloats[t]",
            escape_latex(f"{summary.headline} {summary.states}."),
            *(
                [rf"\par\medskip\noindent\textbf{{{escape_latex(summary.warning)}}}"]
                if summary.warning
                else []
            ),
            rf"\graphicspath{{{{../{folder}/tables/}}}}",
            *(rf"\input{{../{folder}/tables/{name}}}" for name in summary.inputs),
        ]
    return "\n".join([*lines, r"\end{document}", ""])


def _title(summary: Summary) -> str:
    return f"{summary.table}: {summary.title}" if summary.table else summary.title
