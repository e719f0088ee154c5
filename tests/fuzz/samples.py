"""Valid contents that damage starts from; made up, in the schemas that runs write."""

from __future__ import annotations

import json
from typing import Any

import report_fixtures as made

METHODS = ("ta-lora", "lora-stl")
FAILURE = {
    "kind": "data",
    "message": "torn",
    "traceback": "Traceback ...",
    "attempt": 2,
    "step": 3,
    "ids": ["val/3"],
}
PLAN = {
    "name": "nyuv2",
    "title": "NYUv2",
    "profile": "demo",
    "note": "Synthetic.",
    "table": "Table 1",
    "figure": "Figure 4",
    "report": {
        "baselines": ["lora-stl"],
        "grid": ["lora-stl", "ta-lora"],
        "published": "published/nyuv2.csv",
    },
    "cells": {made.cell_id(m, s): f"{m} s{s}" for m in METHODS for s in (0, 1)},
}


def record() -> dict[str, Any]:
    """A whole record."""
    return made.record("ta-lora", 0)


def record_bytes() -> bytes:
    """Its JSON."""
    return json.dumps(record()).encode()


def cell_id() -> str:
    """Its cell."""
    return made.cell_id("ta-lora", 0)
