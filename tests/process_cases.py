"""What each process of a small group does in `parity/test_process_group.py`; results go into files."""

from __future__ import annotations

import json
import os
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import asdict
from functools import partial
from pathlib import Path
from typing import Any

import torch
from plain_msam import randomise
from registering import registered
from safetensors.torch import load_file, save_file
from tiny_run import gradients_of, in_double, make_cell, make_context, make_unit

from tabench.data.loading import Batch, batches
from tabench.encoders.msam import MSam
from tabench.engine import gradients
from tabench.engine.balance import build_balance
from tabench.engine.batch_split import BatchSplit
from tabench.engine.checkpoint import CheckpointStore
from tabench.engine.context import TrainContext
from tabench.engine.evaluate import evaluate, validation_loss
from tabench.engine.gradients import accumulate, after_step, image_losses, step_gradient
from tabench.engine.loop import train_unit
from tabench.engine.process_group import ProcessGroup
from tabench.engine.snapshot import trained_parameters
from tabench.errors import DivergedError, InterruptedRunError, SpecError, TabenchError
from tabench.events import Event, MemoryShort
from tabench.tasks.averaging import PixelAverage
from tabench.worlds.scenes import SCENES

TRAIN, VAL = 5, 5
BATCH = 4  # of 5 images: the second batch has one, so that a process has none
DRY = {"params__dropout": 0.0}
METHODS: dict[str, dict[str, Any]] = {"ta-lora": {"params__orthogonality": 0.5, **DRY}, "full-hps": {}}
# in single precision where the passes of an image are the same ones; else rounding depends on their size
CASES = [
    ("ta-lora", "equal", BatchSplit(images=1, apart=True), torch.float32),
    ("ta-lora", "equal", BatchSplit(), torch.float64),
    ("full-hps", "equal", BatchSplit(), torch.float64),
    ("ta-lora", "by-loss", BatchSplit(), torch.float64),
    ("full-hps", "by-loss", BatchSplit(images=1), torch.float64),
    ("ta-lora", "projecting", BatchSplit(images=1), torch.float64),
    ("full-hps", "projecting", BatchSplit(), torch.float64),
]


def write_inputs(home: Path) -> None:
    SCENES.make(home / "scenes", seed=0, train=TRAIN, val=VAL, height=48, width=64)


def unit_of(
    home: Path, method: str, group: ProcessGroup, passes: BatchSplit | None = None, **changes: Any
) -> tuple[MSam, TrainContext]:
    cell = make_cell(method, train__batch_size=BATCH, **{**METHODS.get(method, {}), **changes})
    unit, model = make_unit(cell, load_file(home / "nano.safetensors"))
    return model, make_context(
        cell, unit, SCENES, home / "scenes", group=group, passes=passes or BatchSplit()
    )


def shares(context: TrainContext, dtype: torch.dtype) -> Iterator[Batch]:
    share = (context.group.rank, context.group.size)
    for batch in batches(context.train, seed=0, epoch=0, batch_size=BATCH, augment="clean", share=share):
        yield in_double(batch) if dtype == torch.float64 else batch


def step_gradients(home: Path, group: ProcessGroup) -> dict[str, torch.Tensor]:
    """Gradients and loss terms of two steps, by case and step; the second has one image."""
    found = {}
    for case, (method, balancing, passes, dtype) in enumerate(CASES):
        model, context = unit_of(home, method, group, passes, balancing__name=balancing)
        model.to(dtype)
        randomise(model.image_encoder)
        randomise(model.no_mask)  # equal channels hardly give the encoder a gradient
        context.balance = build_balance(model, context)
        model.train()
        for step, batch in enumerate(shares(context, dtype)):
            terms = step_gradient(model, context, batch, step)
            found |= {f"{case} {step} {name}": value for name, value in gradients_of(model).items()}
            if context.balance is not None:
                own = context.balance.parameters
                found |= {f"{case} {step} own {name}": p.grad.clone() for name, p in own.items()}
                after_step(model, context, batch, step)
            values = torch.tensor([terms[key] for key in sorted(terms)], dtype=torch.float64)
            found[f"{case} {step} terms"] = values
    return found


def results(home: Path, group: ProcessGroup) -> dict[str, Any]:
    """An evaluation in which no process has as many images as another, and a validation loss."""
    model, context = unit_of(home, "ta-lora", group, BatchSplit(evaluated=2))
    told: list[tuple[int, int]] = []
    found = evaluate(model, context, spread=True, progress=lambda *seen: told.append(seen))
    losses = partial(image_losses, model, context)
    loss = validation_loss(model, context, context.train, losses)
    return {"results": [asdict(result) for result in found], "loss": loss, "last": told[-1] if told else None}


def alone_results(home: Path, group: ProcessGroup) -> list[Any]:
    """An evaluation whose accumulators cannot be merged."""
    before, PixelAverage.mergeable = PixelAverage.mergeable, False
    try:
        return results(home, group)["results"]
    finally:
        PixelAverage.mergeable = before


def trained(home: Path, group: ProcessGroup, folder: Path) -> dict[str, Any]:
    """A unit trained to its end, with dropout: what each process holds, and who has written."""
    model, context = unit_of(home, "ta-lora", group, params__dropout=0.1)
    checkpoints = CheckpointStore(folder, writes=group.is_main)
    state = train_unit(model, context, checkpoints)
    digest = [float(p.detach().double().sum()) for p in trained_parameters(model).values()]
    bits = [p.detach().view(torch.int32).sum().item() for p in trained_parameters(model).values()]
    return {"state": state.to_json(), "digest": digest, "bits": bits}


def reallocated(home: Path, group: ProcessGroup, folder: Path) -> dict[str, Any]:
    """A method with hooks and a balancer with state, to the end at once and with a stop in between."""
    found: dict[str, Any] = {}
    for name, stops in (("whole", [False]), ("parts", [True, False])):
        for stop in stops:
            group = ProcessGroup(group.rank, group.size)  # one that has not heard of a stop
            model, context = unit_of(home, "reallocating", group, balancing__name="by-loss")
            asked = iter([False, stop, *[False] * 9])
            context.should_stop = lambda asked=asked: next(asked)  # type: ignore[misc]
            checkpoints = CheckpointStore(folder / name, writes=group.is_main)
            with suppress(InterruptedRunError):
                train_unit(model, context, checkpoints)
            group.sync()  # the main one has written
        assert context.balance is not None
        values = {**dict(model.named_parameters()), **dict(model.named_buffers())}
        values |= {"sizes": model.hooks.sizes, **context.balance.balancer.state_dict()}
        found[name] = [float(value.detach().double().sum()) for value in values.values()]
        found["calls"], found["masked"] = model.hooks.calls, [n for n in values if n.endswith(".mask")]
        found["ranks"] = [int(values[n].sum()) for n in found["masked"]]
    return found


def diverged(home: Path, group: ProcessGroup) -> dict[str, Any]:
    """The last process meets a loss that is not finite."""
    model, context = unit_of(home, "ta-lora", group)
    batch = next(shares(context, torch.float32))
    if group.rank == group.size - 1:
        batch = batch._replace(image=batch.image * torch.nan)
    try:
        with group.one_fate():
            step_gradient(model, context, batch, 3)
    except DivergedError as error:
        return {"step": error.step, "ids": error.ids, "own": list(batch.ids)}
    return {}


def unread(group: ProcessGroup) -> dict[str, Any]:
    """The first process fails before the others' first meeting, and not by an error of the project."""
    try:
        with group.one_fate():
            if group.is_main:
                raise OSError(5, "Input/output error")
            group.exchange("never")
    except (OSError, TabenchError) as error:
        return {"kind": getattr(error, "kind", "infrastructure"), "text": str(error)}
    return {}


def one_step(model: MSam, context: TrainContext) -> dict[str, torch.Tensor]:
    """Gradients of a step in double precision."""
    model.double().train()
    step_gradient(model, context, next(shares(context, torch.float64)), 0)
    return gradients_of(model)


def short(home: Path, group: ProcessGroup) -> dict[str, torch.Tensor]:
    """Memory runs out on the last process alone, until the passes are as small as they get."""
    model, context = unit_of(home, "ta-lora", group)
    events: list[Event] = []
    context.emit = events.append

    def greedy(*given: Any) -> dict[str, float]:
        found = accumulate(*given)
        if group.rank == group.size - 1 and not context.passes.recompute:
            raise torch.OutOfMemoryError("no memory left")
        return found

    gradients.accumulate = greedy
    try:
        found = one_step(model, context)
    finally:
        gradients.accumulate = accumulate
    ladder = [[e.images, e.apart, e.recompute] for e in events if isinstance(e, MemoryShort)]
    return {**found, "ladder": torch.tensor(ladder, dtype=torch.int64)}


def stopped(home: Path, group: ProcessGroup, folder: Path) -> dict[str, Any]:
    """Only the last process is asked to stop, before its second step."""
    model, context = unit_of(home, "ta-lora", group)
    asked = iter([False, True, True, True])
    if group.rank == group.size - 1:
        context.should_stop = lambda: next(asked)
    try:
        with group.one_fate():
            train_unit(model, context, CheckpointStore(folder, writes=group.is_main))
    except InterruptedRunError as error:
        return {"message": error.message}
    return {}


def changing(home: Path, group: ProcessGroup, folder: Path) -> dict[str, Any]:
    """A model that each process' own images change, and one that each process builds otherwise."""
    said = []
    for what in ("statistics", "start"):
        model, context = unit_of(home, "frozen", group)
        norm = torch.nn.BatchNorm2d(model.backbone.out_chans)
        model.image_encoder.neck[1] = norm
        if what == "start":
            norm.weight.data += group.rank
        try:
            with group.one_fate():
                train_unit(model, context, CheckpointStore(folder, writes=group.is_main))
        except SpecError as error:
            said.append(error.message)
        group.over = False  # one_fate ends a group; here it goes on
    return {"said": said}


def lost(group: ProcessGroup) -> dict[str, Any]:
    """The last process is gone; the others find out."""
    if group.rank == group.size - 1:
        os._exit(9)
    try:
        with group.one_fate():
            group.exchange(0)
            group.exchange(1)
    except TabenchError as error:
        return {"kind": error.kind, "lost": group.lost, "text": error.message}
    return {}


def take_part(rank: int, home: Path) -> None:
    """See `_take_part`."""
    with registered():
        _take_part(rank, home)


def _take_part(rank: int, home: Path) -> None:
    """Be one of three processes, and then, without the last one, one of two; `lost` ends them."""
    torch.set_num_threads(1)
    os.environ["GLOO_SOCKET_IFNAME"] = "lo"
    with _world(rank, 3, home) as keep:
        keep("gradients", partial(step_gradients, home))
        keep("results", partial(results, home))
        keep("told", lambda group: {"values": group.exchange({"rank": rank, "text": "x" * rank})})
        keep("sent", lambda group: {"sizes": [len(c) for c in group.collect(bytes(rank * 1000))]})
        keep("unread", unread)
    if rank == 2:
        return
    with _world(rank, 2, home) as keep:
        keep("gradients", partial(step_gradients, home))
        keep("short", partial(short, home))
        keep("results", partial(results, home))
        keep("alone", lambda group: {"results": alone_results(home, group)})
        keep("trained", lambda group: trained(home, group, home / "trained"))
        keep("stopped", lambda group: stopped(home, group, home / "stopped"))
        keep("reallocated", lambda group: reallocated(home, group, home / "reallocated"))
        keep("diverged", partial(diverged, home))
        keep("unread", unread)
        keep("changing", lambda group: changing(home, group, home / "changing"))
        keep("lost", lost)
        os._exit(0)  # one has gone: nothing is to be waited for


@contextmanager
def _world(
    rank: int, size: int, home: Path
) -> Iterator[Callable[[str, Callable[[ProcessGroup], Any]], None]]:
    place = home / f"{size}.rendezvous"
    torch.distributed.init_process_group("gloo", init_method=f"file://{place}", rank=rank, world_size=size)

    def keep(name: str, case: Callable[[ProcessGroup], Any]) -> None:
        found = case(ProcessGroup(rank, size))
        stem = home / f"{name}.{rank}-{size}"
        if found and all(isinstance(value, torch.Tensor) for value in dict(found).values()):
            save_file(found, f"{stem}.safetensors")
        else:
            Path(f"{stem}.json").write_text(json.dumps(found))

    yield keep
    torch.distributed.destroy_process_group()
