"""An encoder that is not SAM's: counted, adapted, merged, trained and resumed as SAM's is."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import outside_encoder
import pytest
import torch
from outside_encoder import PLAIN
from safetensors.torch import save_file
from tiny_run import make_cell, make_context, write_scenes

from tabench.catalog import BACKBONES, METHODS
from tabench.encoders.base import Site, linears
from tabench.encoders.msam import MSam
from tabench.encoders.plain import plainly
from tabench.engine.checkpoint import CheckpointStore
from tabench.engine.context import units_of
from tabench.engine.describe import describe
from tabench.engine.loop import train_unit
from tabench.engine.model import adapt, build_unit
from tabench.engine.snapshot import trained_parameters
from tabench.errors import InterruptedRunError, SpecError
from tabench.methods.adapted import adapted_layers
from tabench.methods.merging import MergedMSam
from tabench.methods.parameters import count
from tabench.registry import Entry
from tabench.runs.estimate import cell_flops, checkpoint_bytes
from tabench.worlds.scenes import SCENES

CHANNELS = {"a": 3, "b": 1}
SIZE = (24, 32)
ROLES = ["qkv", "proj", "mlp.lin1", "mlp.lin2"]


@pytest.fixture
def registered(monkeypatch: pytest.MonkeyPatch) -> str:
    entry = Entry(PLAIN.name, "outside_encoder:PLAIN", source="somebody")
    monkeypatch.setitem(BACKBONES._entries, PLAIN.name, entry)
    monkeypatch.setitem(BACKBONES._loaded, PLAIN.name, PLAIN)
    return PLAIN.name


def model_of(name: str, **params: object) -> MSam:
    """A model in fp64, its updates other than 0."""
    method = METHODS.get(name)
    torch.manual_seed(0)
    model = MSam(PLAIN, {"a": 3} if method.sharing == "per-task" else CHANNELS)
    small = {"rank": 3, "ranks": (3, 4, 2), "dropout": 0.0, "targets": ROLES, **params}
    adapt(model, method, method.params({k: v for k, v in small.items() if k in method.defaults}))  # type: ignore[misc]
    with torch.no_grad():
        for value in trained_parameters(model).values():
            value.add_(0.1 * torch.randn_like(value))
    return model.double()


@pytest.mark.parametrize("name", METHODS.names())
def test_every_method_runs_alike_by_folding_and_task_by_task(name: str) -> None:
    model = model_of(name).train()
    images = torch.rand(3, 3, *SIZE, dtype=torch.float64)
    found = {}
    for plain in (True, False):
        plainly(model, plain).zero_grad()
        outputs = model(images, SIZE)
        torch.stack([(value - 0.5).square().mean() for value in outputs.values()]).sum().backward()
        gradients = {n: p.grad.clone() for n, p in model.named_parameters() if p.grad is not None}
        found[plain] = {n: value.detach() for n, value in outputs.items()} | gradients
    assert found[True].keys() == found[False].keys()
    for key, wanted in found[True].items():
        torch.testing.assert_close(found[False][key], wanted, rtol=1e-9, atol=1e-12, msg=key)


def test_all_of_what_is_added_is_counted_saved_and_merged() -> None:
    model = model_of("ta-lora").eval()
    layers = list(adapted_layers(model.image_encoder))
    assert [layer.role for layer in layers] == [spec.role for spec in linears(model.image_encoder)]
    p, q, v, tasks = 3, 4, 2, 2
    specs = linears(model.image_encoder)
    adapters = sum(s.inputs * p + s.outputs * q + tasks * v + p * q * v for s in specs)
    counts = count(model)
    assert counts["groups"]["adapters"] == adapters
    assert counts["groups"]["norms"] == 3 * 2 * 2 * 16
    told = describe(METHODS.get("ta-lora"), PLAIN, CHANNELS, {"ranks": (p, q, v), "targets": ROLES})  # type: ignore[dict-item]
    assert told["all"]["groups"] == counts["groups"]
    images = torch.rand(2, 3, *SIZE, dtype=torch.float64)
    merged = MergedMSam(model)
    for task, value in model(images, SIZE).items():
        torch.testing.assert_close(merged(images, SIZE)[task], value, rtol=1e-9, atol=1e-11)


def test_batch_statistics_of_the_encoder_stay() -> None:
    model = model_of("full-hps").train()
    before = {name: value.clone() for name, value in model.named_buffers()}
    one, two = torch.rand(2, 1, 3, *SIZE, dtype=torch.float64)
    both = model(torch.cat([one, two]), SIZE)["a"]
    torch.testing.assert_close(model(one, SIZE)["a"], both[:1], rtol=1e-12, atol=1e-14)
    assert all(torch.equal(value, before[name]) for name, value in model.named_buffers())


def test_it_is_fed_as_it_was_trained() -> None:
    model = MSam(PLAIN, {"a": 1})
    inputs, inner = model.prepare(torch.full((1, 3, 20, 40), 0.5))
    assert inputs.shape == (1, 3, 48, 48)
    assert inner == (48, 48)
    wanted = [(127.5 - mean) / std for mean, std in zip(PLAIN.pixel_mean, PLAIN.pixel_std, strict=True)]
    torch.testing.assert_close(inputs[0, :, 7, 9], torch.tensor(wanted))
    with pytest.raises(SpecError, match="has no pixel_norm 'sam'"):
        MSam(PLAIN, {"a": 1}, "sam")
    with pytest.raises(SpecError, match="no module can be inserted before the mlp of block 0"):
        PLAIN.insert(model.image_encoder, Site(0, "before", "mlp"), torch.nn.Identity())


def test_a_cell_of_it_trains_and_resumes_to_the_bit(registered: str, tmp_path: Path) -> None:
    root = write_scenes(tmp_path)
    weights = tmp_path / "plain.safetensors"
    torch.manual_seed(5)
    save_file(PLAIN.build().state_dict(), weights)
    cell = make_cell("ta-lora", params__ranks=(3, 3, 2), params__targets=("proj", "mlp.lin1"))
    part = cell.backbone.model_copy(update={"name": registered, "pixel_norm": "encoder"})
    cell = cell.model_copy(update={"backbone": part})
    (unit,) = units_of(cell, "task-aware")
    assert cell_flops(cell, 10, 2) > 0
    assert checkpoint_bytes(cell) > 0
    found = {}
    for name, stops in (("whole", 99), ("cut", 2)):
        model = build_unit(cell, unit, BACKBONES.get(registered).load(weights))
        asked = iter(range(stops))
        context = make_context(cell, unit, SCENES, root, should_stop=lambda: next(asked, None) is None)  # noqa: B023
        store = CheckpointStore(tmp_path / name)
        if name == "cut":
            with pytest.raises(InterruptedRunError):
                train_unit(model, context, store)
            model = build_unit(cell, unit, BACKBONES.get(registered).load(weights))
            context = replace(context, should_stop=lambda: False, origin=None)
        train_unit(model, context, store)
        found[name] = {key: value.detach() for key, value in trained_parameters(model).items()}
    assert all(torch.equal(value, found["cut"][key]) for key, value in found["whole"].items())


def test_nobody_outside_sams_folder_knows_its_insides() -> None:
    package = Path(outside_encoder.__file__).parents[2] / "tabench"
    words = ("window_partition", "rel_pos", "global_attn_indexes", '.attn.qkv"]', ".blocks[")
    rooms = ("methods", "engine", "runs", "balancing", "tasks")
    files = [path for room in rooms for path in (package / room).rglob("*.py")]
    knows = {p.name for p in files for word in words if word in p.read_text(encoding="utf-8")}
    assert knows == set()
