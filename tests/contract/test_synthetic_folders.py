"""What every generated dataset keeps to: resumed to the byte, mixed with nothing else, known by a recipe."""

from __future__ import annotations

import shutil
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from tabench.catalog import DATASETS
from tabench.data.base import DatasetDef
from tabench.errors import DataError
from tabench.worlds.synthetic import Recipe

SIZES = {"seed": 5, "train": 3, "val": 2, "height": 24, "width": 32}
FILES = {  # a file of the first training image and one of the second
    "scenes": ("train/image/0.npy", "train/depth/1.npy"),
    "streets": ("train/image/0.npy", "train/depth/1.npy"),
    "figures": ("JPEGImages/train_000000.jpg", "human_parts/train_000001.mat"),
}


SWAPPED = {  # files of one kind, the first of an image that `verify` renders again
    "scenes": ("val/depth/1.npy", "val/depth/0.npy"),
    "streets": ("val/depth/1.npy", "val/depth/0.npy"),
    "figures": ("human_parts/train_000000.mat", "human_parts/train_000001.mat"),
}


def of(name: str) -> DatasetDef:
    return DATASETS.get(name)


def make(
    name: str, root: Path, progress: Callable[[int, int, str], None] | None = None, **changes: int
) -> Path:
    of(name).make(root, progress=progress, **(SIZES | changes))
    return root


def snapshot(root: Path) -> dict[str, bytes]:
    return {p.relative_to(root).as_posix(): p.read_bytes() for p in sorted(root.rglob("*")) if p.is_file()}


@pytest.fixture(scope="module", params=sorted(FILES))
def name(request: pytest.FixtureRequest) -> str:
    return str(request.param)


@pytest.fixture(scope="module")
def made(name: str, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A whole set, which no test changes."""
    return make(name, tmp_path_factory.mktemp(name) / "set")


def test_all_generated_datasets_are_tried_here() -> None:
    assert {name for name in DATASETS.names() if DATASETS.get(name).synthetic} == set(FILES)


def test_a_stopped_run_is_finished_and_nothing_redone(name: str, made: Path, tmp_path: Path) -> None:
    seen = []

    def stop(done: int, total: int, what: str) -> None:
        seen.append((done, total, what))
        if done == 2:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        make(name, tmp_path / "part", stop)
    assert seen == [(1, 5, "train/0"), (2, 5, "train/1")]
    with pytest.raises(DataError, match=r"the recipe says 3|not found|lacks|Context"):
        of(name).split(tmp_path / "part", "train")
    kept, lost = (tmp_path / "part" / file for file in FILES[name])
    before = kept.stat().st_mtime_ns
    lost.unlink()
    make(name, tmp_path / "part")
    assert snapshot(tmp_path / "part") == snapshot(made)
    assert kept.stat().st_mtime_ns == before


def test_another_recipe_and_a_foreign_folder_are_refused(name: str, made: Path, tmp_path: Path) -> None:
    before = snapshot(made)
    for change in ({"seed": 6}, {"train": 4}, {"height": 32}):
        with pytest.raises(DataError, match="another recipe") as caught:
            make(name, made, **change)
        assert f"{name}.json" in str(caught.value)
    assert snapshot(made) == before
    (tmp_path / "notes.txt").write_text("mine")
    for root in (tmp_path, tmp_path / "notes.txt"):
        with pytest.raises(DataError, match=f"not generated {name}"):
            make(name, root)
    assert [p.name for p in tmp_path.iterdir()] == ["notes.txt"]


def test_the_fingerprint_is_the_recipes(name: str, made: Path) -> None:
    report = of(name).verify(made)
    assert (report.problems, report.warnings) == ([], [])
    assert report.counts == {"train": 3, "val": 2}
    whole = of(name).recipe_fingerprint(**SIZES)
    assert report.fingerprint == of(name).fingerprint(made) == whole
    assert whole.startswith(f"{name}-")
    every = {of(name).recipe_fingerprint(**(SIZES | {key: 40})) for key in SIZES}
    assert len(every) == len(SIZES)


def test_verify_compares_with_the_renderer(name: str, made: Path, tmp_path: Path) -> None:
    root = tmp_path / "copy"
    shutil.copytree(made, root)
    path, other = (root / file for file in SWAPPED[name])
    path.write_bytes(other.read_bytes())
    report = of(name).verify(root)
    assert any(str(path) in problem for problem in report.problems)
    assert report.fingerprint == ""


@pytest.mark.parametrize(
    "change", [{"train": 0}, {"width": 8}, {"seed": -1}, {"val": True}, {"height": 24.5}], ids=str
)
def test_impossible_recipes(tmp_path: Path, change: dict[str, int]) -> None:
    with pytest.raises(DataError, match=f"'{next(iter(change))}' is"):
        make("scenes", tmp_path / "x", **change)
    assert not (tmp_path / "x").exists()


@pytest.mark.parametrize("broken", ["{", "[]", '{"seed": 1}', '"text"'])
def test_damaged_recipes(tmp_path: Path, broken: str) -> None:
    (tmp_path / "scenes.json").write_text(broken)
    with pytest.raises(DataError, match="not a recipe"):
        of("scenes").fingerprint(tmp_path)


def test_missing_and_old_recipes(name: str, tmp_path: Path) -> None:
    with pytest.raises(DataError, match=f"no {name} have been generated"):
        of(name).fingerprint(tmp_path / "none")
    assert f"no {name}" in of(name).verify(tmp_path / "none").problems[0]
    recipe = tmp_path / f"{name}.json"
    recipe.write_text(Recipe(**SIZES).to_json().replace('"generator":1', '"generator":99'))
    with pytest.raises(DataError, match="generator 99"):
        of(name).split(tmp_path, "train")


def test_import_needs_no_torch(name: str) -> None:
    code = f"import sys, tabench.worlds.{name}; sys.exit('torch' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0
