"""Imports run downwards, and what must work without torch never reaches it."""

from __future__ import annotations

import ast
import itertools
import subprocess
import sys
import tomllib
from collections.abc import Iterator
from graphlib import TopologicalSorter
from importlib.metadata import packages_distributions
from pathlib import Path

import pytest
from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

ROOT = Path(__file__).parents[2]
LAYERS = [
    {"errors", "registry", "text", "events"},
    {"catalog"},
    {"provenance"},
    {"spec"},
    {"store", "stats"},
    {"encoders", "data", "tasks"},
    {"methods", "balancing"},  # which ask encoders for their layers
    {"engine"},
    {"worlds"},
    {"runs", "report"},
    {"artifact"},
    {"cli", "__main__"},
    {"bench"},
    {"testing"},
]
INSIDE = {"report": ("records", "tables", "figures", "pages")}  # a part's own layers, lowest first
STRANGERS = [
    {"encoders", "data", "tasks"},
    {"methods", "data", "tasks"},
    {"runs", "report"},
]  # do not know one another
APART = ("worlds", "bench")  # the registry and the command line name them by strings
LEVEL = {part: level for level, parts in enumerate(LAYERS) for part in parts}
TORCH_FREE = (
    "errors",
    "registry",
    "text",
    "events",
    "catalog",
    "spec",
    "store",
    "stats",
    "provenance",
    "report",
    "artifact",
    "tasks",
    "runs.plan",
    "runs.slurm",
)
HEAVY = ("torch", "torchvision", "segment_anything", "tensorly", "torchmetrics")


def modules() -> dict[str, Path]:
    found = {}
    for path in (ROOT / "tabench").rglob("*.py"):
        parts = path.relative_to(ROOT).with_suffix("").parts
        found[".".join(parts[:-1] if parts[-1] == "__init__" else parts)] = path
    return found


MODULES = modules()


def imports(tree: ast.Module, *, at_import: bool) -> Iterator[str]:
    """Names a module imports, TYPE_CHECKING blocks aside; with `at_import` only what runs on import."""
    pending: list[ast.AST] = list(tree.body)
    while pending:
        node = pending.pop()
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            assert node.level == 0, "imports are absolute"
            assert node.module is not None
            for alias in node.names:
                inner = f"{node.module}.{alias.name}"
                yield inner if inner in MODULES else node.module
        elif isinstance(node, ast.If) and "TYPE_CHECKING" in ast.unparse(node.test):
            pending.extend(node.orelse)
        elif not (at_import and isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef | ast.Lambda)):
            pending.extend(ast.iter_child_nodes(node))


def imported(module: str, *, at_import: bool) -> set[str]:
    tree = ast.parse(MODULES[module].read_text(encoding="utf-8"))
    return set(imports(tree, at_import=at_import))


def part_of(module: str) -> str | None:
    names = module.split(".")
    return names[1] if names[0] == "tabench" and len(names) > 1 else None


def torch_free(module: str) -> bool:
    return any(module == f"tabench.{part}" or module.startswith(f"tabench.{part}.") for part in TORCH_FREE)


def chain_to(module: str, heavy: tuple[str, ...]) -> list[str]:
    """Shortest chain of imports from a module to a heavy package; empty if there is none."""
    chains, seen = [[module]], {module}
    for chain in chains:
        for name in sorted(imported(chain[-1], at_import=True)):
            if name.split(".")[0] in heavy:
                return [*chain, name]
            if name in MODULES and name not in seen:
                seen.add(name)
                chains.append([*chain, name])
    return []


def test_every_part_has_its_layer() -> None:
    assert {part for module in MODULES if (part := part_of(module))} <= set(LEVEL)


@pytest.mark.parametrize("module", sorted(MODULES))
def test_imports_run_downwards(module: str) -> None:
    part = part_of(module)
    if part is None:
        return
    for name in imported(module, at_import=False):
        other = part_of(name)
        if other is None or other == part:
            continue
        assert LEVEL[other] <= LEVEL[part], f"{module} imports {name} from above"
        assert not any({part, other} <= group for group in STRANGERS), f"{module} imports its sibling {name}"


@pytest.mark.parametrize("part", APART)
def test_nobody_imports_a_part_that_strings_alone_name(part: str) -> None:
    knows = {m for m in MODULES for name in imported(m, at_import=False) if part_of(name) == part}
    assert {part_of(module) for module in knows} == {part}


def test_other_executors_do_not_know_slurm() -> None:
    others = [m for m in MODULES if part_of(m) == "runs" and not m.startswith("tabench.runs.slurm.")]
    knows = {m for m in others for name in imported(m, at_import=False) if ".runs.slurm." in name}
    assert knows == set()


@pytest.mark.parametrize("part", sorted(INSIDE))
def test_a_part_has_layers_too(part: str) -> None:
    layers = {f"tabench.{part}.{name}": level for level, name in enumerate(INSIDE[part])}

    def layer_of(module: str) -> int | None:
        return layers.get(".".join(module.split(".")[:3]))

    for module in (m for m in MODULES if part_of(m) == part and m != f"tabench.{part}"):
        level = layer_of(module)
        assert level is not None, f"{module} has no layer"
        for name in imported(module, at_import=False):
            other = layer_of(name)
            assert other is None or other <= level, f"{module} imports {name} from above"


@pytest.mark.parametrize("module", sorted(filter(torch_free, MODULES)))
def test_torch_is_not_reached(module: str) -> None:
    assert chain_to(module, HEAVY) == []


DATA = [m for m in MODULES if m.startswith(("tabench.data", "tabench.worlds"))]
TRAINING = ("tabench.worlds.pretrain",)


@pytest.mark.parametrize("module", sorted(set(DATA) - set(TRAINING)))
def test_data_imports_torch_inside_functions_at_most(module: str) -> None:
    assert not {name.split(".")[0] for name in imported(module, at_import=True)} & {"torch"}


@pytest.mark.parametrize(
    "module", sorted(m for m in MODULES if m.startswith(("tabench.spec", "tabench.store")))
)
def test_planning_and_status_stay_light(module: str) -> None:
    assert chain_to(module, ("pandas", "scipy", "matplotlib", "numpy")) == []


def test_a_process_that_uses_them_has_no_torch() -> None:
    names = [module for module in sorted(MODULES) if torch_free(module)]
    code = "import sys\n" + "".join(f"import {name}\n" for name in names) + "print('torch' in sys.modules)"
    run = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True, cwd=ROOT)
    assert run.stdout.strip() == "False"


def test_what_is_imported_is_declared() -> None:
    """By pyproject.toml: as a dependency, or by the extra that brings what needs it."""
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
    extras = [project["optional-dependencies"][name] for name in ("slurm", "parquet", "testing")]
    lines = [*project["dependencies"], *itertools.chain(*extras)]
    declared = {canonicalize_name(Requirement(line).name) for line in lines}
    owners = packages_distributions()
    tops = {name.split(".")[0] for module in MODULES for name in imported(module, at_import=False)}
    foreign = sorted(tops - sys.stdlib_module_names - {"tabench"})
    assert [name for name in foreign if not {*map(canonicalize_name, owners[name])} & declared] == []


def test_no_two_files_need_one_another() -> None:
    """Not by what they import inside functions, nor by what only types need."""
    graph = {module: needed(module) - {module} for module in MODULES}
    TopologicalSorter(graph).prepare()  # raises CycleError, which names them


def needed(module: str) -> set[str]:
    """All modules of the package that a file names in an import anywhere, the registries' own types aside."""
    found = set()
    for node in ast.walk(ast.parse(MODULES[module].read_text(encoding="utf-8"))):
        if isinstance(node, ast.ImportFrom) and node.module is not None:
            inner = {f"{node.module}.{alias.name}" for alias in node.names}
            found |= (inner & MODULES.keys()) or ({node.module} & MODULES.keys())
    return found if module != "tabench.catalog" else imported(module, at_import=False) & MODULES.keys()


def test_a_file_stays_below_four_hundred_lines() -> None:
    files = [*(ROOT / "tabench").rglob("*.py"), *(ROOT / "tests").rglob("*.py")]
    long = {
        str(path.relative_to(ROOT)): n for path in files if (n := len(path.read_text().splitlines())) > 400
    }
    assert long == {}
