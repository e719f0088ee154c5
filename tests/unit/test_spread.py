"""Maps that are the same everywhere: how they are measured, kept in a record, and told on the page."""

from __future__ import annotations

import json
import math
from pathlib import Path

import numpy as np
import pytest
import report_fixtures as made
import torch
from hypothesis import given
from hypothesis import strategies as st

from tabench.report.pages.content import Content
from tabench.report.pages.page import page
from tabench.report.records.reading import read_results
from tabench.report.tables.latex import escape_latex
from tabench.tasks.accumulator import from_bytes, to_bytes
from tabench.tasks.spread import STEP, MapSpread, variances


@given(st.integers(2, 6), st.integers(0, 999))
def test_of_classes_it_is_one_minus_the_squared_shares(classes: int, seed: int) -> None:
    generator = torch.Generator().manual_seed(seed)
    scores = torch.randn(classes, 8 * STEP, 8 * STEP, generator=generator)
    labels = torch.randint(-1, classes, (8 * STEP, 8 * STEP), generator=generator)
    found = variances(scores, labels).tolist()
    for value, seen in zip(found, (scores.argmax(0), labels), strict=True):
        seen = seen[::STEP, ::STEP]
        shares = np.bincount(seen[seen >= 0].numpy()) / int((seen >= 0).sum())
        assert value == pytest.approx(1 - (shares**2).sum())


@given(st.sampled_from([(1, "float"), (3, "float"), (1, "label")]), st.integers(0, 999))
def test_of_numbers_it_is_their_variance_on_valid_pixels(kind: tuple[int, str], seed: int) -> None:
    channels, target = kind
    rng = np.random.default_rng(seed)
    prediction = rng.normal(size=(channels, 32, 40)).astype(np.float32)
    truth = rng.normal(size=(channels, 32, 40)).astype(np.float32)
    truth[:, rng.random((32, 40)) < 0.3] = 0
    if target == "label":
        truth = rng.integers(-1, 2, (32, 40))
    found = variances(torch.from_numpy(prediction), torch.from_numpy(truth)).tolist()
    small, seen = prediction[:, ::STEP, ::STEP], truth[..., ::STEP, ::STEP]
    valid = seen != -1 if target == "label" else seen.sum(axis=0) != 0
    seen = seen[None] if target == "label" else seen
    assert found[0] == pytest.approx(sum(channel.var() for channel in small.astype(np.float64)))
    assert found[1] == pytest.approx(sum(channel[valid].var() for channel in seen.astype(np.float64)))


def test_constant_maps_have_none_and_processes_share_the_images() -> None:
    label, scores = torch.arange(64).reshape(1, 8, 8) % 3, torch.zeros(1, 3, 8, 8)
    scores[:, 1] = 1
    whole, one, other = MapSpread(), MapSpread(), MapSpread()
    whole.update(scores.expand(2, -1, -1, -1), torch.cat([label, label * 0 - 1]), ["a", "b"])
    one.update(scores, label, ["a"])
    other.update(scores, label * 0 - 1, ["b"])  # an image without a valid pixel is left out
    assert whole.compute()["predicted"] == 0
    assert whole.compute()["target"] > 0.5
    one.absorb(from_bytes(to_bytes(other.parts())), ["a", "b"])
    assert one.compute() == whole.compute()
    assert math.isnan(other.compute()["target"])


def test_the_page_warns_beside_the_method(tmp_path: Path) -> None:
    folder = made.write_results(tmp_path, methods=("ta-lora", "frozen"), pictures=False)
    assert "Constant maps" not in page(Content(read_results(tmp_path, "nyuv2")))  # older records say nothing
    for path in folder.glob("*/record.json"):
        record = json.loads(path.read_text())
        flat = record["cell"]["method"]["name"] == "frozen" and record["cell"]["seed"] < 2
        of = {"predicted": 0.004 if flat else 0.5, "target": 0.5}
        path.write_text(
            json.dumps(record | {"spread": {"segmentation": of, "depth": of | {"predicted": 0.4}}})
        )
    content = Content(read_results(tmp_path, "nyuv2"))
    text = page(content)
    assert text.count("Frozen encoder: segmentation in 2 of 3 runs.") == 3  # on top, under both tables
    assert [row[0].shown for row in content.tables[0].rows] == ["TA-LoRA (Tucker)", "Frozen encoder ‡"]
    assert escape_latex("‡") == r"\textdaggerdbl{}"
