"""Made-up results in which every name, title, note and message tries to be more than text."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import report_analysis as analysis
import report_fixtures as made

from tabench.spec.cell import Cell

# whatever runs of these changes the page's title, or makes a file
NAMES = (
    "<script>document.title='executed'</script>",
    "\"onmouseover=\"document.title='executed'\"<img src=x onerror=document.title='executed'>",
    "</style></script><svg onload=document.title='executed'>",
    "javascript:document.title='executed'",
    "\\input{/etc/passwd}\\immediate\\write18{touch written}%&_#~^^5cinput $\\frac$ $x^2$ {",
    '=HYPERLINK("http://example.org")',
    "\u202eoverridden\u2066\x00\x1b[31mred\x1b]0;title\x07",
    "[bold red]markup[/] ]]> --> ${7*7} {{ 7*7 }} {% raw %} 'quoted' \"double\" `tick`",
    "*[1cm] @sum -1+1 \r\n\t end",
)


def _named(record: dict[str, Any], method: str) -> dict[str, Any]:
    record = json.loads(json.dumps(record))
    record["cell"]["method"]["name"] = method
    record["cell_id"] = Cell.model_validate(record["cell"]).id
    record["label"] = f"{method} s{record['cell']['seed']}"
    return record


def write_hostile(root: Path) -> Path:
    """An experiment whose methods, dataset, classes, images, notes and failures have such names."""
    folder = made.write_results(root, seeds=(0, 1), methods=("ta-lora", "ta-lora-cp", "lora-stl", "lora-hps"))
    analysis.write_analysis(folder)
    plan = json.loads((folder / "experiment.json").read_text())
    plan |= {"title": NAMES[0], "note": NAMES[1], "table": NAMES[4], "figure": NAMES[2], "profile": NAMES[3]}
    plan["report"] |= {"grid": [NAMES[0], "ta-lora"], "baselines": ["lora-stl", NAMES[4]]}
    for number, name in enumerate(NAMES):
        for seed in (0, 1):
            record = _named(made.record("lora-hps", seed), name)
            record["data"] |= {"title": NAMES[number], "classes": list(NAMES)}
            record["backbone"] |= {"note": name, "name": name}
            record["legends"] = {"segmentation": {text: [1, 2, 3] for text in NAMES}}
            record["per_image"]["ids"] = [f"{text}{k}" for k, text in zip(range(16), NAMES * 2, strict=False)]
            record["metrics"][0] |= {"notes": [name]}
            record["selection"]["rule"] = name
            for picture, text in zip(record["pictures"], NAMES, strict=False):
                picture["id"] = text
            home = folder / record["cell_id"]
            made.write(home / "record.json", record)
            made.write(
                home / "run.json", made.run_facts("ta-lora", seed) | {"device": name, "odd": {name: name}}
            )
            event = json.dumps({"t": 1.0, "event": name, name: name})
            (home / "journal.jsonl").write_text(event + "\n", encoding="utf-8")
            plan["cells"][record["cell_id"]] = record["label"]
    home = folder / "0123456789abcdef"
    failure = {
        "kind": NAMES[0],
        "message": "\n".join(NAMES),
        "traceback": NAMES[2],
        "attempt": 1,
        "ids": list(NAMES),
    }
    made.write(home / "failure.json", failure)
    plan["cells"]["0123456789abcdef"] = f"{NAMES[2]} s7"
    made.write(folder / "experiment.json", plan)
    for path in folder.glob("*/record.json"):  # metrics, tasks and titles, alike in all records
        record = json.loads(path.read_text())
        for metric in record["metrics"]:
            metric["title"] = NAMES[4] if metric["key"] == "miou" else metric["title"]
            metric["unit"] = NAMES[0] if metric["key"] == "mean" else metric["unit"]
        record["data"]["title"] = NAMES[0]
        made.write(path, record)
    return folder
