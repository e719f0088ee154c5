"""The benchmark's page: one self-contained file, tables and figures beside it."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from statistics import median

from jinja2 import FileSystemLoader, Template

from tabench import __version__
from tabench.bench import figures as bench_figures
from tabench.bench.reading import Json, Machine, Measurement, read_machines, title_of
from tabench.bench.tables import tables
from tabench.errors import StoreError
from tabench.report.figures import style
from tabench.report.pages.content import Picture
from tabench.report.pages.templating import TEMPLATES, environment
from tabench.report.records import wording
from tabench.report.tables import text
from tabench.report.tables.table import Table
from tabench.store.atomic import write_bytes
from tabench.text import counted

METHOD = "ta-lora"  # the headline's
TWICE, HALF = 2.0, 0.5


@dataclass(frozen=True)
class Section:
    """A machine's part of the page."""

    machine: Machine
    facts: dict[str, str]
    headline: str
    tables: list[Table]
    pictures: dict[str, Picture]
    holes: list[str]


def render_bench(results: Path, page: Path) -> Path:
    """Write the page of all machines with figures in a folder, and its tables and figures beside it.

    Raises StoreError: nothing was measured yet, a file is damaged, or one cannot be written.
    """
    machines = read_machines(results)
    if not machines:
        raise StoreError("no measurements here", where=str(results), hint="run `tabench bench` first")
    sections = [_section(machine, page.parent) for machine in machines]
    html = _template().render(sections=sections, version=__version__)
    write_bytes(page, html.encode())
    return page


def _template() -> Template:
    loader = FileSystemLoader([TEMPLATES, Path(__file__).parent])
    return environment().overlay(loader=loader).get_template("bench.html.j2")


def _section(machine: Machine, folder: Path) -> Section:
    shown = tables(machine)
    for table in shown:
        stem = folder / "tables" / f"{machine.folder}-{table.name}"
        write_bytes(stem.with_name(f"{stem.name}.csv"), text.csv(table).encode(), durable=False)
        write_bytes(stem.with_name(f"{stem.name}.md"), text.markdown(table).encode(), durable=False)
    figures = {}
    if bench_figures.gains(machine):
        figures["gain"] = (bench_figures.GAIN, partial(bench_figures.draw_gain, machine))
    if bench_figures.axes_of(machine):
        figures["growth"] = (bench_figures.GROWTH, partial(bench_figures.draw_growth, machine))
    pictures = {}
    for name, (caption, draw) in figures.items():
        files, stem = style.drawn(draw), folder / "figures" / f"{machine.folder}-{name}"
        write_bytes(stem.with_name(f"{stem.name}.png"), files.png, durable=False)
        write_bytes(stem.with_name(f"{stem.name}.pdf"), files.pdf, durable=False)
        pictures[name] = Picture(caption, files.svg)
    holes = [f"{_named(m)}: {what}" for m in machine.measurements for what in m.ran_out()]
    return Section(machine, facts(machine), headline(machine), shown, pictures, holes)


def headline(machine: Machine) -> str:
    """What the training steps of TA-LoRA say, as one sentence; empty without them."""
    rows = [
        m for m in bench_figures.gains(machine) if m.job["method"] == METHOD and m.job["passes"] == "chosen"
    ]
    if machine.rehearsal or not rows:
        return ""
    ratios = [float(m.parts["time"]["train"]["ratio"]["of_medians"]) for m in rows]
    shares = [share for m in rows if (share := m.memory_share("train")) is not None]
    text = f"A training step of {title_of(METHOD)} is {_range(ratios)} times as fast on the fast path"
    text += f" (at least {TWICE:g} times at {sum(r >= TWICE for r in ratios)} of {len(ratios)} sizes)"
    if shares:
        few = sum(share <= HALF for share in shares)
        text += f" and takes {_range(shares)} of the plain path’s peak memory (at most half at {few} of "
        text += f"{len(shares)})"
    apart = [float(found["gradients"]) for m in rows if (found := m.parts["time"].get("agreement"))]
    if apart:
        text += f"; no gradient differs by more than {max(apart):.0e} of its largest"
    return f"{text}."


def facts(machine: Machine) -> dict[str, str]:
    """Where, when and with what."""
    contents = [m.content for m in machine.measurements]
    environments = [content["environment"] for content in contents]
    dates = sorted({str(content["measured"])[:10] for content in contents})
    found = {
        "Machine": machine.name,
        "Device": ", ".join(sorted({_place(content["place"]) for content in contents})),
        "System": ", ".join(sorted({str(e["platform"]) for e in environments})),
        "Measured": dates[0] if len(dates) == 1 else f"{dates[0]} to {dates[-1]}",
        "Commit": ", ".join(sorted({_commit(e.get("git")) for e in environments})),
        "Versions": "; ".join(sorted({_versions(e) for e in environments})),
    }
    chosen = {f"{grid} {k['kernel']}" for m in machine.measurements for grid, k in m.kernels.items()}
    found |= {"Attention’s kernels": ", ".join(sorted(chosen))} if chosen else {}
    found["Weights"] = ", ".join(machine.weights)
    rates: dict[str, list[float]] = {}
    for m in machine.measurements:
        if "chip_flops" in m.parts.get("time", {}):
            rates.setdefault(m.precision, []).append(float(m.parts["time"]["chip_flops"]))
    for precision, values in rates.items():
        found[f"Chip’s rate, {precision}"] = (
            f"{median(values) / 1e12:.3g} TFLOP/s (one large matrix product; {min(values) / 1e12:.3g} to "
            f"{max(values) / 1e12:.3g} over the measurements)"
        )
    return found


def _named(m: Measurement) -> str:
    images = counted(int(m.job["batch"]), "image")
    return f"{title_of(str(m.job['method']))}, {m.size['name']}, {images}, {m.run_as}"


def _place(place: Json) -> str:
    return f"{place['device']}, {counted(int(place['threads']), 'thread')}"


def _versions(environment: Json) -> str:
    packages = environment["packages"]
    named = [f"{name} {packages.get(name, 'not told')}" for name in ("tabench", "torch", "tensorly")]
    return ", ".join([*named, f"Python {environment['python']}"])


def _commit(git: object) -> str:
    if not isinstance(git, dict):
        return "not told"
    return str(git["commit"])[:12] + (" with uncommitted changes" if git["dirty"] else "")


def _range(values: Sequence[float]) -> str:
    low, high = wording.number(min(values), 2), wording.number(max(values), 2)
    return low if low == high else f"{low} to {high}"
