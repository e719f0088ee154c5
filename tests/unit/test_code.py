"""Whose code a name stands for: versions by hand here, hashes of the source of other packages."""

from __future__ import annotations

import importlib
import json
import os
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


def test_an_edit_anywhere_in_the_package_makes_other_code(site: Path) -> None:
    package = site / "outside_whole"
    package.mkdir()
    (package / "__init__.py").write_text("")
    (package / "method.py").write_text(METHOD)
    (package / "helper.py").write_text("A = 1\n")
    target = "outside_whole.method:METHOD"
    first = text_of(target)
    assert first.startswith("outside_whole sha256:")
    assert len(first.partition("sha256:")[2]) == 16
    (package / "notes.txt").write_text("no code")
    assert text_of(target) == first
    (package / "helper.py").write_text("A = 2\n")
    assert text_of(target) != first


def test_a_file_beside_a_single_module_belongs_to_it_where_it_is_imported(site: Path) -> None:
    (site / "outside_helper.py").write_text("A = 1\n")
    (site / "outside_stranger.py").write_text("A = 1\n")
    (site / "outside_single.py").write_text(f"def use():\n    import outside_helper\n\n\n{METHOD}")
    first = text_of("outside_single:METHOD")
    (site / "outside_stranger.py").write_text("A = 2\n")
    assert text_of("outside_single:METHOD") == first
    (site / "outside_helper.py").write_text("A = 2\n")
    assert text_of("outside_single:METHOD") != first


def test_what_a_method_names_and_what_a_class_inherits_from_belongs_to_it(site: Path) -> None:
    (site / "outside_adapt.py").write_text("A = 1\n")
    (site / "outside_base.py").write_text("class Base:\n    pass\n")
    (site / "outside_names.py").write_text(
        "from importlib import import_module\n"
        "class Method(import_module('outside_base').Base):\n    code_modules = ('outside_adapt',)\n"
        "METHOD = Method()\n"
    )
    texts = [text_of("outside_names:METHOD")]
    for name in ("outside_adapt", "outside_base"):
        with (site / f"{name}.py").open("a") as file:
            file.write("B = 1\n")
        texts.append(text_of("outside_names:METHOD"))
    assert len(set(texts)) == 3


def test_a_namespace_is_entered_and_belongs_to_nobody(site: Path) -> None:
    for part in ("ours", "theirs"):
        (site / "outside_space" / part).mkdir(parents=True)
        (site / "outside_space" / part / "__init__.py").write_text(METHOD)
    first = text_of("outside_space.ours:METHOD")
    (site / "outside_space" / "theirs" / "__init__.py").write_text("")
    assert text_of("outside_space.ours:METHOD") == first
    (site / "outside_space" / "ours" / "__init__.py").write_text(METHOD + "A = 1\n")
    assert text_of("outside_space.ours:METHOD") != first


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


def test_a_library_in_editable_form_is_read_along(site: Path) -> None:
    (site / "outside_library.py").write_text("A = 1\n")
    info = site / "outside_library-1.0.dist-info"
    info.mkdir()
    (info / "METADATA").write_text("Metadata-Version: 2.1\nName: outside-library\nVersion: 1.0\n")
    (info / "top_level.txt").write_text("outside_library\n")
    (info / "direct_url.json").write_text(json.dumps({"url": "file:///x", "dir_info": {"editable": True}}))
    (site / "outside_user.py").write_text(f"import outside_library\n{METHOD}")
    source._distributions.cache_clear()
    source._editable.cache_clear()
    first = text_of("outside_user:METHOD")
    (site / "outside_library.py").write_text("A = 2\n")
    assert text_of("outside_user:METHOD") != first


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


def test_an_edit_between_plan_and_run_is_refused(site: Path) -> None:
    path = site / "outside_edited.py"
    path.write_text(METHOD)
    known = registry("outside_edited:METHOD")
    planned = code_of(known, "mine").text
    path.write_text(METHOD + "A = 1\n")
    with pytest.raises(SpecError, match="was edited before this process had loaded all of it"):
        check_code(known, "mine", planned)


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
