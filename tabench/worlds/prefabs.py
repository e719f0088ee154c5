"""Prefabs: things written down as tables of solids, in the folder `tables`.

A table holds lines of words. ``@name[:label] WIDTH DEPTH HEIGHT STRETCH`` begins a prefab; each further
line is a part: a solid, how it is mirrored, its numbers in metres, its finish, and marks.

Solids and their numbers (x to the right, y to the front, z up; "foot" is the middle of the lower face):

- ``box``, ``ball``, ``tube``: foot x y z, full size x y z; ``roof`` and ``cone``: a box and a tube that
  narrow upwards, with the share of the width that is left as a seventh number.
- ``rod``: start x y z, end x y z, radius there, and perhaps another at the end.
- ``wheel``, ``ring``: centre x y z, radius, thickness; both roll along y.
- ``cloud``: foot and size of a heap of balls, and how many; ``books``: foot and size of a row of books.
- ``top``: centre x y z, width, depth and clear height of a surface for small things; it has no finish.

Mirrored: ``.`` not, ``x`` left and right, ``y`` front and back, ``xy`` all four.

A finish with a digit (``wood2``) is another draw of the same one. Marks: ``=label``; ``#group``, every copy
an instance of its own; ``?name.5`` only in this share of the things, decided once a name, and ``!name`` where
that was decided against; ``*3z.2`` so many copies along an axis at this distance; ``/20`` leaning back by
degrees; ``o`` a rod with a round end; ``-`` without a shadow; ``%`` glass; ``~`` left out from far off.
"""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from itertools import pairwise
from pathlib import Path

import numpy as np

from tabench.worlds.dice import Dice, Floats
from tabench.worlds.shapes import BALL, BOX, CYLINDER, pitch_matrix
from tabench.worlds.surfaces import Material, material
from tabench.worlds.things import Marks, Thing, Top, frame

_KINDS = {"box": BOX, "ball": BALL, "tube": CYLINDER, "roof": BOX, "cone": CYLINDER}
_UP = np.array([0.0, 0.0, 1.0])
_RIM = 14  # straight pieces of a ring
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

    def __init__(self, dice: Dice, prefab: Prefab, thing: Thing, scale: Floats) -> None:
        self.dice, self.prefab, self.thing, self.scale = dice, prefab, thing, scale
        self.finishes: dict[str, Material] = {}
        self.options: dict[str, bool] = {}

    def wanted(self, option: str) -> bool:
        name, dot, share = option.lstrip("!").partition(".")
        if name and name not in self.options:
            self.options[name] = self.dice.chance(float(dot + share) if dot else 0.5)
        return not name or self.options[name] != option.startswith("!")

    def surface(self, finish: str) -> Material:
        if finish not in self.finishes:
            self.finishes[finish] = material(self.dice, finish.rstrip("0123456789"))
        return self.finishes[finish]

    def add(self, part: Part, shift: Floats, mirror: tuple[int, int], number: int) -> None:
        n, thing, scale = part.numbers, self.thing, self.scale
        signs = np.array([*mirror, 1.0])
        at = (np.array(n[:3]) + shift) * signs * scale
        if part.solid == "top":
            x, y, z = at.tolist()
            thing.tops.append(Top(x, y, z, n[3] * scale[0], n[4] * scale[1], n[5]))
            return
        skin = self.surface(part.finish)
        group = f"{part.group}{number}" if part.group else ""
        label = part.label or thing.label
        marks = Marks(label=label, group=group, casts=part.casts, glass=part.glass)
        if part.solid in _KINDS:
            half = np.array(n[3:6]) * scale / 2
            axes = pitch_matrix(np.radians(part.lean) * mirror[1]) if part.lean else None
            taper = n[6] if len(n) > 6 else 1.0
            thing.solid(_KINDS[part.solid], at + half * _UP, half, skin, axes, taper, **marks)
        elif part.solid == "rod":
            end, radius = (np.array(n[3:6]) + shift) * signs * scale, scale.min()
            radii = (n[6] * radius, n[-1] * radius)
            thing.rod(at, end, radii, skin, knob=part.knob, **marks)
        elif part.solid == "wheel":
            rolling = frame((1, 0, 0), (0, 1, 0))
            thing.solid(CYLINDER, at, (n[3], n[3], n[4] / 2), skin, rolling, **marks)
        elif part.solid == "ring":
            turns = np.linspace(0.0, 2 * np.pi, _RIM + 1)
            rim = at + n[3] * np.stack([0 * turns, np.cos(turns), np.sin(turns)], axis=-1)
            for a, b in pairwise(rim):
                thing.rod(a, b, (n[4], n[4]), skin, **marks)
        else:
            {"cloud": self.cloud, "books": self.books}[part.solid](at, part, skin, marks)

    def cloud(self, at: Floats, part: Part, skin: Material, marks: Marks) -> None:
        """A ball in the middle and smaller ones over its surface."""
        half = np.array(part.numbers[3:6]) * self.scale / 2
        centre = at + half * _UP
        self.thing.ball(centre, 0.76 * half, skin, **marks)
        for k in range(int(part.numbers[6])):
            turn, level = 2.4 * k + self.dice.uniform(0, 1), self.dice.uniform(-0.75, 0.75)
            out = np.sqrt(1 - level**2) * self.dice.uniform(0.55, 0.7)
            way = np.array([out * np.cos(turn), out * np.sin(turn), 0.68 * level])
            size = self.dice.uniform(0.3, 0.48)
            self.thing.ball(centre + way * half, size * half, skin, **marks)

    def books(self, at: Floats, part: Part, skin: Material, marks: Marks) -> None:
        """Books side by side in runs of equal height, over most of the width."""
        width, depth, height = np.array(part.numbers[3:6]) * self.scale
        x, last = -width / 2, width * (self.dice.uniform(0.45, 1.0) - 0.5)
        while x < last - 0.04:
            wide = min(self.dice.uniform(0.12, 0.35), last - x)
            size = (wide - 0.004, self.dice.uniform(0.8, 1.0) * depth, self.dice.uniform(0.68, 0.98) * height)
            foot = at + np.array([x + wide / 2, 0.0, 0.0])
            self.thing.box(foot, size, material(self.dice, "spines"), **marks)
            x += wide


def build(
    dice: Dice,
    name: str,
    *,
    width: float | None = None,
    depth: float | None = None,
    height: float | None = None,
    fine: bool = True,
) -> Thing:
    """A thing of a prefab; sizes in metres that are not given vary by the prefab's stretch.

    Without `fine` it lacks the parts that are not seen from far off.
    """
    prefab = PREFABS[name]
    drawn = [dice.uniform(1 - prefab.stretch, 1 + prefab.stretch) for _ in range(3)]
    given = (width, depth, height)
    scale = np.array(
        [s if g is None else g / own for s, g, own in zip(drawn, given, prefab.size, strict=True)]
    )
    thing = Thing(prefab.label, *(np.array(prefab.size) * scale).tolist())
    builder = _Builder(dice, prefab, thing, scale)
    for part in prefab.parts:
        if not builder.wanted(part.option) or (part.fine and not fine):
            continue
        number = 0
        for k in range(part.copies):
            for mirror in _MIRRORED[part.mirrored]:
                builder.add(part, k * np.array(part.step), mirror, number)
                number += 1
    return thing
