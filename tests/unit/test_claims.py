from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path

import pytest
import report_fixtures as made

from tabench.errors import SpecError
from tabench.report.records.reading import Results, read_results
from tabench.report.tables.claims import Assessed, assess, claim_sheet, claims
from tabench.report.tables.claims import test_text as in_words
from tabench.spec.claims import Claim, load_claims

SHIPPED = Path(__file__).parents[2] / "experiments" / "published" / "claims.toml"
CLAIM = """schema = 1
[[claims]]
id = "better"
text = "TA-LoRA is better."
source = "readers"
where = "They ask."
experiments = ["nyuv2"]
test = "improvement"
against = "lora-hps"
"""


@pytest.fixture(scope="module")
def demo(tmp_path_factory: pytest.TempPathFactory) -> Results:
    root = tmp_path_factory.mktemp("demo")
    made.write_results(root, pictures=False)
    return read_results(root, "nyuv2")


@pytest.fixture(scope="module")
def paper(tmp_path_factory: pytest.TempPathFactory) -> Results:
    root = tmp_path_factory.mktemp("paper")
    made.as_if_real(made.write_results(root, pictures=False))
    return read_results(root, "nyuv2")


def make(**changes: object) -> Claim:
    base: dict[str, object] = {
        "id": "better", "text": "It is.", "source": "readers", "where": "They ask.", "experiments": ["nyuv2"],
        "test": "improvement", "against": "lora-hps",
    }  # fmt: skip
    return Claim.model_validate(base | changes)


def find(results: Results, **changes: object) -> Assessed:
    return assess(make(**changes), {results.name: results})


def test_the_shipped_claims_say_where_they_come_from() -> None:
    found = {claim.id: claim for claim in load_claims(SHIPPED)}
    assert {claim.source for claim in found.values()} == {"P", "T", "readers", "ours"}
    for claim in found.values():
        if claim.source in ("P", "T") and claim.test != "growth":
            assert "ours" in claim.where or "our reading" in claim.where  # no threshold was published
    assert all("not known" in found[name].where for name in ("regulariser-helps", "stable-over-ranks"))


def test_a_clear_difference_on_the_real_data_is_supported_and_its_opposite_is_not(paper: Results) -> None:
    won = find(paper)
    assert (won.word, won.reason) == ("supported", "")
    (line,) = won.findings[0].lines
    assert line.decision.n == 3
    assert line.decision.low > 0
    assert line.numbers.startswith("+")
    assert "n = 3, 95 % interval +" in line.numbers
    assert "p " in line.numbers
    lost = find(paper, method="lora-hps", against="ta-lora")
    assert (lost.word, lost.reason) == ("not supported", "on nyuv2")


def test_a_demo_decides_nothing_about_the_claim_but_says_what_it_shows(demo: Results) -> None:
    found = find(demo)
    assert found.word == "undecided"
    assert found.reason == "synthetic data (nyuv2) says nothing about the claim itself"
    assert found.findings[0].word == "supported"
    assert found.findings[0].sentence.startswith("On this demo (nyuv2): supported.")


def test_a_claim_about_more_experiments_waits_for_them(paper: Results) -> None:
    found = find(paper, experiments=["nyuv2", "cityscapes"])
    assert found.word == "undecided"
    assert found.reason == "supported on nyuv2; not run: cityscapes"


def test_fewer_parameters_are_part_of_the_claim(paper: Results) -> None:
    assert find(paper, against="full-hps", fewer=True).word == "supported"
    found = find(paper, against="lora-hps", fewer=True)  # 1,310,000 against 1,280,000
    assert found.word == "not supported"
    assert found.findings[0].remark == "trained parameters 1,310,000 against 1,280,000"


def test_the_floor_is_about_every_method(paper: Results) -> None:
    found = find(paper, test="floor", against="frozen")
    assert found.word == "supported"
    assert len(found.findings[0].lines) == len(made.METHODS) - 1
    below = find(paper, test="floor", against="ta-lora")
    assert below.word == "not supported"
    assert "Frozen encoder against TA-LoRA (Tucker)" in below.findings[0].reason


def test_two_seeds_are_too_few(tmp_path: Path) -> None:
    made.as_if_real(
        made.write_results(tmp_path, seeds=(0, 1), pictures=False, methods=("ta-lora", "lora-hps"))
    )
    found = find(read_results(tmp_path, "nyuv2"))
    assert found.word == "undecided"
    assert "needs 3 seeds, has 2" in found.reason


def test_a_baseline_that_was_not_run(tmp_path: Path) -> None:
    made.as_if_real(made.write_results(tmp_path, seeds=(0,), pictures=False, methods=("ta-lora",)))
    found = find(read_results(tmp_path, "nyuv2"))
    assert found.word == "undecided"
    assert "lora-hps not run" in found.reason.lower()


def variant(folder: Path, method: str, seed: int, value: float, params: dict[str, object]) -> None:
    """Another cell of a method with other hyper-parameters and a mIoU `value` points higher."""
    record = made.record(method, seed)
    from tabench.spec.cell import Cell

    record["cell"]["method"]["params"] = params
    record["cell_id"] = Cell.model_validate(record["cell"]).id
    for metric in record["metrics"]:
        metric["value"] += value if metric["better"] == "higher" else 0
    made.write(folder / record["cell_id"] / "record.json", record)
    plan = json.loads((folder / "experiment.json").read_text())
    plan["cells"][record["cell_id"]] = record["label"]
    made.write(folder / "experiment.json", plan)


@pytest.fixture(scope="module")
def variants(tmp_path_factory: pytest.TempPathFactory) -> Results:
    root = tmp_path_factory.mktemp("variants")
    folder = made.write_results(root, "nyuv2", methods=(), pictures=False)
    for seed in (0, 1, 2):
        for value, params in ((8.0, {"regularise": "U1,U2,G"}), (0.0, {"regularise": ""})):
            variant(folder, "ta-lora", seed, value, params)
    return read_results(root, "nyuv2")


def test_variants_are_told_apart_by_their_hyper_parameters(variants: Results) -> None:
    changes = {"test": "variants", "against": "", "params": {"regularise": "U1,U2,G"}}
    helps = find(variants, **changes, against_params=[{"orthogonality": 0.0}, {"regularise": ""}])
    (finding,) = helps.findings
    assert finding.word == "supported"
    assert "U1,U2,G" in finding.lines[0].label.partition(" against ")[0]
    none = find(variants, **changes, against_params=[{"orthogonality": 0.0}])
    assert none.findings[0].reason == "no runs of the variants that it compares"


def test_the_first_variant_of_the_plan_is_the_one_that_others_are_compared_with(variants: Results) -> None:
    claim = make(test="variants", against="", direction="within", threshold=50.0)
    cells = list(variants.experiment["cells"].items())
    for order in (cells, cells[::-1]):
        results = replace(variants, experiment=variants.experiment | {"cells": dict(order)})
        (line,) = assess(claim, {results.name: results}).findings[0].lines
        first = results.title(next(c.method for c in results.cells if c.id == order[0][0]))
        assert line.label.endswith(f"against {first}")


def test_stability_is_about_every_variant(variants: Results) -> None:
    stable = {"test": "variants", "against": "", "direction": "within"}
    assert find(variants, **stable, threshold=50.0).findings[0].word == "supported"
    assert find(variants, **stable, threshold=1.0).findings[0].word == "not supported"


def test_growth_is_decided_by_counting() -> None:
    claim = next(claim for claim in load_claims(SHIPPED) if claim.test == "growth")
    found = assess(claim, {})
    assert found.word == "supported"
    assert "3,244,224, 3,244,320 and 3,244,416" in found.findings[0].remark
    assert assess(claim.model_copy(update={"threshold": 1e-4}), {}).word == "not supported"


def test_neighbours_are_read_from_the_same_folder_and_broken_ones_do_not_matter(tmp_path: Path) -> None:
    made.write_results(tmp_path, pictures=False)
    (tmp_path / "cityscapes").mkdir()
    (tmp_path / "cityscapes" / "experiment.json").write_text("{")
    found = claims(read_results(tmp_path, "nyuv2"), SHIPPED)
    assert found is not None
    assert {finding.experiment for item in found for finding in item.findings} == {"nyuv2", "counting"}
    sheet = claim_sheet(read_results(tmp_path, "nyuv2"), found)
    assert len(sheet.rows) == len(found)
    assert "Synthetic" in sheet.caption


def test_claims_about_methods_that_the_experiment_does_not_have_are_left_out(demo: Results) -> None:
    def told(*methods: str) -> list[str]:
        cells = [cell for cell in demo.cells if demo.family(cell.method) in methods]
        found = claims(replace(demo, cells=cells), SHIPPED) or []
        return [item.claim.id for item in found]

    assert told("ta-lora", "lora-hps", "full-hps") == [
        "beats-lora-hps",
        "size-independent-of-tasks",
        "beats-full-hps",
        "regulariser-helps",
        "stable-over-ranks",
    ]
    assert told("lora-hps", "frozen") == ["adapting-beats-frozen"]
    assert told("lora-hps", "lora-stl") == []


def test_tests_are_told_in_words() -> None:
    assert in_words(make(threshold=-1, fewer=True)) == (
        "Δ_b against LoRA-HPS above −1 %, with fewer trained parameters"
    )


@pytest.mark.parametrize(
    ("old", "new", "message"),
    [
        ('source = "readers"', 'source = "paper"', "source"),
        ('against = "lora-hps"', 'against = "lora-hpx"', "lora-hpx"),
        ('against = "lora-hps"', "", "needs a baseline 'against'"),
        ('test = "improvement"', 'test = "feeling"', "feeling"),
        ("experiments", "experiment", "unknown key"),
        ('experiments = ["nyuv2"]', "", "names the experiments"),
        ('id = "better"', 'id = "Better!"', "Better!"),
        ('test = "improvement"', 'test = "improvement"\ndirection = "within"', "direction 'above'"),
        ("schema = 1", "schema = 2", "schema"),
        ("schema = 1", "schema = ", "not valid TOML"),
        ('where = "They ask."', 'where = "They ask."\nparams = { rnks = 3 }', "rnks"),
    ],
)
def test_a_claim_that_no_test_could_decide_is_refused(
    tmp_path: Path, old: str, new: str, message: str
) -> None:
    path = tmp_path / "claims.toml"
    path.write_text(CLAIM.replace(old, new), encoding="utf-8")
    with pytest.raises(SpecError) as caught:
        load_claims(path)
    assert message in str(caught.value)
    assert str(path) in str(caught.value)


def test_an_id_is_given_once(tmp_path: Path) -> None:
    path = tmp_path / "claims.toml"
    path.write_text(CLAIM + CLAIM.partition("\n")[2], encoding="utf-8")
    with pytest.raises(SpecError, match="given twice"):
        load_claims(path)
