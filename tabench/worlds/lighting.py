"""Light on surfaces: lamps, windows and the sun with shadow rays, and what rooms and sky scatter."""

from __future__ import annotations

from functools import cache
from typing import Any

import numpy as np
import numpy.typing as npt

from tabench.worlds.dice import Floats
from tabench.worlds.shapes import Shape, dot, entry
from tabench.worlds.things import Light, Scene
from tabench.worlds.tracing import Hits, Surface
from tabench.worlds.weather import Weather, hazed, sky_light

_FAR = 900.0  # metres to where shadow rays to the sun end


def light_of(scene: Scene, hits: Hits, seen: Surface) -> Floats:
    """Linear light that reaches the camera (n, 3)."""
    if scene.weather is None:
        diffuse, highlight = direct(scene, hits.points, hits.normals, seen.view, seen.gloss)
        scattered = scene.scatter * ambient(scene, hits.points, hits.normals)
        return seen.albedo * (diffuse + scattered[:, None] + seen.glow[:, None]) + 0.25 * highlight
    light = hazed(scene.weather, _outdoors(scene, scene.weather, hits, seen), hits.depth)
    sky = np.array([piece.label == "sky" for piece in scene.pieces])[hits.piece]
    light[sky] = sky_light(scene.weather, -seen.view[sky])
    return light


class Occluders:
    """The pieces that throw shadows, grouped by thing with bounding balls."""

    def __init__(self, scene: Scene) -> None:
        groups: dict[int, list[Shape]] = {}
        for piece, thing in zip(scene.pieces, scene.things, strict=True):
            if piece.casts:
                groups.setdefault(thing, []).append(piece.shape)
        self._groups = [(_ball(*shapes), shapes) for shapes in groups.values()]
        self._ball_of = cache(_ball)  # few shapes are ever asked for theirs

    def blocked(self, points: Floats, target: Floats) -> npt.NDArray[np.bool_]:
        """Which points (n, 3) do not see a target (3,)."""
        hidden, everywhere = np.zeros(len(points), dtype=bool), np.arange(len(points))
        way = target - points
        square, start, lean = dot(way, way), dot(points, points), dot(points, way)

        def close(rows: Any, ball: tuple[Floats, float]) -> npt.NDArray[np.intp]:
            """Rows whose way to the target comes within a ball, and that are not hidden yet."""
            centre, radius2 = ball
            along = way[rows] @ centre - lean[rows]
            # the nearest point of a segment, in shares of it
            t = np.clip(along / square[rows], 0.0, 1.0)
            gap = start[rows] - 2.0 * (points[rows] @ centre) + centre @ centre
            near = everywhere[rows][gap + t * (t * square[rows] - 2.0 * along) < radius2]
            return np.asarray(near[~hidden[near]])

        for whole, shapes in self._groups:
            near = close(slice(None), whole)
            for shape in shapes if len(near) else ():
                inner = close(near, self._ball_of(shape)) if len(shapes) > 3 else near
                if len(inner):
                    hidden[inner[entry(shape, points[inner], way[inner]) < 1.0]] = True
        return hidden


def _ball(*shapes: Shape) -> tuple[Floats, float]:
    """Centre and squared radius of a ball around some shapes."""
    corners = np.concatenate([shape.corners() for shape in shapes])
    centre = (corners.max(0) + corners.min(0)) / 2
    return centre, float(((corners - centre) ** 2).sum(-1).max())


def direct(
    scene: Scene, points: Floats, normals: Floats, view: Floats, gloss: Floats
) -> tuple[Floats, Floats]:
    """Diffuse irradiance and highlight (n, 3) straight from lamps and windows.

    On points (n, 3) with normals (n, 3) facing the camera, unit directions to the camera, and gloss (n,).
    """
    occluders = Occluders(scene)
    lifted = points + 2e-3 * normals
    diffuse, highlight = np.zeros_like(points), np.zeros_like(points)
    for light in scene.lights:
        for source in light.points:
            strength, to_light = _arriving(light, source, lifted, normals)
            lit = np.flatnonzero(strength > 2e-3)
            lit = lit[~occluders.blocked(lifted[lit], source)]
            share = strength[lit] / len(light.points)
            diffuse[lit] += share[:, None] * light.power
            shine = gloss[lit] * share * _shine(to_light[lit], view[lit], normals[lit], 40)
            highlight[lit] += shine[:, None] * light.power
    return diffuse, highlight


def _shine(to_light: Floats, view: Floats, normals: Floats, power: int) -> Floats:
    """Highlight (n,) of surfaces lit from and seen in unit directions (n, 3)."""
    half = to_light + view
    half /= np.maximum(np.sqrt(dot(half, half))[:, None], 1e-9)
    return np.asarray(np.maximum(dot(half, normals), 0.0) ** power)


def _arriving(light: Light, source: Floats, points: Floats, normals: Floats) -> tuple[Floats, Floats]:
    way = source - points
    square = np.maximum(dot(way, way), 1e-6)
    to_light = way / np.sqrt(square)[:, None]
    strength = np.maximum(dot(to_light, normals), 0.0)
    strength = strength / (square + 0.6)
    if light.normal is not None:
        strength = strength * np.maximum(-(to_light @ light.normal), 0.0)
    return strength, to_light


def ambient(scene: Scene, points: Floats, normals: Floats) -> Floats:
    """Scattered light (n,): less in corners and near the floor, more from above."""
    gaps = np.concatenate([points, scene.size - points], axis=-1)
    facing = np.concatenate([normals, -normals], axis=-1)
    corner = (
        1.0
        - 0.4 * (np.exp(-np.maximum(gaps, 0.0) / 0.25) * (1.0 - np.abs(facing))).sum(-1).clip(0.0, 1.6) / 1.6
    )
    return np.asarray(corner * (1.0 + 0.15 * normals[:, 2]))


def _outdoors(scene: Scene, weather: Weather, hits: Hits, seen: Surface) -> Floats:
    """Linear light (n, 3) that the surfaces send to the camera, without haze."""
    occluders = Occluders(scene)
    lifted = hits.points + 5e-3 * hits.normals
    facing = np.maximum(hits.normals @ weather.sun, 0.0)
    sunny = np.flatnonzero(facing > 1e-3)
    sunny = sunny[~occluders.blocked(lifted[sunny], lifted.mean(0) + _FAR * weather.sun)]
    direct, shine = np.zeros((2, len(facing)))
    direct[sunny] = facing[sunny]
    shine[sunny] = _shine(weather.sun, seen.view[sunny], hits.normals[sunny], 60) * seen.gloss[sunny]
    up = hits.normals[:, 2]
    open_sky = 0.5 + 0.5 * up
    # level surfaces below a car or a crown see little of the sky; near the ground walls see the road
    level = np.flatnonzero(up > 0.5)
    covered = occluders.blocked(lifted[level], lifted.mean(0) + np.array([0.0, 0.0, _FAR]))
    open_sky[level[covered]] *= 0.45
    near_ground = 1.0 - 0.35 * np.exp(-np.maximum(hits.points[:, 2], 0.0) / 0.35) * (1.0 - np.abs(up))
    ambient = (0.35 + 0.65 * open_sky) * near_ground
    mirrored = 0.22 * seen.gloss * (1.0 - np.maximum(dot(seen.view, hits.normals), 0.0)) ** 2
    light = seen.albedo * (direct[:, None] * weather.power + ambient[:, None] * weather.sky)
    light += seen.albedo * seen.glow[:, None]
    return light + 0.5 * shine[:, None] * weather.power + mirrored[:, None] * weather.horizon
