"""All formats, by the name that the table calls them; what a format needs is imported in its own process."""

from __future__ import annotations

from collections.abc import Callable
from importlib import import_module
from types import ModuleType

from fuzz.target import Target

NAMES = {
    "npy": ("npy image", "npy label", "npy depth", "npy normal"),
    "images": ("jpeg photo", "png labels", "png normals", "png greys", "png disparity", "png source"),
    "archives": ("zip", "tar", "artifact"),
    "tensors": ("safetensors", "pth", "checkpoint"),
    "matlab": ("mat labels", "mat parts", "mat split", "hdf5"),
    "reports": ("report pages", "report figures"),
    "texts": ("experiment", "--set", "claims", "slurm settings", "published csv", "split list"),
    "json_files": (
        "record",
        "index record",
        "index run",
        "index failure",
        "index memo",
        "runs",
        "failure",
        "journal",
        "claim",
        "checksums",
        "checksums verified",
        "merged_from verified",
        "plan",
        "slurm jobs",
        "slurm queue",
        "recipe",
        "pascal index",
        "pack manifest",
        "prepare manifest",
        "fingerprint cache",
        "weights note",
        "bench",
    ),
}


def module(name: str) -> ModuleType:
    """The module that makes a target."""
    return import_module(f"fuzz.{next(key for key, names in NAMES.items() if name in names)}")


def _maker(name: str) -> Callable[[], Target]:
    def make() -> Target:
        found: Target = module(name).TARGETS[name]()
        return found

    return make


TARGETS = {name: _maker(name) for names in NAMES.values() for name in names}
