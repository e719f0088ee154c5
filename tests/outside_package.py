"""A package of somebody else, laid out as an installer does, and the command line that sees it."""

from __future__ import annotations

import json
import os
import re
import runpy
import subprocess
import sys
import tomllib
from pathlib import Path
from typing import Any

PAGE = Path(__file__).parents[1] / "docs" / "extending.md"
FENCE = re.compile(r"^```(python|toml)\n# (.+?)\n(.*?)^```", re.MULTILINE | re.DOTALL)


def install(site: Path, name: str, module: str, code: str, points: dict[str, dict[str, str]]) -> None:
    """Lay out a distribution as an installer does."""
    path = site / Path(*module.split(".")).with_suffix(".py")
    path.parent.mkdir(parents=True)
    (path.parent / "__init__.py").touch()
    path.write_text(code)
    info = site / f"{name.replace('-', '_')}-0.1.dist-info"
    info.mkdir()
    (info / "METADATA").write_text(
        f"Metadata-Version: 2.1\nName: {name}\nVersion: 0.1\nSummary: What {name} adds\n"
    )
    groups = (
        f"[{group}]\n" + "".join(f"{key} = {target}\n" for key, target in entries.items())
        for group, entries in points.items()
    )
    (info / "entry_points.txt").write_text("\n".join(groups))


def install_page(site: Path) -> dict[str, dict[str, str]]:
    """Install the package of docs/extending.md, whose blocks begin by naming their file; its entry points."""
    from safetensors.torch import save_file

    from tabench.encoders.sam.build import build_sam

    modules: dict[str, str] = {}
    points: dict[str, dict[str, str]] = {}
    for language, file, content in FENCE.findall(PAGE.read_text(encoding="utf-8")):
        if language == "python":
            modules[file] = content
        else:
            for group, entries in tomllib.loads(content)["project"]["entry-points"].items():
                points.setdefault(group, {}).update(entries)
    first, *others = modules
    install(site, "my-package", first.removesuffix(".py").replace("/", "."), modules[first], points)
    for file in others:
        (site / file).write_text(modules[file])
    backbone = runpy.run_path(str(site / "my_package" / "micro.py"))["MICRO"]
    save_file(build_sam(backbone).state_dict(), backbone.shipped)
    return points


def tabench(folder: Path, *words: str, site: Path) -> subprocess.CompletedProcess[str]:
    paths = [str(site), *filter(None, [os.environ.get("PYTHONPATH")])]
    environment = {
        **os.environ,
        "PYTHONPATH": os.pathsep.join(paths),
        "TABENCH_CACHE": str(folder / "cache"),
        "OMP_NUM_THREADS": "1",
    }
    return subprocess.run(
        [sys.executable, "-c", "from tabench.cli import main; main()", *words],
        cwd=folder,
        env=environment,
        capture_output=True,
        text=True,
        check=False,
    )


def printed(done: subprocess.CompletedProcess[str]) -> Any:
    assert done.returncode == 0, done.stderr
    return json.loads(done.stdout)
