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
from tabench.errors import TabenchError

if TYPE_CHECKING:
    from tabench.bench.jobs import Job

_what = partial(options.option, panel="What is measured")


@app.command(
    epilog=examples(
        "bench                                    the cpu suite and its page",
        "bench --suite gpu                        SAM's own sizes",
        "bench --only 'paths-ta-lora-b12-*' --repeats 3",
        "bench --backbone vit_b@512 --method ta-lora",
        "bench --render                           the page alone",
    )
)
def bench(
    suite: Annotated[
        str | None,
        _what("cpu, cpu-full, gpu or gpu-full. Default: cpu or gpu, by the device.", metavar="NAME"),
    ] = None,
    only: Annotated[
        list[str] | None, _what("Keep measurements by their names. Repeatable.", metavar="PATTERN")
    ] = None,
    backbone: Annotated[
        str | None,
        _what("Instead of a suite: a registered backbone, b12-512, vit_b@512 or nano-128.", metavar="SIZE"),
    ] = None,
    method: Annotated[list[str] | None, _what("Keep these methods. Repeatable.", metavar="NAME")] = None,
    batch_size: Annotated[int, _what("Images a step, with --backbone.", min=1)] = 1,
    repeats: Annotated[int | None, _what("Exactly so many rounds. Default: 3 to 5.", min=1)] = None,
    again: Annotated[bool, _what("Measure again what is there already.", "--again")] = False,
    listing: Annotated[
        bool, options.option("Print what would be measured, and how long it takes.", "--list")
    ] = False,
    render: Annotated[bool, options.option("Only write the page from what is there.", "--render")] = False,
    device: options.DeviceOption = "auto",
    threads: Annotated[int | None, options.how("CPU threads. Default: all cores.", min=1)] = None,
    out: Annotated[Path, options.where("Folder of the figures.", metavar="DIR")] = Path("results/bench"),
    page: Annotated[Path, options.where("The page.", metavar="FILE")] = Path("reports/bench/index.html"),
    as_json: options.JsonOption = False,
) -> None:
    """Time the fast path against the plain one; memory, FLOPs, agreement.

    Each measurement becomes a file in results/bench/<machine>/ as soon as it is there; a second
    call measures what is missing. Images and weights are random; neither changes the work.
    """
    from tabench.catalog import METHODS
    from tabench.store.atomic import check_writable

    for name in method or ():
        METHODS.entry(name, where="--method")
    jobs = None
    if not render and (suite is not None or backbone is not None):  # else the device decides
        jobs = _jobs(suite or "", only, backbone, method, batch_size, repeats)
    for folder in (page.parent, *([] if render else [out])):
        check_writable(folder)
    from tabench.bench.page import render_bench

    if render:
        typer.echo(f"{render_bench(out, page)}")
        return
    import torch

    from tabench.bench.jobs import Place, seconds
    from tabench.bench.runner import Runner
    from tabench.engine.process_group import choose_device
    from tabench.provenance.environment import capture, usable_cores

    where = choose_device(device)
    place = Place(str(where), threads or usable_cores())
    jobs = jobs or _jobs(where.type.replace("cuda", "gpu"), only, None, method, batch_size, repeats)
    if where.type == "cuda":
        machine = torch.cuda.get_device_name(where)
    else:
        machine = f"{capture()['cpu']}, {place.threads} thread{'' if place.threads == 1 else 's'}"
    folder = out / re.sub(r"[^a-z0-9]+", "-", machine.lower()).strip("-")
    if listing:
        guesses = [seconds(job, place) for job in jobs]
        rows = [[job.name, f"{guess:.0f}"] for job, guess in zip(jobs, guesses, strict=True)]
        print_table(["measurement", "about (s)"], rows)
        typer.echo(f"{len(jobs)} measurements, about {sum(guesses) / 60:.0f} minutes")
        return
    runner = Runner(folder, place, machine, lambda text: typer.echo(text, err=True), again)
    paths, failures = runner.run(jobs)
    written = render_bench(out, page)
    if as_json:
        from tabench.store.encoding import read_json

        print_json({"figures": [read_json(path) for path in paths], "failures": failures})
    else:
        typer.echo(f"figures: {folder}\npage: {written}")
    if failures:
        raise TabenchError(f"{len(failures)} of {len(jobs)} measurements failed", where=failures[0])


def _jobs(
    suite: str,
    only: list[str] | None,
    backbone: str | None,
    methods: list[str] | None,
    batch_size: int,
    repeats: int | None,
) -> list[Job]:
    from dataclasses import replace

    from tabench.bench import suites
    from tabench.bench.sizes import find_size
    from tabench.catalog import METHODS

    if backbone is not None:
        find_size(backbone)
        jobs = suites.grid("paths", methods or METHODS.names(), [backbone], [batch_size])
    else:
        jobs = [job for job in suites.suite(suite) if not methods or job.method in methods]
    jobs = suites.chosen(jobs, only or ())
    if repeats is not None:
        jobs = [replace(job, repeats=repeats, fewest=repeats) for job in jobs]
    return jobs
