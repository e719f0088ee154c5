"""Names, notes and messages that try to be more than text: reports, tables, figures and terminals."""

from __future__ import annotations

import csv
import io
import re
import shutil
import subprocess
import warnings
from html.parser import HTMLParser
from pathlib import Path

import pytest
from hostile_names import NAMES, write_hostile
from patience import PATIENCE

from tabench.cli import main
from tabench.report.pages.site import render

# what an attribute may hold that a name got into, and what runs code or loads something
LOADING = ("src", "href", "action", "data", "srcset", "formaction", "poster", "background")


@pytest.fixture(scope="module")
def site(tmp_path_factory: pytest.TempPathFactory) -> Path:
    home = tmp_path_factory.mktemp("hostile")
    write_hostile(home / "results")
    with warnings.catch_warnings():
        warnings.simplefilter(
            "ignore", UserWarning
        )  # letters that fonts lack, names that are wider than figures
        render(home / "results", "nyuv2", home / "out")
    return home


class Page(HTMLParser):
    """Everything of a page that could run or load something."""

    def __init__(self) -> None:
        super().__init__()
        self.scripts: list[str] = []
        self.found: list[str] = []
        self.texts = ""
        self._inside = ""

    def handle_starttag(self, tag: str, attributes: list[tuple[str, str | None]]) -> None:
        self._inside = tag
        if tag == "script":
            self.scripts.append(dict(attributes).get("src") or "")
        if tag in ("iframe", "object", "embed", "form", "base", "foreignobject"):
            self.found.append(tag)
        for key, value in attributes:
            if key.startswith("on") or key == "srcdoc":
                self.found.append(f"{tag} {key}={value}")
            if key in LOADING and re.match(r"\s*(javascript|vbscript|http|//)", value or "", re.I):
                self.found.append(f"{tag} {key}={value}")
            if key in LOADING and (value or "").startswith("data:") and tag != "img":
                self.found.append(f"{tag} {key}={(value or '')[:40]}")

    def handle_endtag(self, tag: str) -> None:
        self._inside = ""

    def handle_data(self, data: str) -> None:
        if self._inside == "script":
            self.scripts[-1] += data
        else:
            self.texts += data


def pages(site: Path) -> list[Path]:
    found = [site / "out" / "index.html", *sorted((site / "out" / "runs").glob("*.html"))]
    assert len(found) > 20
    return found


def test_pages_have_no_script_handler_or_address_but_their_own(site: Path) -> None:
    own: set[str] | None = None
    for path in pages(site):
        page = Page()
        page.feed(path.read_text(encoding="utf-8"))
        assert not page.found, f"{path.name}: {page.found[:3]}"
        assert len(page.scripts) <= 2
        for script in page.scripts:
            assert "executed" not in script
        if path.name == "index.html":
            own = set(page.scripts)
            assert "<script>document.title='executed'</script>" in page.texts  # there, as text
    assert own


@pytest.mark.skipif(shutil.which("chromium") is None, reason="no browser here")
def test_a_browser_runs_nothing(site: Path, tmp_path: Path) -> None:
    failed = site / "out" / "runs" / "0123456789abcdef.html"
    for path in (site / "out" / "index.html", failed, pages(site)[3]):
        options = ["--headless", "--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run"]
        options += ["--disable-background-networking", "--disable-component-update", "--disable-sync"]
        options += [f"--user-data-dir={tmp_path / path.stem}", "--virtual-time-budget=2000", "--dump-dom"]
        done = subprocess.run(
            ["chromium", *options, path.as_uri()], capture_output=True, text=True, timeout=PATIENCE
        )
        title = re.search(r"<title>(.*?)</title>", done.stdout, re.S)
        assert title is not None
        assert title[1].strip() != "executed"


def test_tables_as_latex_hold_no_command_of_a_name(site: Path) -> None:
    for path in (site / "out" / "tables").glob("*.tex"):
        text = path.read_text(encoding="utf-8")
        assert r"\write18" not in text
        assert r"\immediate" not in text
        assert "^^5c" not in text
        if path.name != "preview.tex":  # which puts the tables into one document
            assert r"\input" not in text


@pytest.mark.skipif(shutil.which("pdflatex") is None, reason="no LaTeX here")
def test_latex_sets_them_without_an_error(site: Path, tmp_path: Path) -> None:
    done = subprocess.run(
        ["pdflatex", "-no-shell-escape", "-interaction=nonstopmode", f"-output-directory={tmp_path}",
         "preview.tex"],
        cwd=site / "out" / "tables", capture_output=True, timeout=PATIENCE,
    )  # fmt: skip
    log = (tmp_path / "preview.log").read_text(encoding="latin1")
    assert not re.findall(r"^! .*", log, re.M)
    assert "Output written" in log
    assert "/etc/passwd" not in log
    assert done.returncode == 0
    assert not list(site.rglob("written"))


def test_figures_show_formulas_of_nobody_else(site: Path) -> None:
    assert (
        len(list((site / "out" / "figures").glob("*.pdf"))) > 8
    )  # a name that is no formula ended the drawing


def test_no_file_lies_outside_the_report(site: Path) -> None:
    for path in (site / "out").rglob("*"):
        assert re.fullmatch(r"[A-Za-z0-9_.-]{1,120}", path.name), path.name
    assert {path.name for path in site.iterdir()} == {"out", "results"}


def test_spreadsheets_find_no_formula(site: Path) -> None:
    for path in (site / "out" / "tables").glob("*.csv"):
        lines = [line for line in io.StringIO(path.read_text(encoding="utf-8")) if not line.startswith("#")]
        for row in csv.reader(lines):
            for cell in row:
                assert not cell.startswith(("=", "@", "\t", "\r")), cell
                assert not re.match(r"[-+][^0-9.]", cell), cell
    tables = "".join(p.read_text(encoding="utf-8") for p in (site / "out" / "tables").glob("*.csv"))
    assert "'=HYPERLINK" in tables


@pytest.mark.parametrize("command", [["status"], ["watch"], ["store", "verify"]])
def test_terminals_are_not_commanded(
    command: list[str], site: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("COLUMNS", "4000")
    with pytest.raises(SystemExit):
        main([*command, "nyuv2", "--results", str(site / "results")])
    shown = capsys.readouterr()
    for letter in ("\x1b", "\x07", "\x00", "\u202e", "\r"):
        assert letter not in shown.out + shown.err
    if command == ["status"]:
        assert "\\x1b[31m" in shown.out
        assert "[bold red]markup[/]" in shown.out
        assert NAMES[0] in shown.out
