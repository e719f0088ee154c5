"""TOML that is small and asks for much."""

from __future__ import annotations

import tracemalloc
from pathlib import Path

import pytest
import spec_samples

from tabench.errors import SpecError
from tabench.runs.slurm_settings import read_settings
from tabench.spec import expand as expansion
from tabench.spec.expand import expand
from tabench.spec.experiment import load_experiment
from tabench.spec.options import override
from tabench.spec.toml import parse_toml


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("x = " + "[" * 100_000, "without end"),
        ("x = " + "{a = " * 50_000, "without end"),
        ("[" + "a." * 50_000 + "a]", "dots"),
        ("a." * 5_000 + "a = 1", "dots"),
        ("x = 0x" + "f" * 5_000, "x has more than 64 bits"),
        ("x = [1, 9223372036854775808]", "x.1 has more than 64 bits"),
        ("x = 1" + "0" * 5_000, "integer"),
        ("# " + "x" * (1 << 18), "longer than"),
        ("x = '\x00'", "at line"),
        ("\ufeffx = 1", "at line"),
        ("x = 1\nx = 2", "overwrite"),
    ],
)
def test_refused_in_little_memory(text: str, words: str) -> None:
    tracemalloc.start()
    try:
        with pytest.raises(ValueError, match=words):
            parse_toml(text)
        assert tracemalloc.get_traced_memory()[1] < 30e6
    finally:
        tracemalloc.stop()


def wide(folder: Path, variants: int, seeds: int) -> Path:
    rows = "".join(
        f'\n[[profiles.demo.variants]]\nmethod = "lora-stl"\nparams = {{ rank = {n + 1} }}'
        for n in range(variants)
    )
    text = spec_samples.TEXT.replace("seeds = [0, 1]", f"seeds = {list(range(seeds))}")
    return spec_samples.write(folder, text + rows)


def test_a_matrix_that_explodes_is_counted_not_built(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    built = []
    monkeypatch.setattr(expansion, "Cell", lambda **parts: built.append(parts))
    experiment = load_experiment(wide(tmp_path, variants=1_000, seeds=20_000))
    with pytest.raises(
        SpecError, match=r"1003 methods and variants with 20000 seeds are 20,060,000 cells"
    ) as caught:
        expand(experiment, "demo", spec_samples.RESOLVED)
    assert "small.toml" in str(caught.value)
    assert not built


def test_messages_stay_short(tmp_path: Path) -> None:
    experiment = load_experiment(spec_samples.write(tmp_path))
    with pytest.raises(SpecError) as caught:
        override(experiment, "demo", ["axes.seeds=[" + "{a=1}," * 5_000 + "]"])
    assert len(str(caught.value)) < 10_000
    assert "more problems)" in str(caught.value)


def test_a_byte_order_mark_is_no_part_of_a_file(tmp_path: Path) -> None:
    """As editors on Windows write it; experiments, claims and Slurm settings are read alike."""
    assert parse_toml("x = [9223372036854775807, -9223372036854775808]") == {"x": [2**63 - 1, -(2**63)]}
    path = tmp_path / "small.toml"
    path.write_bytes(b"\xef\xbb\xbf" + spec_samples.TEXT.encode())
    assert load_experiment(path).profiles
    path.write_bytes(b"\xef\xbb\xbf[slurm]\npartition = 'gpu'\n")
    assert read_settings([str(path)]).partition == "gpu"
