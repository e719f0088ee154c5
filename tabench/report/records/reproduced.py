"""Whether runs reproduce the reference's runs of the same cells: a verdict for every method and metric."""

from __future__ import annotations

import math
import sys
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Final, Literal

import numpy as np

import tabench
from tabench.errors import StoreError
from tabench.report.records import wording
from tabench.report.records.differences import MetricDifference, differences, metric_name
from tabench.report.records.reading import CellResult, Json, Results, read_results
from tabench.report.records.suspects import nearest_run, suspects
from tabench.stats.equivalence import Equivalence, tost
from tabench.stats.paired import mean_over_runs
from tabench.text import counted, few, joined

Word = Literal["different", "missing", "undecided", "equal", "identical"]
WORST: Final[tuple[Word, ...]] = ("different", "missing", "undecided", "equal", "identical")
EXIT_CODES: Final[Mapping[Word, int]] = {
    **dict.fromkeys(("identical", "equal"), 0),
    "different": 1,
    **dict.fromkeys(("missing", "undecided"), 2),
}
RULE = (
    "Runs of the same cell (specification, data, pretrained weights, seed) are compared. Identical: every "
    "reported number and every image's value. Equal: two one-sided t-tests over images (each image's "
    "difference averaged over seeds) show at the 5 % level that the mean difference is within the margin, as "
    "are the reported numbers. Different: a reported number, or the whole 90 % interval over images, is "
    "beyond it. The margin is what repeating one run on other machines gives, not the spread over seeds; for "
    "a mean over n runs it is divided by the root of n."
)


@dataclass(frozen=True)
class Line:
    """One method in one metric."""

    method: str  # row key of the reference
    metric: str  # "task.key"
    word: Word
    reason: str  # why it is not identical or equal; "" if it is
    runs: int  # compared with the reference's
    of: int  # runs that the reference has
    largest: float  # difference of a reported number, over runs and protocols
    test: Equivalence | None = None  # over images; None where it could not be made


@dataclass(frozen=True)
class Runs:
    """What of a method's runs is the same to the last digit."""

    method: str
    cells: int  # compared
    of: int  # runs that the reference has
    numbers: int  # reported values compared
    identical: int  # of these
    weights: int  # cells whose trained weights have the same sha256


@dataclass(frozen=True)
class Reproduced:
    """The comparison with a reference."""

    reference: Results
    lines: Sequence[Line]
    runs: Sequence[Runs]
    suspects: Sequence[str]  # what differs, the first suspect first
    margins: str  # where the margins are from; "" without any

    @cached_property
    def counts(self) -> Counter[Word]:
        """Verdicts of each kind."""
        return Counter(line.word for line in self.lines)

    @property
    def word(self) -> Word:
        """The worst verdict."""
        return next(word for word in WORST if self.counts[word])

    @property
    def compared(self) -> int:
        """Cells that are both here and there."""
        return sum(row.cells for row in self.runs)

    def concerns(self, results: Results) -> bool:
        """Whether the verdict is worth a line above the results: runs of another profile have none."""
        return bool(self.compared) or results.profile == self.reference.profile

    def title(self, line: Line) -> str:
        """A line's method and metric: "LoRA-HPS in Depth: Abs err (m)"."""
        metric = self.metrics[line.metric]
        group = wording.task_title(metric["task"])
        return f"{self.reference.title(line.method)} in {group}: {wording.metric_title(metric)}"

    @cached_property
    def metrics(self) -> dict[str, Json]:
        """Metric to what the reference's records say of it."""
        found: dict[str, Json] = {}
        for metric in self.reference.first["metrics"]:
            found.setdefault(metric_name(metric), metric)
        return found

    @property
    def sentence(self) -> str:
        """The whole verdict in one sentence."""
        counts, whole = self.counts, len(self.lines)
        words = [f"{counts[w]} {w}" for w in reversed(WORST) if counts[w]]
        of = f"{whole} comparisons with the reference (methods × metrics)"
        if self.word == "identical":
            return f"Reproduced: all {of} are identical."
        found = f"of {of}, {joined(words)}"
        if self.word == "equal":
            return f"Reproduced: {found} within the noise that repeating gives."
        first = next(line for line in self.lines if line.word == self.word)
        if self.word == "different":
            told = [self.title(line) for line in self.lines if line.word == "different"]
            why = f"first suspects: {few(self.suspects, 3, apart='; ')}" if self.suspects else (
                "nothing that run.json records tells the machines apart"
            )  # fmt: skip
            return f"Not reproduced: {found} ({few(told, 3, apart='; ')}); {why}."
        return f"Not decided: {found}; {first.reason}."


def shipped_reference() -> Path | None:
    """The reference records that came with this package, from a wheel or in a checkout; None without any."""
    package = Path(tabench.__file__).parent
    places = (package / "reference", package.parent / "results" / "reference")
    return next((place for place in places if place.is_dir()), None)


def find_reference(results: Results, folder: Path | None = None) -> Results | None:
    """Reference runs of an experiment; None if there are none, or if `results` are these themselves.

    Args:
        results: What is compared with them.
        folder: The results folder that holds them. By default ``reference`` inside that of `results`, else
            what came with this package.

    Raises:
        StoreError: The folder that was asked for has none, or what is found cannot be read.
    """
    if folder is not None:
        if folder.is_dir() and folder.samefile(results.root):
            raise StoreError(
                "these are the results themselves", where=str(folder), hint="name another folder"
            )
        return read_results(folder, results.name)
    for place in (results.root / "reference", shipped_reference()):
        if place is not None and (place / results.name).is_dir():
            return read_results(place, results.name) if not place.samefile(results.root) else None
    return None


def readable_reference(results: Results) -> Results | None:
    """The reference that a report compares with; None without one, or where it cannot be read."""
    try:
        return find_reference(results)
    except StoreError:
        return None


def compared(results: Results) -> Reproduced | None:
    """The comparison that a report shows; None without a reference."""
    reference = readable_reference(results)
    return reproduced(results, reference) if reference is not None else None


def reproduced(results: Results, reference: Results) -> Reproduced:
    """Compare with reference runs by the id of cells, so that only runs of the same specification meet."""
    here = {cell.id: cell for cell in results.done}
    margins, source = _margins(reference, results)
    names = list(dict.fromkeys(metric_name(m) for m in reference.first["metrics"]))
    lines: list[Line] = []
    rows: list[Runs] = []
    unlike: list[tuple[CellResult, CellResult]] = []
    for method in reference.methods:
        if not (theirs := reference.of(method)):
            continue
        pairs = [(here[cell.id], cell) for cell in theirs if cell.id in here]
        found = [differences(*pair) for pair in pairs]
        missing = _missing([cell for cell in theirs if cell.id not in here], results.done)
        for name in names:
            of_runs = [each.metrics[name] for each in found if name in each.metrics]
            lines.append(_line(method, name, of_runs, len(theirs), margins.get(name), missing))
        numbers = [value for each in found for value in each.reported]
        same = sum(each.weights for each in found)
        rows.append(Runs(method, len(pairs), len(theirs), len(numbers), numbers.count(0), same))
        unlike += [pair for pair, each in zip(pairs, found, strict=True) if not each.identical]
    return Reproduced(reference, lines, rows, suspects(unlike), source)


def _margins(*declaring: Results) -> tuple[dict[str, float], str]:
    """The margins of the first that declares any, by metric, and where they are from."""
    for results in declaring:
        if declared := results.experiment.get("repeats"):
            # a margin is divided by a root: the smallest numbers would become 0
            given = (declared.get("margins") or {}).items()
            found = {key: float(value) for key, value in given if value > sys.float_info.min}
            return found, str(declared.get("source") or "the experiment file")
    return {}, ""


def _missing(absent: Sequence[CellResult], here: Sequence[CellResult]) -> str:
    """Which runs of a method are not here, and what is near them; "" if none."""
    if not absent:
        return ""
    near = nearest_run(absent[0], here)
    return f"not run: {few([cell.label for cell in absent], 3)}{f' ({near})' if near else ''}"


def _line(
    method: str, name: str, found: Sequence[MetricDifference], of: int, margin: float | None, missing: str
) -> Line:
    """The verdict on a method in a metric, from its runs that were compared."""
    largest = max((abs(value) for each in found for value in each.reported.values()), default=0.0)
    word, reason, test = _judged(found, margin, largest) if found else ("missing", "", None)
    if missing and word != "different":
        word, reason = "missing", missing
    return Line(method, name, word, reason, len(found), of, largest, test)


def _judged(
    found: Sequence[MetricDifference], margin: float | None, largest: float
) -> tuple[Word, str, Equivalence | None]:
    if all(each.identical for each in found):
        return "identical", "", None
    images = [each.images for each in found if each.images is not None]
    if math.isinf(largest) or any(np.isinf(values).any() for _, values in images):
        return "different", "defined in one of the two only", None
    if len(images) < len(found):
        return "undecided", "no values of single images on both sides", None
    if margin is None:
        return "undecided", "no margin is declared for it", None
    mean_margin = margin / math.sqrt(len(found))
    test = tost(np.array(list(mean_over_runs(images).values()), np.float64), mean_margin)
    # numbers over the whole split, as mIoU, may move where the images' own values hardly do
    reported: dict[str, list[float]] = {}
    for each in found:
        for protocol, value in each.reported.items():
            reported.setdefault(protocol, []).append(value)
    worst = max(abs(math.fsum(values)) / len(values) for values in reported.values())
    if largest > margin:
        return "different", f"a reported number is off by {largest:.3g}, more than ±{margin:.3g}", test
    if worst > mean_margin:
        text = f"a reported mean over runs is off by {worst:.3g}, more than ±{mean_margin:.3g}"
        return "different", text, test
    if test.different:
        return "different", f"the whole 90 % interval is beyond ±{mean_margin:.3g}", test
    if test.equal:
        return "equal", "", test
    return "undecided", f"{counted(test.n, 'image')} cannot tell: the 90 % interval crosses a margin", test
