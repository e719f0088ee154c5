"""The claims, each with what the runs at hand say about it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from tabench.catalog import METHODS
from tabench.errors import StoreError
from tabench.report.records import wording
from tabench.report.records.evidence import Finding, evidence, growth
from tabench.report.records.reading import Results, read_results
from tabench.report.tables.table import Column, Table, words
from tabench.spec.claims import Claim, load_claims
from tabench.text import joined

FILE = Path("published") / "claims.toml"
SHIPPED = Path(__file__).parents[3] / "experiments"
SOURCES = {
    "P": "the paper",
    "T": "the successor, quoted by third parties",
    "readers": "readers ask",
    "ours": "this project",
}
RULE = (
    "Decided by the 95 % t-interval of Δ_b over at least three seeds, each run paired with the baseline's "
    "run of the same seed: supported if it lies wholly on the claimed side of the threshold, not supported "
    "if wholly on the other, else undecided. p: two-sided t-test against the threshold, Holm-corrected "
    "inside a claim about several methods, not across claims. A claim is supported only by runs of every "
    "experiment it names, on the real data with the real backbone."
)


@dataclass(frozen=True)
class Assessed:
    """A claim with its outcome.

    Attributes:
        claim: The claim.
        word: "supported", "not supported" or "undecided".
        reason: Why it is undecided, or where it failed; "" for a plain outcome.
        findings: What each experiment at hand says.
    """

    claim: Claim
    word: str
    reason: str
    findings: Sequence[Finding]

    @property
    def test(self) -> str:
        """What decides it, in words."""
        return test_text(self.claim)

    @property
    def source(self) -> str:
        """Who says so, in words."""
        return SOURCES[self.claim.source]


def claims(results: Results, path: Path | None = None) -> list[Assessed] | None:
    """Assess the claims about this experiment's methods on its runs and on those beside it.

    A claim that compares a method which the experiment does not have is left out.

    Args:
        results: The experiment that is reported; others named by a claim are read from the same folder.
        path: The file of claims; by default ``experiments/published/claims.toml``.

    Returns:
        The outcomes in the file's order; None without a file of claims, or without one about these methods.

    Raises:
        SpecError: The file of claims cannot be used.
    """
    path = path or claims_file(results.root)
    if path is None:
        return None
    found = [claim for claim in load_claims(path) if concerns(claim, results)]
    runs = {results.name: results, **neighbours(results, found)}
    return [assess(claim, runs) for claim in found] or None


def concerns(claim: Claim, results: Results) -> bool:
    """Whether an experiment has all methods that a claim compares, finished or not."""
    compared = {claim.against} if claim.test == "floor" else {claim.method, claim.against}
    return compared - {""} <= {results.family(method) for method in results.methods}


def claims_file(results_dir: Path) -> Path | None:
    """The file of claims in ``experiments`` here, beside the results or in the checkout; None without one."""
    places = (Path("experiments"), results_dir.parent / "experiments", SHIPPED)
    return next((place / FILE for place in places if (place / FILE).is_file()), None)


def neighbours(results: Results, found: Sequence[Claim]) -> dict[str, Results]:
    """Other experiments in the same results folder that some claims name, as far as they have runs."""
    runs = {}
    for name in sorted({name for claim in found for name in claim.experiments} - {results.name}):
        if (results.root / name).is_dir():
            try:
                runs[name] = read_results(results.root, name)
            except StoreError:  # a neighbour that is not finished or damaged is told as not run
                continue
    return runs


def assess(claim: Claim, runs: Mapping[str, Results]) -> Assessed:
    """Assess one claim.

    Args:
        claim: The claim.
        runs: Experiment name to its runs; experiments that are missing count as not run.
    """
    if claim.test == "growth":
        finding = growth(claim)
        return Assessed(claim, finding.word, "", [finding])
    findings = [evidence(claim, runs[name]) for name in claim.experiments if name in runs]
    missing = [name for name in claim.experiments if name not in runs]
    real = [finding for finding in findings if not finding.demo]
    failed = [finding.experiment for finding in real if finding.word == "not supported"]
    if failed:
        return Assessed(claim, "not supported", f"on {joined(failed)}", findings)
    if real and not missing and all(f.word == "supported" for f in findings) and len(real) == len(findings):
        return Assessed(claim, "supported", "", findings)
    reasons = []
    if supported := [finding.experiment for finding in real if finding.word == "supported"]:
        reasons.append(f"supported on {joined(supported)}")
    reasons += [f"{f.experiment}: {f.reason}" for f in real if f.word == "undecided" and f.reason]
    if demo := [finding for finding in findings if finding.demo]:
        names = joined([finding.experiment for finding in demo])
        reasons.append(f"{demo[0].demo} ({names}) says nothing about the claim itself")
    if missing:
        reasons.append(f"not run: {joined(missing)}")
    return Assessed(claim, "undecided", "; ".join(reasons), findings)


def test_text(claim: Claim) -> str:
    """The test of a claim: "Δ_b against LoRA-STL above −1 %, with fewer trained parameters"."""
    limit = f"{claim.threshold:g} %".replace("-", "−")
    if claim.test == "growth":
        return f"growth of the adapter's parameters with one more task at most {limit}"
    if claim.test == "variants" and claim.direction == "within":
        return f"Δ_b of every variant against the first within ±{limit}"
    if claim.test == "variants":
        with_, without = _settings(claim.params), " or ".join(map(_settings, claim.against_params))
        return f"Δ_b of the variant {with_} against the variant {without} above {limit}"
    subject = "of every other method " if claim.test == "floor" else ""
    more = ", with fewer trained parameters" if claim.fewer else ""
    return f"Δ_b {subject}against {METHODS.get(claim.against).title} above {limit}{more}"


def _settings(params: Mapping[str, object]) -> str:
    return ", ".join(f"{key} = {value!r}" for key, value in params.items())


def claim_table(results: Results, found: Sequence[Assessed]) -> Table:
    """The claims, one row a claim and experiment at hand."""
    rows = []
    for item in found:
        said = [item.claim.text, f"{item.source}: {item.claim.where}", item.test, item.word]
        said.append(item.reason or "–")
        for sentence in [finding.sentence for finding in item.findings] or ["no runs at hand"]:
            rows.append([words(text) for text in (*said, sentence)])
    caption, warning = "What is claimed and what the runs say.", wording.short_warning(results)
    widths = {"Claim": 3.4, "Source": 4.6, "Test": 3.2, "Outcome": 0, "Reason": 3.2, "Evidence": 9}
    columns = [Column(title, words=True, width=width) for title, width in widths.items()]
    return Table("claims", "Claims", caption, columns, rows, [RULE], warning, results.name)
