"""How many directions the stacked updates have: what TA-LoRA uses, what separate LoRAs would need."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

from tabench.report.records import wording
from tabench.report.records.factors import MODES, MethodFactors, Spectrum, kept
from tabench.report.records.reading import Results
from tabench.report.tables.table import Column, Entry, Table, words

NOTE = (
    "Effective rank: the exponential of the entropy of the singular values divided by their sum (Roy and "
    "Vetterli, 2007). Energy: the squared singular values' share of the squared norm. All exact, in double "
    "precision, from small cores of the factors; the tensor is never built. “Nothing shared” is the "
    "effective rank that separately trained LoRAs would have if no two tasks shared a direction. A "
    "LoRA's input factor starts random and its output factor at zero, so "
    "shared input directions are the less to be expected."
)
COLUMNS = (
    Column("Method", words=True),
    Column("Unfolding", words=True),
    *map(Column, ("Runs", "Effective rank", "Largest possible", "Effective rank, nothing shared")),
    Column("Energy within TA-LoRA's rank"),
)


def factor_table(results: Results, factors: Sequence[MethodFactors]) -> Table | None:
    """A row for each method and unfolding whose update is not 0; None without any."""
    tucker = next((part for part in factors if part.kind == "tucker"), None)
    rows = []
    for part in factors:
        for mode, name in MODES.items():
            spectra = part.spectra(mode)
            if not spectra:
                continue
            # TA-LoRA's (Tucker) rank in this mode
            reference = max((s.possible_rank for s in tucker.spectra(mode)), default=0) if tucker else 0
            shares = [kept(spectrum, reference) for spectrum in spectra] if reference else []
            known = [100 * share for share in shares if share is not None]
            first = f"first {reference}; "
            # a stack of separate LoRAs has as many tasks as rows: nothing could be shared there
            apart = part.spectra("separate") if part.kind == "lora-stack" and mode != "mode3" else []
            rows.append(
                [
                    words(results.title(part.method)),
                    words(name),
                    Entry(str(len(part.files)), len(part.files)),
                    _span(spectra, _effective),
                    Entry(str(most := max(s.possible_rank for s in spectra)), most),
                    _span(apart, _effective),
                    _span(known if len(known) == len(spectra) else [], float, 1, " %", first),
                ]
            )
    caption = "Directions of the stacked updates: mean over layers and runs, lowest to highest below."
    warning = wording.short_warning(results)
    title = "Directions of the stacked updates"
    return Table("factors", title, caption, COLUMNS, rows, [NOTE], warning, results.name) if rows else None


def _effective(spectrum: Spectrum) -> float:
    return spectrum.effective_rank


def _span(
    found: Sequence[Any], of: Callable[[Any], float], digits: int = 2, unit: str = "", before: str = ""
) -> Entry:
    """Mean, and lowest and highest."""
    values = [of(each) for each in found]
    if not values:
        return Entry("n/a")
    mean = sum(values) / len(values)
    low, high = (wording.number(value, digits) for value in (min(values), max(values)))
    return Entry(wording.number(mean, digits) + unit, mean, f"{before}{low} to {high}")
