"""What each process of a small world does in `parity/test_world.py`; results go into files of its own."""

from __future__ import annotations

import json
import os
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import asdict
from functools import partial
from pathlib import Path
from typing import Any

import torch
from plain_msam import randomise
from safetensors.torch import load_file, save_file
from tiny_run import make_cell, make_setting, make_unit

from tabench.data.loading import Batch, batches
from tabench.data.scenes import SCENES
from tabench.engine import gradients
from tabench.engine.checkpoint import Keeper
from tabench.engine.evaluate import evaluate, validation_loss
from tabench.engine.gradients import accumulate, image_losses, step_gradient
from tabench.engine.loop import train_unit
from tabench.engine.passes import Passes
from tabench.engine.setting import Setting
from tabench.engine.snapshot import trained_parameters
from tabench.engine.world import World
from tabench.errors import DivergedError, InterruptedRunError, SpecError, TabenchError
from tabench.sam.msam import MSam
from tabench.tasks.averaging import PixelAverage

TRAIN, VAL = 5, 5
BATCH = 4  # of 5 images: the second batch has one, so that a process has none
DRY = {"params__dropout": 0.0}
METHODS: dict[str, dict[str, Any]] = {"ta-lora": {"params__orthogonality": 0.5, **DRY}, "full-hps": {}}
# single precision where the passes of an image are the same ones; else rounding depends on their size
CASES = [
    ("ta-lora", Passes(images=1, apart=True), torch.float32),
    ("ta-lora", Passes(), torch.float64),
    ("full-hps", Passes(), torch.float64),
]


def write_inputs(home: Path) -> None:
    recipe = SCENES.recipe(seed=0, train=TRAIN, val=VAL, height=48, width=64)
    SCENES.make(home / "scenes", recipe)


def unit_of(
    home: Path, method: str, world: World, passes: Passes | None = None, **changes: Any
) -> tuple[MSam, Setting]:
    cell = make_cell(method, train__batch_size=BATCH, **{**METHODS.get(method, {}), **changes})
    unit, model = make_unit(cell, load_file(home / "nano.safetensors"))
    return model, make_setting(cell, unit, SCENES, home / "scenes", world=world, passes=passes or Passes())


def shares(setting: Setting, dtype: torch.dtype) -> Iterator[Batch]:
    share = (setting.world.rank, setting.world.size)
    for batch in batches(setting.train, seed=0, epoch=0, batch_size=BATCH, augment="clean", share=share):
        targets = {k: t.to(dtype) if t.is_floating_point() else t for k, t in batch.targets.items()}
        yield batch._replace(image=batch.image.to(dtype), targets=targets)


def grads(model: MSam) -> dict[str, torch.Tensor]:
    return {name: p.grad.clone() for name, p in model.named_parameters() if p.grad is not None}


def step_gradients(home: Path, world: World) -> dict[str, torch.Tensor]:
    """Gradients and loss terms of two steps, by case and step; the second has one image."""
    found = {}
    for case, (method, passes, dtype) in enumerate(CASES):
        model, setting = unit_of(home, method, world, passes)
        model.to(dtype)
        randomise(model.image_encoder)
        model.train()
        for step, batch in enumerate(shares(setting, dtype)):
            terms = step_gradient(model, setting, batch, step)
            found |= {f"{case} {step} {name}": value for name, value in grads(model).items()}
            values = torch.tensor([terms[key] for key in sorted(terms)], dtype=torch.float64)
            found[f"{case} {step} terms"] = values
    return found


def results(home: Path, world: World) -> dict[str, Any]:
    """An evaluation in which no process has as many images as another, and a validation loss."""
    model, setting = unit_of(home, "ta-lora", world)
    told: list[tuple[int, int]] = []
    found = evaluate(
        model, setting.unit, setting.tasks, setting.evaluated, setting.device,
        batch_size=2, progress=lambda *seen: told.append(seen), world=world,
    )  # fmt: skip
    losses = partial(image_losses, model, setting)
    loss = validation_loss(model, setting.unit, setting.train, losses, setting.device, world=world)
    return {"results": [asdict(result) for result in found], "loss": loss, "last": told[-1] if told else None}


def alone_results(home: Path, world: World) -> list[Any]:
    """An evaluation whose accumulators cannot be merged."""
    before, PixelAverage.mergeable = PixelAverage.mergeable, False
    try:
        return results(home, world)["results"]
    finally:
        PixelAverage.mergeable = before


def trained(home: Path, world: World, folder: Path) -> dict[str, Any]:
    """A unit trained to its end, with dropout: what each process holds, and who has written."""
    model, setting = unit_of(home, "ta-lora", world, params__dropout=0.1)
    keeper = Keeper(folder, writes=world.chief)
    state = train_unit(model, setting, keeper)
    digest = [float(p.detach().double().sum()) for p in trained_parameters(model).values()]
    bits = [p.detach().view(torch.int32).sum().item() for p in trained_parameters(model).values()]
    return {"state": state.to_json(), "digest": digest, "bits": bits}


def diverged(home: Path, world: World) -> dict[str, Any]:
    """The last process meets a loss that is not finite."""
    model, setting = unit_of(home, "ta-lora", world)
    batch = next(shares(setting, torch.float32))
    if world.rank == world.size - 1:
        batch = batch._replace(image=batch.image * torch.nan)
    try:
        with world.one_fate():
            step_gradient(model, setting, batch, 3)
    except DivergedError as error:
        return {"step": error.step, "ids": error.ids, "own": list(batch.ids)}
    return {}


def unread(world: World) -> dict[str, Any]:
    """The first process fails before the others' first meeting, and not by an error of the project."""
    try:
        with world.one_fate():
            if world.chief:
                raise OSError(5, "Input/output error")
            world.exchange("never")
    except (OSError, TabenchError) as error:
        return {"kind": getattr(error, "kind", "infrastructure"), "text": str(error)}
    return {}


def one_step(model: MSam, setting: Setting) -> dict[str, torch.Tensor]:
    """Gradients of a step in double precision."""
    model.double().train()
    step_gradient(model, setting, next(shares(setting, torch.float64)), 0)
    return grads(model)


def short(home: Path, world: World) -> dict[str, torch.Tensor]:
    """Memory runs out on the last process alone, until the passes are as small as they get."""
    model, setting = unit_of(home, "ta-lora", world)
    events: list[Mapping[str, Any]] = []
    setting.emit = lambda event, facts: events.append(dict(facts))

    def greedy(*given: Any) -> dict[str, float]:
        found = accumulate(*given)
        if world.rank == world.size - 1 and not setting.passes.recompute:
            raise torch.OutOfMemoryError("no memory left")
        return found

    gradients.accumulate = greedy
    try:
        found = one_step(model, setting)
    finally:
        gradients.accumulate = accumulate
    ladder = [[f["images"], f["apart"], f["recompute"]] for f in events]
    return {**found, "ladder": torch.tensor(ladder, dtype=torch.int64)}


def stopped(home: Path, world: World, folder: Path) -> dict[str, Any]:
    """Only the last process is asked to stop, before its second step."""
    model, setting = unit_of(home, "ta-lora", world)
    asked = iter([False, True, True, True])
    if world.rank == world.size - 1:
        setting.should_stop = lambda: next(asked)
    try:
        with world.one_fate():
            train_unit(model, setting, Keeper(folder, writes=world.chief))
    except InterruptedRunError as error:
        return {"message": error.message}
    return {}


def changing(home: Path, world: World, folder: Path) -> dict[str, Any]:
    """A model that each process' own images change, and one that each process builds otherwise."""
    said = []
    for what in ("statistics", "start"):
        model, setting = unit_of(home, "frozen", world)
        norm = torch.nn.BatchNorm2d(model.backbone.out_chans)
        model.image_encoder.neck[1] = norm
        if what == "start":
            norm.weight.data += world.rank
        try:
            with world.one_fate():
                train_unit(model, setting, Keeper(folder, writes=world.chief))
        except SpecError as error:
            said.append(error.message)
        world.over = False  # one_fate ends a world; here it goes on
    return {"said": said}


def lost(world: World) -> dict[str, Any]:
    """The last process is gone; the others find out."""
    if world.rank == world.size - 1:
        os._exit(9)
    try:
        with world.one_fate():
            world.exchange(0)
            world.exchange(1)
    except TabenchError as error:
        return {"kind": error.kind, "lost": world.lost, "text": error.message}
    return {}


def take_part(rank: int, home: Path) -> None:
    """Be one of three processes, and then, without the last one, one of two; `lost` ends them."""
    torch.set_num_threads(1)
    os.environ["GLOO_SOCKET_IFNAME"] = "lo"
    with _world(rank, 3, home) as keep:
        keep("gradients", partial(step_gradients, home))
        keep("results", partial(results, home))
        keep("told", lambda world: {"values": world.exchange({"rank": rank, "text": "x" * rank})})
        keep("sent", lambda world: {"sizes": [len(c) for c in world.collect(bytes(rank * 1000))]})
        keep("unread", unread)
    if rank == 2:
        return
    with _world(rank, 2, home) as keep:
        keep("gradients", partial(step_gradients, home))
        keep("short", partial(short, home))
        keep("results", partial(results, home))
        keep("alone", lambda world: {"results": alone_results(home, world)})
        keep("trained", lambda world: trained(home, world, home / "trained"))
        keep("stopped", lambda world: stopped(home, world, home / "stopped"))
        keep("diverged", partial(diverged, home))
        keep("unread", unread)
        keep("changing", lambda world: changing(home, world, home / "changing"))
        keep("lost", lost)
        os._exit(0)  # one has gone: nothing is to be waited for


@contextmanager
def _world(rank: int, size: int, home: Path) -> Iterator[Callable[[str, Callable[[World], Any]], None]]:
    place = home / f"{size}.rendezvous"
    torch.distributed.init_process_group("gloo", init_method=f"file://{place}", rank=rank, world_size=size)

    def keep(name: str, case: Callable[[World], Any]) -> None:
        found = case(World(rank, size))
        stem = home / f"{name}.{rank}-{size}"
        if found and all(isinstance(value, torch.Tensor) for value in dict(found).values()):
            save_file(found, f"{stem}.safetensors")
        else:
            Path(f"{stem}.json").write_text(json.dumps(found))

    yield keep
    torch.distributed.destroy_process_group()
