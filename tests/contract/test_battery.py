"""The installed battery over another package: what is wrong fails its test, what is right passes them all.

The package is installed beside tabench, and pytest runs in an empty folder: no file of this checkout is read.
"""

from __future__ import annotations

import os
import re
import runpy
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from xml.etree import ElementTree

import outside_methods
import outside_others
import pytest
from outside_package import install, install_page

import tabench.testing

HERE = Path(__file__).parent
RIGHT = [
    *(method.name for method in outside_methods.RIGHT),
    *("outside-smoothed", "outside-rooms", "outside-archives"),
    # the package of docs/extending.md
    *("bias-only", "random-weights", "mlp-lora", "log-depth", "kitchens", "micro", "shortest"),
]
WRONG = [
    *((test, method.name) for test, methods in outside_methods.WRONG.items() for method in methods),
    *outside_others.WRONG.items(),
]
GROUPS = {
    "methods": (outside_methods, outside_methods.METHODS, "METHODS"),
    "tasks": (outside_others, outside_others.TASKS, "TASKS"),
    "datasets": (outside_others, outside_others.DATASETS, "DATASETS"),
    "executors": (outside_others, outside_others.EXECUTORS, "EXECUTORS"),
}
BRIEF = "its_entry_says or facts_are_complete or without_jobs"  # a test of each kind
BROKEN = {kind: f"outside-broken-{kind}" for kind in GROUPS}
TRIED_BROKEN = [f"({name} and ({BRIEF}))" for name in BROKEN.values()]
NAMES = [*RIGHT, *(entry for _, entry in WRONG), *BROKEN.values()]
Outcomes = dict[tuple[str, str], set[str]]


def lay_out(site: Path) -> None:
    """Install both modules and a package that gives each of their objects a name; some entries break."""
    code, points = "", {}
    for kind, (module, held, table) in GROUPS.items():
        names = {name: re.sub(r"\W", "_", f"{kind} {name}") for name in held}
        code += f"import {module.__name__}\n"
        code += "".join(f"{own} = {module.__name__}.{table}[{name!r}]\n" for name, own in names.items())
        points[f"tabench.{kind}"] = {name: f"outsiders.entries:{own}" for name, own in names.items()}
        points[f"tabench.{kind}"][BROKEN[kind]] = "outsiders.entries:nothing"
    install(site, "outsiders", "outsiders.entries", code, points)
    for module in (outside_methods, outside_others):
        (site / f"{module.__name__}.py").write_text((HERE / f"{module.__name__}.py").read_text())


@pytest.fixture(scope="module")
def outcomes(tmp_path_factory: pytest.TempPathFactory) -> Outcomes:
    """(test, entry) to how its cases ended: "passed", "failed", "skipped"."""
    place = tmp_path_factory.mktemp("battery")
    site, empty = place / "site", place / "empty"
    lay_out(site)
    install_page(site)
    empty.mkdir()
    outside_others.write_archives(place / "data" / "outside-archives")
    chosen = " or ".join([*RIGHT, *TRIED_BROKEN, *(f"({test} and {entry})" for test, entry in WRONG)])
    words = ["--pyargs", "tabench.testing", "-k", chosen, f"--junitxml={place / 'found.xml'}"]
    done = subprocess.run(
        [sys.executable, "-m", "pytest", *words, "-q", "-p", "no:cacheprovider"],
        cwd=empty,
        env={
            **{key: value for key, value in os.environ.items() if not key.startswith("PYTEST_")},
            "PYTHONPATH": str(site),
            "TABENCH_DATA": str(place / "data"),
            "OMP_NUM_THREADS": "1",
        },
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 1, done.stdout + done.stderr  # tests failed, and nothing else did
    assert list(empty.iterdir()) == []
    found: Outcomes = {}
    for test, entry, state in read(place / "found.xml"):
        found.setdefault((test, entry), set()).add(state)
    return found


def read(path: Path) -> Iterator[tuple[str, str, str]]:
    for case in ElementTree.parse(path).iter("testcase"):
        test, _, case_id = case.attrib["name"].rstrip("]").partition("[")
        entry = next(name for name in NAMES if name in case_id)
        state = next((child.tag for child in case if child.tag in ("failure", "error", "skipped")), "passed")
        yield test, entry, {"failure": "failed", "error": "failed"}.get(state, state)


@pytest.mark.parametrize("entry", RIGHT)
def test_what_is_right_passes(entry: str, outcomes: Outcomes) -> None:
    ended = {test: states for (test, name), states in outcomes.items() if name == entry}
    assert {test for test, states in ended.items() if "failed" in states} == set()
    assert sum("passed" in states for states in ended.values()) >= 3


@pytest.mark.parametrize(("test", "entry"), WRONG)
def test_what_is_wrong_fails_its_test(test: str, entry: str, outcomes: Outcomes) -> None:
    assert "failed" in outcomes[test, entry]


@pytest.mark.parametrize("kind", GROUPS)
def test_a_broken_entry_fails_its_own_tests_alone(kind: str, outcomes: Outcomes) -> None:
    ended = [states for (_, name), states in outcomes.items() if name == BROKEN[kind]]
    assert ended
    assert [states for states in ended if "passed" in states] == []


def test_without_pytest_the_package_says_what_to_install(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "pytest", None)
    with pytest.raises(ModuleNotFoundError, match=r"pip install 'tabench\[testing\]'"):
        runpy.run_path(str(tabench.testing.__file__))
