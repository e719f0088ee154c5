"""The page and its files: self-contained, honest about what it shows, inert names, same bytes twice."""

from __future__ import annotations

import base64
import hashlib
import json
import re
import shutil
import subprocess
from html.parser import HTMLParser
from pathlib import Path
from typing import Any

import pytest
import report_fixtures as made

from tabench.errors import StoreError
from tabench.report.figures.pictures import Album
from tabench.report.pages.content import Content
from tabench.report.pages.page import page
from tabench.report.pages.run_page import RunPages
from tabench.report.pages.site import Page as Rendering
from tabench.report.pages.site import render, write_all
from tabench.report.records.published import read_published
from tabench.report.records.reading import read_results
from tabench.report.tables import findings
from tabench.report.tables.latex import latex
from tabench.report.tables.results import results_table
from tabench.report.tables.text import markdown

PUBLISHED = Path(__file__).parents[2] / "experiments" / "published" / "nyuv2.csv"
RUN_PAGE = re.compile(r"runs/[0-9a-f]{16}\.html")
VOID = {"meta", "img", "br", "wbr", "source", "link", "input"}


class Page(HTMLParser):
    """Collects tags, ids and links, and checks that every element is closed."""

    def __init__(self, html: str) -> None:
        super().__init__()
        self.open: list[str] = []
        self.tags: list[tuple[str, dict[str, str | None]]] = []
        self.feed(html)
        assert self.open == []
        self.ids = [a["id"] for _, a in self.tags if "id" in a]

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append((tag, dict(attrs)))
        if tag not in VOID:
            self.open.append(tag)

    def handle_endtag(self, tag: str) -> None:
        assert self.open.pop() == tag


@pytest.fixture(scope="module")
def demo(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A rendered report of a complete made-up demo with reference records."""
    root = tmp_path_factory.mktemp("demo")
    made.write_results(root / "results")
    made.write_results(root / "results" / "reference", pictures=False)
    render(root / "results", "nyuv2", root / "out", published_file=PUBLISHED)
    return root / "out"


@pytest.fixture(scope="module")
def html(demo: Path) -> str:
    return (demo / "index.html").read_text(encoding="utf-8")


def small(root: Path, **changes: Any) -> Path:
    """Results of two methods and one seed without pictures; `changes` replace parts of each record."""
    methods = ("ta-lora", "lora-stl")
    folder = made.write_results(root, seeds=(0,), methods=methods, pictures=False)
    for method in methods:
        path = folder / made.cell_id(method, 0) / "record.json"
        record = json.loads(path.read_text())
        for key, value in changes.items():
            record[key] = record[key] | value if isinstance(value, dict) else value
        path.write_text(json.dumps(record))
    return folder


def bare_page(root: Path) -> str:
    """The page without figures, which take most of the time."""
    return page(Content(read_results(root, "nyuv2")))


def run_pages(root: Path) -> dict[str, str]:
    """Every run's page by cell id."""
    return dict(RunPages(read_results(root, "nyuv2"), Album(root / "out" / "pictures")).pages())


def test_the_page_is_one_file_without_network(html: str) -> None:
    page = Page(html)
    for tag, attributes in page.tags:
        for name in ("src", "srcset", "href", "action", "data"):
            target = attributes.get(name)
            own = target is None or target.startswith(("data:image/", "#")) or RUN_PAGE.fullmatch(target)
            assert own, (tag, name, target)
        assert tag != "link"
    assert not re.findall(r"url\((?!%23)", html)  # clip paths inside a drawing
    assert not re.findall(r"(?:src|href)='(?!%23|data:image/)", html)


def test_run_pages_refer_only_to_files_that_are_there(demo: Path) -> None:
    home = demo / "runs"
    used = {home / "style.css", home / "theme.js"}
    for path in home.glob("*.html"):
        for tag, attributes in Page(path.read_text(encoding="utf-8")).tags:
            for target in (attributes.get("href"), attributes.get("src")):
                if target is not None and not target.startswith("#"):
                    file = (home / target.partition("#")[0]).resolve()
                    assert file.is_file(), (tag, target)
                    assert file.is_relative_to(demo.resolve())
                    used.add(file)
            assert "style" not in attributes  # their policy forbids it
    assert {path.resolve() for path in (home / "pictures").iterdir()} <= {path.resolve() for path in used}


def test_a_page_runs_no_script_but_its_own(demo: Path, html: str) -> None:
    for text in (html, *(path.read_text(encoding="utf-8") for path in (demo / "runs").glob("*.html"))):
        tags = Page(text).tags
        policy = next(
            str(a["content"]) for tag, a in tags if a.get("http-equiv") == "Content-Security-Policy"
        )
        assert policy.startswith("default-src 'none'")
        assert "unsafe-inline" not in policy.partition("script-src")[2]
        assert not [name for _, attributes in tags for name in attributes if name.startswith("on")]
        for script in re.findall(r"<script>(.*?)</script>", text, re.DOTALL):
            assert base64.b64encode(hashlib.sha256(script.encode()).digest()).decode() in policy


def test_the_report_stays_small(demo: Path) -> None:
    pages = list(demo.rglob("*.html"))
    site = [*pages, *(path for path in (demo / "runs").rglob("*") if path.suffix in (".css", ".js", ".webp"))]
    assert len(pages) == 1 + 21
    assert sum(path.stat().st_size for path in site) < 2_000_000
    texts = [re.sub(r'"data:image/[^"]*"', "", path.read_text(encoding="utf-8")) for path in pages]
    assert sum(map(len, texts)) < 1_048_576


def test_every_link_and_popover_has_its_target_and_ids_are_unique(html: str) -> None:
    page = Page(html)
    assert len(page.ids) == len(set(page.ids))
    targets = [str(a["href"])[1:] for _, a in page.tags if str(a.get("href", "")).startswith("#")]
    targets += [str(a["popovertarget"]) for _, a in page.tags if "popovertarget" in a]
    assert set(targets) <= set(page.ids)
    for method in made.METHODS:
        for seed in (0, 1, 2):
            assert f'href="runs/{made.cell_id(method, seed)}.html"' in html


def test_tables_are_accessible(html: str) -> None:
    page = Page(html)
    assert all("scope" in attributes for tag, attributes in page.tags if tag == "th")
    assert all(attributes.get("alt") for tag, attributes in page.tags if tag == "img")
    assert html.count("<caption>") >= html.count('<table class="results')


def test_every_table_figure_and_file_says_that_it_is_synthetic(demo: Path, html: str) -> None:
    assert "these are not the paper&#39;s data and not the paper&#39;s numbers" in html
    pages = [html, *(path.read_text(encoding="utf-8") for path in (demo / "runs").glob("*.html"))]
    captions = re.findall(r"<caption>(.*?)</caption>", "".join(pages), re.DOTALL)
    captions += re.findall(r"<figcaption>(.*?)</figcaption>", html, re.DOTALL)
    assert len(captions) > 90
    for text in pages[1:]:
        assert "these are not the paper&#39;s data and not the paper&#39;s numbers" in text
    apart = [c for c in captions if "Synthetic scenes, not the paper&#39;s numbers" not in c]
    assert all("Published values" in c or "reference records" in c for c in apart)
    for path in (demo / "tables").glob("*.*"):
        if path.name != "preview.tex":
            assert "Synthetic scenes, not the paper's numbers" in path.read_text(encoding="utf-8"), path


def test_the_headline_names_the_best_method_and_the_floor(html: str) -> None:
    sentence = re.search(r'<p class="headline">(.*?)</p>', html)
    assert sentence is not None
    assert "TA-LoRA (Tucker) has the best Δ<sub>b</sub> against LoRA-STL" in sentence[1]
    assert "Every adapted method beats the frozen encoder (Δ<sub>b</sub> against it from +" in sentence[1]


def test_a_margin_within_the_spread_over_seeds_is_called_that() -> None:
    assert findings.clear_of_zero([1.0, 1.1, 1.2])
    assert not findings.clear_of_zero([0.1, 3.0, -1.0])
    assert not findings.clear_of_zero([5.0])  # one seed shows no spread


def test_published_values_stand_apart_from_a_demo(demo: Path, html: str) -> None:
    assert "Published values — not comparable" in html
    assert "ToRA" not in (demo / "tables" / "table1.tex").read_text()


def test_published_values_stand_beside_the_paper_profile_with_their_evidence(tmp_path: Path) -> None:
    folder = small(tmp_path / "r", data={"name": "nyuv2", "title": "NYUv2", "synthetic": False},
                   backbone={"name": "vit_l"})  # fmt: skip
    plan = json.loads((folder / "experiment.json").read_text()) | {"profile": "paper", "note": ""}
    made.write(folder / "experiment.json", plan)
    results = read_results(tmp_path / "r", "nyuv2")
    published = read_published(results, PUBLISHED)
    assert published is not None
    table = results_table(results, "paper", published.of_dataset("nyuv2"))
    row = next(line for line in markdown(table).splitlines() if line.startswith("| TA-LoRA"))
    assert "| 52.1 | secondary |" in row
    assert "Synthetic" not in bare_page(tmp_path / "r")


def test_a_stand_in_backbone_on_real_data_is_said(tmp_path: Path) -> None:
    small(tmp_path / "r", data={"synthetic": False, "title": "Photographs"})
    html = bare_page(tmp_path / "r")
    assert "stands in for the published SAM checkpoints" in html
    assert "Synthetic scenes" not in html


def test_failed_and_pending_runs_are_shown_with_their_reason(tmp_path: Path) -> None:
    folder = small(tmp_path / "r")
    lost, waiting = made.cell_id("frozen", 0), made.cell_id("full-hps", 0)
    plan = json.loads((folder / "experiment.json").read_text())
    plan["cells"] |= {lost: "frozen s0", waiting: "full-hps s0"}
    made.write(folder / "experiment.json", plan)
    failure = {
        "kind": "out-of-memory",
        "message": "<b>no memory</b>",
        "traceback": "Trace",
        "attempt": 2,
        "step": 7,
    }
    made.write(folder / lost / "failure.json", failure)
    html, pages = bare_page(tmp_path / "r"), run_pages(tmp_path / "r")
    assert "2 of 4 runs done, 1 failed, 1 pending" in html
    for text in (html, pages[lost]):
        assert "&lt;b&gt;no memory&lt;/b&gt;" in text
        assert "attempt 2, step 7" in text
        assert "nan" not in re.findall(r"<td[^>]*>\s*(\w+)", text)
        Page(text)
    assert "<pre>Trace</pre>" in pages[lost]
    assert "Not started." in pages[waiting]


def test_hostile_names_stay_inert(tmp_path: Path) -> None:
    evil = '"><script>alert(1)</script> $\\input{x}$ & 5% <td>'
    folder = small(
        tmp_path / "r", data={"title": evil, "classes": [evil]}, legends={"segmentation": {evil: [1, 2, 3]}}
    )
    plan = json.loads((folder / "experiment.json").read_text()) | {"title": evil, "note": evil}
    made.write(folder / "experiment.json", plan)
    home = folder / made.cell_id("ta-lora", 0)
    made.write(home / "run.json", {"device": evil, "environment": {evil: [evil]}, "warnings": [evil]})
    (home / "journal.jsonl").write_text(json.dumps({"t": 0, "event": evil, evil: evil}) + "\n")
    html = bare_page(tmp_path / "r")
    for text in (html, run_pages(tmp_path / "r")[home.name]):
        assert len(re.findall(r"<script\b", text)) == (2 if text is html else 1)
        assert "&lt;script&gt;alert(1)" in text
        Page(text)
    assert "\\input{x}" not in latex(results_table(read_results(tmp_path / "r", "nyuv2"), "paper"))


def test_warnings_about_the_data_stand_on_the_page(tmp_path: Path, html: str) -> None:
    assert "Warnings about the data" not in html
    folder = small(tmp_path / "r")
    odd, odder = "train: depth up to 80, published is 10", "val: no image has a valid pixel of 'depth'"
    for method, lines in (("ta-lora", [odd, odder]), ("lora-stl", [odd])):
        made.write(folder / made.cell_id(method, 0) / "run.json", {"warnings": lines})
    text = bare_page(tmp_path / "r")
    section = text[text.index('<section id="data">') : text.index('<section id="how">')]
    assert f"<li>{odd}</li>" in section
    assert "valid pixel of &#39;depth&#39; (ta-lora s0)</li>" in section
    assert odd in run_pages(tmp_path / "r")[made.cell_id("ta-lora", 0)]


def test_reproduced_counts_identical_numbers(tmp_path: Path, html: str) -> None:
    assert "54 of 54" in html
    folder = small(tmp_path / "r")
    made.write_results(tmp_path / "r" / "reference", seeds=(0,), pictures=False)
    path = folder / made.cell_id("ta-lora", 0) / "record.json"
    record = json.loads(path.read_text())
    record["metrics"][0]["value"] += 0.25
    path.write_text(json.dumps(record))
    text = bare_page(tmp_path / "r")
    assert "17 of 18" in text
    top = text[: text.index("<main>")]
    assert "of 63 comparisons with the reference (methods × metrics), 17 identical, 1 undecided" in top
    assert '<span class="word undecided">undecided</span>' in text[text.index("<main>") :]


def test_the_same_records_give_the_same_bytes(tmp_path: Path) -> None:
    made.write_results(tmp_path / "r", seeds=(0,), methods=("ta-lora", "lora-stl"))
    first = render(tmp_path / "r", "nyuv2", tmp_path / "a")
    second = render(tmp_path / "r", "nyuv2", tmp_path / "b")
    assert [p.relative_to(tmp_path / "a") for p in first] == [p.relative_to(tmp_path / "b") for p in second]
    assert [a.name for a, b in zip(first, second, strict=True) if a.read_bytes() != b.read_bytes()] == []


def test_two_processes_write_the_bytes_that_one_does_and_an_error_says_where(tmp_path: Path) -> None:
    results = tmp_path / "results"
    for name in ("first", "second"):
        home = made.write_results(results, name, seeds=(0,), methods=("lora-stl",), pictures=False)
        for path in home.glob("*/record.json"):
            bare = json.loads(path.read_text()) | {"curves": {"train": [], "eval": []}, "pictures": []}
            made.write(path, bare)

    def pages(out: str, *names: str) -> list[Rendering]:
        return [Rendering(results, name, tmp_path / out / name, None, overview=False) for name in names]

    alone = list(write_all(pages("one", "first", "second"), workers=1))
    beside: list[list[Path]] = []
    with pytest.raises(StoreError) as caught:
        beside.extend(write_all(pages("two", "first", "second", "absent"), workers=2))
    assert caught.value.where == str(results / "absent")
    assert caught.value.hint == "run it first: tabench run <file.toml>"
    for one, two in zip(alone, beside, strict=True):
        names = [path.relative_to(tmp_path / "one") for path in one]
        assert [path.relative_to(tmp_path / "two") for path in two] == names
        assert [path.read_bytes() for path in two] == [path.read_bytes() for path in one]


def test_a_folder_that_cannot_be_written_is_named(tmp_path: Path) -> None:
    small(tmp_path / "r", curves={"train": [], "eval": []})
    (tmp_path / "out").write_text("in the way")
    with pytest.raises(StoreError, match="out"):
        render(tmp_path / "r", "nyuv2", tmp_path / "out")


@pytest.mark.skipif(shutil.which("pdflatex") is None, reason="pdflatex is not installed")
def test_the_preview_compiles(demo: Path) -> None:
    done = subprocess.run(
        ["pdflatex", "-interaction=nonstopmode", "-halt-on-error", "preview.tex"],
        cwd=demo / "tables", capture_output=True, text=True, check=False,
    )  # fmt: skip
    assert done.returncode == 0, done.stdout[-2000:]
