"""A package of somebody else: installed, listed, run, and refused where it clashes.

The package is the one of docs/extending.md, taken from the page itself.
"""

from __future__ import annotations

import json
import runpy
from pathlib import Path

import numpy as np
import pytest
from outside_package import install, install_page, printed, tabench

from tabench.encoders.sam.build import build_image_encoder
from tabench.worlds.scenes import SCENES

EXPERIMENT = """
schema = 1
name = "mine"
title = "All of my package"

[axes]
methods = ["bias-only", "mlp-lora", "frozen"]
balancing = ["random-weights"]
seeds = [0]

[profiles.mine.dataset]
name = "kitchens"
tasks = ["segmentation", "log-depth", "normals"]

[profiles.mine.backbone]
name = "micro"

[profiles.mine.train]
max_steps = 2
batch_size = 2
"""
ENTRIES = {
    "methods": ["bias-only", "mlp-lora"],
    "balancers": ["random-weights"],
    "tasks": ["log-depth"],
    "datasets": ["kitchens"],
    "backbones": ["micro"],
    "executors": ["shortest"],
}


@pytest.fixture(scope="module")
def site(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("site")
    points = install_page(folder)
    assert {group: list(held) for group, held in points.items()} == {
        f"tabench.{kind}": names for kind, names in ENTRIES.items()
    }
    return folder


def write_kitchens(root: Path) -> None:
    """Rooms whose labels are the three classes of kitchens."""
    SCENES.make(root, seed=0, train=2, val=1, height=32, width=48)
    (root / SCENES.recipe_file).unlink()
    for path in root.glob("*/label/*.npy"):
        np.save(path, np.minimum(np.load(path), 2))


def test_an_installed_method_is_listed_with_its_package(tmp_path: Path, site: Path) -> None:
    entries = printed(tabench(tmp_path, "list", "methods", "--json", site=site))
    sources = {entry["name"]: entry["source"] for entry in entries}
    mine = ENTRIES["methods"]
    assert {sources[name] for name in mine} == {"my-package"}
    assert {e["summary"] for e in entries if e["name"] in mine} == {"What my-package adds"}
    assert {source for name, source in sources.items() if name not in mine} == {"tabench"}


@pytest.mark.slow
def test_all_of_an_installed_package_is_run_together(tmp_path: Path, site: Path) -> None:
    write_kitchens(tmp_path / "kitchens")
    (tmp_path / "mine.toml").write_text(EXPERIMENT)
    words = ["run", "mine.toml", "--data-root=kitchens", "--executor=shortest", "--threads=1", "--json"]
    ran = printed(tabench(tmp_path, *words, site=site))
    assert {outcome["label"]: outcome["state"] for outcome in ran["outcomes"]} == {
        "bias-only (balancing=random-weights) s0": "done",
        "mlp-lora (balancing=random-weights) s0": "done",
        "frozen (balancing=random-weights) s0": "done",
    }
    records = [json.loads(path.read_text()) for path in tmp_path.glob("results/mine/*/record.json")]
    by_name = {record["cell"]["method"]["name"]: record for record in records}
    trained = {name: record["parameters"]["trained"] for name, record in by_name.items()}
    backbone = runpy.run_path(str(site / "my_package" / "micro.py"))["MICRO"]
    encoder = build_image_encoder(backbone).named_parameters()
    biases = sum(parameter.numel() for name, parameter in encoder if name.endswith("bias"))
    assert trained["bias-only"] - trained["frozen"] == biases > 0
    low_rank = 2 * 2 * 8 * (backbone.embed_dim + 4 * backbone.embed_dim)  # two layers of two blocks
    assert by_name["mlp-lora"]["parameters"]["groups"]["adapters"] == low_rank
    assert by_name["bias-only"]["weights_sha256"] != by_name["frozen"]["weights_sha256"]
    for record in records:
        assert record["cell"]["balancing"]["params"] == {"spread": 1.0}
        assert record["cell"]["balancing"]["code"].startswith("my-package 0.1 sha256:")
        assert record["data"]["classes"] == ["counter", "stove", "anything else"]
        assert {row["task"] for row in record["metrics"]} == {"segmentation", "log-depth", "normals"}
        errors = [row["value"] for row in record["metrics"] if row["key"] == "log_err"]
        assert len(errors) == 2  # of the protocols "paper" and "pixel"
        assert min(errors) > 0


def test_a_name_that_is_taken_is_a_clear_error(tmp_path: Path) -> None:
    points = {"tabench.methods": {"frozen": "rival.frozen:FROZEN"}}
    install(tmp_path / "site", "rival", "rival.frozen", "", points)
    done = tabench(tmp_path, "list", "methods", site=tmp_path / "site")
    assert done.returncode == 2
    assert done.stderr.startswith("error: method 'frozen' is registered twice: ")
    for word in ("tabench.methods.catalog:FROZEN (tabench)", "rival.frozen:FROZEN (rival)", "uninstall"):
        assert word in done.stderr
    assert "Traceback" not in done.stderr


def test_a_broken_package_is_named(tmp_path: Path) -> None:
    broken = {
        "absent": ("import nothing_of_this_name", "nothing_of_this_name"),
        "wrong": ("1 / 0", "division"),
        "empty": ("", "no attribute"),
    }
    for name, (code, _) in broken.items():
        points = {"tabench.methods": {name: f"{name}_package.method:METHOD"}}
        install(tmp_path / "site", f"{name}-package", f"{name}_package.method", code, points)
    done = tabench(tmp_path, "list", "methods", "--json", site=tmp_path / "site")
    assert broken.keys() <= {entry["name"] for entry in printed(done)}
    for name, (_, word) in broken.items():
        done = tabench(tmp_path, "plan", "nyuv2", f'--set=axes.methods=["{name}"]', site=tmp_path / "site")
        assert done.returncode == 2
        for part in (f"error: method '{name}' cannot be loaded", word, f"fix the package '{name}-package'"):
            assert part in done.stderr.replace("\n", " ")
        assert "Traceback" not in done.stderr
