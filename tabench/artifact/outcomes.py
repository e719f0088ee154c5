"""What the packed runs say about the main results: the published numbers and the claims."""

from __future__ import annotations

from collections.abc import Sequence

from tabench.artifact.facts import ExperimentFacts
from tabench.report.tables.claims import Assessed

NEVER = "runs of a demo never get a verdict against the paper"  # data or backbone are stand-ins
AGREES = ("match", "within interval")


def published_numbers(experiments: Sequence[ExperimentFacts]) -> tuple[list[str], list[str]]:
    """What agrees with a published number, and what does not, is missing or says nothing about one."""
    agrees: list[str] = []
    lacks: list[str] = []
    for e in experiments:
        if e.obstacle:
            lacks.append(f"{e.name}: no verdict: {e.obstacle}{f'; {NEVER}' if e.synthetic else ''}")
        elif not e.judged:
            lacks.append(f"{e.name}: no published value of its methods could be verified")
        else:
            for row in e.judged:
                said = f"{row.method}, {row.column}: {row.word}"
                line = f"{e.name}: {said}; published {row.printed} ({row.place})"
                (agrees if row.found.word in AGREES else lacks).append(line)
    return agrees, lacks


def main_claims(assessed: Sequence[Assessed]) -> tuple[list[str], list[str]]:
    """Claims that the runs support, with the evidence, and those that they do not support or leave open."""
    supported, lacks = [], []
    for item in assessed:
        if item.word == "supported":
            supported.append(" ".join([item.claim.text, *(f"{f.sentence}." for f in item.findings)]))
        else:
            lacks.append(f"{item.claim.text} {item.word.capitalize()}: {item.reason}.")
    if any(finding.demo for item in assessed for finding in item.findings):
        lacks.append(f"{NEVER}: a claim needs real runs of every experiment it names")
    return supported, lacks
