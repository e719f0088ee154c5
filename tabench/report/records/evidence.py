"""What one experiment's runs say about a claim."""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace

from tabench.catalog import BACKBONES, METHODS
from tabench.report.records import wording
from tabench.report.records.judgement import obstacle
from tabench.report.records.reading import Results
from tabench.report.records.scores import DELTA_DIGITS, deltas
from tabench.spec.claims import Claim
from tabench.stats.paired import holm
from tabench.stats.seeds import Decision, decide, together
from tabench.text import joined

COUNTED_ON = "vit_l"  # the backbone of the released recipe


@dataclass(frozen=True)
class Line:
    """One comparison behind a finding: a method or variant against the baseline.

    Attributes:
        label: "TA-LoRA (Tucker) against LoRA-HPS".
        decision: Its outcome; the numbers are percent of Delta_b.
        p_value: The decision's p-value, Holm-corrected where a finding has several lines.
    """

    label: str
    decision: Decision
    p_value: float

    @property
    def numbers(self) -> str:
        """For example "+3.41 % (n = 3, 95 % interval +2.10 to +4.72, p = 0.010)", or what is missing."""
        d = self.decision
        if not d.n:
            return d.reason
        mean = f"{_signed(d.mean)} % (n = {d.n}"
        if math.isnan(d.low):
            return f"{mean})"
        p = "" if math.isnan(self.p_value) else f", p {_p(self.p_value)}"
        return f"{mean}, 95 % interval {_signed(d.low)} to {_signed(d.high)}{p})"


@dataclass(frozen=True)
class Finding:
    """What one experiment says.

    Attributes:
        experiment: Its name; "counting" where no run is needed.
        demo: Why its runs say nothing about the claim itself ("synthetic data ..."), or "".
        word: "supported", "not supported" or "undecided", on these runs.
        reason: Why it is undecided or not supported, beyond the numbers; may be "".
        lines: The comparisons.
        remark: A further fact that took part, such as the parameter counts.
    """

    experiment: str
    demo: str
    word: str
    reason: str
    lines: Sequence[Line] = ()
    remark: str = ""

    @property
    def sentence(self) -> str:
        """Everything in one text."""
        on = f"on this demo ({self.experiment})" if self.demo else f"on {self.experiment}"
        if self.experiment == "counting":
            on = "by counting"
        numbers = "; ".join(f"{line.label} {line.numbers}" for line in self.lines if line.decision.n)
        parts = [f"{on}: {self.word}", numbers, self.remark, self.reason]
        return ". ".join(part[0].upper() + part[1:] for part in parts if part)


def evidence(claim: Claim, results: Results) -> Finding:
    """Evaluate a claim on an experiment's runs; "growth" needs none, see `growth`."""
    if claim.test == "floor":
        methods = [m for m in results.methods if _name(m) != claim.against]
        pairs = [(method, claim.against) for method in methods]
    elif claim.test == "variants":
        pairs = _variants(claim, results)
    else:
        pairs = [(claim.method, claim.against)]
    lines = [_line(claim, results, method, against) for method, against in pairs]
    corrected = holm([line.p_value for line in lines])
    lines = [Line(line.label, line.decision, p) for line, p in zip(lines, corrected, strict=True)]
    word, reason = _outcome(claim, lines)
    remark = ""
    if claim.fewer and word != "undecided":
        word, remark = _fewer(claim, results, word)
    return Finding(results.name, obstacle(results), word, reason, lines, remark)


def growth(claim: Claim) -> Finding:
    """Evaluate "the adapter does not grow with T" by counting, on the released recipe's backbone."""
    backbone, method = BACKBONES.get(COUNTED_ON), METHODS.get(claim.method)
    ranks = method.params(claim.params)["ranks"]
    d, k = backbone.embed_dim, 3 * backbone.embed_dim
    assert isinstance(ranks, tuple)
    p, q, v = (int(rank) for rank in ranks)
    counts = {tasks: backbone.depth * tucker_parameters(d, k, tasks, (p, q, v)) for tasks in (2, 3, 4)}
    more = 100 * (counts[4] - counts[3]) / counts[3]
    other = [backbone.depth * lora_parameters(d, k, tasks, p) for tasks in (3, 4)]
    remark = (
        f"on {COUNTED_ON} with ranks {p}, {q}, {v}: {counts[2]:,}, {counts[3]:,} and {counts[4]:,} adapter "
        f"parameters with 2, 3 and 4 tasks, {more:.3f} % more for the fourth; one LoRA of rank {p} a task: "
        f"{other[0]:,} with 3 tasks, {100 * (other[1] - other[0]) / other[0]:.0f} % more for the fourth"
    )
    return Finding(
        "counting", "", "supported" if more <= claim.threshold else "not supported", "", remark=remark
    )


def _line(claim: Claim, results: Results, method: str, against: str) -> Line:
    """The comparison in the first protocol in which Delta_b is defined for every pair of runs."""
    label = f"{results.title(method)} against {results.title(against)}"
    absent = [results.title(name) for name in (method, against) if not results.of(name)]
    values: list[float] = []
    protocols = list(dict.fromkeys(str(metric["protocol"]) for metric in results.first["metrics"]))
    for protocol in protocols:
        points, missing = deltas(results, method, against, protocol)
        values = [point.value for point in points]
        if values and not missing:
            label += "" if protocol == protocols[0] else f" ({protocol} protocol)"
            break
    decision = decide(values, claim.threshold, claim.direction)
    if absent:
        reason = f"{joined(absent)} not run"
        decision = replace(decide([], claim.threshold, claim.direction), reason=reason)
    return Line(label, decision, decision.p_value)


def _outcome(claim: Claim, lines: Sequence[Line]) -> tuple[str, str]:
    if not lines:
        return "undecided", "no runs of the variants that it compares"
    decisions = [line.decision for line in lines]
    reasons = Counter(decision.reason for decision in decisions if decision.reason)
    undecided = [f"{count} of {len(lines)}: {reason}" for reason, count in reasons.items()]
    if len(lines) == 1:
        return decisions[0].word, decisions[0].reason
    if claim.direction == "within":
        words = {decision.word for decision in decisions}
        word = next(w for w in ("not supported", "undecided", "supported") if w in words)
    else:
        word = together(decisions)
    if word == "not supported":
        failed = [line.label for line in lines if line.decision.word == word]
        return word, f"fails for {joined(failed)}"
    if word == "undecided" and not undecided:
        return word, "not every difference survives Holm's correction"
    return word, "; ".join(undecided)


def _variants(claim: Claim, results: Results) -> list[tuple[str, str]]:
    """Pairs of row keys (variant, baseline) of the claim's method, in the order of the plan."""
    places = {cell_id: place for place, cell_id in enumerate(results.experiment.get("cells") or {})}
    rows = [method for method in results.methods if _name(method) == claim.method and results.of(method)]
    rows.sort(key=lambda row: min(places.get(cell.id, len(places)) for cell in results.of(row)))
    params = {row: results.of(row)[0].record["cell"]["method"]["params"] for row in rows}
    if claim.direction == "within":
        return [(row, rows[0]) for row in rows[1:]]
    baselines = [row for row in rows if any(_has(params[row], wanted) for wanted in claim.against_params)]
    chosen = [row for row in rows if row not in baselines and _has(params[row], claim.params)]
    return [(chosen[0], baselines[0])] if chosen and baselines else []


def _has(params: Mapping[str, object], wanted: Mapping[str, object]) -> bool:
    return all(params.get(key) == value for key, value in wanted.items())


def _fewer(claim: Claim, results: Results, word: str) -> tuple[str, str]:
    mine, theirs = (
        int(results.of(name)[0].record["parameters"]["trained"]) for name in (claim.method, claim.against)
    )
    remark = f"trained parameters {mine:,} against {theirs:,}"
    return (word if mine < theirs else "not supported"), remark


def _name(method: str) -> str:
    """Registry name of a row key; a variant's has its settings behind a blank."""
    return method.partition(" ")[0]


def _signed(value: float) -> str:
    return wording.number(value, DELTA_DIGITS, signed=True)


def _p(value: float) -> str:
    return "< 0.001" if value < 0.001 else f"= {wording.number(value, 3)}"


def tucker_parameters(d: int, k: int, tasks: int, ranks: tuple[int, int, int]) -> int:
    """A Tucker-factored update of one layer: d*p + k*q + T*v + p*q*v."""
    p, q, v = ranks
    return d * p + k * q + tasks * v + p * q * v


def lora_parameters(d: int, k: int, tasks: int, rank: int) -> int:
    """One LoRA a task on one layer: T*r*(d + k)."""
    return tasks * rank * (d + k)
