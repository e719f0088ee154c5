from __future__ import annotations

from pathlib import Path

import pytest
import spec_samples as samples
from hypothesis import strategies as st

from tabench.errors import SpecError
from tabench.spec.options import override, parse_set

BARE = st.text("abcdefghijklmnopqrstuvwxyz0123456789_-", min_size=1)


@pytest.mark.parametrize(
    ("text", "path", "value"),
    [
        ("train.epochs=2", ("train", "epochs"), 2),
        ("train.lr = 1e-3", ("train", "lr"), 1e-3),
        ("train.augment=false", ("train", "augment"), False),
        ("backbone.name=vit_b", ("backbone", "name"), "vit_b"),
        ('backbone.name="vit_b"', ("backbone", "name"), "vit_b"),
        ("backbone.checkpoint=weights/a=b.pth", ("backbone", "checkpoint"), "weights/a=b.pth"),
        ('dataset.tasks=["depth"]', ("dataset", "tasks"), ["depth"]),
        ("train.task_weights={depth=1}", ("train", "task_weights"), {"depth": 1}),
        ('methods."my.method".rank=1', ("methods", "my.method", "rank"), 1),
        ("note=2024-01-01", ("note",), "2024-01-01"),
    ],
)
def test_key_and_value_are_read_as_toml(text: str, path: tuple[str, ...], value: object) -> None:
    assert parse_set(text) == (path, value)


@pytest.mark.parametrize(
    "text",
    [
        "train.epochs",
        "=2",
        "train.epochs=",
        "a..b=1",
        "a=1\nb=2",
        "a=[1",
        'a="x',
        "[a]#=1",
    ],
)
def test_what_is_not_key_and_value_is_refused(text: str) -> None:
    with pytest.raises(SpecError, match="--set"):
        parse_set(text)


def test_only_the_named_profile_and_the_axes_change(tmp_path: Path) -> None:
    experiment = samples.small(tmp_path)
    options = ["train.epochs=9", "methods.lora-stl.rank=8", "axes.seeds=[4]", "dataset.generate.train=7"]
    changed = override(experiment, "demo", options)
    profile = changed.profile("demo")
    assert profile.train.epochs == 9
    assert profile.train.lr == 2e-3
    assert profile.methods == {"ta-lora": {"ranks": (8, 8, 3)}, "lora-stl": {"rank": 8}}
    assert profile.dataset.generate is not None
    assert profile.dataset.generate.train == 7
    assert changed.axes.seeds == (4,)
    assert changed.source == experiment.source
    assert experiment.profile("demo").train.epochs == 2, "the experiment itself was changed"


def test_options_that_belong_together_may_come_in_any_order(tmp_path: Path) -> None:
    experiment = samples.small(tmp_path)
    rule, split = "evaluation.selection=best-val", "evaluation.val_split=train-159"
    for options in ([rule, split], [split, rule]):
        chosen = override(experiment, "demo", options).profile("demo").evaluation
        assert (chosen.selection, chosen.val_split) == ("best-val", "train-159")
    for options, named in (([rule], "evaluation"), ([rule, "train.epochs=-1", split], "train.epochs")):
        with pytest.raises(SpecError) as caught:
            override(experiment, "demo", options)
        assert str(caught.value).startswith(f"--set: {named}")


def test_a_common_hyper_parameter_reaches_the_methods_that_have_it(tmp_path: Path) -> None:
    changed = override(samples.small(tmp_path), "demo", ["method.params.scale=1.0"])
    assert changed.profile("demo").methods == {
        "ta-lora": {"ranks": (8, 8, 3), "scale": 1.0},
        "lora-stl": {"scale": 1.0},
    }


@pytest.mark.parametrize(
    ("option", "hint"),
    [
        ("train.epoch=2", "did you mean 'epochs'"),
        ("epochs=2", "did you mean 'train.epochs'"),
        ("methods.lora-slt.rank=2", "did you mean 'lora-stl'"),
        ("method.params.scael=2.0", "did you mean 'method.params.scale'"),
        ("train.epochs=two", "valid integer, got 'two'"),
        ("train.epochs.x=2", "'epochs' is a value, not a table"),
        ("methods.lora-stl.rank=2.5", "expected int, got float"),
        ("axes=2", "unknown key"),
        ("x = 1 #=2", "unknown key"),
        ("[[a]]#=1", "unknown key"),
    ],
)
def test_what_cannot_be_set_is_met_with_the_option_and_a_hint(tmp_path: Path, option: str, hint: str) -> None:
    with pytest.raises(SpecError) as caught:
        override(samples.small(tmp_path), "demo", [option])
    assert "--set" in str(caught.value)
    assert hint in str(caught.value)
