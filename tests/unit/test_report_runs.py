"""Run pages: what stands behind a number, the order of images, and files that go with their cells."""

from __future__ import annotations

import json
import re
from pathlib import Path
from types import SimpleNamespace

import pytest
import report_fixtures as made

from tabench.report.figures import sparks
from tabench.report.figures.pictures import Album
from tabench.report.pages.page import LISTED
from tabench.report.pages.run_page import RunPages
from tabench.report.pages.site import render
from tabench.report.pages.templating import environment
from tabench.report.records import extremes, wording
from tabench.report.records.reading import read_results

METHOD, SEED = "ta-lora", 0


def run_page(root: Path) -> str:
    return dict(RunPages(read_results(root, "nyuv2"), Album(root / "out" / "pictures")).pages())[
        made.cell_id(METHOD, SEED)
    ]


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    return made.write_results(tmp_path, seeds=(0, 1), methods=(METHOD, "lora-stl"))


@pytest.mark.parametrize("task", made.TASKS)
def test_images_stand_in_the_order_of_their_first_metric(task: str) -> None:
    record = made.record(METHOD, SEED)
    key, better = {
        "segmentation": ("miou", "higher"),
        "depth": ("abs_err", "lower"),
        "normals": ("mean", "lower"),
    }[task]
    values = dict(zip(record["per_image"]["ids"], record["per_image"]["values"][task][key], strict=True))
    expected = sorted(values, key=lambda image: values[image], reverse=better == "higher")
    found = next(e for e in extremes.extremes(record) if e.task == task)
    assert [found.ids[i] for i in found.order] == expected
    assert [place.image for place in found.ends] == expected[:3] + expected[-3:]
    place = found.of(expected[4])
    assert place is not None
    assert (place.place, place.of) == (5, 16)


def test_images_without_a_value_have_no_place() -> None:
    record = made.record(METHOD, SEED)
    record["per_image"]["values"]["depth"]["abs_err"][3] = None
    found = next(e for e in extremes.extremes(record) if e.task == "depth")
    assert len(found.order) == 15
    assert found.of("val/3") is None


def test_a_page_shows_every_metric_of_every_protocol(folder: Path) -> None:
    html = run_page(folder.parent)
    for metric in made.record(METHOD, SEED)["metrics"]:
        assert f"<td>{metric['value']:.{metric['digits']}f} " in html
    assert "weight_decay" in html
    assert "Example CPU" in html
    assert len(re.findall(r'alt="prediction of \w+"', html)) == 9
    assert f'href="{made.cell_id(METHOD, 1)}.html"' in html


def test_a_run_that_need_not_repeat_says_so_wherever_it_is_shown(folder: Path) -> None:
    results = read_results(folder.parent, "nyuv2")
    loose, cell = results.done[0], results.done[0].record["cell"]
    loose.record["cell"] = cell | {"train": cell["train"] | {"deterministic": False}}
    told = "Run with train.deterministic = false: running it again may change the last digits"
    note = f"{told} ({loose.label})."
    assert note in wording.footnotes(results, "paper")
    facts = SimpleNamespace(whole_tables=[], total_wall=0.0, circumstances={})
    how = environment().get_template("how.html.j2")
    assert note in how.render(results=results, c=facts, record=results.first, wording=wording, states="")
    pages = dict(RunPages(results, Album(folder.parent / "out")).pages())
    assert [name for name, page in pages.items() if told in page] == [loose.id]


def test_the_best_and_worst_images_show_their_pictures_where_they_were_kept(folder: Path) -> None:
    home = folder / made.cell_id(METHOD, SEED) / "pictures"
    depth = next(e for e in extremes.extremes(made.record(METHOD, SEED)) if e.task == "depth")
    best = depth.ends[0].image
    html = run_page(folder.parent)
    assert "None of these was kept as a picture" in html
    assert f'alt="prediction of {best}, depth"' not in html
    source = next(home.glob("*.depth.pred.png"))
    (home / f"{best.replace('/', '_')}.depth.pred.png").write_bytes(source.read_bytes())
    html = run_page(folder.parent)
    shown = re.search(rf'<img src="(pictures/[0-9a-f]{{16}}.webp)" alt="prediction of {best}, depth">', html)
    assert shown is not None
    assert (folder.parent / "out" / shown[1]).is_file()


def test_a_picture_that_many_pages_show_is_one_file(folder: Path, tmp_path: Path) -> None:
    album = Album(tmp_path / "pictures")
    pages = dict(RunPages(read_results(folder.parent, "nyuv2"), album).pages())
    inputs = [set(re.findall(r'src="([^"]*)" alt="Image ', page)) for page in pages.values()]
    shown = [found for found in inputs if found]
    assert len(shown) > 1
    assert all(found == shown[0] for found in shown)
    assert len(shown[0]) == 3
    assert {path.name for path in (tmp_path / "pictures").iterdir()} == {p.name for p in album.files}


def test_a_curve_says_where_it_starts_and_ends() -> None:
    record = made.record(METHOD, SEED)
    drawn = {spark.title: str(spark.drawing) for spark in sparks.sparks(record, "paper")}
    losses = [step["terms"]["depth"] for step in record["curves"]["train"]]
    assert f"from {losses[0]:.4g} to {losses[-1]:.4g}" in drawn["Depth: training loss ↓"]
    assert drawn["Depth: training loss ↓"].count(",") >= len(losses)
    assert len(drawn) == 3 + 9


def test_a_flat_or_single_point_curve_is_drawn() -> None:
    record = made.record(METHOD, SEED)
    record["curves"]["train"] = record["curves"]["train"][:1]
    assert "nan" not in str(sparks.sparks(record, "paper")[0].drawing)


def test_a_damaged_journal_line_is_left_out(folder: Path) -> None:
    journal = folder / made.cell_id(METHOD, SEED) / "journal.jsonl"
    journal.write_text('{"t": 0, "event": "start"}\n{"t": 1, "ev')
    assert "1970-01-01 00:00:00 start" in run_page(folder.parent)


def test_pages_of_cells_that_are_gone_are_removed(folder: Path, tmp_path: Path) -> None:
    for path in folder.glob("*/record.json"):
        made.write(path, json.loads(path.read_text()) | {"curves": {"train": [], "eval": []}, "pictures": []})
    out = tmp_path / "out"
    (out / "runs" / "pictures").mkdir(parents=True)
    stale = [out / "runs" / f"{'0' * 16}.html", out / "runs" / "pictures" / f"{'0' * 16}.webp"]
    kept = [out / "runs" / "notes.html", out / "runs" / "pictures" / "mine.webp"]
    for path in (*stale, *kept):
        path.write_text("mine")
    render(folder.parent, "nyuv2", out)
    assert not [path for path in stale if path.exists()]
    assert [path.read_text() for path in kept] == ["mine", "mine"]


def test_a_number_of_many_runs_lists_some_and_counts_the_rest(tmp_path: Path) -> None:
    from test_report_site import bare_page

    made.write_results(tmp_path, seeds=tuple(range(LISTED + 3)), methods=(METHOD,), pictures=False)
    html = bare_page(tmp_path)
    card = re.search(r"<div popover[^>]*>.*?</div>", html, re.DOTALL)
    assert card is not None
    assert card[0].count("<li><a") == LISTED
    assert "and 3 more" in card[0]
    assert html.count('<tr id="run-') == LISTED + 3
