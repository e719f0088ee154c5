"""Output that nobody reads or that cannot be written, and users without a home: no run ends for that."""

from __future__ import annotations

import importlib
import os
import signal
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
from commands import call, options
from tiny_run import write_weights

import tabench.methods

SMALL = ["--select=method=frozen", "--set=evaluation.pictures=0", "--no-pack"]
TABENCH = [sys.executable, "-c", "from tabench.cli import main; main()"]
HOMES = ("HOME", "USER", "LOGNAME", "LNAME", "USERNAME", "XDG_CACHE_HOME", "XDG_CONFIG_HOME", "TABENCH_CACHE")
NO_USER = """
import pwd

def getpwuid(number):
    raise KeyError(number)

pwd.getpwuid = getpwuid
"""


@pytest.fixture
def container(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> dict[str, str]:
    """The environment of a user who has neither a home folder nor a line in the user table."""
    (tmp_path / "sitecustomize.py").write_text(NO_USER)
    monkeypatch.chdir(tmp_path)
    paths = [str(tmp_path), *filter(None, [os.environ.get("PYTHONPATH")])]
    kept = {key: value for key, value in os.environ.items() if key not in HOMES}
    return {**kept, "PYTHONPATH": os.pathsep.join(paths), "OMP_NUM_THREADS": "1"}


@contextmanager
def closed_pipe() -> Iterator[int]:
    """The end of a pipe that is written to, whose other end is closed already."""
    reader, writer = os.pipe()
    os.close(reader)
    yield writer
    os.close(writer)


def test_other_programs_settings_are_not_taken_for_ours(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("MPLBACKEND", "module://a_notebooks_own")
    assert call("list", "methods") == 0
    assert os.environ["MPLBACKEND"] == "agg"
    monkeypatch.setenv("TENSORLY_BACKEND", "jax")
    importlib.reload(tabench.methods)  # is imported before anything of it that imports TensorLy
    assert "TENSORLY_BACKEND" not in os.environ


@pytest.mark.long
def test_a_pool_in_a_container_goes_on_when_its_reader_goes_away(
    container: dict[str, str], tmp_path: Path
) -> None:
    write_weights(tmp_path / "nano.safetensors")
    container |= {"TABENCH_CACHE": "cache", "TENSORLY_BACKEND": "jax", "MPLBACKEND": "module://none"}
    words = ["run", *options("kept", *SMALL), "--executor=pool", "--workers=1"]
    with closed_pipe() as pipe:
        done = subprocess.run([*TABENCH, *words], env=container, stdout=pipe, stderr=pipe, check=False)
    assert len(list(tmp_path.glob("kept/nyuv2/*/record.json"))) == 1
    assert list(tmp_path.glob("kept/nyuv2/*/failure.json")) == []
    assert done.returncode == 0


def test_without_a_cache_only_what_needs_one_is_refused(container: dict[str, str], tmp_path: Path) -> None:
    write_weights(tmp_path / "nano.safetensors")
    done = subprocess.run(
        [*TABENCH, "plan", *options("none")], env=container, capture_output=True, text=True, check=False
    )
    assert done.returncode == 2
    assert done.stderr.startswith("error: $TABENCH_CACHE: this user has no home folder")
    assert "Traceback" not in done.stderr


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="this system has no /dev/full")
@pytest.mark.parametrize("words", [["list", "methods", "--json"], ["run", "--help"]], ids=lambda w: w[0])
def test_what_cannot_be_written_is_told_in_one_line(words: list[str]) -> None:
    with Path("/dev/full").open("w") as full:
        done = subprocess.run([*TABENCH, *words], stdout=full, stderr=subprocess.PIPE, text=True, check=False)
    assert done.stderr.strip() == "error: standard output cannot be written: No space left on device"
    assert done.returncode == (2 if words[0] == "list" else 0)  # what `run` is for lies in files


def test_commands_that_only_print_end_as_other_tools_do() -> None:
    with closed_pipe() as pipe:
        done = subprocess.run(
            [*TABENCH, "list", "methods"], stdout=pipe, stderr=subprocess.PIPE, text=True, check=False
        )
    assert (done.returncode, done.stderr) == (-signal.SIGPIPE, "")


def test_a_closed_stream_is_never_the_number_of_a_file() -> None:
    code = (
        "import os, sys; from tabench.store.streams import steady; os.close(1); steady(); "
        "file = open(os.devnull); print('lost'); sys.exit(file.fileno())"
    )
    done = subprocess.run([sys.executable, "-c", code], stderr=subprocess.PIPE, text=True, check=False)
    assert done.returncode > 2, done.stderr
