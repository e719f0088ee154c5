"""Digests of what portable numerics compute: rooms, streets and figures, some training steps, an evaluation.

    python tests/portable_steps.py [METHOD ...]

It starts itself anew with the variables, unless they are set, and prints JSON: the digests of a generated
picture of each kind; of each method's (default: the seven) trained weights and metrics; of all results of
each operation of torch that was executed, in the order in which they first came; of each library's probe.
"""

from __future__ import annotations

import hashlib
import json
import sys
import zlib
from collections.abc import Mapping
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

from tabench.provenance.portable import NumericsError, check_numerics, start_anew

METHODS = ("ta-lora", "ta-lora-cp", "lora-stl", "lora-hps", "full-stl", "full-hps", "frozen")
PICTURE = {"seed": 0, "train": 1, "val": 1, "height": 32, "width": 48}


def pictures() -> dict[str, str]:
    """The digest of one generated image and its targets, of each synthetic dataset."""
    from tabench.catalog import DATASETS
    from tabench.worlds.synthetic import Recipe

    found = {}
    for name in ("scenes", "streets", "figures"):
        dataset: Any = DATASETS.get(name)
        files = dataset.render(Recipe(**PICTURE, generator=dataset.generator), "train", 0)
        found[name] = digest(b"".join(content for _, content in sorted(files.items())))
    return found


def methods(names: list[str]) -> dict[str, Any]:
    """Train two steps of each, on the shipped small SAM and four small rooms, and evaluate."""
    import torch
    from tiny_run import make_cell, make_context, make_unit, write_scenes
    from torch.utils._python_dispatch import TorchDispatchMode

    from tabench.catalog import BACKBONES
    from tabench.encoders.sam.locate import find_checkpoint
    from tabench.engine.checkpoint import CheckpointStore
    from tabench.engine.evaluate import evaluate
    from tabench.engine.loop import train_unit
    from tabench.engine.probes import probes, set_numerics
    from tabench.engine.snapshot import trained_parameters
    from tabench.provenance.determinism import set_determinism
    from tabench.worlds.scenes import SCENES

    operations: dict[str, int] = {}

    class Watch(TorchDispatchMode):
        """Takes down what every operation results in."""

        def __torch_dispatch__(
            self, function: Any, types: Any, args: Any = (), kwargs: Mapping[str, Any] | None = None
        ) -> Any:
            results = function(*args, **(kwargs or {}))
            for result in results if isinstance(results, tuple | list) else [results]:
                if isinstance(result, torch.Tensor) and not function.is_view:
                    content = result.detach().contiguous().view(-1).view(torch.uint8).numpy()
                    operations[str(function)] = zlib.crc32(content, operations.get(str(function), 0))
            return results

    set_numerics("portable")
    backbone = BACKBONES.get("sam_vit_nano")
    weights = dict(backbone.load(find_checkpoint(backbone), lambda note: None))
    found: dict[str, Any] = {}
    with TemporaryDirectory() as folder:
        root = write_scenes(Path(folder) / "rooms")
        for name in names:
            set_determinism(0, 1)
            cell = make_cell(name, train__epochs=1, train__numerics="portable")
            unit, model = make_unit(cell, weights, index=-1)
            # a checkpoint looks at all weights, and an emulated processor is so slow that one would be due
            context = make_context(cell, unit, SCENES, root, checkpoint_seconds=float("inf"))
            with Watch():
                train_unit(model, context, CheckpointStore(Path(folder) / name))
                results = evaluate(model, context)
            trained = [value.detach().numpy().tobytes() for value in trained_parameters(model).values()]
            told = [[result.task, result.protocol, result.values, result.per_image] for result in results]
            found[name] = {"weights": digest(b"".join(trained)), "metrics": digest(json.dumps(told).encode())}
    return {"methods": found, "operations": operations, "probes": probes()}


def digest(content: bytes) -> str:
    """A short one."""
    return hashlib.sha256(content).hexdigest()[:16]


if __name__ == "__main__":
    try:
        check_numerics("portable")
    except NumericsError:
        start_anew()
    told = {"pictures": pictures(), **methods(sys.argv[1:] or list(METHODS))}
    print(json.dumps(told))  # noqa: T201
