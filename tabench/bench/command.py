"""``tabench bench``: the fast path against the plain one, in time, memory and FLOPs."""

from __future__ import annotations

import re
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from tabench.cli import options
from tabench.cli.app import app, examples
from tabench.cli.output import print_json, print_table
from tabench.errors import SpecError, TabenchError
from tabench.text import duration

if TYPE_CHECKING:
    from tabench.bench.suites import Parts

_what = partial(options.option, panel="What is measured")
RESULTS, PAGE = Path("results/bench"), Path("reports/bench/index.html")
REHEARSAL = Path("results/rehearsal"), Path("reports/rehearsal/index.html")


@app.command(
    epilog=examples(
        "bench                                    the suite of the device, and its page",
        "bench --suite gpu --full                 all that is asked of a GPU, in hours",
        "bench --suite gpu --parts tests,vit_l",
        "bench --suite gpu --rehearse             all of it small, on the CPU",
        "bench --only 'paths-ta-lora-b12-*' --repeats 3",
        "bench --backbone vit_b@512 --method ta-lora",
        "bench --render                           the page alone",
    )
)
def bench(
    suite: Annotated[str | None, _what("cpu or gpu. Default: by the device.", metavar="NAME")] = None,
    full: Annotated[bool, _what("Everything that the suite has, in hours.", "--full")] = False,
    parts: Annotated[str | None, _what("Parts of the suite; `--list` names them.", metavar="A,B")] = None,
    only: Annotated[
        list[str] | None, _what("Keep measurements by their names. Repeatable.", metavar="PATTERN")
    ] = None,
    backbone: Annotated[
        str | None,
        _what("Instead of a suite: a registered backbone, b12-512, vit_b@512 or nano-128.", metavar="SIZE"),
    ] = None,
    method: Annotated[list[str] | None, _what("Keep these methods. Repeatable.", metavar="NAME")] = None,
    batch_size: Annotated[int, _what("Images a step, with --backbone.", min=1)] = 1,
    repeats: Annotated[
        int | None, _what("Exactly so many rounds. Default: as the suite has it.", min=1)
    ] = None,
    again: Annotated[bool, _what("Measure again what is there already.", "--again")] = False,
    rehearse: Annotated[
        bool,
        _what(
            "Run the gpu suite small on the CPU, to try the command; kept in results/rehearsal.", "--rehearse"
        ),
    ] = False,
    listing: Annotated[
        bool, options.option("Print what would be measured, and how long it takes.", "--list")
    ] = False,
    render: Annotated[bool, options.option("Only write the page from what is there.", "--render")] = False,
    device: options.DeviceOption = "auto",
    threads: Annotated[int | None, options.how("CPU threads. Default: all cores.", min=1)] = None,
    out: Annotated[
        Path | None, options.where("Folder of the figures. Default: results/bench.", metavar="DIR")
    ] = None,
    page: Annotated[
        Path | None, options.where("The page. Default: reports/bench/index.html.", metavar="FILE")
    ] = None,
    as_json: options.JsonOption = False,
) -> None:
    """Time the fast path against the plain one; memory, FLOPs, agreement.

    Each measurement becomes a file in results/bench/<machine>/ as soon as it is there; a second
    call measures what is missing. Images are random, and so are weights without SAM's checkpoint;
    neither changes the work.
    """
    from tabench.catalog import METHODS
    from tabench.store.atomic import check_writable

    for name in method or ():
        METHODS.entry(name, where="--method")
    suite = suite or ("gpu" if rehearse else None)
    given = backbone, batch_size, full, parts, only or [], method or [], repeats
    chosen = None
    if not render and (suite is not None or backbone is not None):  # else the device decides
        chosen = _plan(suite or "", *given)
    kept = REHEARSAL if rehearse else (RESULTS, PAGE)
    out, page = out or kept[0], page or kept[1]
    if rehearse and out.resolve() == RESULTS.resolve():
        raise SpecError("a rehearsal is no measurement", where="--out", hint=f"leave it at {kept[0]}")
    for folder in (page.parent, *([] if render else [out])):
        check_writable(folder)
    from tabench.bench.page import render_bench

    if render:
        typer.echo(f"{render_bench(out, page)}")
        return
    import torch

    from tabench.bench.jobs import Place, seconds
    from tabench.bench.runner import Runner
    from tabench.bench.suites import rehearsed
    from tabench.engine.process_group import choose_device
    from tabench.provenance.environment import capture, usable_cores

    where = torch.device("cpu") if rehearse else choose_device(device)
    place = Place(str(where), 1 if rehearse else threads or usable_cores(), rehearse)
    suite = suite or where.type.replace("cuda", "gpu")
    chosen = chosen or _plan(suite, *given)
    if rehearse:
        chosen = rehearsed(chosen)
    elif suite == "gpu" and backbone is None and where.type != "cuda":
        if not listing:
            raise SpecError(
                "the gpu suite needs a CUDA device, and none is used here",
                where="--suite",
                hint="`--rehearse` tries all of it small on the CPU, `--list` tells what it measures",
            )
        place = Place("cuda", place.threads)
    if where.type == "cuda":
        machine = torch.cuda.get_device_name(where)
    else:
        machine = f"{capture()['cpu']}, {place.threads} thread{'' if place.threads == 1 else 's'}"
    machine = f"Rehearsal on {machine}" if rehearse else machine
    folder = out / re.sub(r"[^a-z0-9]+", "-", machine.lower()).strip("-")
    if listing:
        guesses = [(part, job.name, seconds(job, place)) for part, jobs in chosen.items() for job in jobs]
        rows = [[part, name, f"{guess:.0f}"] for part, name, guess in guesses]
        print_table(["part", "measurement", "about (s)"], rows)
        typer.echo(f"{len(rows)} measurements, about {duration(sum(guess for *_, guess in guesses))}")
        return
    runner = Runner(folder, place, machine, lambda text: typer.echo(text, err=True), again)
    left = {part: [seconds(job, place) for job in jobs if runner.wants(job)] for part, jobs in chosen.items()}
    told = (f"{part} {f'about {duration(sum(g))}' if g else 'there already'}" for part, g in left.items())
    runner.say("; ".join(told))
    jobs = [job for part in chosen.values() for job in part]
    paths, failures = runner.run(jobs)
    written = render_bench(out, page)
    if as_json:
        from tabench.store.encoding import read_json

        print_json({"figures": [read_json(path) for path in paths], "failures": failures})
    else:
        typer.echo(f"{'rehearsed, ' if rehearse else ''}figures: {folder}\npage: {written}")
    if failures:
        raise TabenchError(f"{len(failures)} of {len(jobs)} measurements failed", where=failures[0])


def _plan(
    suite: str,
    backbone: str | None,
    batch_size: int,
    full: bool,
    parts: str | None,
    only: list[str],
    methods: list[str],
    repeats: int | None,
) -> Parts:
    from dataclasses import replace

    from tabench.bench import suites
    from tabench.bench.sizes import find_size
    from tabench.catalog import METHODS

    if backbone is not None:
        find_size(backbone)
        found = {backbone: suites.grid("paths", methods or METHODS.names(), [backbone], [batch_size])}
    else:
        found = suites.suite(suite, full=full)
    found = suites.chosen(suites.some(found, parts) if parts else found, only, methods)
    if repeats is not None:
        for part, jobs in found.items():
            found[part] = [replace(job, repeats=repeats, fewest=repeats) for job in jobs]
    return found
