"""What a generated folder was made from, and its fingerprint."""

from __future__ import annotations

import hashlib
import json
from dataclasses import asdict, dataclass
from pathlib import Path

from tabench.errors import DataError

GENERATOR = 1  # raised whenever any scene changes
FILE = "scenes.json"
_LEAST = {"seed": 0, "train": 1, "val": 1, "height": 16, "width": 16, "generator": 1}


@dataclass(frozen=True)
class Recipe:
    """Everything that decides a folder's contents.

    Attributes:
        seed: Seed of all scenes.
        train: Images in train.
        val: Images in val.
        height: Pixels.
        width: Pixels.
        generator: Version of the generator.
    """

    seed: int
    train: int
    val: int
    height: int
    width: int
    generator: int = GENERATOR

    def __post_init__(self) -> None:
        for key, value in asdict(self).items():
            least = _LEAST[key]
            if isinstance(value, bool) or not isinstance(value, int) or value < least:
                raise DataError(
                    f"'{key}' is {value!r}", where="scenes recipe", hint=f"a whole number >= {least}"
                )

    def to_json(self) -> str:
        """Canonical text: sorted keys, no spaces, whole numbers only."""
        return json.dumps(asdict(self), sort_keys=True, separators=(",", ":"))


def recipe_fingerprint(recipe: Recipe) -> str:
    """Fingerprint of a recipe, the same on any machine.

    It covers the recipe and not the files: renderers may differ in an image's last bit
    between platforms, and results must not be told apart by that.
    """
    return "scenes-" + hashlib.sha256(recipe.to_json().encode()).hexdigest()


def read_recipe(root: Path) -> Recipe:
    """Read a folder's recipe.

    Raises:
        DataError: There is none, or it is damaged.
    """
    path = root / FILE
    try:
        raw = json.loads(path.read_text(encoding="utf-8"))
        return Recipe(**raw)
    except FileNotFoundError as error:
        hint = f"generate the scenes with `tabench data make-scenes --root {root}`"
        raise DataError("no scenes have been generated here", where=str(path), hint=hint) from error
    except (ValueError, TypeError) as error:
        hint = "delete the folder and generate it again"
        raise DataError(f"not a recipe of generated scenes: {error}", where=str(path), hint=hint) from error
