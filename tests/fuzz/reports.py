"""Whole reports from results of which one file is not as a run left it."""

from __future__ import annotations

import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import report_analysis as analysis
import report_fixtures as made
from hypothesis import strategies as st

from fuzz.json_values import mutated
from fuzz.samples import FAILURE, METHODS, PLAN
from fuzz.target import Target
from tabench.report.figures import style
from tabench.report.pages.site import render

LINE = {"t": 1.5, "event": "start", "values": {"loss": 1.0}, "terms": {}}


def _seeds() -> dict[str, list[Any]]:
    """File below the experiment's folder to valid contents."""
    home, other = made.cell_id("ta-lora", 0), made.cell_id("lora-stl", 1)
    run = made.run_facts("ta-lora", 0) | {
        "resumed_from_step": [3],
        "passes": {"images": 4, "apart": False},
        "first_step_s": {"all": 0.1},
        "cost": {
            "train_flops": 9e8,
            "inference_flops": 4e8,
            "stored": 504,
            "weights_bytes": 2017,
            "models": 1,
            "latency_s": 0.018,
            "latency_spread_s": 0.002,
            "train_images_per_s": 27.9,
            "eval_images_per_s": 67.7,
            "energy_j": 3.0,
            "problems": [],
        },
    }
    return {
        f"{home}/record.json": [made.record("ta-lora", 0)],
        f"{other}/record.json": [made.record("lora-stl", 1)],
        f"{home}/run.json": [run],
        f"{other}/failure.json": [FAILURE],
        f"{home}/journal.jsonl": [LINE],
        f"{home}/factors.json": [analysis.factors("ta-lora", 0)],
        f"{home}/architecture.json": [analysis.ARCHITECTURES["ta-lora"]],
        "experiment.json": [PLAN],
    }


def _target(name: str, cost: int, *, drawn: bool) -> Callable[[], Target]:
    def make() -> Target:
        seeds = _seeds()
        shares = [st.tuples(st.just(file), mutated(values)) for file, values in seeds.items()]
        inputs = st.one_of(*shares).map(lambda pair: pair[0].encode() + b"\0" + pair[1])
        if not drawn:
            style.drawn = lambda draw, page=True: style.Drawn(b"", b"", None)  # type: ignore[assignment]
        kept: dict[str, bytes] = {}

        def use(content: bytes, folder: Path) -> object:
            results = folder / "results"
            if not kept:
                made.write_results(results, seeds=(0, 1), methods=METHODS, pictures=False)
                for method in METHODS:
                    home = results / "nyuv2" / made.cell_id(method, 0)
                    made.write(home / "factors.json", analysis.factors(method, 0))
                    made.write(home / "architecture.json", analysis.ARCHITECTURES[method])
                paths = {file: results / "nyuv2" / file for file in seeds}
                kept.update({file: path.read_bytes() for file, path in paths.items() if path.is_file()})
            which, _, data = content.partition(b"\0")
            file = which.decode()
            path = results / "nyuv2" / file
            record = path.with_name("record.json")
            try:
                if file.endswith("failure.json"):
                    record.unlink()
                path.write_bytes(data)
                files = render(results, "nyuv2", folder / "out")
                return [path.name for path in files]
            finally:
                path.unlink(missing_ok=True)
                for name, old in kept.items():
                    (results / "nyuv2" / name).write_bytes(old)
                shutil.rmtree(folder / "out", ignore_errors=True)

        return Target(name, inputs, use, "nyuv2", cost=cost, memory_mb=1536)

    return make


TARGETS: dict[str, Callable[[], Target]] = {
    "report pages": _target("report pages", 10, drawn=False),
    "report figures": _target("report figures", 200, drawn=True),
}
