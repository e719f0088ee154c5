"""Methods that adapt other layers than q, k and v, and methods whose layers share parameters: one file each.

Whatever they adapt is counted, kept, merged, analysed and drawn wholly, and both paths compute the same.
"""

from __future__ import annotations

import copy
import json
from collections.abc import Mapping, Sequence
from pathlib import Path

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from plain_msam import randomise
from test_paths import CHANNELS, OUT, assert_alike, deviation, geometry, images_of
from torch import Tensor, nn

from tabench.catalog import METHODS
from tabench.encoders.base import LayerSpec, linears
from tabench.encoders.msam import MSam
from tabench.engine.checkpoint import CheckpointStore, fill
from tabench.engine.describe import describe_model
from tabench.engine.model import adapt
from tabench.engine.snapshot import Snapshot, kept_untrained, trained_parameters, untrained
from tabench.engine.state import State
from tabench.errors import SpecError
from tabench.methods.adapted import Shared, adapted_layers, said
from tabench.methods.analysis import analyse, layers_of
from tabench.methods.base import Method, Value
from tabench.methods.factors import Factors
from tabench.methods.freezing import train_norms_only
from tabench.methods.injection import AdaptedLinear, TaskFold, inject
from tabench.methods.merging import MergedMSam, merged_encoder
from tabench.methods.parameters import count, groups_of
from tabench.methods.regulariser import regularised, regulariser

SLOW = settings(max_examples=12, deadline=None, database=None, derandomize=True)
ROLES = ("q", "k", "v", "proj", "mlp.lin1", "mlp.lin2")
D = 8  # width of the tiny encoder, whose MLP is four times as wide


def make(method: Method, tasks: int = 3, seed: int = 0, **params: Value) -> MSam:
    """A model in double precision with nothing at zero."""
    torch.manual_seed(seed)
    model = MSam(geometry(), dict(list(CHANNELS.items())[:tasks]))
    adapt(model, method, method.params(params))
    randomise(model.double(), seed)
    return model.eval()


class Common(Shared):
    """Tucker factors of all layers; each layer's core is a slice of one tensor over layers."""

    def __init__(self, layers: int, d: int, k: int, tasks: int) -> None:
        super().__init__()
        self.cores = nn.Parameter(torch.zeros(layers, 2, 3, 2))
        self.U1, self.U2 = nn.Parameter(torch.randn(d, 2)), nn.Parameter(torch.randn(k, 3))
        self.U3 = nn.Parameter(torch.randn(tasks, 2))
        self.register_buffer("order", torch.randperm(layers))  # integers, drawn, in no state dict of SAM's

    def columns(self) -> list[Tensor]:
        return [self.U1, self.U2]


class OfCommon(Factors):
    """One layer's share: a reference that registers nothing, and its index."""

    linear = True
    kind = "tucker"

    def __init__(self, common: Common, index: int) -> None:
        super().__init__()
        self.held, self.index = (common,), index

    def reset(self) -> None:
        """The holder draws."""

    def tensors(self) -> dict[str, Tensor]:
        (common,) = self.held
        core = common.cores[common.order[self.index]]
        return {"G": core, "U1": common.U1, "U2": common.U2, "U3": common.U3}

    def narrow(self, x: Tensor, tasks: Sequence[int], scale: float = 1.0) -> Tensor:
        f = self.tensors()
        return x @ f["U1"] @ torch.einsum("pqv,tv->tpq", f["G"], scale * f["U3"][list(tasks)])

    def outputs(self) -> Tensor:
        return self.held[0].U2

    def dense(self) -> Tensor:
        return torch.einsum("pqv,dp,kq,tv->dkt", *self.tensors().values())


def share(model: MSam, layers: list[LayerSpec], params: Mapping[str, Value]) -> None:
    """Built from the whole model: one set of parameters for the first layers of all MLPs."""
    encoder, tasks = model.image_encoder, len(model.channels)
    train_norms_only(encoder)
    chosen = [layer for layer in layers if layer.role == "mlp.lin1"]
    encoder.common = Common(len(chosen), D, 4 * D, tasks)
    indices = iter(range(len(chosen)))
    encoder.task_fold = TaskFold(tasks)
    settings = {"targets": ("mlp.lin1",), "scale": 0.5, "dropout": 0.0}
    inject(encoder, encoder.task_fold, settings, lambda d, k: OfCommon(encoder.common, next(indices)), chosen)


SHARING = Method("sharing", "Sharing", f"{__name__}:share", "task-aware", whole_model=True, merges=True)


@SLOW
@given(
    roles=st.lists(st.sampled_from(ROLES), min_size=1, unique=True),
    tasks=st.integers(1, 4),
    name=st.sampled_from(["ta-lora", "ta-lora-cp", "lora-hps"]),
)
def test_any_layers_are_counted_computed_and_merged_wholly(roles: list[str], tasks: int, name: str) -> None:
    small = {"ranks": (3, 4, 2)} if name == "ta-lora" else {"rank": 3}
    model = make(METHODS.get(name), tasks, targets=tuple(roles), dropout=0.0, **small)
    found = list(adapted_layers(model.image_encoder))
    assert {part for one in found for part in one.chosen} == set(roles)
    outputs = {"proj": D, "mlp.lin1": 4 * D, "mlp.lin2": D}
    sizes = [(32 if role == "mlp.lin2" else 8, k) for role, k in outputs.items() if role in roles]
    letters = len(set(roles) & set("qkv"))
    sizes += [(8, 8 * letters)] if letters else []
    each = {
        "ta-lora": lambda d, k: 3 * d + 4 * k + 2 * tasks + 24,
        "ta-lora-cp": lambda d, k: 3 * (d + k + tasks) + 3,
        "lora-hps": lambda d, k: 3 * (d + k),
    }[name]
    assert count(model)["groups"]["adapters"] == 2 * sum(each(d, k) for d, k in sizes)
    assert describe_model(model)["parts"]["adapters"]["trained"] == count(model)["groups"]["adapters"]
    mine, _ = assert_alike(model, images_of(1), gradients=1e-9)
    for task, value in MergedMSam(model)(images_of(1), OUT).items():
        assert deviation(value, mine[task]) < 1e-10, task
    assert not any(isinstance(module, AdaptedLinear) for module in merged_encoder(model, 0).modules())


def test_the_fault_of_an_mlp_that_was_half_counted() -> None:
    model = make(METHODS.get("ta-lora"), 3, ranks=(3, 4, 2), targets=("qkv", "mlp.lin1"))
    assert count(model)["groups"]["adapters"] == 664
    facts = describe_model(model)
    assert [one["parameters"] * one["layers"] for one in (facts["adapted"], *facts["others"])] == [300, 364]
    layers = layers_of(model)
    assert len(layers) == 4
    found = analyse({"all": layers}, list(model.channels))
    assert found is not None
    assert [layer["shape"] for layer in found["layers"]] == [[8, 24, 3], [8, 32, 3]] * 2


def test_a_role_that_the_encoder_does_not_have_is_named() -> None:
    method = METHODS.get("ta-lora")
    with pytest.raises(SpecError, match=r"'mlp\.lin9'.*is not a choice of roles"):
        method.params({"targets": ("mlp.lin9",)})
    model = MSam(geometry(), CHANNELS)
    some = [layer for layer in linears(model.image_encoder) if layer.role != "proj"]
    with pytest.raises(SpecError, match="no layer of this encoder has the role 'proj'"):
        inject(model.image_encoder, TaskFold(1), method.params({"targets": "proj"}), lambda d, k: None, some)


def test_shared_parameters_are_counted_kept_regularised_and_copied_once(tmp_path: Path) -> None:
    model = make(SHARING)
    common = model.image_encoder.common
    names = [f"image_encoder.common.{name}" for name in ("U1", "U2", "U3", "cores")]
    assert {name for name, _ in model.named_parameters() if "common" in name} == set(names)
    assert (
        count(model)["groups"]["adapters"]
        == sum(p.numel() for p in common.parameters())
        == 2 * 12 + 16 + 96 + 6
    )
    assert {group for name, group in groups_of(model).items() if "common" in name} == {"adapted"}
    assert len(regularised(model)) == 2
    copied = copy.deepcopy(model)
    (layer, *_) = adapted_layers(copied.image_encoder)
    assert layer.layer.factors.held[0] is copied.image_encoder.common is not common

    again = make(SHARING, seed=1)
    origin = Snapshot(again)
    kept = kept_untrained(model, origin)
    assert kept.keys() >= {"image_encoder.common.order"}  # integers, though training never moved them
    optimizer = torch.optim.Adam(trained_parameters(model).values())
    CheckpointStore(tmp_path).save(trained_parameters(model), optimizer, State(finished=True), kept)
    CheckpointStore(tmp_path).load(trained_parameters(again), optimizer, untrained(again))
    assert torch.equal(again.image_encoder.common.order, common.order)

    mine, gradients = assert_alike(model, images_of(2), gradients=1e-9)
    assert gradients.keys() >= set(names)
    merged = MergedMSam(model)
    assert not [name for name, _ in merged.named_modules() if "common" in name]
    for task, value in merged(images_of(2), OUT).items():
        assert deviation(value, mine[task]) < 1e-10
    assert len(layers_of(model)) == 2
    assert describe_model(model)["others"][0]["role"] == "mlp.lin1"


def test_tied_matrices_are_regularised_once() -> None:
    model = make(METHODS.get("ta-lora"), 2)
    first, second = (found.layer.factors for found in adapted_layers(model.image_encoder))
    apart = regulariser(model)
    assert len(regularised(model)) == 6
    second.U1 = first.U1
    second.G = first.G
    assert len(regularised(model)) == 4
    assert regulariser(model) != apart


class Multiplied(nn.Module):
    """An update that depends on the input: all that is known of it is what it makes of a task's rows."""

    def __init__(self, base: nn.Linear, fold: TaskFold) -> None:
        super().__init__()
        self.base, self.fold = base, fold
        self.gate = nn.Parameter(torch.zeros(3, base.in_features))

    def forward(self, x: Tensor) -> Tensor:
        return self.applied(x, self.fold.tasks)

    def applied(self, x: Tensor, tasks: Sequence[int]) -> Tensor:
        rows = self.base(x).unflatten(0, (len(tasks), -1))
        strength = (
            x.unflatten(0, (len(tasks), -1)) * self.gate[list(tasks)].view(len(tasks), 1, 1, 1, -1)
        ).tanh()
        return (rows * (1 + strength.mean(dim=-1, keepdim=True))).flatten(0, 1)


def multiply(encoder: nn.Module, num_tasks: int, params: Mapping[str, Value]) -> None:
    encoder.requires_grad_(False)
    encoder.task_fold = TaskFold(num_tasks)
    for block in encoder.blocks:
        block.mlp.lin2 = Multiplied(block.mlp.lin2, encoder.task_fold)


def test_what_only_says_what_it_does_is_kept_when_merged_and_not_analysed() -> None:
    model = make(Method("gated", "Gated", f"{__name__}:multiply", "task-aware"))
    assert count(model)["groups"]["adapters"] == 2 * 3 * 32
    with torch.no_grad():
        wanted = model(images_of(2), OUT)
    for task, value in MergedMSam(model)(images_of(2), OUT).items():
        assert deviation(value, wanted[task]) < 1e-10, task
    with pytest.raises(SpecError, match=r"cannot be merged: 'blocks\.0\.mlp\.lin2"):
        merged_encoder(model, 0)
    found = analyse({"all": layers_of(model)}, list(model.channels))
    assert found is not None
    assert (found["kind"], found["layers"]) == ("none", [])
    assert found["why"] == "'blocks.0.mlp.lin2' does not say what its factors are"
    json.dumps(found, allow_nan=False)
    assert describe_model(model)["adapted"] is None
    assert said(next(adapted_layers(model.image_encoder)).layer, "dense", (0,)) is None


def start_from_weights(encoder: nn.Module, num_tasks: int, params: Mapping[str, Value]) -> None:
    encoder.requires_grad_(False)
    encoder.blocks[0].attn.qkv.weight.data *= 0.5
    encoder.blocks[1].mlp.register_buffer("picked", torch.randperm(4), persistent=False)


def test_what_a_method_changes_or_makes_is_kept_though_nobody_trains_it() -> None:
    model = make(Method("halved", "Halved", f"{__name__}:start_from_weights", "shared"))
    names = {"image_encoder.blocks.0.attn.qkv.weight", "image_encoder.blocks.1.mlp.picked"}
    assert model.made == names
    assert kept_untrained(model, Snapshot(model)).keys() == names
    assert groups_of(model)["image_encoder.blocks.1.mlp.picked"] == "inserted"
    assert set(groups_of(model)) == {n for n, _ in (*model.named_parameters(), *model.named_buffers())}


def train_decoders(model: MSam, layers: list[LayerSpec], params: Mapping[str, Value]) -> None:
    model.image_encoder.requires_grad_(False)
    for decoder in model.decoders.values():
        decoder.transformer.layers[0].mlp.register_parameter("extra", nn.Parameter(torch.ones(())))


def test_a_method_may_change_the_decoders() -> None:
    model = make(Method("inner", "Inner", f"{__name__}:train_decoders", "shared", whole_model=True))
    assert len(model.added) == 3
    before = count(make(METHODS.get("frozen")))["groups"]
    assert count(model)["groups"] == {**before, "adapters": 3}
    fill(trained_parameters(model), trained_parameters(model), "itself")
