"""What a generated folder was made from, and its fingerprint."""

from __future__ import annotations

import hashlib
import json
from dataclasses import asdict, dataclass
from pathlib import Path

from tabench.data.listing import unreadable
from tabench.errors import DataError
from tabench.store.encoding import parse_json

_LEAST = {"seed": 0, "train": 1, "val": 1, "height": 16, "width": 16, "generator": 1}


@dataclass(frozen=True)
class Recipe:
    """Everything that decides a generated folder's contents.

    Attributes:
        seed: Seed of all images.
        train: Images in train.
        val: Images in val.
        height: Pixels.
        width: Pixels.
        generator: Version of the generator; raised whenever any image changes.
    """

    seed: int
    train: int
    val: int
    height: int
    width: int
    generator: int = 1

    def __post_init__(self) -> None:
        for key, value in asdict(self).items():
            least = _LEAST[key]
            if isinstance(value, bool) or not isinstance(value, int) or not least <= value < 2**53:
                raise DataError(
                    f"'{key}' is {value!r}",
                    where="recipe of a generated dataset",
                    hint=f"a whole number from {least} on",
                )

    @property
    def counts(self) -> dict[str, int]:
        """Images of each folder."""
        return {"train": self.train, "val": self.val}

    def to_json(self) -> str:
        """Canonical text: sorted keys, no spaces, whole numbers only."""
        return json.dumps(asdict(self), sort_keys=True, separators=(",", ":"))

    def fingerprint(self, dataset: str) -> str:
        """Fingerprint of the content, the same on any machine.

        It covers the recipe and not the files: renderers may differ in an image's last bit
        between platforms, and results must not be told apart by that.
        """
        return f"{dataset}-" + hashlib.sha256(self.to_json().encode()).hexdigest()


def read_recipe(path: Path) -> Recipe:
    """Read the recipe of a folder from its file.

    Raises:
        DataError: There is none, or it is damaged.
    """
    try:
        return Recipe(**parse_json(path.read_bytes()))
    except FileNotFoundError as error:
        hint = f"generate it with `tabench data make-scenes --dataset {path.stem} --root {path.parent}`"
        raise DataError(f"no {path.stem} have been generated here", where=str(path), hint=hint) from error
    except DataError as error:
        raise DataError(error.message, where=str(path), hint=error.hint) from error
    except OSError as error:
        raise unreadable(error, path) from error
    except (ValueError, TypeError) as error:
        hint = "delete the folder and generate it again"
        raise DataError(f"not a recipe of generated images: {error}", where=str(path), hint=hint) from error
