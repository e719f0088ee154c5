"""What surfaces are made of: colours, materials, and the finishes that things are given."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from tabench.worlds.dice import Dice, Floats

Colour = tuple[float, float, float]

_HEX = {  # sRGB
    "walls": "ede8db e0d6bf ccd6db d1dbc9 e6d4bd c7c2ba dbc7a8 b2c4cc ebe0b2 b88570 8ca399",
    "woods": "734526 99663b b88754 543321 cca673 854c2e 3d2b24",
    "paints": "ebebe6 d9d4c7 404045 8c999e",
    "fabrics": "8c332e 384c73 596b4c 9e8c73 666161 c7b89e 4c382e 996b33 738594 333338",
    "linens": "ebe8e3 d9ccb8 b2c7db dbb2ad 734c66 4c6185 bfad73",
    "carpets": "9e8f78 808080 6b574c b2a694 616b7a",
    "accents": "cc2e26 2659a6 e6bf33 33804c d97326 ebebeb 26262b 804080 4c9ea6",
    "cars": "b8babf 8c9199 17171a 292b30 e0e0de e0e0de 4c5259 1a264c 2e4c7a 7a1417 9e1f1a 1f3d2e 736654",
    "lorries": "e6e6e3 e6e6e3 cca61a 334c85 991f1f",
    "buses": "e0e0db d9b21f 9e1a1f 386b4c",
    "facades": "ccc4b2 b8a88f dbd4c2 a8a39c c7ad85 946652 7a5245 9e8f80 d1bd9e 8a8785 b2b8bd c29980",
    "trims": "e6e3db d6d1c2 6b5c4c 9e9991",
    "stones": "8f8c87 807a75 998f85 757578",
    "roads": "575759 47474a 6b6966 615e61",
    "leaves": "3d6124 335426 577029 476633 425c1f 2e4c1f 6b6b29",
    "lawns": "5c7533 6b753d 4c6629",
    "barks": "4c3d2e 615445 3d332b",
    "poles": "6b7073 4c4f52 33423b 8c8f8f",
    "slates": "7a3d2b 4d4747 664d42",
    "pots": "995438 e6e6e0 404c59",
    "skins": "edc2a8 e0ad8f cc9975 a87554 80543d 5c3d2e",
    "hairs": "1a1412 382417 613d21 b88f4c 99948c 7a331a",
    "trousers": "2b385c 475c85 242426 6b614c 9e8c6b 545459",
    "shoes": "1a1a1a 4c3324 d9d9d4",
    "coats": "6b4024 472b1c 996b42 26201c b8ad9e b88c52",
    "signs": "e6e6e0 e6e6e0 1a409e e6c71a",
    "rims": "bf1414 bf1414 1a409e e6e6e0",
    "frames": "ededeb e6e6e0 664229",
    "fridges": "e6e6e6 999ca1 333338",
    "posters": "1a3880 e6c71f 145c38",
    "steels": "333338 a6a6a8",
    "knobs": "bfb8a6 333333",
    "bins": "333d38 9e661a 244270",
    "skies": "edf5ff d9ebff fff7eb",
}


PALETTES = {name: codes.split() for name, codes in _HEX.items()}


@dataclass(frozen=True)
class Material:
    """How a surface looks."""

    pattern: str  # a name of ``patterns.PATTERNS``
    colour: Colour  # main colour, sRGB 0..1
    second: Colour = (0.5, 0.5, 0.5)  # the pattern's other colour
    scale: float = 0.1  # size of the pattern in metres
    seed: int = 0  # seed of its noise
    gloss: float = 0.0  # weight of the mirror-like highlight, 0..1
    glow: float = 0.0  # light given off, as a multiple of the colour


@dataclass(frozen=True)
class Finish:
    """What a material is drawn from."""

    patterns: str  # names of patterns, all equally likely
    colours: str  # names of palettes, or six hexadecimal digits
    second: str = ""  # palettes of the other colour; a darker first one by default
    scale: tuple[float, float] = (0.1, 0.1)  # least and greatest size of the pattern
    gloss: float = 0.0  # weight of the highlight
    glow: tuple[float, ...] = (0.0,)  # values, all equally likely
    spread: float = 0.06  # how far a colour may be from the palette's


FINISHES = {
    "wood": Finish("wood wood wood wood plain", "woods woods paints", gloss=0.25),
    "cloth": Finish("fabric fabric fabric stripes plaid dots", "fabrics", "fabrics", (0.08, 0.2)),
    "felt": Finish("fabric", "fabrics"),
    "linen": Finish("fabric fabric stripes plaid dots", "linens", "linens", (0.08, 0.2)),
    "curtain": Finish("fabric", "linens fabrics"),
    "cushion": Finish("fabric fabric stripes plaid dots", "accents", "accents", (0.08, 0.2)),
    "worktop": Finish("carpet", "595754", "8c8a85", gloss=0.4),
    "houseplant": Finish("carpet", "336126 477a2e", "17330f", spread=0.03),
    "shade": Finish("fabric", "f2e6bf", glow=(0.0, 0.0, 0.9), spread=0.02),
    "lamp": Finish("plain", "fff7e6", glow=(1.2,), spread=0.0),
    "spines": Finish("spines", "804d33", scale=(0.025, 0.05)),
    "trinket": Finish("plain plain dots stripes", "accents", "accents", (0.04, 0.06), 0.3),
    "basket": Finish("fabric plain plaid", "woods accents carpets"),
    "canvas": Finish("painting", "accents", "accents"),
    "frame": Finish("wood wood plain", "woods woods paints", gloss=0.3),
    "view": Finish("outdoors", "skies", glow=(0.9, 1.4, 2.0, 2.5), spread=0.0),
    "rug": Finish("carpet stripes tiles plaid dots", "carpets fabrics", "carpets fabrics", (0.15, 0.4)),
    "boards": Finish("planks", "woods", scale=(0.08, 0.18), gloss=0.3),
    "pile": Finish("carpet", "carpets"),
    "tiles": Finish("tiles", "carpets", "403d3b 736b61", (0.3, 0.5), 0.35),
    "ceiling": Finish("plain", "f2f2ed e6e6e1", spread=0.03),
    "wallpaper": Finish("plain plain plain plain stripes", "walls", scale=(0.12, 0.3)),
    "skirting": Finish("plain plain wood", "e6e3db e6e3db woods"),
    "load": Finish("plain plain stripes", "lorries", scale=(2.0, 2.0), gloss=0.3),
    "glass": Finish("plain", "21262b", gloss=0.9, spread=0.01),
    "poster": Finish("painting", "accents", "accents"),
    "bark": Finish("wood", "barks", spread=0.04),
    "leaves": Finish("leaves", "1a2b0f 1f2e12 242e0f", "leaves", spread=0.03),
    "lawn": Finish("grass", "lawns", "47591f 2b471a"),
    "asphalt": Finish("asphalt", "roads", spread=0.03),
    "zebra": Finish("crossing", "d9d9d4", "4c4c4f", (1.0, 1.0), spread=0.02),
    "pavement": Finish("slabs", "stones", scale=(0.3, 0.8), spread=0.04),
    "facade": Finish("facade", "facades", "trims", (1.7, 3.2), 0.05),
    "shopfront": Finish("shopfront", "facades", "trims", (2.5, 5.0), 0.2),
    "awning": Finish("stripes", "facades", "trims", (0.5, 0.5)),
    "masonry": Finish("bricks bricks plain", "facades stones"),
    "slate": Finish("bricks", "slates"),
    "fence": Finish("wood plain", "woods poles"),
    "hair": Finish("fabric", "hairs", spread=0.03),
    "shirt": Finish(
        "fabric fabric fabric plain stripes plaid", "accents fabrics", "accents fabrics", (0.05, 0.12)
    ),
    "trousers": Finish("fabric", "trousers trousers fabrics"),
    "fur": Finish("carpet", "coats", "coats", (0.08, 0.2), spread=0.04),
}


def linear(colour: Colour) -> Floats:
    """SRGB 0..1 to linear light (3,)."""
    return np.asarray(colour, dtype=np.float64) ** 2.2


def shade(dice: Dice, names: str, spread: float = 0.06) -> Colour:
    """One of the colours of some palettes, a little lighter or darker and off in hue."""
    name = dice.pick(names.split())
    code, level = dice.pick(PALETTES.get(name, [name])), dice.uniform(-spread, spread)
    base = (int(code[k : k + 2], 16) / 255 for k in (0, 2, 4))
    r, g, b = (min(max(c + level + dice.uniform(-spread, spread) / 3, 0.01), 1.0) for c in base)
    return r, g, b


def material(dice: Dice, name: str, scale: float | None = None) -> Material:
    """A material of a finish, or a plain one of a palette or colour, with a noise seed of its own."""
    finish = FINISHES.get(name) or Finish("plain", name, gloss=0.3, spread=0.03)
    pattern, colour = dice.pick(finish.patterns.split()), shade(dice, finish.colours, finish.spread)
    r, g, b = colour
    second = shade(dice, finish.second, finish.spread) if finish.second else (0.75 * r, 0.75 * g, 0.75 * b)
    size, glow = dice.uniform(*finish.scale), dice.pick(finish.glow)
    return Material(pattern, colour, second, scale or size, dice.integer(0, 2**31 - 1), finish.gloss, glow)
