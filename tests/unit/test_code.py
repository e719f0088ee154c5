"""Whose code a name stands for: versions by hand here, hashes of the source of other packages."""

from __future__ import annotations

import importlib
import json
import os
import re
import sys
import types
import zipfile
from collections.abc import Iterator
from importlib.metadata import version
from pathlib import Path
from typing import Any

import pytest

from tabench.errors import SpecError
from tabench.provenance import code, source
from tabench.provenance.code import check_code, code_of
from tabench.registry import Entry, Registry

METHOD = "class Method:\n    requires = ()\n\n\nMETHOD = Method()\n"


@pytest.fixture(autouse=True)
def site(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """A folder that modules are imported from; what was imported and read of it is forgotten afterwards."""
    monkeypatch.syspath_prepend(tmp_path)
    monkeypatch.setattr(code, "_KNOWN", {})
    monkeypatch.setattr(code, "_PROVEN", {})
    before = set(sys.modules)
    yield tmp_path
    for name in set(sys.modules) - before:
        if name.startswith("outside"):
            del sys.modules[name]


def registry(target: str, **facts: Any) -> Registry[Any]:
    return Registry("method", "no.such.group", [Entry("mine", target, **facts)])


def text_of(target: str, **facts: Any) -> str:
    """As a new process would find it."""
    code._KNOWN.clear()
    importlib.invalidate_caches()
    return code_of(registry(target, **facts), "mine").text


def test_own_code_has_a_version_kept_by_hand() -> None:
    target = "tabench.methods.catalog:FROZEN"
    assert text_of(target) == ""
    assert text_of(target, version=2) == "version 2"


USES = f"def use():\n    import outside_beside\n\n\n{METHOD}"
INHERITS = (
    "from importlib import import_module\n"
    "class Method(import_module('outside_base').Base):\n    code_modules = ('outside_adapt',)\n"
    "METHOD = Method()\n"
)
EDITABLE = json.dumps({"url": "file:///x", "dir_info": {"editable": True}})


@pytest.mark.parametrize(
    ("files", "target", "edited", "other"),
    [
        ({"outside_whole/__init__.py": "", "outside_whole/method.py": METHOD, "outside_whole/helper.py": ""},
         "outside_whole.method", ["outside_whole/helper.py"], "outside_whole/notes.txt"),
        ({"outside_single.py": USES, "outside_beside.py": "", "outside_stranger.py": ""},
         "outside_single", ["outside_beside.py"], "outside_stranger.py"),
        ({"outside_names.py": INHERITS, "outside_adapt.py": "", "outside_base.py": "class Base:\n    pass\n"},
         "outside_names", ["outside_adapt.py", "outside_base.py"], "outside_stranger.py"),
        ({"outside_space/ours/__init__.py": METHOD, "outside_space/theirs/__init__.py": METHOD},
         "outside_space.ours", ["outside_space/ours/__init__.py"], "outside_space/theirs/__init__.py"),
        ({"outside_user.py": f"import outside_library\n{METHOD}", "outside_library.py": "",
          "outside_library-1.0.dist-info/METADATA": "Name: outside-library\nVersion: 1.0\n",
          "outside_library-1.0.dist-info/top_level.txt": "outside_library\n",
          "outside_library-1.0.dist-info/direct_url.json": EDITABLE},
         "outside_user", ["outside_library.py"], "outside_stranger.py"),
    ],
    ids=["package", "beside a module", "named and inherited", "namespace", "editable library"],
)  # fmt: skip
def test_an_edit_makes_other_code_where_it_belongs_to_it(
    files: dict[str, str], target: str, edited: list[str], other: str, site: Path
) -> None:
    for name, content in files.items():
        (site / name).parent.mkdir(parents=True, exist_ok=True)
        (site / name).write_text(content)
    source._distributions.cache_clear()
    source._editable.cache_clear()
    texts = [text_of(f"{target}:METHOD")]
    assert re.match(r"outside_\w+ sha256:[0-9a-f]{16}$", texts[0])
    for name in (other, *edited):
        with (site / name).open("a") as file:
            file.write("B = 1\n")
        texts.append(text_of(f"{target}:METHOD"))
    assert texts[0] == texts[1]
    assert len(set(texts)) == 1 + len(edited)


def test_a_zip_is_read_as_a_whole(site: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    texts = []
    for number in range(2):
        path = site / f"{number}.zip"
        with zipfile.ZipFile(path, "w") as archive:
            archive.writestr("outside_zipped/__init__.py", METHOD + f"A = {number}\n")
        with monkeypatch.context() as patch:
            patch.syspath_prepend(path)
            texts.append(text_of("outside_zipped:METHOD"))
        del sys.modules["outside_zipped"]
    assert len(set(texts)) == 2


def test_code_that_lies_in_no_file_is_refused(site: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    notebook = types.ModuleType("outside_notebook")
    exec(METHOD, notebook.__dict__)
    monkeypatch.setitem(sys.modules, "outside_notebook", notebook)
    with pytest.raises(SpecError, match="'outside_notebook' cannot be read: it lies in no file"):
        text_of("outside_notebook:METHOD")


def test_far_too_much_is_refused(site: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(source, "MOST_FILES", 1)
    (site / "outside_large").mkdir()
    for name in ("__init__", "more"):
        (site / "outside_large" / f"{name}.py").write_text(METHOD)
    with pytest.raises(SpecError, match="package 'outside_large' has more than 1 files"):
        text_of("outside_large:METHOD")


def test_imported_libraries_are_told_and_declared_ones_are_part_of_the_code(site: Path) -> None:
    (site / "outside_plain.py").write_text(f"import numpy.linalg\nimport nothing_there\n{METHOD}")
    sys.modules["nothing_there"] = types.ModuleType("nothing_there")
    found = code_of(registry("outside_plain:METHOD"), "mine")
    del sys.modules["nothing_there"]
    assert found.libraries == {"numpy": version("numpy")}
    assert "numpy" not in found.text
    (site / "outside_declared.py").write_text(METHOD.replace("()", "('numpy',)", 1))
    assert text_of("outside_declared:METHOD").endswith(f", numpy {version('numpy')}")
    (site / "outside_lacking.py").write_text(METHOD.replace("()", "('no-such-library',)", 1))
    with pytest.raises(SpecError, match="stands on 'no-such-library', which is not installed"):
        text_of("outside_lacking:METHOD")


def test_only_what_was_planned_is_run(site: Path) -> None:
    path = site / "outside_run.py"
    path.write_text(METHOD)
    known = registry("outside_run:METHOD")
    planned = code_of(known, "mine").text
    assert check_code(known, "mine", planned).text == planned
    with pytest.raises(SpecError, match="not what the cell was planned with: outside_run sha256"):
        check_code(known, "mine", planned.replace("sha256:", "sha256:0"))
    path.write_text(METHOD + "A = 1\n")
    assert check_code(known, "mine", planned).text == planned  # it is loaded: the edit changes nothing here


def test_a_part_that_is_imported_late_is_checked_at_the_end(site: Path) -> None:
    package = site / "outside_late"
    package.mkdir()
    (package / "__init__.py").write_text(METHOD)
    (package / "part.py").write_text("A = 1\n")
    known = registry("outside_late:METHOD")
    planned = code_of(known, "mine").text
    check_code(known, "mine", planned)
    (package / "part.py").write_text("A = 22\n")
    check_code(known, "mine", planned)  # it is not used
    importlib.import_module("outside_late.part")
    with pytest.raises(SpecError, match="was edited before this process had loaded all of it"):
        check_code(known, "mine", planned)


def test_an_older_source_out_of_a_pyc_file_is_refused(site: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sys, "dont_write_bytecode", False)
    path = site / "outside_cached.py"
    path.write_text(METHOD + "A = 1\n")
    os.utime(path, (1e9, 1e9))
    importlib.import_module("outside_cached")
    path.write_text(METHOD + "A = 2\n")
    os.utime(path, (1e9, 1e9))  # the same size, the same second
    known = registry("outside_cached:METHOD")
    with pytest.raises(SpecError, match=r"Python runs an older .*outside_cached\.py"):
        check_code(known, "mine", code_of(known, "mine").text)
