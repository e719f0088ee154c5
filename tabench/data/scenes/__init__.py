"""Procedural furnished rooms with exact labels, depth and normals, in NYUv2's layout.

They stand in for NYUv2 where it is absent and feed the pretraining of the small SAM.
They are not NYUv2, and numbers on them say nothing about it.
"""

from tabench.data.scenes.camera import intrinsics
from tabench.data.scenes.dataset import SCENES, SceneDataset
from tabench.data.scenes.make import make_scene

__all__ = [
    "SCENES",
    "SceneDataset",
    "intrinsics",
    "make_scene",
]
