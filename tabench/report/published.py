"""Values printed in papers, as far as they could be verified, with the evidence for each."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

import pandas as pd

from tabench.errors import SpecError
from tabench.report.reading import Results

COLUMNS = ("paper", "table", "dataset", "setting", "method", "metric", "value", "evidence", "source")
# Names that papers give to methods of this package (the successor calls TA-LoRA "ToRA").
ALIASES = {"tora": "ta-lora", "talora": "ta-lora"}


class _Measured(Protocol):
    @property
    def id(self) -> str: ...
    @property
    def title(self) -> str: ...


@dataclass(frozen=True)
class Published:
    """The rows of a published-numbers file.

    Attributes:
        frame: Columns as in the file, and `row`: the method's registry name or "".
        source: The file's name, for messages and notes.
    """

    frame: pd.DataFrame
    source: str

    def of_dataset(self, dataset: str) -> Published:
        """Only the rows of one dataset."""
        return Published(self.frame[self.frame["dataset"] == dataset], self.source)

    def columns(self, measured: Sequence[_Measured]) -> list[str]:
        """Ids of measured columns that at least one row speaks about, in table order."""
        return [c.id for c in measured if any(_same(metric, c) for metric in self.frame["metric"])]

    def value(self, method: str, column: _Measured) -> tuple[str, str]:
        """A method's published value as printed and its evidence; ("", "") where none is known."""
        speaks = self.frame["metric"].map(lambda metric: _same(str(metric), column))
        mine = self.frame[(self.frame["row"] == method) & speaks]
        if mine.empty:
            return "", ""
        return str(mine["value"].iloc[0]), str(mine["evidence"].iloc[0])

    def notes(self) -> list[str]:
        """Where the values come from, one line a source."""
        lines = []
        for (paper, source, evidence), rows in self.frame.groupby(
            ["paper", "source", "evidence"], sort=False
        ):
            names = ", ".join(
                dict.fromkeys(
                    f"{m} ({metric})" for m, metric in zip(rows["method"], rows["metric"], strict=True)
                )
            )
            lines.append(f"Published, {evidence} evidence: {paper}, {source}: {names}.")
        return lines


def read_published(results: Results, path: Path | None = None) -> Published | None:
    """Read the experiment's file of published values; None if it names none or it is not at hand.

    Args:
        results: Names the file relative to the experiments folder (`report.published`).
        path: The file itself, where the caller knows it.

    Raises:
        SpecError: The file lacks a column.
    """
    name = results.report.get("published")
    if path is None and name:
        places = (Path("experiments"), results.root.parent / "experiments", Path())
        path = next((place / str(name) for place in places if (place / str(name)).is_file()), None)
    if path is None or not path.is_file():
        return None
    frame = pd.read_csv(path, dtype=str, keep_default_na=False)
    missing = [column for column in COLUMNS if column not in frame.columns]
    if missing:
        raise SpecError(
            f"column '{missing[0]}' is missing", where=str(path), hint=f"columns: {', '.join(COLUMNS)}"
        )
    known = {_plain(text): m for m in results.methods for text in (m, results.title(m))} | ALIASES
    frame["row"] = [known.get(_plain(method.rpartition("+")[2]), "") for method in frame["method"]]
    return Published(frame, path.name)


def _same(metric: str, column: _Measured) -> bool:
    return _plain(metric) in (_plain(column.title), _plain(column.id.rpartition(".")[2]))


def _plain(text: str) -> str:
    return "".join(letter for letter in text.lower() if letter.isalnum())
