"""Figures 1 to 3, the analysis of the factors and the mean places: those that the records support."""

from __future__ import annotations

from collections.abc import Sequence
from functools import partial

from tabench.report.figures import architecture as architecture_figure
from tabench.report.figures import channels as channels_figure
from tabench.report.figures import lora as lora_figure
from tabench.report.figures import rank as rank_figure
from tabench.report.figures import similarity as similarity_figure
from tabench.report.figures import spectrum as spectrum_figure
from tabench.report.figures.style import Draw
from tabench.report.records import architecture, channels
from tabench.report.records.factors import MethodFactors, read_factors
from tabench.report.records.reading import Results

METHOD = ("figure1", "figure2", "figure3")  # stems that the page shows as how the method works
FACTORS = ("factor_similarity", "factor_layers", "factor_spectra")  # and as what was learned


def drawings(
    results: Results, protocol: str, factors: Sequence[MethodFactors] | None = None
) -> dict[str, tuple[str, Draw]]:
    """File stem to caption and drawing.

    Args:
        results: What was run.
        protocol: Whose values are placed.
        factors: What `read_factors` found, where it was read already.

    Raises:
        StoreError: A file beside a record is damaged.
    """
    return {**_method(results), **_factors(results, factors), **_places(results, protocol)}


def _method(results: Results) -> dict[str, tuple[str, Draw]]:
    found: dict[str, tuple[str, Draw]] = {}
    kept = channels.read_channels(results)
    if kept is not None:
        found["figure1"] = channels.caption(results, kept), partial(channels_figure.draw_channels, kept)
    known = architecture.read_architectures(results)
    wanted = (("lora", "per-task"), ("tucker", "task-aware"), ("cp", "task-aware"))
    chosen = [architecture.choose(results, known, factors=f, sharing=s) for f, s in wanted]
    return found | diagrams([part for part in chosen if part is not None])


def diagrams(found: Sequence[architecture.Architecture]) -> dict[str, tuple[str, Draw]]:
    """Figure 2 of the first task-aware method, and Figure 3 of all; nothing without a task-aware one.

    Args:
        found: Methods with factors, in the order of Figure 3's panels.
    """
    aware = next((part for part in found if part.method.sharing == "task-aware"), None)
    if aware is None or any(not part.factors for part in found):
        return {}
    draw = partial(architecture_figure.draw_architecture, aware)
    return {
        "figure2": (architecture_figure.caption(aware), draw),
        "figure3": (lora_figure.caption(found), partial(lora_figure.draw_loras, found)),
    }


def _factors(results: Results, factors: Sequence[MethodFactors] | None) -> dict[str, tuple[str, Draw]]:
    factors = read_factors(results) if factors is None else factors
    if not factors:
        return {}
    panels = similarity_figure.panels(results, factors)
    return {
        "factor_similarity": (
            similarity_figure.caption(results, factors),
            partial(similarity_figure.draw_similarity, panels),
        ),
        "factor_layers": (
            similarity_figure.layers_caption(results, factors),
            partial(similarity_figure.draw_layers, panels),
        ),
        "factor_spectra": (
            spectrum_figure.caption(results, factors),
            partial(spectrum_figure.draw_spectra, results, factors),
        ),
    }


def _places(results: Results, protocol: str) -> dict[str, tuple[str, Draw]]:
    found = rank_figure.read_places(results, protocol)
    if found is None:
        return {}
    return {
        "places": (
            rank_figure.caption(results, found, protocol),
            partial(rank_figure.draw_places, results, found),
        )
    }
