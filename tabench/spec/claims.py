"""Claims as data: what a paper, or a reader, says, and the test that decides it."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Literal, Self

from pydantic import Field, model_validator

from tabench.catalog import METHODS
from tabench.spec.cell import Frozen, Params
from tabench.spec.toml import read_toml, validated

Test = Literal["improvement", "floor", "variants", "growth"]
Source = Literal["P", "T", "readers", "ours"]


class Claim(Frozen):
    """One claim."""

    id: Annotated[str, Field(pattern=r"^[a-z0-9]+(-[a-z0-9]+)*$")]  # short name, unique in the file
    text: Annotated[str, Field(min_length=1)]  # the claim in own words
    # "P" the paper's abstract, structure or captions; "T" third-party text quoting its successor; "readers" a
    # question that readers of the papers ask; "ours" this project's own
    source: Source
    where: Annotated[str, Field(min_length=1)]  # what exactly the source supports
    # experiments whose runs decide it; none for "growth", which needs no run
    experiments: tuple[str, ...] = ()
    tables: str = ""  # tables of the paper it belongs to
    # "improvement": Delta_b of `method` over `against`; "floor": Delta_b of every other method over
    # `against`; "variants": Delta_b of the variant `params` of `method` over the variants `against_params`,
    # or of every other variant over the first where the direction is "within"; "growth": growth of the
    # adapter's parameters with one more task, by counting
    test: Test
    method: str = "ta-lora"  # registry name
    against: str = ""  # registry name of the baseline ("improvement", "floor")
    # hyper-parameters of the variant ("variants"); empty for the first in the experiment
    params: Params = Field(default_factory=dict)
    # alternatives, each a set of hyper-parameters, that make a variant the baseline
    against_params: tuple[Params, ...] = ()
    direction: Literal["above", "within"] = "above"  # "above" or "within" the threshold
    threshold: float = 0.0  # percent of Delta_b, or of the adapter's parameters for "growth"
    fewer: bool = False  # whether the method must also have fewer trained parameters than the baseline

    @model_validator(mode="after")
    def _can_be_decided(self) -> Self:
        needs_runs = self.test != "growth"
        if needs_runs != bool(self.experiments):
            more = "names the experiments that decide it" if needs_runs else "needs no experiments"
            raise ValueError(f"a claim with test '{self.test}' {more}")
        if (self.test in ("improvement", "floor")) != bool(self.against):
            wants = "needs" if not self.against else "cannot have"
            raise ValueError(f"test '{self.test}' {wants} a baseline 'against'")
        if (self.test == "variants" and self.direction == "above") != bool(self.against_params):
            wants = "needs" if not self.against_params else "cannot have"
            raise ValueError(f"test '{self.test}' with direction '{self.direction}' {wants} 'against_params'")
        if self.direction == "within" and self.test not in ("variants", "growth"):
            raise ValueError(f"test '{self.test}' has the direction 'above'")
        if self.direction == "within" and self.threshold <= 0:
            raise ValueError("direction 'within' needs a threshold above 0")
        return self


class ClaimsFile(Frozen):
    """The content of claims.toml."""

    schema_: Literal[1] = Field(alias="schema")
    claims: Annotated[tuple[Claim, ...], Field(min_length=1)]

    @model_validator(mode="after")
    def _ids_are_unique(self) -> Self:
        ids = [claim.id for claim in self.claims]
        twice = sorted({name for name in ids if ids.count(name) > 1})
        if twice:
            raise ValueError(f"the id '{twice[0]}' is given twice")
        return self


def load_claims(path: str | Path) -> tuple[Claim, ...]:
    """Read and check a file of claims.

    Raises SpecError: it cannot be read, is not TOML, has an unknown key or method, or a claim that no test
    could decide; names file and key.
    """
    path = Path(path)
    file = validated(ClaimsFile, read_toml(path), str(path))
    for index, claim in enumerate(file.claims):
        for key, name in (("method", claim.method), ("against", claim.against)):
            if name:
                METHODS.entry(name, where=f"{path}: claims.{index}.{key}")
        for params in (claim.params, *claim.against_params):
            METHODS.get(claim.method).params(params, where=f"{path}: claims.{index} ('{claim.id}')")
    return file.claims
