"""How long `plan` and `status` take on thousands of finished cells; run by `nox -s bench-plan`.

The records are made up in the shape of a long run (200 epochs, hundreds of images), so that their size is
that of real ones.
"""

from __future__ import annotations

import argparse
import json
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

sys.path.insert(0, str(Path(__file__).parents[1]))
from report_fixtures import record, run_facts

ROOT = Path(__file__).parents[2]
COMMAND = "import sys; from tabench.cli import main; main(sys.argv[1:])"


def big_record(images: int, epochs: int) -> dict[str, Any]:
    """One made-up record with as many per-image values and epochs as a long run leaves."""
    content = record("lora-hps", 0)
    ids = content["per_image"]["ids"]
    content["per_image"]["ids"] = [f"val/{n}" for n in range(images)]
    for metrics in content["per_image"]["values"].values():
        for key, values in metrics.items():
            metrics[key] = (values * (images // len(ids) + 1))[:images]
    content["curves"]["train"] = [
        {**content["curves"]["train"][0], "epoch": n + 1, "step": 16 * (n + 1)} for n in range(epochs)
    ]
    return content


def write_cells(results: Path, cells: list[dict[str, Any]], content: dict[str, Any], done: int) -> None:
    """Write records of the first `done` cells, and experiment.json naming all."""
    folder = results / "nyuv2"
    for cell in cells[:done]:
        home = folder / cell["id"]
        home.mkdir(parents=True)
        mine = {**content, "cell_id": cell["id"], "cell": cell["cell"], "label": cell["label"]}
        (home / "record.json").write_text(json.dumps(mine))
        (home / "run.json").write_text(json.dumps(run_facts("lora-hps", cell["cell"]["seed"])))
    labels = {cell["id"]: cell["label"] for cell in cells}
    about = {"name": "nyuv2", "title": "made up", "profile": "demo", "note": "", "cells": labels}
    (folder / "experiment.json").write_text(json.dumps(about))


def seconds(*words: str) -> float:
    """Wall-clock of one command in a process of its own."""
    began = time.perf_counter()
    subprocess.run([sys.executable, "-c", COMMAND, *words], check=True, capture_output=True, cwd=ROOT)
    return time.perf_counter() - began


def say(line: str) -> None:
    """Print a line."""
    sys.stdout.write(line + "\n")
    sys.stdout.flush()


def main() -> None:
    """Write the cells, then time both commands on a cold and a warm index."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--cells", type=int, default=2000)
    parser.add_argument("--done", type=float, default=0.9, help="share of cells with a record")
    parser.add_argument("--images", type=int, default=654)
    parser.add_argument("--limit", type=float, default=2.0, help="seconds a warm command may take")
    given = parser.parse_args()
    seeds = f"--set=axes.seeds={list(range(-(-given.cells // 7)))}"
    with tempfile.TemporaryDirectory() as place:
        results = Path(place) / "results"
        words = ["nyuv2", "--profile=demo", seeds, f"--results={results}", "--json"]
        cells = json.loads(
            subprocess.run(
                [sys.executable, "-c", CELLS, json.dumps(words[:3])],
                check=True, capture_output=True, cwd=ROOT,
            ).stdout
        )  # fmt: skip
        content = big_record(given.images, epochs=200)
        write_cells(results, cells, content, int(len(cells) * given.done))
        say(f"{len(cells)} cells, {given.done:.0%} done, records of {len(json.dumps(content)) / 1e3:.0f} kB")
        time.sleep(2.1)  # files that changed just now are not remembered
        times = {}
        for turn in ("cold", "warm", "warm again"):
            if turn == "cold":
                (results / "nyuv2" / ".index.json").unlink(missing_ok=True)
            times[f"plan, {turn}"] = seconds("plan", *words)
            times[f"status, {turn}"] = seconds("status", "nyuv2", f"--results={results}", "--json")
        times["plan for people"] = seconds("plan", *words[:-1])
        times["status for people"] = seconds("status", "nyuv2", f"--results={results}")
        for name, value in times.items():
            say(f"{name:20} {value:6.2f} s")
        say(f"index {(results / 'nyuv2' / '.index.json').stat().st_size / 1e6:.1f} MB")
    late = {name: value for name, value in times.items() if "cold" not in name and value > given.limit}
    sys.exit(f"over {given.limit} s: {late}" if late else 0)


CELLS = """
import json, sys
from pathlib import Path
from tabench.cli.options import find_experiment
from tabench.runs.resolve import Sources, resolve
from tabench.spec.expand import expand
from tabench.spec.experiment import load_experiment
name, profile, seeds = json.loads(sys.argv[1])
experiment = load_experiment(find_experiment(name))
place = resolve(experiment, profile.partition("=")[2], Sources(overrides=(seeds.partition("=")[2],)))
found = expand(experiment, place.profile, place.resolved, place.overrides)
print(json.dumps([{"id": c.id, "label": c.label, "cell": c.model_dump(mode="json")} for c in found]))
"""

if __name__ == "__main__":
    main()
