"""From a scene to image, labels, depth, normals and instances."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from tabench.data.nyuv2 import CLASSES_13
from tabench.worlds.scenes.camera import intrinsics
from tabench.worlds.scenes.dice import Dice, Floats
from tabench.worlds.scenes.lighting import ambient, direct
from tabench.worlds.scenes.patterns import PATTERNS, Pattern, Spots
from tabench.worlds.scenes.scene import Scene
from tabench.worlds.scenes.shapes import entry, local_normals


@dataclass(frozen=True, eq=False)
class Hits:
    """What each pixel's ray meets first; arrays of n = H * W rows.

    Attributes:
        depth: (n,) metres along the optical axis.
        piece: (n,) index into the scene's pieces.
        points: (n, 3) in the room.
        normals: (n, 3) in the room.
        unit: (n, 3) in the piece's unit coordinates.
        local: (n, 3) normals in the piece's frame.
    """

    depth: Floats
    piece: npt.NDArray[np.int64]
    points: Floats
    normals: Floats
    unit: Floats
    local: Floats


def trace(scene: Scene, height: int, width: int) -> Hits:
    """Cast one ray through each pixel's centre."""
    rays = scene.camera.rays(height, width)
    eye = scene.camera.position
    depth = np.full((height, width), np.inf)
    piece = np.zeros((height, width), dtype=np.int64)
    for k, item in enumerate(scene.pieces):
        window = scene.camera.window(item.shape.corners(), height, width)
        if window is None:
            continue
        part = rays[window]
        t = entry(item.shape, eye, part.reshape(-1, 3)).reshape(part.shape[:2])
        closer = t < depth[window]
        depth[window][closer] = t[closer]
        piece[window][closer] = k
    flat, index = depth.ravel(), piece.ravel()
    points = eye + rays.reshape(-1, 3) * flat[:, None]
    shapes = [item.shape for item in scene.pieces]
    axes = np.stack([s.axes for s in shapes])[index]
    halves = np.stack([s.half for s in shapes])[index]
    kinds = np.array([s.kind for s in shapes])[index]
    centres = np.stack([s.centre for s in shapes])[index]
    unit = np.einsum("ni,nij->nj", points - centres, axes) / halves
    tapers = np.array([s.taper for s in shapes])[index]
    local = local_normals(kinds, unit, halves, tapers)
    return Hits(flat, index, points, np.einsum("nij,nj->ni", axes, local), unit, local)


@dataclass(frozen=True, eq=False)
class Surface:
    """What each pixel's ray meets, as light sees it; arrays of n = H * W rows.

    Attributes:
        view: (n, 3) unit directions to the camera.
        albedo: (n, 3) linear colours.
        gloss: (n,) weight of the highlight.
        glow: (n,) light given off, as a multiple of the colour.
    """

    view: Floats
    albedo: Floats
    gloss: Floats
    glow: Floats


def surface(
    scene: Scene, hits: Hits, rays: Floats, focal: float, patterns: Mapping[str, Pattern] = PATTERNS
) -> Surface:
    """Evaluate the materials where the rays (n, 3) hit; `focal` in pixels tells detail from noise."""
    view = -rays / np.linalg.norm(rays, axis=-1, keepdims=True)
    slant = np.maximum((view * hits.normals).sum(-1), 0.15)
    pixel = hits.depth / focal / slant
    albedo = np.zeros_like(hits.points)
    gloss, glow = np.zeros(len(pixel)), np.zeros(len(pixel))
    order = np.argsort(hits.piece, kind="stable")
    numbers, starts = np.unique(hits.piece[order], return_index=True)
    for k, rows in zip(numbers, np.split(order, starts[1:]), strict=True):
        item = scene.pieces[k]
        half = item.shape.half
        spots = Spots(hits.unit[rows] * half, hits.unit[rows], hits.local[rows], pixel[rows], half)
        albedo[rows] = patterns[item.material.pattern](item.material, spots)
        gloss[rows], glow[rows] = item.material.gloss, item.material.glow
    return Surface(view, albedo, gloss, glow)


def colours(
    scene: Scene, hits: Hits, rays: Floats, focal: float, patterns: Mapping[str, Pattern] = PATTERNS
) -> Floats:
    """Linear light that reaches the camera (n, 3)."""
    seen = surface(scene, hits, rays, focal, patterns)
    diffuse, highlight = direct(scene, hits.points, hits.normals, seen.view, seen.gloss)
    scattered = scene.scatter * ambient(scene, hits.points, hits.normals)
    return seen.albedo * (diffuse + scattered[:, None] + seen.glow[:, None]) + 0.25 * highlight


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


def render(scene: Scene, dice: Dice, height: int, width: int) -> dict[str, npt.NDArray[np.generic]]:
    """All maps of a scene, channels last, as ``make_scene`` describes them."""
    hits = trace(scene, height, width)
    rays = scene.camera.rays(height, width).reshape(-1, 3)
    light = colours(scene, hits, rays, intrinsics(height, width)[0])
    numbers = {name: k for k, name in enumerate(CLASSES_13)}
    label = np.array([numbers[p.label] for p in scene.pieces])[hits.piece].reshape(height, width)
    instance = np.array(scene.instances, dtype=np.int32)[hits.piece].reshape(height, width)
    normal = hits.normals @ scene.camera.axes
    cosine = -(rays * hits.normals).sum(-1) / np.linalg.norm(rays, axis=-1)
    glass = np.array([p.glass for p in scene.pieces])[hits.piece]
    blind = (glass | (cosine < 0.05)).reshape(height, width)
    depth = np.where(blind, 0.0, hits.depth.reshape(height, width))
    normal = np.where(blind[..., None], 0.0, normal.reshape(height, width, 3))
    image = develop(light.reshape(height, width, 3), dice)
    return {
        "image": image,
        "label": _unlabelled(label, instance, dice).astype(np.float32),
        "depth": depth[..., None].astype(np.float32),
        "normal": normal.astype(np.float32),
        "instance": instance,
    }


def _unlabelled(
    label: npt.NDArray[np.int64], instance: npt.NDArray[np.int32], dice: Dice
) -> npt.NDArray[np.int64]:
    """Labels with -1 on class borders of some images and on a few whole instances."""
    out = label.copy()
    if dice.chance(0.5):
        across, down = label[:, 1:] != label[:, :-1], label[1:] != label[:-1]
        out[:, 1:][across] = -1
        out[1:][down] = -1
    for number in np.unique(instance):
        if dice.chance(0.03) and (instance == number).mean() < 0.05:
            out[instance == number] = -1
    return out
