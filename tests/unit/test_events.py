from __future__ import annotations

import json
from pathlib import Path

import pytest

from tabench.events import BY_NAME, Done, Interrupted, Retry, read_event, read_line

REFERENCE = Path(__file__).parents[2] / "results" / "reference"


def test_shipped_journals_are_read_and_would_be_written_alike() -> None:
    seen = set()
    for journal in REFERENCE.glob("*/*/journal.jsonl"):
        for line in map(json.loads, journal.read_text(encoding="utf-8").splitlines()):
            event = read_line(line)
            assert event is not None, line
            assert {"t": line["t"], "event": event.name, **event.facts()} == line
            seen.add(event.name)
    assert len(seen) >= 9


def test_a_field_with_its_default_is_no_key() -> None:
    assert Done(wall_s=0.0).facts() == {"wall_s": 0.0}
    assert Done(wall_s=0.0, adopted=True).facts() == {"wall_s": 0.0, "adopted": True}
    assert Interrupted().facts() == {}


@pytest.mark.parametrize(
    ("name", "facts"),
    [
        ("of a later version", {}),
        (None, {}),
        (["done"], {}),
        ("done", {}),
        ("done", {"wall_s": "long"}),
        ("cost", {"unit": "all", "problems": {}}),
    ],
)
def test_what_is_not_known_or_not_whole_is_no_event(name: object, facts: dict[str, object]) -> None:
    assert read_event(name, facts) is None


def test_keys_of_other_versions_are_passed_over_or_missing() -> None:
    retry = {"kind": "infrastructure", "message": "the disk is full", "retry": 1, "of": 2}
    assert read_event("retry", {**retry, "later": 1}) == Retry(**retry)  # type: ignore[arg-type]


def test_names_of_journals_stay() -> None:
    kept = {name for name, kind in BY_NAME.items() if kind.journalled}
    assert set(BY_NAME) - kept == {"step", "evaluating"}
    assert kept == {
        "start", "done", "failed", "interrupted", "retry", "warning", "weights", "pack", "passes", "memory",
        "resume", "first-step", "path", "epoch", "eval", "validation", "checkpoint", "final", "cost",
        "companion-failed", "processes", "kernels",
    }  # fmt: skip
