"""Prefabs: things written down as tables of solids, in the folder `tables`.

A table holds lines of words. ``@name[:label] WIDTH DEPTH HEIGHT STRETCH`` begins a prefab; each further
line is a part: a solid, how it is mirrored, its numbers in metres, its finish, and marks.

Solids and their numbers (x to the right, y to the front, z up; "foot" is the middle of the lower face):

- ``box``, ``ball``, ``tube``: foot x y z, full size x y z; ``roof`` and ``cone``: a box and a tube that
  narrow upwards, with the share of the width that is left as a seventh number.
- ``rod``: start x y z, end x y z, radius there, and perhaps another at the end.
- ``wheel``: centre x y z, radius, thickness; it rolls along y.
- ``cloud``: foot and size of a heap of balls, and how many.
- ``top``: centre x y z, width, depth and clear height of a surface for small things; it has no finish.

Mirrored: ``.`` not, ``x`` left and right, ``y`` front and back, ``xy`` all four.

A finish is one of `surfaces.FINISHES`, a palette or a colour (``#e0e0db``); one with a digit (``wood2``) is
another draw of it. Marks: ``=label``; ``#group``, every copy an instance of its own; ``?name.5`` only in this
share of the things, decided once a name, and ``!name`` where that was decided against; ``*3z.2`` so many
copies along an axis at this distance; ``/20`` leaning back by degrees; ``o`` a rod with a round end; ``-``
without a shadow; ``%`` glass; ``~`` left out from far off.
"""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from itertools import product
from pathlib import Path
from typing import Any

import numpy as np

from tabench.worlds.dice import Dice, Floats
from tabench.worlds.shapes import BALL, BOX, CYLINDER, pitch_matrix
from tabench.worlds.surfaces import Material, material
from tabench.worlds.things import Thing, Top, frame

_KINDS = {"box": BOX, "ball": BALL, "tube": CYLINDER, "roof": BOX, "cone": CYLINDER}
_UP = np.array([0.0, 0.0, 1.0])
_MIRRORED = {
    ".": ((1, 1),),
    "x": ((-1, 1), (1, 1)),
    "y": ((1, -1), (1, 1)),
    "xy": ((-1, -1), (1, -1), (-1, 1), (1, 1)),
}


@dataclass(frozen=True)
class Part:
    """One line of a table; see the module."""

    solid: str
    mirrored: str
    numbers: tuple[float, ...]
    finish: str = ""
    label: str = ""
    group: str = ""
    option: str = ""  # "name.5", "name" or "!name"
    copies: int = 1
    step: tuple[float, float, float] = (0.0, 0.0, 0.0)
    lean: float = 0.0
    knob: bool = False
    casts: bool = True
    glass: bool = False
    fine: bool = False


@dataclass(frozen=True)
class Prefab:
    """A thing that can be built in many sizes, colours and variants."""

    label: str
    size: tuple[float, float, float]
    stretch: float
    parts: list[Part] = field(default_factory=list)


def read_table(text: str) -> dict[str, Prefab]:
    """The prefabs of a table, by name."""
    found: dict[str, Prefab] = {}
    for line in filter(None, (line.partition("--")[0].split() for line in text.splitlines())):
        if line[0].startswith("@"):
            name, _, label = line[0][1:].partition(":")
            width, depth, height, stretch = map(float, line[1:])
            found[name] = Prefab(label or name, (width, depth, height), stretch)
        else:
            found[name].parts.append(_part(line))
    return found


def _part(words: list[str]) -> Part:
    numbers = []
    for word in words[2:]:
        try:
            numbers.append(float(word))
        except ValueError:
            break
    finish, *marks = words[2 + len(numbers) :] or [""]
    told: dict[str, object] = {}
    for mark in marks:
        first, rest = mark[0], mark[1:]
        if first == "*":
            copies, axis, step = re.fullmatch(r"(\d+)([xyz])(.+)", rest).groups()  # type: ignore[union-attr]
            told |= {"copies": int(copies), "step": tuple(float(step) * (axis == a) for a in "xyz")}
        elif first in "=#":
            told["label" if first == "=" else "group"] = rest
        elif first in "?!":
            told["option"] = mark if first == "!" else rest
        elif first == "/":
            told["lean"] = float(rest)
        else:
            told |= {"o": {"knob": True}, "-": {"casts": False}, "%": {"glass": True}, "~": {"fine": True}}[
                mark
            ]
    return Part(words[0], words[1], tuple(numbers), finish, **told)  # type: ignore[arg-type]


PREFABS = {
    name: prefab
    for path in sorted((Path(__file__).parent / "tables").glob("*.txt"))
    for name, prefab in read_table(path.read_text(encoding="utf-8")).items()
}


class _Builder:
    """One build: its sizes, its draws of finishes and of options."""

    def __init__(self, dice: Dice, thing: Thing, scale: Floats) -> None:
        self.dice, self.thing, self.scale = dice, thing, scale
        self.finishes: dict[str, Material] = {}
        self.options: dict[str, bool] = {}

    def wanted(self, option: str) -> bool:
        name, dot, share = option.lstrip("!").partition(".")
        if name and name not in self.options:
            self.options[name] = self.dice.chance(float(dot + share) if dot else 0.5)
        return not name or self.options[name] != option.startswith("!")

    def surface(self, finish: str) -> Material:
        if finish not in self.finishes:
            name = finish[1:] if finish.startswith("#") else finish.rstrip("0123456789")
            self.finishes[finish] = material(self.dice, name)
        return self.finishes[finish]

    def add(self, part: Part, shift: Floats, mirror: tuple[int, int], number: int) -> None:
        n, thing, scale = part.numbers, self.thing, self.scale
        signs = np.array([*mirror, 1.0])
        at = (np.array(n[:3]) + shift) * signs * scale
        if part.solid == "top":
            x, y, z = at.tolist()
            thing.tops.append(Top(x, y, z, n[3] * scale[0], n[4] * scale[1], n[5]))
            return
        skin, half = self.surface(part.finish), np.array(n[3:6]) * scale[: len(n[3:6])] / 2
        group = f"{part.group}{number}" if part.group else ""
        marks: dict[str, Any] = {
            "label": part.label or thing.label,
            "group": group,
            "casts": part.casts,
            "glass": part.glass,
        }
        if part.solid in _KINDS:
            axes = pitch_matrix(np.radians(part.lean) * mirror[1]) if part.lean else None
            taper = n[6] if len(n) > 6 else 1.0
            thing.solid(_KINDS[part.solid], at + half * _UP, half, skin, axes, taper, **marks)
        elif part.solid == "rod":
            end, radius = (np.array(n[3:6]) + shift) * signs * scale, scale.min()
            thing.rod(at, end, (n[6] * radius, n[-1] * radius), skin, knob=part.knob, **marks)
        elif part.solid == "wheel":
            rolling = frame((1, 0, 0), (0, 1, 0))
            thing.solid(CYLINDER, at, (n[3], n[3], n[4] / 2), skin, rolling, **marks)
        else:  # a cloud: a ball in the middle and smaller ones over its surface
            centre = at + half * _UP
            thing.ball(centre, 0.76 * half, skin, **marks)
            for k in range(int(n[6])):
                turn, level = 2.4 * k + self.dice.uniform(0, 1), self.dice.uniform(-0.75, 0.75)
                out = np.sqrt(1 - level**2) * self.dice.uniform(0.55, 0.7)
                way = np.array([out * np.cos(turn), out * np.sin(turn), 0.68 * level])
                thing.ball(centre + way * half, self.dice.uniform(0.3, 0.48) * half, skin, **marks)


def build(dice: Dice, name: str, *, fine: bool = True, **sizes: float) -> Thing:
    """A thing of a prefab.

    `width`, `depth` and `height` in metres that are not given vary by the prefab's stretch. Without `fine`
    it lacks the parts that are not seen from far off.
    """
    prefab = PREFABS[name]
    scale = np.array([dice.uniform(1 - prefab.stretch, 1 + prefab.stretch) for _ in range(3)])
    for axis, key in enumerate(("width", "depth", "height")):
        if key in sizes:
            scale[axis] = sizes[key] / prefab.size[axis]
    thing = Thing(prefab.label, *(np.array(prefab.size) * scale).tolist())
    builder = _Builder(dice, thing, scale)
    for part in prefab.parts:
        if builder.wanted(part.option) and (fine or not part.fine):
            copies = product(range(part.copies), _MIRRORED[part.mirrored])
            for number, (k, mirror) in enumerate(copies):
                builder.add(part, k * np.array(part.step), mirror, number)
    return thing
