"""The README's first commands, from an empty home and with the system's own Python."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
PAGES = [ROOT / "README.md", *sorted((ROOT / "docs").glob("*.md"))]
SESSION = "nox -s reproduce-nyuv2"
PASSED_ON = ("PIP_", "UV_", "SSL_", "REQUESTS_", "CURL_", "HTTP", "NO_PROXY", "LANG", "LC_")
NO_INDEX = re.compile("No matching distribution|Failed to fetch|not found in the package registry", re.I)


def commands() -> list[str]:
    """The lines of the section's shell blocks, without their comments."""
    section = (ROOT / "README.md").read_text(encoding="utf-8").partition("## Two commands\n")[2]
    blocks = re.findall(r"^```sh\n(.*?)^```", section, re.MULTILINE | re.DOTALL)
    return [line.partition("  #")[0].strip() for block in blocks for line in block.splitlines()]


def python() -> Path:
    """The system's own Python, if it can be used as the README says; else the one that runs the tests."""
    own = Path("/usr/bin/python3")
    needed = "import ensurepip, sys; sys.exit(sys.version_info < (3, 11))"
    if own.exists() and subprocess.run([own, "-c", needed], capture_output=True, check=False).returncode == 0:
        return own
    return Path(sys.base_prefix) / "bin" / "python3"


def test_the_first_line_lists_the_sessions_from_an_empty_home(tmp_path: Path) -> None:
    first = next(line for line in commands() if SESSION in line)
    check(first.replace(SESSION, "nox -l"), tmp_path)


def test_uvs_way_lists_the_sessions_from_an_empty_home(tmp_path: Path) -> None:
    uv = pytest.importorskip("uv")
    line = next(line for line in commands() if line.startswith("uvx "))
    for name in ("uv", "uvx"):
        (tmp_path / "bin").mkdir(exist_ok=True)
        (tmp_path / "bin" / name).symlink_to(Path(uv.find_uv_bin()).with_name(name))
    check(line.replace(SESSION, "nox -l"), tmp_path)


def check(command: str, place: Path) -> None:
    """Run a line in a folder with the noxfile alone."""
    shutil.copy(ROOT / "noxfile.py", place)
    (place / "home").mkdir()
    kept = {key: value for key, value in os.environ.items() if key.upper().startswith(PASSED_ON)}
    path = os.pathsep.join([str(place / "bin"), str(python().parent), "/usr/bin", "/bin"])
    done = subprocess.run(
        ["sh", "-c", command],
        cwd=place,
        env={**kept, "HOME": str(place / "home"), "PATH": path},
        capture_output=True,
        text=True,
        check=False,
    )
    if done.returncode and NO_INDEX.search(done.stderr):
        pytest.skip(f"no package index: {done.stderr.strip().splitlines()[-1]}")
    assert done.returncode == 0, done.stderr
    assert "- reproduce-nyuv2 -> " in done.stdout
    assert "externally-managed-environment" not in done.stderr


def test_ci_runs_the_readmes_own_commands() -> None:
    first, second = (next(line for line in commands() if name in line) for name in (SESSION, "nox -s tests"))
    assert second == ".nox-venv/bin/nox -s tests"
    script = (ROOT / ".ci" / "run").read_text(encoding="utf-8").splitlines()
    assert script[-1] == first.replace(SESSION, "nox -s tests")


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_what_a_page_points_to_is_there(page: Path) -> None:
    text = page.read_text(encoding="utf-8")
    links = {link for link in re.findall(r"\]\(([^)#\s]+)", text) if "://" not in link}
    named = set(re.findall(r"`((?:tabench|experiments|docs|tests)/[\w/.-]+\.\w+)`", text))
    missing = {link for link in links if not (page.parent / link).exists()}
    assert missing | {name for name in named if not (ROOT / name).exists()} == set()
