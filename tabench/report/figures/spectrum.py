"""Of how many directions the stacked updates are: singular values of the three unfoldings."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import MaxNLocator

from tabench.report.figures import style
from tabench.report.figures.similarity import runs_and_layers
from tabench.report.records.factors import MODES, Array, MethodFactors, Spectrum
from tabench.report.records.reading import Results

_FLOOR = 1e-4  # values below are not drawn: far less than any direction that matters


def caption(results: Results, factors: Sequence[MethodFactors]) -> str:
    """What the curves are, and over how many runs and layers."""
    stacked = (
        "LoRA-STL is the stack of separately trained LoRAs; the dotted line is where its curve would be if "
        "no two tasks shared a direction: the closer the two, the less the tasks have in common."
    )
    return (
        "Singular values of the stacked update ΔW (inputs × outputs × tasks), unfolded along its inputs, "
        f"outputs and tasks, each over the largest one ({runs_and_layers(results, factors)}); lines are "
        "geometric means over layers and runs, bands reach from the lowest to the highest. TA-LoRA's curves "
        "end at its ranks." + (f" {stacked}" if any(part.kind == "lora-stack" for part in factors) else "")
    )


def draw_spectra(results: Results, factors: Sequence[MethodFactors]) -> Figure:
    """One panel an unfolding, one line a method."""
    figure = Figure(figsize=(7.2, 2.75))
    grid = figure.subplots(1, 3, sharey=True, gridspec_kw={"width_ratios": [1, 1, 0.62]})
    colours = style.colours(results.methods)
    for axes, (mode, name) in zip(grid, MODES.items(), strict=True):
        for part in factors:
            colour, title = colours[part.method], results.title(part.method)
            _line(axes, part.spectra(mode), title, colour, style.marker(part.method))
            if part.kind == "lora-stack" and mode != "mode3":
                label = f"{title}, if nothing were shared"
                _line(axes, part.spectra("separate"), label, colour, "", dotted=True)
        axes.set_yscale("log")
        axes.set_ylim(_FLOOR, 1.4)
        axes.set_title(f"Mode {mode[-1]}: {name}")
        axes.set_xlabel("index")
        axes.tick_params(which="minor", length=0)
        axes.set_xlim(left=0.5)
        axes.xaxis.set_major_locator(MaxNLocator(integer=True, nbins=6))
    grid[0].set_ylabel("singular value / largest")
    handles, labels = grid[0].get_legend_handles_labels()
    figure.legend(handles, labels, loc="outside lower center", ncols=4, columnspacing=1.4, fontsize=7.5)
    return figure


def _line(
    axes: Axes, spectra: Sequence[Spectrum], label: str, colour: object, mark: str, *, dotted: bool = False
) -> None:
    if not spectra:
        return
    ratios = _ratios(spectra)
    index = np.arange(1, ratios.shape[1] + 1)
    middle = np.exp(np.log(ratios).mean(axis=0))
    if not dotted:
        axes.fill_between(
            index, ratios.min(axis=0), ratios.max(axis=0), color=colour, alpha=0.16, linewidth=0
        )
    axes.plot(index, middle, color=colour, label=label, linestyle=":" if dotted else "-",
              marker=mark, markersize=3, markevery=max(1, len(index) // 8))  # fmt: skip


def _ratios(spectra: Sequence[Spectrum]) -> Array:
    """(runs and layers, values) over the largest one; as many as all of them have."""
    length = min(len(spectrum.values) for spectrum in spectra)
    values = np.array([spectrum.values[:length] for spectrum in spectra])
    return np.asarray(np.maximum(values / values[:, :1], _FLOOR / 10))
