"""The one table: columns, rows of entries and notes. Every format prints the texts that stand in it."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import cached_property
from itertools import groupby

from tabench.report.records import wording
from tabench.report.records.scores import Point


@dataclass(frozen=True)
class Column:
    """One column.

    Attributes:
        title: Its heading.
        id: Names its values ("depth.abs_err"); "" where its texts are all there is.
        group: Heading that it shares with its neighbours ("Depth").
        unit: "%", "m", "deg", "M" or "".
        better: "higher", "lower", or "" where no value is better.
        digits: Decimals shown.
        signed: Whether a plus sign is shown.
        words: Whether it holds words, which start at the left.
        width: Of a column of sentences, in cm, where they break into lines.
    """

    title: str
    id: str = ""
    group: str = ""
    unit: str = ""
    better: str = ""
    digits: int = 0
    signed: bool = False
    words: bool = False
    width: float = 0.0

    @property
    def heading(self) -> str:
        """Title, unit and arrow in one text, for formats with one heading line."""
        unit = f" ({self.unit})" if self.unit else ""
        return f"{self.title}{unit} {wording.ARROWS[self.better]}".rstrip()

    @property
    def whole(self) -> str:
        """The heading behind that of the group."""
        return f"{self.group}: {self.heading}" if self.group else self.heading

    def text(self, value: float) -> str:
        """A value as it is shown."""
        return wording.number(value, self.digits, signed=self.signed)


@dataclass(frozen=True)
class Entry:
    """One cell of a table.

    Attributes:
        shown: The text every format prints ("n/a" where there is no value).
        value: What rows are sorted by: a mean over seeds, or the number that is shown; None without one.
        note: A smaller second text ("range 4.2 ms").
        sd: Sample standard deviation over seeds; None with fewer than two.
        half: Half width of the 95% t-interval of the mean; None with fewer than two seeds.
        shown_sd: The text of the standard deviation, or "".
        rank: 1 best, 2 second, 0 otherwise.
        reason: Why there is no value, or what to know about it; "" otherwise.
        points: The values behind it, one a run.
        look: Class that a page gives its text ("word match").
    """

    shown: str
    value: float | None = None
    note: str = ""
    sd: float | None = None
    half: float | None = None
    shown_sd: str = ""
    rank: int = 0
    reason: str = ""
    points: tuple[Point, ...] = ()
    look: str = ""

    @property
    def text(self) -> str:
        """Everything in one line: "51.80 ± 0.12", "82.8 ms (range 4.2 ms)"."""
        whole = f"{self.shown} ± {self.shown_sd}" if self.shown_sd else self.shown
        return f"{whole} ({self.note})" if self.note else whole


@dataclass(frozen=True)
class Table:
    """Rows of entries under columns.

    Attributes:
        name: File stem ("table1").
        title: What it is called ("Table 1").
        caption: One sentence.
        columns: Columns from left to right; the first one names the rows.
        rows: Entries from left to right.
        notes: Lines printed underneath.
        warning: Why these are not the paper's numbers; "" if nothing speaks against it.
        experiment: Experiment name; with `name` the label to refer to the table by.
        keys: Key of each row, where rows are methods and entries have values.
        protocol: Protocol of the values, where it has one.
        fits: Whether it fits on a page; one that does not is not written as LaTeX.
    """

    name: str
    title: str
    caption: str
    columns: Sequence[Column]
    rows: Sequence[Sequence[Entry]]
    notes: Sequence[str] = ()
    warning: str = ""
    experiment: str = ""
    keys: Sequence[str] = ()
    protocol: str = ""
    fits: bool = True

    @property
    def label(self) -> str:
        """A name that is unique over experiments, for example "nyuv2-table1"."""
        return "-".join(filter(None, (self.experiment, self.name)))

    @property
    def whole_caption(self) -> str:
        """Caption and warning."""
        return f"{self.caption} {self.warning}".strip()

    @property
    def groups(self) -> list[tuple[str, list[Column]]]:
        """Neighbouring columns under their common heading."""
        return [(name, list(columns)) for name, columns in groupby(self.columns, lambda column: column.group)]

    @property
    def valued(self) -> list[Column]:
        """The columns whose values have an id."""
        return [column for column in self.columns if column.id]

    @cached_property
    def _entries(self) -> dict[tuple[str, str], Entry]:
        return {
            (key, column.id): entry
            for key, row in zip(self.keys, self.rows, strict=True)
            for column, entry in zip(self.columns, row, strict=True)
        }

    def entry(self, key: str, column: str) -> Entry:
        """The entry of a row and a column, by their key and id."""
        return self._entries[key, column]

    def defined(self, column: Column) -> bool:
        """Whether any row has runs behind its value."""
        return any(self.entry(key, column.id).points for key in self.keys)

    def best(self, column: Column) -> str | None:
        """Key of the first row that is the best of a column; None if none is."""
        return next((key for key in self.keys if self.entry(key, column.id).rank == 1), None)


def words(text: str, look: str = "") -> Entry:
    """An entry of words."""
    return Entry(text, look=look)


def number(
    value: float | None, text: str | Callable[[float], str], note: str = "", *, hole: str = "–"
) -> Entry:
    """A number by a format ("{:,}") or a function; `hole` where there is none."""
    if value is None:
        return Entry(hole, look="hole")
    return Entry(text.format(value) if isinstance(text, str) else text(value), float(value), note)
