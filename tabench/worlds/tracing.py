"""What each pixel sees of a scene."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from tabench.worlds.dice import Floats
from tabench.worlds.patterns import PATTERNS, Spots
from tabench.worlds.shapes import entry, local_normals
from tabench.worlds.things import Scene


@dataclass(frozen=True, eq=False)
class Hits:
    """What each pixel's ray meets first; arrays of n = H * W rows."""

    depth: Floats  # (n,) metres along the optical axis
    piece: npt.NDArray[np.int64]  # (n,) index into the scene's pieces
    points: Floats  # (n, 3) in the room
    normals: Floats  # (n, 3) in the room
    unit: Floats  # (n, 3) in the piece's unit coordinates
    local: Floats  # (n, 3) normals in the piece's frame


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
    """What each pixel's ray meets, as light sees it; arrays of n = H * W rows."""

    view: Floats  # (n, 3) unit directions to the camera
    albedo: Floats  # (n, 3) linear colours
    gloss: Floats  # (n,) weight of the highlight
    glow: Floats  # (n,) light given off, as a multiple of the colour


def surface(scene: Scene, hits: Hits, rays: Floats, focal: float) -> Surface:
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
        albedo[rows] = PATTERNS[item.material.pattern](item.material, spots)
        gloss[rows], glow[rows] = item.material.gloss, item.material.glow
    return Surface(view, albedo, gloss, glow)
