"""JSON texts that are valid in form and wrong in content, and those that are not JSON at all."""

from __future__ import annotations

import copy
import json
from collections.abc import Iterator, Sequence
from typing import Any

from hypothesis import strategies as st
from hypothesis.strategies import DrawFn, SearchStrategy

from fuzz.mutation import damaged

NUMBERS = (0, -1, 1, 2**31, 2**63, 10**400, -(10**40), 0.5, 1e308, -0.0)
TEXTS = ("", "x", "0", "1e5", "nan", "\0", "\x1b[31m", "<script>", "../../x", "a" * 100_000, "\ud800", "٣")
HOLDERS = ([], {}, [None], [[]], {"a": 1}, [1, "a", None])
ODD: tuple[Any, ...] = (None, True, False, *NUMBERS, *TEXTS, *HOLDERS)
RAW = ("NaN", "Infinity", "-Infinity", "1e999", "9" * 5000, "0x1", "1_0", '"\\ud800"')
RAW += ("[" * 100_000, '{"a":' * 50_000)
VALID = (b"null", b"[]", b"{}", b"3", b'"x"', b"[[[]]]", b'{"a": 1, "a": 2}', b"[" * 500 + b"]" * 500)
BROKEN = (b"", b"{} {}", b"NaN", b"//x\n{}", b"{'a': 1}", b"{}\n" * 3)
BYTES = (b"\xef\xbb\xbf{}", b"\xff\xfe{\0}\0", b"\x80", b"\0" * 100)
LARGE = (b"[" * 200_000, b'{"a":' * 100_000, b"9" * 10_000, b" " * 100_000)
WHOLE = (*VALID, *BROKEN, *BYTES, *LARGE)


def leaves(value: Any, path: tuple[Any, ...] = ()) -> Iterator[tuple[Any, ...]]:
    """Paths of all values inside a JSON value, containers included."""
    if path:
        yield path
    pairs = value.items() if isinstance(value, dict) else enumerate(value) if isinstance(value, list) else ()
    for key, item in pairs:
        yield from leaves(item, (*path, key))


def mutated(seeds: Sequence[Any]) -> SearchStrategy[bytes]:
    """JSON values with one to three of their values replaced, removed, renamed or doubled."""
    paths = [list(leaves(seed)) for seed in seeds]
    texts = [json.dumps(seed).encode() for seed in seeds]
    return st.one_of(
        _mutated(tuple(seeds), paths),
        _mutated(tuple(seeds), paths),
        damaged(texts),
        st.sampled_from([*WHOLE, *texts]),
    )


@st.composite
def _mutated(draw: DrawFn, seeds: tuple[Any, ...], paths: list[list[tuple[Any, ...]]]) -> bytes:
    number = draw(st.integers(0, len(seeds) - 1))
    value = copy.deepcopy(seeds[number])
    raw: dict[str, str] = {}
    for count in range(draw(st.integers(1, 3))):
        path = draw(st.sampled_from(paths[number]))
        node = value
        try:
            for key in path[:-1]:
                node = node[key]
            what = draw(st.sampled_from(["odd", "odd", "odd", "odd", "raw", "gone", "name", "wrap"]))
            if what == "odd":
                node[path[-1]] = copy.deepcopy(draw(st.sampled_from(ODD)))
            elif what == "raw":
                mark = f"@raw{count}@"
                raw[json.dumps(mark)] = draw(st.sampled_from(RAW))
                node[path[-1]] = mark
            elif what == "gone":
                del node[path[-1]]
            elif what == "name" and isinstance(node, dict):
                node[str(draw(st.sampled_from(ODD)))] = node.pop(path[-1])
            else:
                node[path[-1]] = [node[path[-1]]]
        except (KeyError, IndexError, TypeError, AttributeError):
            continue  # another change took that place away
    text = json.dumps(value)
    for mark, replacement in raw.items():
        text = text.replace(mark, replacement)
    return text.encode("utf-8", "surrogatepass")
