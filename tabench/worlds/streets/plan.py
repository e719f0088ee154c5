"""The cross-section of a street, its side roads, and what kind of street it is. The camera looks along +y."""

from __future__ import annotations

from dataclasses import dataclass

from tabench.worlds.dice import Dice

BEHIND, SEEN = -12.0, 110.0  # metres along y between which things are placed
GROUND_END = 480.0
KERB = 0.13  # height of a pavement


@dataclass(frozen=True)
class Kind:
    """Likelihoods that make a street what it is."""

    houses: str  # "town" (closed rows), "villas" (gardens between) or "green" (fields, walls, trees)
    lanes: tuple[int, ...]  # numbers of lanes in each direction to choose from
    pavement: tuple[float, float]  # least and greatest width in metres
    setback: tuple[float, float]  # least and greatest distance from pavement to houses in metres
    parked: float  # chance that a parking place is taken
    trees: float  # chance that a place at the kerb has a tree
    people: float  # mean number of walkers in view
    traffic: float  # mean number of moving vehicles in view


KINDS = (
    Kind("town", (1, 1), (1.6, 3.0), (0.0, 0.2), 0.6, 0.12, 22.0, 4.0),  # old town
    Kind("town", (1, 2), (2.6, 5.0), (0.0, 0.5), 0.5, 0.3, 34.0, 6.0),  # centre
    Kind("town", (1, 2), (2.6, 5.0), (0.0, 0.5), 0.5, 0.3, 34.0, 6.0),
    Kind("town", (2, 2), (3.5, 6.0), (0.0, 3.0), 0.65, 0.75, 18.0, 8.0),  # avenue
    Kind("town", (2, 2), (3.5, 6.0), (0.0, 3.0), 0.65, 0.75, 18.0, 8.0),
    Kind("villas", (1, 1), (1.8, 2.8), (3.0, 7.0), 0.45, 0.35, 9.0, 3.0),  # suburb
    Kind("villas", (1, 1), (1.8, 2.8), (3.0, 7.0), 0.45, 0.35, 9.0, 3.0),
    Kind("green", (1, 2), (1.8, 3.2), (1.0, 3.0), 0.2, 0.7, 9.0, 5.0),  # park road
)


@dataclass(frozen=True)
class Side:
    """One side of the street, as distances outwards from the road's middle (metres)."""

    sign: int  # -1 left, 1 right
    lanes: float  # outer edge of the lanes
    kerb: float  # edge of the pavement; between `lanes` and `kerb` cars may park
    front: float  # outer edge of the pavement, where gardens or houses begin


@dataclass(frozen=True)
class Plan:
    """A street to be built."""

    kind: Kind
    middle: float  # x of the road's middle; the camera drives at x = 0
    lane: float  # width of a lane
    lanes: int  # lanes in each direction
    sides: tuple[Side, Side]  # left and right
    crossings: tuple[tuple[float, float], ...]  # (y, half width) of the side roads, nearest first

    def free(self, y: float, margin: float) -> bool:
        """Whether a stretch of y +- margin lies in no side road."""
        return all(abs(y - at) > half + margin for at, half in self.crossings)

    def stretches(self) -> list[tuple[float, float]]:
        """Pieces of y between the side roads, for kerbs and rows of houses."""
        starts = [BEHIND, *(at + half for at, half in self.crossings)]
        ends = [*(at - half for at, half in self.crossings), GROUND_END]
        return [(a, b) for a, b in zip(starts, ends, strict=True) if b - a > 0.5]


def sample_plan(dice: Dice) -> Plan:
    """A street of a random kind."""
    kind = dice.pick(KINDS)
    lanes, lane = dice.pick(kind.lanes), dice.uniform(2.9, 3.5)
    sides = (_side(dice, kind, -1, lanes * lane), _side(dice, kind, 1, lanes * lane))
    middle = -(dice.integer(0, lanes - 1) + 0.5) * lane + dice.uniform(-0.35, 0.35)
    crossings, at = [], dice.uniform(-20.0, 60.0)
    while at < 150.0:
        crossings.append((at, dice.uniform(3.5, 7.0)))
        at += dice.uniform(45.0, 110.0)
    return Plan(kind, middle, lane, lanes, sides, tuple(crossings))


def _side(dice: Dice, kind: Kind, sign: int, lanes: float) -> Side:
    kerb = lanes + (dice.uniform(2.0, 2.4) if dice.chance(0.75 if kind.parked > 0.3 else 0.3) else 0.35)
    return Side(sign, lanes, kerb, kerb + dice.uniform(*kind.pavement))
