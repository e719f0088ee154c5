"""Words for people: lists, sizes, times, hints; and texts from elsewhere: shown, never obeyed."""

from __future__ import annotations

import pytest

from tabench.text import bytes_text, counted, duration, few, inert, joined, no_formula, suggestion


def test_lists() -> None:
    assert [joined(list(words)) for words in ("", "a", "ab", "abc")] == ["", "a", "a and b", "a, b and c"]
    assert joined(["x", "y"], "or") == "x or y"
    assert few(range(3)) == "0, 1, 2"
    assert few("abcd", 2) == "a, b and 2 more"
    assert few("abcd", 2, apart="; ") == "a; b; and 2 more"
    assert few("ab", total=9) == "a, b and 1 more"
    assert [counted(n, "run") for n in (0, 1, 2)] == ["0 runs", "1 run", "2 runs"]


def test_times_and_sizes() -> None:
    times = (4.82, 48, 725, 12_000, 440_000)
    assert [duration(s) for s in times] == ["4.8 s", "48 s", "12 min 5 s", "3 h 20 min", "5 d 2 h"]
    sizes = (7, 1500, 2_800_000, 5_140_000_000, 3e12)
    assert [bytes_text(n) for n in sizes] == ["7 B", "1.5 kB", "2.8 MB", "5.1 GB", "3.0 TB"]


def test_hints() -> None:
    assert suggestion("ta-lor", ["lora", "ta-lora"]) == "did you mean 'ta-lora'?"
    assert suggestion("xyz", ["lora"], "it has") == "it has: lora"
    assert suggestion("xyz", []) == "known: none"


@pytest.mark.parametrize(
    ("text", "shown"),
    [("a\x1b[31mb", "a\\x1b[31mb"), ("a\n\tb", "a\n\tb"), ("a\u202eb", "a\\u202eb"), ("é–Δ", "é–Δ")],
)
def test_control_characters_are_spelled_out(text: str, shown: str) -> None:
    assert inert(text) == shown


@pytest.mark.parametrize(
    ("text", "shown"), [("=1+1", "'=1+1"), ("-0.5", "-0.5"), ("-1|x", "'-1|x"), ("@a", "'@a"), ("a=1", "a=1")]
)
def test_no_spreadsheet_takes_a_text_for_a_formula(text: str, shown: str) -> None:
    assert no_formula(text) == shown
