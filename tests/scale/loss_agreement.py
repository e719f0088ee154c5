"""Train the same model on both paths, step by step on the same batches, and compare the losses.

Rounding grows along a training run, so the two curves part in the end; what is asked is that they stay
together far below what a change of seed does. Prints the largest relative difference of a step's loss up to
some steps, beside that of two seeds, and writes them to results/bench. Dropout is off: the paths draw other
masks.
"""

from __future__ import annotations

import argparse
import json
import sys
import tempfile
from dataclasses import replace
from pathlib import Path

import torch

from tabench.catalog import BACKBONES, METHODS, TASKS
from tabench.data.loading import batches
from tabench.encoders.msam import MSam
from tabench.encoders.sam.build import build_sam
from tabench.encoders.sam.checkpoint import load_checkpoint
from tabench.encoders.sam.locate import find_checkpoint
from tabench.engine.batch_split import BatchSplit, choose_batch_split
from tabench.engine.context import TrainContext, units_of
from tabench.engine.gradients import step_gradient
from tabench.engine.model import build_unit
from tabench.engine.optim import build_optimizer, lr_factor, set_lr
from tabench.engine.snapshot import trained_parameters
from tabench.provenance.environment import capture
from tabench.spec.cell import BackbonePart, Cell, DatasetPart, EvaluationPart, MethodPart, TrainPart
from tabench.worlds.scenes import SCENES

CHANNELS = {"segmentation": 13, "depth": 1, "normals": 3}


def main() -> None:
    """Train on both paths and print how far they part."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--backbone", default="sam_vit_nano")
    parser.add_argument("--method", default="ta-lora")
    parser.add_argument("--steps", type=int, default=200)
    parser.add_argument("--batch", type=int, default=4)
    parser.add_argument("--device", default="cpu")
    parser.add_argument("--double", action="store_true", help="double precision: rounding grows from 1e-15")
    parser.add_argument("--out", type=Path, default=Path("results/bench"))
    given = parser.parse_args()
    cell = _cell(given.method, given.backbone, given.batch)
    with tempfile.TemporaryDirectory() as place:
        root = Path(place)
        SCENES.make(root, seed=0, train=32, val=1, height=96, width=128)
        common = (cell, root, given.steps, given.device, given.double)
        plain = _losses(*common, "plain", 0)
        fast = _losses(*common, "fast", 0)
        other = _losses(*common, "fast", 1)
    marks = [n for n in (1, 10, 50, 100, 200, 500) if n <= given.steps]
    found = {
        "what": "largest relative difference of a step's loss between plain and fast path",
        "weights": "shipped" if BACKBONES.get(given.backbone).shipped else "random",
        "method": given.method,
        "backbone": given.backbone,
        "device": given.device,
        "precision": "fp64" if given.double else "fp32",
        "paths": {str(n): _largest(plain, fast, n) for n in marks},
        "seeds": {str(n): _largest(fast, other, n) for n in marks},
        "last_losses": {"plain": plain[-1], "fast": fast[-1], "other seed": other[-1]},
        "environment": capture(),
    }
    given.out.mkdir(parents=True, exist_ok=True)
    path = (
        given.out
        / f"losses-{given.method}-{given.backbone}-{given.device}{'-fp64' if given.double else ''}.json"
    )
    path.write_text(json.dumps(found, indent=1) + "\n", encoding="utf-8")
    shown = {key: found[key] for key in ("paths", "seeds", "last_losses")}
    sys.stdout.write(f"{json.dumps(shown, indent=1)}\n{path}\n")


def _losses(
    cell: Cell, root: Path, steps: int, device: str, double: bool, path: str, seed: int
) -> list[float]:
    cell = cell.model_copy(update={"seed": seed})
    unit = units_of(cell, METHODS.get(cell.method.name).sharing)[0]
    backbone = BACKBONES.get(cell.backbone.name)
    torch.manual_seed(0)
    state = (
        load_checkpoint(backbone, find_checkpoint(backbone))
        if backbone.shipped
        else build_sam(backbone).state_dict()
    )
    model: MSam = build_unit(cell, unit, state).to(device)
    model.path = path  # type: ignore[assignment]
    if double:
        model.double()
    tasks = {name: TASKS.get(name)(count, SCENES.class_names) for name, count in CHANNELS.items()}
    train = SCENES.split(root, "train")
    context = TrainContext(
        cell=cell, unit=unit, tasks=tasks, train=train, evaluated=train, device=torch.device(device)
    )
    context = replace(context, passes=choose_batch_split(cell, BatchSplit()))
    optimizer = build_optimizer(trained_parameters(model), cell.train)
    model.train()
    found: list[float] = []
    while len(found) < steps:
        size = cell.train.batch_size
        for batch in batches(train, seed=seed, epoch=len(found), batch_size=size, augment="none"):
            set_lr(optimizer, cell.train.lr * lr_factor(len(found), steps, cell.train.warmup))
            if double:
                batch = batch._replace(image=batch.image.double())
            terms = step_gradient(model, context, batch, len(found))
            found.append(sum(unit.weights[task] * terms[task] for task in tasks))  # the regulariser is larger
            optimizer.step()
            if len(found) == steps:
                break
    return found


def _largest(a: list[float], b: list[float], steps: int) -> float:
    return float(f"{max(abs(x - y) / abs(x) for x, y in zip(a[:steps], b[:steps], strict=True)):.3g}")


def _cell(method: str, backbone: str, batch: int) -> Cell:
    given = METHODS.get(method)
    params = given.params({"dropout": 0.0} if "dropout" in given.defaults else {})
    names, counts = tuple(CHANNELS), tuple(CHANNELS.values())
    return Cell(
        dataset=DatasetPart(name="scenes", fingerprint="x", tasks=names, channels=counts),
        backbone=BackbonePart(name=backbone, checkpoint="x", pixel_norm="sam"),
        method=MethodPart(name=method, params=params),
        train=TrainPart(batch_size=batch, task_weights={"segmentation": 1, "depth": 1, "normals": 4}),
        evaluation=EvaluationPart(),
        seed=0,
    )


if __name__ == "__main__":
    main()
