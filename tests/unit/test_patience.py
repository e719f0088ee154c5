"""Tests wait for conditions; the one limit of time stands in `patience.py`."""

from __future__ import annotations

import re
from pathlib import Path

TESTS = Path(__file__).parents[1]
OWN_LIMIT = re.compile(
    r"timeout\s*=\s*\d|(deadline|until|end)\s*=.*\(\)\s*\+\s*\d|(time|monotonic|counter)\(\)\s*-.*<"
)
# what stresses real machines for as long as it is told to, and this rule
EXEMPT = (TESTS / "scale", TESTS / "fuzz" / "target.py", TESTS / "patience.py", Path(__file__))


def test_no_test_has_a_limit_of_its_own() -> None:
    found = [
        f"{path.relative_to(TESTS)}:{number}: {line.strip()}"
        for path in sorted(TESTS.rglob("*.py"))
        if not any(path.is_relative_to(exempt) for exempt in EXEMPT)
        for number, line in enumerate(path.read_text(encoding="utf-8").splitlines(), 1)
        if OWN_LIMIT.search(line)
    ]
    assert not found, "use `until` and `output_of` of tests/patience.py instead"
