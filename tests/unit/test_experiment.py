from __future__ import annotations

from pathlib import Path

import pytest
import spec_samples as samples

from tabench.errors import SpecError
from tabench.spec.experiment import load_experiment

EXPERIMENTS = sorted((Path(__file__).parents[2] / "experiments").glob("*.toml"))


def refused(folder: Path, old: str, new: str) -> str:
    assert old in samples.TEXT
    path = samples.write(folder, samples.TEXT.replace(old, new))
    with pytest.raises(SpecError) as caught:
        load_experiment(path)
    assert str(path) in str(caught.value)
    return str(caught.value)


@pytest.mark.parametrize("path", EXPERIMENTS, ids=lambda path: path.name)
def test_every_experiment_file_of_the_project_is_valid(path: Path) -> None:
    experiment = load_experiment(path)
    assert experiment.name == path.stem
    assert experiment.published is None or experiment.published.is_file()


@pytest.mark.parametrize(
    ("old", "new", "key", "hint"),
    [
        ("epochs = 2", "epoch = 2", "profiles.demo.train.epoch", "'epochs'"),
        ("[axes]", "[axis]", ": axis:", "'axes'"),
        ("schema = 1", "schem = 1", ": schem", "'schema'"),
        ('"frozen"]', '"frozn"]', "axes.methods", "'frozen'"),
        ('baselines = ["lora-stl"]', 'baselines = ["lora-slt"]', "report.baselines", "'lora-stl'"),
        ('"scenes"', '"scene"', "profiles.demo.dataset.name", "'scenes'"),
        ('"sam_vit_nano"', '"sam_vit_nan"', "profiles.demo.backbone.name", "'sam_vit_nano'"),
        ('["segmentation",', '["segmentatoin",', "profiles.demo.dataset.tasks", "'segmentation'"),
        ("{ segmentation = 1,", "{ segment = 1,", "profiles.demo.train.task_weights", "'segmentation'"),
        ("ranks = [8, 8, 3]", "rank = [8, 8, 3]", "profiles.demo.methods.ta-lora", "'ranks'"),
        ("ta-lora = {", "talora = {", "profiles.demo.methods.talora", "'ta-lora'"),
    ],
)
def test_a_typing_error_is_met_with_key_and_nearest_name(
    tmp_path: Path, old: str, new: str, key: str, hint: str
) -> None:
    message = refused(tmp_path, old, new)
    assert key in message
    assert f"did you mean {hint}" in message


@pytest.mark.parametrize(
    ("old", "new", "message"),
    [
        (
            "epochs = 2",
            'epochs = "two"',
            "profiles.demo.train.epochs: Input should be a valid integer, got 'two'",
        ),
        ("epochs = 2", "epochs = true", "valid integer, got True"),
        ("lr = 2e-3", "lr = inf", "finite number, got inf"),
        ("schema = 1", "schema = 2", "schema: Input should be 1, got 2"),
        ('name = "small"', 'name = "../small"', "name: String should match pattern"),
        ("seeds = [0, 1]", "seeds = [0, 0]", "axes.seeds: a value is listed twice"),
        ("seeds = [0, 1]", "seeds = [-1]", "axes.seeds.0"),
        ("ranks = [8, 8, 3]", "ranks = [8, 8]", "methods.ta-lora.ranks: expected 3 numbers, got 2"),
        ("ranks = [8, 8, 3]", 'ranks = "8"', "methods.ta-lora.ranks: expected tuple, got str"),
        ('title = "Small"', "", "title: this key is missing"),
        ("every = 1", 'selection = "best-val"', 'evaluation: selection "best-val" needs val_split'),
        ("[axes]", "[axes", "not valid TOML"),
    ],
)
def test_a_wrong_value_is_met_with_file_key_and_value(
    tmp_path: Path, old: str, new: str, message: str
) -> None:
    assert message in refused(tmp_path, old, new)


def test_a_missing_file_is_met_with_its_neighbours(tmp_path: Path) -> None:
    with pytest.raises(SpecError, match="did you mean 'demo'"):
        samples.small(tmp_path).profile("dmo")
    beside = samples.write(tmp_path)
    with pytest.raises(SpecError, match="no such experiment file") as caught:
        load_experiment(tmp_path / "smal.toml")
    assert str(beside) in str(caught.value)
    with pytest.raises(SpecError, match="cannot be read"):
        load_experiment(tmp_path)


DERIVED = """
schema = 1
name = "more"
title = "More"
base = "small.toml"
[axes]
methods = ["ta-lora"]
[profiles.demo]
note = "changed"
train = { epochs = 3 }
"""


def test_a_base_gives_its_profiles_and_the_file_changes_them(tmp_path: Path) -> None:
    base = samples.small(tmp_path)
    path = tmp_path / "more.toml"
    path.write_text(DERIVED)
    old, new = base.profile("demo"), load_experiment(path).profile("demo")
    assert (new.note, new.train.epochs) == ("changed", 3)
    assert new.train.model_copy(update={"epochs": old.train.epochs}) == old.train
    assert (new.dataset, new.backbone, new.methods) == (old.dataset, old.backbone, old.methods)


def test_a_base_that_cannot_be_read_is_named(tmp_path: Path) -> None:
    path = tmp_path / "more.toml"
    for text, named in (
        (DERIVED, r"small\.toml"),
        (DERIVED.replace('"small.toml"', "3"), r"more\.toml: base"),
    ):
        path.write_text(text)
        with pytest.raises(SpecError, match=named):
            load_experiment(path)


def test_tables_of_the_paper_share_the_cells_of_nyuv2() -> None:
    """What Table 1 and an ablation both need must be one cell: the settings are the same to the letter."""
    folder = EXPERIMENTS[0].parent
    first = load_experiment(folder / "nyuv2.toml")
    for name in ("ranks", "orthogonality"):
        other = load_experiment(folder / f"{name}.toml")
        for key, profile in other.profiles.items():
            changes = {"variants": (), "note": ""}
            assert profile.model_copy(update=changes) == first.profile(key).model_copy(update=changes)
