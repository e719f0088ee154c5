"""From a scene to a photograph with exact depth, normals and instances."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from tabench.data.array_folders import IGNORE
from tabench.worlds.camera import intrinsics
from tabench.worlds.dice import Dice, Floats
from tabench.worlds.lighting import light_of
from tabench.worlds.things import Scene
from tabench.worlds.tracing import surface, trace

Integers = npt.NDArray[np.signedinteger[Any]]


@dataclass(frozen=True, eq=False)
class Picture:
    """What a camera takes of a scene."""

    image: npt.NDArray[np.float32]  # (H, W, 3) float32 in multiples of 1/255
    piece: npt.NDArray[np.int64]  # (H, W) index into the scene's pieces
    instance: npt.NDArray[np.int32]  # (H, W) int32, from 1, one number an object or part of it
    depth: Floats  # (H, W) metres along the optical axis
    normal: Floats  # (H, W, 3) unit vectors facing the camera (x right, y down, z forward)
    facing: Floats  # (H, W) cosine between the normal and the way to the camera

    def of_pieces(self, values: list[Any]) -> npt.NDArray[Any]:
        """(H, W) of a value for each of the scene's pieces."""
        return np.array(values)[self.piece]


def take(scene: Scene, dice: Dice, height: int, width: int) -> Picture:
    """The picture of a scene at a size; `dice` decides what the sensor adds."""
    hits = trace(scene, height, width)
    rays = scene.camera.rays(height, width).reshape(-1, 3)
    seen = surface(scene, hits, rays, intrinsics(height, width, scene.camera.lens)[0])
    light = light_of(scene, hits, seen)
    shape = (height, width)
    piece = hits.piece.reshape(shape)
    return Picture(
        develop(light.reshape(height, width, 3), dice),
        piece,
        np.array(scene.instances, dtype=np.int32)[piece],
        hits.depth.reshape(shape),
        (hits.normals @ scene.camera.axes).reshape(height, width, 3),
        (seen.view * hits.normals).sum(-1).reshape(shape),
    )


def develop(light: Floats, dice: Dice) -> npt.NDArray[np.float32]:
    """Exposure, white balance, lens blur, vignetting, noise, gamma; (H, W, 3) in k/255."""
    height, width, _ = light.shape
    exposure = dice.uniform(0.26, 0.4) / float(np.minimum(light, 1.0).mean())
    balance = np.array([dice.uniform(0.94, 1.08), 1.0, dice.uniform(0.9, 1.06)])
    light = light * exposure * balance
    light = light / (1.0 + 0.25 * light)
    for axis in (0, 1):
        padded = np.pad(light, [(1, 1) if a == axis else (0, 0) for a in range(3)], mode="edge")
        first = np.take(padded, range(0, light.shape[axis]), axis)
        last = np.take(padded, range(2, light.shape[axis] + 2), axis)
        light = 0.16 * first + 0.68 * light + 0.16 * last
    v, u = np.mgrid[0:height, 0:width]
    radius = np.hypot((u - width / 2) / width, (v - height / 2) / height)
    light = light * (1.0 - 0.25 * radius**2)[..., None]
    grain = dice.uniforms(3, height, width, 3).sum(0) * 2.0 - 3.0
    light = light + dice.uniform(0.004, 0.012) * grain * np.sqrt(np.maximum(light, 0.01))
    image = np.clip(light, 0.0, 1.0) ** (1 / 2.2)
    return (np.rint(image * 255.0) / 255.0).astype(np.float32)


def unlabelled(
    label: Integers, instance: Integers, dice: Dice, *, borders: float, whole: float
) -> npt.NDArray[np.float32]:
    """Labels with IGNORE on the class borders of some images and on a few whole small instances.

    Args:
        label: (H, W).
        instance: (H, W).
        dice: Random choices.
        borders: Share of the images whose borders are left out.
        whole: Share of the instances, of those smaller than a twentieth of the picture, that are left out.
    """
    out = label.copy()
    if dice.chance(borders):
        across, down = label[:, 1:] != label[:, :-1], label[1:] != label[:-1]
        out[:, 1:][across] = IGNORE
        out[1:][down] = IGNORE
    for number in np.unique(instance):
        if dice.chance(whole) and (instance == number).mean() < 0.05:
            out[instance == number] = IGNORE
    return out.astype(np.float32)
