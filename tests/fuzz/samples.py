"""Valid contents that damage starts from; made up, in the schemas that runs write."""

from __future__ import annotations

import json
from typing import Any

import report_fixtures as made


def record() -> dict[str, Any]:
    """A whole record."""
    return made.record("ta-lora", 0)


def record_bytes() -> bytes:
    """Its JSON."""
    return json.dumps(record()).encode()


def cell_id() -> str:
    """Its cell."""
    return made.cell_id("ta-lora", 0)
