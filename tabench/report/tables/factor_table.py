"""How many directions the stacked updates have: what TA-LoRA uses, what separate LoRAs would need."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from tabench.report.records.factors import MODES, MethodFactors, kept, over, summary

Span = tuple[float, float, float]  # mean, lowest, highest


@dataclass(frozen=True)
class FactorRow:
    """One unfolding of one method's updates; spans are over layers and runs.

    Attributes:
        method: Row key.
        runs: Analysed runs.
        mode: "inputs", "outputs" or "tasks".
        effective: Effective rank.
        possible: Largest rank the factorisation allows.
        separate: Effective rank if no two tasks shared a direction; None where that says nothing.
        share: Energy (share of the squared norm) in the first `reference` directions; None if not known.
        reference: TA-LoRA's (Tucker) rank in this mode; None without such runs.
    """

    method: str
    runs: int
    mode: str
    effective: Span
    possible: int
    separate: Span | None
    share: Span | None
    reference: int | None


def factor_rows(factors: Sequence[MethodFactors]) -> list[FactorRow]:
    """A row for each method and unfolding whose update is not 0."""
    tucker = next((part for part in factors if part.kind == "tucker"), None)
    rows = []
    for part in factors:
        for mode, name in MODES.items():
            spectra = part.spectra(mode)
            effective = over(spectra, lambda spectrum: spectrum.effective_rank)
            if effective is None:
                continue
            ranks = [spectrum.possible_rank for spectrum in tucker.spectra(mode)] if tucker else []
            reference = max(ranks, default=None)
            shares = [kept(spectrum, reference) for spectrum in spectra] if reference else []
            known = [share for share in shares if share is not None]
            apart = part.kind == "lora-stack" and mode != "mode3"
            rows.append(
                FactorRow(
                    part.method,
                    len(part.files),
                    name,
                    effective,
                    max(spectrum.possible_rank for spectrum in spectra),
                    over(part.spectra("separate"), lambda s: s.effective_rank) if apart else None,
                    summary(known) if len(known) == len(spectra) else None,
                    reference,
                )
            )
    return rows
