"""Where and with what the runs ran."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from tabench.report.records.reading import Results

_WANTED = {
    "Device": ("device",),
    "Threads": ("threads",),
    "Processes of a cell": ("processes",),
    "Deterministic algorithms alone": ("environment", "torch", "deterministic"),
    "Commit": ("environment", "git", "commit"),
    "Uncommitted changes": ("environment", "git", "dirty"),
    "CPU": ("environment", "cpu"),
    "Platform": ("environment", "platform"),
    "Python": ("environment", "python"),
    "PyTorch": ("environment", "packages", "torch"),
    "NumPy": ("environment", "packages", "numpy"),
    "tabench": ("environment", "packages", "tabench"),
}


def circumstances(results: Results) -> dict[str, list[str]]:
    """What to every value that occurred, over all finished runs."""
    found: dict[str, list[str]] = {}
    for title, path in _WANTED.items():
        values = {str(value) for cell in results.done if (value := _dig(cell.run, path)) not in (None, "")}
        if values:
            found[title] = sorted(values)
    code = outside_code(results)
    return found | ({"Code of other packages, or of a later version": code} if code else {})


def outside_code(results: Results) -> list[str]:
    """What finished runs took from other packages: "method x: my-package 0.1 sha256:0123456789abcdef"."""
    parts = ("dataset", "backbone", "method")  # equal ones are one object: see `read_results`
    alike = {tuple(id(cell.record["cell"][part]) for part in parts): cell for cell in results.done}
    return sorted({f"{what}: {text}" for cell in alike.values() for what, text in cell.cell.codes.items()})


def facts(run: Mapping[str, Any]) -> dict[str, str]:
    """Everything that is known of one run, by dotted key; lists and objects inside lists as texts."""
    found: dict[str, str] = {}
    for key, value in run.items():
        if isinstance(value, Mapping):
            found |= {f"{key}.{inner}": text for inner, text in facts(value).items()}
        elif value not in (None, "", [], ()):
            found[key] = ", ".join(map(str, value)) if isinstance(value, list) else str(value)
    return found


def _dig(value: Any, path: Sequence[str]) -> Any:
    for key in path:
        value = value.get(key) if isinstance(value, dict) else None
    return value
