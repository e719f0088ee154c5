"""A method of another package: installed, listed, run, and refused where it clashes.

The package is the one of docs/extending.md, taken from the page itself.
"""

from __future__ import annotations

import json
import re
import tomllib
from pathlib import Path

import pytest
from outside_package import install, printed, tabench
from tiny_run import write_weights

from tabench.sam.build import build_image_encoder
from tabench.sam.geometry import VIT_NANO

PAGE = Path(__file__).parents[2] / "docs" / "extending.md"
FENCE = re.compile(r"^```(\w+)\n# (.+?)\n(.*?)^```", re.MULTILINE | re.DOTALL)
RUN = [
    "nyuv2",
    "--profile=demo",
    "--checkpoint=nano.safetensors",
    "--results=results",
    "--set=dataset.generate={seed=0, train=2, val=1, height=32, width=48}",
    '--set=axes.methods=["bias-only", "frozen"]',
    "--set=axes.seeds=[0]",
    "--set=train.max_steps=2",
    "--set=train.batch_size=2",
    "--threads=1",
]


def page_blocks() -> dict[str, str]:
    """Language to the content of the page's first block that starts by naming its file."""
    found: dict[str, str] = {}
    for language, _, content in FENCE.findall(PAGE.read_text(encoding="utf-8")):
        found.setdefault(language, content)
    return found


@pytest.fixture(scope="module")
def site(tmp_path_factory: pytest.TempPathFactory) -> Path:
    blocks = page_blocks()
    points = tomllib.loads(blocks["toml"])["project"]["entry-points"]
    assert points == {"tabench.methods": {"bias-only": "my_package.bias_only:BIAS_ONLY"}}
    folder = tmp_path_factory.mktemp("site")
    install(folder, "my-package", "my_package.bias_only", blocks["python"], points)
    return folder


def test_an_installed_method_is_listed_with_its_package(tmp_path: Path, site: Path) -> None:
    entries = printed(tabench(tmp_path, "list", "methods", "--json", site=site))
    sources = {entry["name"]: entry["source"] for entry in entries}
    assert sources["bias-only"] == "my-package"
    assert {e["summary"] for e in entries if e["name"] == "bias-only"} == {"What my-package adds"}
    assert {source for name, source in sources.items() if name != "bias-only"} == {"tabench"}


@pytest.mark.slow
def test_an_installed_method_is_trained_beside_a_built_in_one(tmp_path: Path, site: Path) -> None:
    write_weights(tmp_path / "nano.safetensors")
    ran = printed(tabench(tmp_path, "run", *RUN, "--json", site=site))
    assert {outcome["label"]: outcome["state"] for outcome in ran["outcomes"]} == {
        "bias-only s0": "done",
        "frozen s0": "done",
    }
    records = [json.loads(path.read_text()) for path in tmp_path.glob("results/nyuv2/*/record.json")]
    by_name = {record["cell"]["method"]["name"]: record for record in records}
    trained = {name: record["parameters"]["trained"] for name, record in by_name.items()}
    encoder = build_image_encoder(VIT_NANO).named_parameters()
    biases = sum(parameter.numel() for name, parameter in encoder if name.endswith("bias"))
    assert trained["bias-only"] - trained["frozen"] == biases > 0
    assert by_name["bias-only"]["metrics"]
    assert by_name["bias-only"]["weights_sha256"] != by_name["frozen"]["weights_sha256"]


def test_a_name_that_is_taken_is_a_clear_error(tmp_path: Path) -> None:
    points = {"tabench.methods": {"frozen": "rival.frozen:FROZEN"}}
    install(tmp_path / "site", "rival", "rival.frozen", "", points)
    done = tabench(tmp_path, "list", "methods", site=tmp_path / "site")
    assert done.returncode == 2
    assert done.stderr.startswith("error: method 'frozen' is registered twice: ")
    for word in ("tabench.methods.catalog:FROZEN (tabench)", "rival.frozen:FROZEN (rival)", "uninstall"):
        assert word in done.stderr
    assert "Traceback" not in done.stderr


@pytest.mark.parametrize(
    ("code", "word"),
    [("import nothing_of_this_name", "nothing_of_this_name"), ("1 / 0", "division"), ("", "no attribute")],
)
def test_a_broken_package_is_named(tmp_path: Path, code: str, word: str) -> None:
    points = {"tabench.methods": {"broken": "broken.method:METHOD"}}
    install(tmp_path / "site", "broken-package", "broken.method", code, points)
    done = tabench(tmp_path, "describe", "broken", site=tmp_path / "site")
    assert done.returncode == 2
    for part in ("error: method 'broken' cannot be loaded", word, "fix the package 'broken-package'"):
        assert part in done.stderr.replace("\n", " ")
    assert "Traceback" not in done.stderr
    assert tabench(tmp_path, "list", "methods", site=tmp_path / "site").returncode == 0
