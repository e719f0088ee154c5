"""What the soak sees of a results folder: who runs which cell, what it is doing, what is left at the end."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, NamedTuple

PHASES = ("set-up", "training", "checkpoint", "evaluation", "record", "idle")
# what the last line of a journal says about what comes after it
AFTER = {
    **dict.fromkeys(("start", "pack", "passes", "resume"), "set-up"),
    **dict.fromkeys(("first-step", "epoch", "eval", "validation", "memory"), "training"),
    **dict.fromkeys(("final", "cost", "companion-failed"), "evaluation"),
    "done": "record",
}


class Seen(NamedTuple):
    """A process at work."""

    cell: Path | None  # the cell's folder; None between two cells
    phase: str  # one of `PHASES`
    last: str = ""  # the journal's last event


def cells(results: Path) -> list[Path]:
    """Folders of cells of all experiments."""
    return [path for path in sorted(results.glob("*/*")) if path.is_dir() and path.name != "truth"]


def journal(cell: Path) -> list[dict[str, Any]]:
    """Events in order; torn lines are left out."""
    found = []
    for line in _read(cell / "journal.jsonl").splitlines():
        try:
            found.append(json.loads(line))
        except ValueError:
            continue
    return found


def seen(results: Path, pid: int) -> Seen:
    """What a process of a pool is doing, by the claims and the journals."""
    for claim in results.glob("*/*/claim.json"):
        try:
            holder = json.loads(_read(claim) or b"{}").get("pid")
        except ValueError:
            continue
        if holder == pid:
            return _doing(claim.parent)
    return Seen(None, "idle")


def _doing(cell: Path) -> Seen:
    events = journal(cell)
    begun = max((event["t"] for event in events if event["event"] == "start"), default=0.0)
    last = events[-1] if events else {"event": ""}
    word = str(last["event"])
    written = [cell / name for name in ("record.json", "checksums.json", "run.json")]
    if begun and any(_changed(path) > begun + 0.01 for path in written):
        return Seen(cell, "record", word)
    if any(_changed(path) > begun + 0.01 for path in cell.glob("checkpoint/*/writing*")):
        return Seen(cell, "checkpoint", word)
    if word == "checkpoint":
        return Seen(cell, "evaluation" if last.get("finished") else "training", word)
    return Seen(cell, AFTER.get(word, "set-up"), word)


def _changed(path: Path) -> float:
    try:
        return path.stat().st_mtime
    except OSError:
        return 0.0


def _read(path: Path) -> bytes:
    try:
        return path.read_bytes()
    except OSError:
        return b""


@dataclass
class Guard:
    """Watches the records while everything is killed: each appears once, whole, and stays as it is."""

    results: Path
    reference: dict[str, bytes]  # the undisturbed records
    stamps: dict[str, tuple[int, int]] = field(default_factory=dict)
    kinds: Counter[str] = field(default_factory=Counter)
    counts: Counter[str] = field(default_factory=Counter)
    _failures: dict[str, float] = field(default_factory=dict)

    def look(self) -> None:
        """Compare what is there now with what was there before."""
        there = set()
        for path in self.results.glob("*/*/record.json"):
            name = path.parent.name
            there.add(name)
            stat = path.stat()
            stamp = (stat.st_ino, stat.st_mtime_ns)
            if name not in self.stamps:
                self.counts["torn or different"] += path.read_bytes() != self.reference.get(name)
            elif self.stamps[name] != stamp:
                self.counts["written again"] += 1
            self.stamps[name] = stamp
        for name in [name for name in self.stamps if name not in there]:
            self.counts["lost"] += 1
            del self.stamps[name]
        for path in self.results.glob("*/*/failure.json"):
            changed = _changed(path)
            if changed != self._failures.get(str(path)):
                self._failures[str(path)] = changed
                self.kinds[str(json.loads(_read(path) or b"{}").get("kind"))] += 1

    @property
    def done(self) -> int:
        """Cells with a record."""
        return len(self.stamps)


def leftovers(results: Path) -> dict[str, list[str]]:
    """Files that finished cells should not have, by what they are; those of shared folders apart."""
    found: dict[str, list[str]] = {}

    def note(what: str, paths: Iterator[Path]) -> None:
        for path in paths:
            found.setdefault(what, []).append(str(path.relative_to(results)))

    note("claims", results.glob("*/*/claim.json"))
    note("checkpoints", results.glob("*/*/checkpoint"))
    note("failures", results.glob("*/*/failure.json"))
    everything = [path for path in results.rglob(".*") if path.name.endswith(".tmp")]
    inside = set(cells(results))
    note("temporary files of cells", (path for path in everything if inside & set(path.parents)))
    note("temporary files of shared folders", (path for path in everything if not inside & set(path.parents)))
    return found
