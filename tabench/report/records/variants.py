"""Rows of a method whose cells differ in hyper-parameters: short names, and their order."""

from __future__ import annotations

import json
import re
from collections.abc import Iterable, Mapping, Sequence

Setting = Mapping[str, object]  # "method.params.rank" -> value

_BALANCING = "balancing.name"  # a cell that says nothing of it has the weighted sum
_RANKS, _FACTORS, _LAMBDA = "method.params.ranks", "method.params.regularise", "method.params.orthogonality"


def flat(cell: Mapping[str, object], prefix: str = "") -> dict[str, object]:
    """A cell's values by dotted key, without the seed; lists become tuples."""
    values: dict[str, object] = {}
    for key, item in cell.items():
        if isinstance(item, Mapping):
            values.update(flat(item, f"{prefix}{key}."))
        elif prefix or key != "seed":
            values[f"{prefix}{key}"] = tuple(item) if isinstance(item, list) else item
    return values


def differing(settings: Sequence[Setting]) -> list[str]:
    """Keys in which settings of one method differ, the ones that stand first in a name first."""
    seen: dict[str, set[object]] = {}
    for setting in settings:
        for key, value in setting.items():
            seen.setdefault(key, set()).add(value)
    everywhere = [key for key, values in seen.items() if len(values) > 1]
    everywhere += [
        key for key, values in seen.items() if len(values) == 1 and any(key not in s for s in settings)
    ]
    return sorted(set(everywhere), key=lambda key: (_place(key), key))


def from_label(stem: str) -> dict[str, object]:
    """Settings that a label names, for example of "ta-lora (ranks=[8, 8, 2], orthogonality=0.1)"."""
    method, _, inside = stem.partition(" (")
    setting: dict[str, object] = {"method.name": method}
    for part in re.split(r", (?=[\w.]+=)", inside.removesuffix(")")):
        key, _, text = part.partition("=")
        try:
            value = json.loads(text)
        except ValueError:
            value = text
        setting[_key(key)] = tuple(value) if isinstance(value, list) else value
    return setting


def _key(told: str) -> str:
    """The dotted key in a cell of what a label names."""
    if told == "balancing":
        return _BALANCING
    part, _, key = told.rpartition(".")
    return f"{part or 'method'}.params.{key}"


def name(setting: Setting, keys: Iterable[str]) -> str:
    """What tells a row apart, for example "p=q=8, v=2", "R=16" or "U1,U2; λ=0.1"."""
    method = str(setting.get("method.name", ""))
    texts = {key: _text(method, key, setting.get(key)) for key in keys}
    factors = texts.pop(_FACTORS, None)
    return "; ".join(part for part in (factors, ", ".join(filter(None, texts.values()))) if part)


def order(setting: Setting, keys: Iterable[str]) -> tuple[tuple[bool, float, str], ...]:
    """Sort key of a row: numbers by value, tuples element by element, texts after them."""
    places: list[tuple[bool, float, str]] = []
    for key in keys:
        value = setting.get(key)
        for item in value if isinstance(value, tuple) else (value,):
            number = isinstance(item, int | float)
            places.append((not number, float(item) if isinstance(item, int | float) else 0.0, str(item)))
    return tuple(places)


def title(method: str, variant: str) -> str:
    """A method's title with its variant; "(Tucker)" goes where the ranks p, q, v say it."""
    if variant.startswith("p="):
        method = method.removesuffix(" (Tucker)")
    return f"{method} {variant}".strip()


def _place(key: str) -> int:
    return {_RANKS: 0, _FACTORS: 1, _LAMBDA: 2}.get(key, 1 if key.startswith("method.") else 3)


def _text(method: str, key: str, value: object) -> str:
    if key == _BALANCING:
        return str(value or "equal")
    if value is None:
        return "" if key.startswith("balancing.") else f"no {_plain(key)}"
    if key == _RANKS and isinstance(value, tuple) and len(value) == 3:
        p, q, v = value
        return f"p=q={p}, v={v}" if p == q else f"p={p}, q={q}, v={v}"
    if key == _FACTORS:
        return ",".join(part.strip() for part in str(value).split(",") if part.strip()) or "none"
    if key == _LAMBDA:
        return f"λ={value:g}" if isinstance(value, float) else f"λ={value}"
    if key == "method.params.rank":
        return f"{'R' if 'cp' in method.split('-') else 'r'}={value}"
    shown = ",".join(str(item) for item in value) if isinstance(value, tuple) else value
    return f"{_plain(key)}={shown:g}" if isinstance(shown, float) else f"{_plain(key)}={shown}"


def _plain(key: str) -> str:
    return key.rpartition(".")[2].replace("_", " ")
