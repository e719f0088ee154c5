"""Who may compute portably, how a command starts itself anew for it, and what refuses to."""

from __future__ import annotations

import os
import sys
from pathlib import Path

import pytest
from commands import call
from tiny_run import make_cell

from tabench.engine import probes
from tabench.engine.probes import set_numerics
from tabench.errors import SpecError
from tabench.provenance import portable
from tabench.provenance.portable import (
    MARK,
    VARIABLES,
    NumericsError,
    check_numerics,
    is_curable,
    obstacle,
    start_anew,
)
from tabench.runs.executor import Options

RECIPE = "dataset.generate={seed=0, train=2, val=1, height=48, width=64}"
PORTABLE = ("nyuv2", "--profile=demo", f"--set={RECIPE}", "--set=train.numerics=portable")


@pytest.fixture
def able(monkeypatch: pytest.MonkeyPatch) -> None:
    """A machine whose processor has all that is needed."""
    monkeypatch.setattr(sys, "platform", "linux")
    monkeypatch.setattr(portable.platform, "machine", lambda: "x86_64")
    monkeypatch.setattr(portable, "processor", lambda: {"flags": "fma avx2 f16c bmi1 bmi2 movbe abm sse2"})


@pytest.fixture
def set_well(able: None, monkeypatch: pytest.MonkeyPatch) -> None:
    """A process that was started for portable numerics, as far as its variables say."""
    for name, value in VARIABLES.items():
        monkeypatch.setenv(name, value)
    for name in portable._UNSET:
        monkeypatch.delenv(name, raising=False)


@pytest.mark.usefixtures("able")
def test_a_machine_that_cannot_says_what_it_lacks(monkeypatch: pytest.MonkeyPatch) -> None:
    assert obstacle() == ""
    monkeypatch.setattr(portable, "processor", lambda: {"flags": "f16c bmi1 bmi2 movbe abm sse2"})
    assert obstacle() == "the processor lacks avx2, fma"
    with pytest.raises(SpecError, match="lacks avx2") as told:
        check_numerics("portable")
    assert not is_curable(told.value)
    monkeypatch.setattr(portable.platform, "machine", lambda: "aarch64")
    assert "aarch64" in obstacle()


@pytest.mark.usefixtures("set_well")
@pytest.mark.parametrize("name", [*VARIABLES, "GLIBC_TUNABLES", "NPY_DISABLE_CPU_FEATURES"])
def test_no_variable_may_be_another(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    check_numerics("portable")
    monkeypatch.setenv(name, "another")
    with pytest.raises(NumericsError, match=name) as told:
        check_numerics("portable")
    assert not is_curable(told.value)  # it was started anew already: no second time
    with pytest.raises(SpecError, match="started for portable"):
        check_numerics("native")


@pytest.mark.usefixtures("able")
def test_a_command_starts_itself_anew_with_the_variables(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv(MARK, raising=False)
    monkeypatch.setenv("OPENBLAS_L2_SIZE", "1")
    monkeypatch.setenv("MKL_CBWR", "AVX2")
    monkeypatch.setattr(sys, "orig_argv", ["python", "-u", "-m", "tabench", "run", "nyuv2"])
    started = []
    monkeypatch.setattr(os, "execve", lambda *words: started.append(words))
    with pytest.raises(NumericsError) as told:
        check_numerics("portable")
    assert is_curable(told.value)
    start_anew()
    ((program, words, environment),) = started
    assert (program, words) == (sys.executable, [sys.executable, "-u", "-m", "tabench", "run", "nyuv2"])
    rest = {name: value for name, value in os.environ.items() if name != "OPENBLAS_L2_SIZE"}
    assert environment == {**rest, **VARIABLES}
    monkeypatch.setattr(os, "environ", environment)
    check_numerics("portable")


@pytest.mark.usefixtures("set_well")
def test_a_library_that_computes_otherwise_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(probes, "replace_kernels", lambda: None)
    monkeypatch.setattr(probes, "PORTABLE", probes.probes() | {"onednn": "x"})
    with pytest.raises(NumericsError, match=r"onednn \(\w{16} instead of x\)"):
        set_numerics("portable")


@pytest.mark.parametrize(
    ("how", "option"),
    [
        ({"threads": 2}, "--threads 2"),
        ({"device": "cuda:1"}, "--device cuda:1"),
        ({"compiled": True}, "--compile"),
    ],
)
def test_options_that_change_the_bits_are_refused(how: dict[str, object], option: str) -> None:
    native, cell = make_cell("frozen"), make_cell("frozen", train__numerics="portable")
    asked = Options(results=Path("results"), **how)  # type: ignore[arg-type]
    assert asked.for_cell(native) == asked
    with pytest.raises(SpecError, match="one CPU thread") as told:
        asked.for_cell(cell)
    assert option in str(told.value)
    placed = Options(results=Path("results")).for_cell(cell)
    assert (placed.device, placed.threads) == ("cpu", 1)


@pytest.mark.usefixtures("able")
def test_a_command_inside_another_process_does_not_replace_it(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("TABENCH_CACHE", str(tmp_path))
    monkeypatch.delenv(MARK, raising=False)
    started: list[object] = []
    monkeypatch.setattr(os, "execve", lambda *words: started.append(words))
    assert call("run", *PORTABLE, f"--results={tmp_path / 'results'}") == 2
    assert "start it as `tabench`" in " ".join(capsys.readouterr().err.split())
    assert not started
    assert not (tmp_path / "results").exists()


def test_generated_data_is_apart(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("TABENCH_CACHE", str(tmp_path))
    assert call("plan", *PORTABLE) == 0  # a plan is made anywhere
    assert "-portable" in capsys.readouterr().out
    assert call("plan", *PORTABLE[:3]) == 0
    assert "-portable" not in capsys.readouterr().out
    assert call("data", "make-scenes", f"--root={tmp_path / 'made'}", "--train=1", "--val=1") == 0
    assert call("plan", *PORTABLE, f"--data-root={tmp_path / 'made'}") == 2
    assert "leave out --data-root" in " ".join(capsys.readouterr().err.split())
