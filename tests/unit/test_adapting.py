"""What a method makes of an encoder is counted, merged, analysed and described as it is, or refused."""

from __future__ import annotations

import sys
from collections.abc import Callable
from types import ModuleType

import pytest
import torch
from torch import nn

from tabench.catalog import METHODS
from tabench.encoders.msam import MSam
from tabench.encoders.sam.family import Backbone
from tabench.engine.describe import describe, describe_model
from tabench.engine.model import adapt
from tabench.errors import SpecError
from tabench.methods.analysis import layers_of
from tabench.methods.base import Method, Sharing, Value
from tabench.methods.injection import TaskFold
from tabench.methods.merging import MergedMSam, merged_encoder
from tabench.methods.parameters import count

TINY = Backbone("tiny", 32, 8, 8, 2, 2, (1,), 3, 16, 2, 16, 8)
CHANNELS = {"first": 3, "second": 1}
LORA: dict[str, Value] = {"rank": 3, "dropout": 0.0}
Change = Callable[[nn.Module], object]


class Bottleneck(nn.Module):
    """Somebody's adapter around a layer of SAM's."""

    def __init__(self, inner: nn.Module) -> None:
        super().__init__()
        self.inner, self.down, self.up = inner, nn.Linear(8, 2), nn.Linear(2, 8)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        found: torch.Tensor = self.inner(x) + self.up(self.down(x))
        return found


def wrap(encoder: nn.Module) -> None:
    encoder.blocks[0].mlp = Bottleneck(encoder.blocks[0].mlp)


@pytest.fixture
def method(monkeypatch: pytest.MonkeyPatch) -> Callable[..., Method]:
    """A method whose code is LoRA's and one change more."""

    def make(change: Change, sharing: Sharing = "shared", **more: object) -> Method:
        def adapted(encoder: nn.Module, num_tasks: int, params: dict[str, Value]) -> object:
            from tabench.methods.low_rank import adapt_lora as lora

            lora(encoder, num_tasks, params)  # type: ignore[arg-type]
            return change(encoder)

        module = ModuleType("somebodys")
        module.adapt = adapted  # type: ignore[attr-defined]
        monkeypatch.setitem(sys.modules, "somebodys", module)
        defaults = METHODS.get("lora-hps").defaults
        return Method("mine", "Mine", "somebodys:adapt", sharing, defaults, **more)  # type: ignore[arg-type]

    return make


def model_of(method: Method) -> MSam:
    torch.manual_seed(0)
    model = MSam(TINY, CHANNELS)
    adapt(model, method, method.params(LORA))
    return model.eval()


def test_added_parameters_are_adapters_wherever_they_are(method: Callable[..., Method]) -> None:
    before = count(model_of(METHODS.get("lora-hps")))
    counts = count(model_of(method(wrap)))
    added = 2 * (8 * 2) + 2 + 8
    assert counts["groups"] == {**before["groups"], "adapters": before["groups"]["adapters"] + added}
    facts = describe_model(model_of(method(wrap)))
    assert facts["parts"]["adapters"]["trained"] == counts["groups"]["adapters"]
    assert facts["parts"]["blocks"] == describe_model(model_of(METHODS.get("lora-hps")))["parts"]["blocks"]
    idle = method(wrap, idle=("blocks.*.up.bias", "blocks.0.mlp.down.*"))
    found = describe(idle, TINY, CHANNELS, LORA)["all"]
    assert found["idle_names"][:2] == [
        f"image_encoder.blocks.0.mlp.down.{name}" for name in ("weight", "bias")
    ]
    assert (found["idle"], found["trained"]) == (counts["idle"] + 26, counts["trained"] - 26)


def test_what_is_not_the_whole_update_is_neither_merged_nor_analysed(method: Callable[..., Method]) -> None:
    model = model_of(method(wrap))
    with pytest.raises(SpecError, match=r"cannot be merged: 'blocks\.0\.mlp'"):
        MergedMSam(model)
    assert layers_of(model) == "'blocks.0.mlp.down.bias' is part of no adapted layer"
    assert describe_model(model)["adapted"] is None


@pytest.mark.parametrize(
    "change",
    [
        lambda encoder: setattr(encoder.blocks[0], "window_size", 2),
        lambda encoder: encoder.blocks[1].register_forward_hook(lambda *_: None),
        lambda encoder: encoder.neck.register_buffer("mask", torch.ones(2)),
        lambda encoder: setattr(encoder.blocks[0].mlp, "act", nn.ReLU()),
        lambda encoder: setattr(encoder.blocks[1].norm1, "extra", nn.Parameter(torch.ones(2))),
    ],
    ids=["setting", "hook", "buffer", "activation", "parameter"],
)
def test_no_stranger_is_merged(change: Change, method: Callable[..., Method]) -> None:
    with pytest.raises(SpecError, match="cannot be merged"):
        merged_encoder(model_of(method(lambda encoder: (change(encoder), None)[1])), 0)


@pytest.mark.parametrize(
    ("change", "sharing", "words"),
    [
        (lambda encoder: nn.Sequential(encoder), "shared", "returns something"),
        (lambda encoder: None, "task-aware", "all tasks would read one embedding"),
        (lambda encoder: setattr(encoder, "task_fold", TaskFold(2)), "shared", "has a `task_fold`"),
        (
            lambda encoder: setattr(encoder.blocks[0], "extra", nn.LazyLinear(2)),
            "shared",
            "extra.weight' has no shape",
        ),
        (
            lambda encoder: setattr(encoder.blocks[0].norm1, "task_rows", ("weight",)),
            "shared",
            r"each of 2 tasks: 'image_encoder.blocks.0.norm1.weight' has shape \(8,\)",
        ),
        (lambda encoder: setattr(encoder, "task_rows", ("rows",)), "shared", "rows' is no parameter"),
        (lambda encoder: setattr(encoder.neck, "task_index", 2), "shared", "is 2, of 2 tasks"),
    ],
)
def test_a_method_that_is_not_what_it_says_is_refused(
    change: Change, sharing: Sharing, words: str, method: Callable[..., Method]
) -> None:
    with pytest.raises(SpecError, match=words):
        model_of(method(change, sharing))


def test_a_regulariser_of_nothing_is_refused(method: Callable[..., Method]) -> None:
    mine = method(wrap)
    weighed = {**mine.params(LORA), "orthogonality": 0.1}
    with pytest.raises(SpecError, match=r"method\.params\.orthogonality.*nothing is regularised"):
        adapt(MSam(TINY, CHANNELS), mine, weighed)
    adapt(MSam(TINY, CHANNELS), mine, {**weighed, "orthogonality": 0.0})


@pytest.mark.parametrize("name", METHODS.names())
def test_the_encoders_own_parameters_are_no_adapters(name: str) -> None:
    method = METHODS.get(name)
    channels = {"first": 3} if method.sharing == "per-task" else CHANNELS
    with torch.device("meta"):
        model = MSam(TINY, channels)
        adapt(model, method, method.params({}))
    adapters = {n for n, _ in model.named_parameters() if ".factors." in n}
    assert model.added == adapters
    assert model.ways() == {"encoder": "fast path", "decoders": "fast path"}


@pytest.mark.parametrize(
    ("given", "canonical"),
    [
        ("qkv", "qkv"),
        ("vq", "vq"),  # as old cells have it
        (["v", "q"], "qv"),
        (("q", "k", "v"), "qkv"),
        ("proj", ("proj",)),
        (["mlp.lin1", "v", "q", "k"], ("qkv", "mlp.lin1")),
        (["mlp.lin2", "v"], ("v", "mlp.lin2")),
    ],
)
def test_targets_are_letters_or_roles_in_one_way_of_writing(given: Value, canonical: Value) -> None:
    found = METHODS.get("lora-hps").params({"targets": given})["targets"]
    assert found == canonical
    assert METHODS.get("lora-hps").params({"targets": found})["targets"] == canonical


@pytest.mark.parametrize("wrong", ["", "qq", "qx", [], ["q", "q"], ["qkv", "q"], ["head"], 3, (1, 2)])
def test_what_names_no_layers_is_refused(wrong: Value) -> None:
    with pytest.raises(SpecError, match=r"method\.params\.targets.*is not a choice of"):
        METHODS.get("ta-lora").params({"targets": wrong})


def test_lists_have_any_length_where_the_method_does_not_say_it() -> None:
    defaults: dict[str, Value] = {"sites": ("a", "b"), "shares": (0.5,), "ranks": (1, 2)}
    mine = Method("mine", "Mine", "x:y", "shared", defaults, lengths={"ranks": 2})
    assert mine.params({"sites": ["a", "b", "c"], "shares": [1, 2, 3]}) == {
        "sites": ("a", "b", "c"),
        "shares": (1.0, 2.0, 3.0),
        "ranks": (1, 2),
    }
    assert mine.params({"sites": []})["sites"] == ()
    for key, value in {"ranks": [1, 2, 3], "sites": [1], "shares": ["x"]}.items():
        with pytest.raises(SpecError, match=rf"method\.params\.{key}"):
            mine.params({key: value})
