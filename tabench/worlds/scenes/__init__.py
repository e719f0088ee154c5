"""Procedural furnished rooms with exact labels, depth and normals, in NYUv2's layout.

They stand in for NYUv2 where it is absent and feed the pretraining of the small SAM.
They are not NYUv2, and numbers on them say nothing about it.
"""

from tabench.worlds.scenes.camera import intrinsics
from tabench.worlds.scenes.dataset import SCENES, SceneDataset
from tabench.worlds.scenes.make import make_scene

__all__ = [
    "SCENES",
    "SceneDataset",
    "intrinsics",
    "make_scene",
]
