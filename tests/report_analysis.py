"""Made-up files beside the records of report_fixtures, in the schema runs write. Nothing was measured."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import report_fixtures as made
from PIL import Image

from tabench.methods.analysis import analyse

LAYERS = ("blocks.0.attn.qkv", "blocks.1.attn.qkv")
CHANNELS = dict(zip(made.TASKS, (2, 1, 3), strict=True))


def factors(method: str, seed: int) -> dict[str, Any]:
    """What a run of a method would write for random factors."""
    rng = np.random.default_rng([made.METHODS.index(method), seed])
    shapes = {
        "ta-lora": ("tucker", {"G": (4, 5, 2), "U1": (12, 4), "U2": (18, 5), "U3": (3, 2)}),
        "ta-lora-cp": ("cp", {"w": (4,), "A": (12, 4), "B": (18, 4), "C": (3, 4)}),
        "lora-stl": ("lora", {"A": (3, 12), "B": (18, 3)}),
    }
    kind, sizes = shapes[method]
    units = made.TASKS if kind == "lora" else ("all",)
    layers = {
        unit: {name: (kind, 0.5, {k: rng.normal(size=s) for k, s in sizes.items()}) for name in LAYERS}
        for unit in units
    }
    found = analyse(layers, made.TASKS)
    assert found is not None
    return found


def architecture(method: str, title: str, sharing: str, sizes: dict[str, list[int]]) -> dict[str, Any]:
    """A small architecture; `sizes` are the factors of one adapted layer."""
    units = {t: {t: CHANNELS[t]} for t in made.TASKS} if sharing == "per-task" else {"all": CHANNELS}

    def part(trained: int = 0, frozen: int = 0, idle: int = 0) -> dict[str, int]:
        return {"trained": trained, "frozen": frozen, "idle": idle}

    models = {
        unit: {
            "tasks": tasks,
            "embeddings": {task: [n, 64] for task, n in tasks.items()},
            "parts": {
                "patch_embed": part(frozen=4000), "blocks": part(frozen=795_000), "block_norms": part(2048),
                "adapters": part(1234), "neck": part(frozen=45_000), "pe_layer": part(frozen=64),
                **{f"decoders.{task}": part(156_000, idle=35_000) for task in tasks},
                **{f"no_mask.{task}": part(64 * n) for task, n in tasks.items()},
            },
            "groups": {"adapters": 1234},
            "adapted": {"layers": 2, "inputs": 12, "outputs": 18, "updated": "qkv", "scale": 0.5,
                        "factors": sizes, "parameters": 617} if sizes else None,
        }
        for unit, tasks in units.items()
    }  # fmt: skip
    return {
        "architecture_version": 1,
        "method": {"name": method, "title": title, "sharing": sharing},
        "backbone": {"name": "sam_vit_nano", "image_size": 96, "patch_size": 8, "grid": 12, "depth": 2,
                     "embed_dim": 12, "global_blocks": 1, "window_size": 6, "out_chans": 64},
        "sam": {"parameters": {"image_encoder": 885_888, "prompt_encoder": 1804, "mask_decoder": 191_292},
                "masks": 3},
        "models": models,
    }  # fmt: skip


ARCHITECTURES = {
    "ta-lora": architecture("ta-lora", "TA-LoRA (Tucker)", "task-aware",
                            {"G": [4, 5, 2], "U1": [12, 4], "U2": [18, 5], "U3": [3, 2]}),
    "ta-lora-cp": architecture("ta-lora-cp", "TA-LoRA (CP)", "task-aware",
                               {"w": [4], "A": [12, 4], "B": [18, 4], "C": [3, 4]}),
    "lora-stl": architecture("lora-stl", "LoRA-STL", "per-task", {"A": [3, 12], "B": [18, 3]}),
    "frozen": architecture("frozen", "Frozen encoder", "shared", {}),
}  # fmt: skip


def write_analysis(folder: Path, seeds: tuple[int, ...] = (0,)) -> None:
    """Add the files to what `report_fixtures.write_results` wrote."""
    for seed in seeds:
        for method in ("ta-lora", "ta-lora-cp", "lora-stl"):
            made.write(folder / made.cell_id(method, seed) / "factors.json", factors(method, seed))
        for method, content in ARCHITECTURES.items():
            made.write(folder / made.cell_id(method, seed) / "architecture.json", content)
    image = made.IMAGES[0].replace("/", "_")
    height, width = made.SIZE
    rng = np.random.default_rng(7)
    truth = folder / "truth" / made.FINGERPRINT[:12]
    for level in range(3):
        mask = np.zeros(made.SIZE, np.uint8)
        mask[height // 4 : height // 2, width // 4 : width // (2 + level)] = 255
        Image.fromarray(mask).save(truth / f"{image}.sam_masks.{'ab' * 6}.{level}.png")
    for method in ("ta-lora", "lora-hps"):
        pictures = folder / made.cell_id(method, seeds[0]) / "pictures"
        pictures.mkdir(exist_ok=True)
        for task, count in CHANNELS.items():
            for index in range(count):
                grey = rng.integers(0, 256, (24, 32), dtype=np.uint8)
                Image.fromarray(grey).save(pictures / f"channels.{image}.{task}.{index}.png")
