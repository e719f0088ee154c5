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

    houses: str  # "town" (closed rows), "villas" (gardens between) or "none" (fields, walls, trees)
    lanes: tuple[int, ...]  # numbers of lanes in each direction to choose from
    pavement: tuple[float, float]  # least and greatest width in metres
    setback: tuple[float, float]  # least and greatest distance from pavement to houses in metres
    parked: float  # chance that a parking place is taken
    trees: float  # chance that a place at the kerb has a tree
    people: float  # mean number of walkers in view
    traffic: float  # mean number of moving vehicles in view


KINDS: dict[str, Kind] = {
    "old town": Kind("town", (1, 1), (1.6, 3.0), (0.0, 0.2), 0.6, 0.12, 22.0, 4.0),
    "centre": Kind("town", (1, 2), (2.6, 5.0), (0.0, 0.5), 0.5, 0.3, 34.0, 6.0),
    "avenue": Kind("town", (2, 2), (3.5, 6.0), (0.0, 3.0), 0.65, 0.75, 18.0, 8.0),
    "suburb": Kind("villas", (1, 1), (1.8, 2.8), (3.0, 7.0), 0.45, 0.35, 9.0, 3.0),
    "park road": Kind("none", (1, 2), (1.8, 3.2), (1.0, 3.0), 0.2, 0.7, 9.0, 5.0),
}
_ORDER = ("old town", "centre", "centre", "avenue", "avenue", "suburb", "suburb", "park road")


@dataclass(frozen=True)
class Side:
    """One side of the street, as distances outwards from the road's middle (metres)."""

    sign: int  # -1 left, 1 right
    lanes: float  # outer edge of the lanes
    kerb: float  # edge of the pavement; between `lanes` and `kerb` cars may park
    front: float  # outer edge of the pavement, where gardens or houses begin


@dataclass(frozen=True)
class Plan:
    """A street to be built.

    Attributes:
        kind: What it is like.
        middle: x of the road's middle; the camera drives at x = 0.
        lane: Width of a lane.
        lanes: Lanes in each direction.
        sides: Left and right.
        crossings: (y, half width) of the side roads that cut through, nearest first.
        end: y where a building closes the view; None where the road goes on.
    """

    kind: Kind
    middle: float
    lane: float
    lanes: int
    sides: tuple[Side, Side]
    crossings: tuple[tuple[float, float], ...]
    end: float | None

    def free(self, y: float, margin: float) -> bool:
        """Whether a stretch of y +- margin lies in no side road and before the end."""
        if self.end is not None and y + margin > self.end - 6.0:
            return False
        return all(abs(y - at) > half + margin for at, half in self.crossings)

    def stretches(self) -> list[tuple[float, float]]:
        """Pieces of y between the side roads, for kerbs and rows of houses."""
        last = GROUND_END if self.end is None else self.end - 4.0
        cuts, out = BEHIND, []
        for at, half in sorted(self.crossings):
            out.append((cuts, at - half))
            cuts = at + half
        return [(a, b) for a, b in [*out, (cuts, last)] if b - a > 0.5]


def sample_plan(dice: Dice) -> Plan:
    """A street of a random kind."""
    kind = KINDS[dice.pick(_ORDER)]
    lanes, lane = dice.pick(kind.lanes), dice.uniform(2.9, 3.5)
    sides = (_side(dice, kind, -1, lanes * lane), _side(dice, kind, 1, lanes * lane))
    own = dice.integer(0, lanes - 1)
    middle = -(own + 0.5) * lane + dice.uniform(-0.35, 0.35)
    crossings = []
    at = dice.uniform(-20.0, 60.0)
    while at < 150.0:
        crossings.append((at, dice.uniform(3.5, 7.0)))
        at += dice.uniform(45.0, 110.0)
    end = dice.uniform(35.0, 100.0) if dice.chance(0.22) else None
    if end is not None:
        crossings = [(y, half) for y, half in crossings if y + half < end - 20.0]
        crossings.append((end - 8.0, 4.0))
    return Plan(kind, middle, lane, lanes, sides, tuple(crossings), end)


def _side(dice: Dice, kind: Kind, sign: int, lanes: float) -> Side:
    kerb = lanes + (dice.uniform(2.0, 2.4) if dice.chance(0.75 if kind.parked > 0.3 else 0.3) else 0.35)
    return Side(sign, lanes, kerb, kerb + dice.uniform(*kind.pavement))
