"""Sessions: `nox -l` lists them; everything they need is installed from requirements.lock."""

from __future__ import annotations

import os
import shutil
import sys
import tempfile
from pathlib import Path

import nox

nox.needs_version = ">=2025.2.9"
nox.options.default_venv_backend = "uv"
nox.options.reuse_venv = "yes"
nox.options.sessions = ["lint", "types", "tests"]

if sys.version_info < (3, 11):  # noqa: UP036 - nox has the Python that it was installed with
    raise SystemExit("tabench needs Python 3.11 or newer: install nox with it, or see README.md for uv's way")

LOCK = "requirements.lock"
CODE = ("tabench", "tests", "noxfile.py")
EXPERIMENTS = ("nyuv2", "cityscapes", "pascal_context", "ranks", "orthogonality")  # Tables 1 to 5


def install(session: nox.Session) -> None:
    """Install the locked versions (hashes checked), then the project itself."""
    session.install("--require-hashes", "-r", LOCK)
    session.install("--no-deps", "--no-build-isolation", "-e", ".")


def reproduce(session: nox.Session, experiment: str) -> None:
    """Run an experiment's matrix and render its report; options after `--` are passed on."""
    install(session)
    session.run("tabench", "run", f"experiments/{experiment}.toml", "--report", *session.posargs)


@nox.session(name="reproduce-nyuv2")
def reproduce_nyuv2(session: nox.Session) -> None:
    """Train seven methods x three seeds on NYUv2 (or its embedded demo) and write reports/nyuv2."""
    reproduce(session, "nyuv2")


@nox.session(name="reproduce-cityscapes")
def reproduce_cityscapes(session: nox.Session) -> None:
    """Train seven methods x three seeds on CityScapes (or its embedded demo) and write reports/cityscapes."""
    reproduce(session, "cityscapes")


@nox.session(name="reproduce-ranks")
def reproduce_ranks(session: nox.Session) -> None:
    """Table 4: ranks of Tucker, CP and LoRA against quality and parameters."""
    reproduce(session, "ranks")


@nox.session(name="reproduce-orthogonality")
def reproduce_orthogonality(session: nox.Session) -> None:
    """Table 5: which factors the regulariser sees, and its weight."""
    reproduce(session, "orthogonality")


@nox.session(name="reproduce-pascal-context")
def reproduce_pascal_context(session: nox.Session) -> None:
    """Train seven methods x three seeds on PASCAL-Context (or its embedded demo) and write its report."""
    reproduce(session, "pascal_context")


@nox.session(name="reproduce-all")
def reproduce_all(session: nox.Session) -> None:
    """All five tables, one experiment after the other; cells that two tables need are run once."""
    for experiment in EXPERIMENTS:
        reproduce(session, experiment)


@nox.session(name="report")
def report(session: nox.Session) -> None:
    """Render the shipped reference records again, without training."""
    install(session)
    session.run("tabench", "report", *session.posargs, "--results", "results/reference")


@nox.session(name="tests")
def tests(session: nox.Session) -> None:
    """The test suite; options after `--` go to pytest."""
    install(session)
    # Two workers would fight over the cores with two threads each; and the many processes that tests start
    # would compile torch anew where bytecode is not kept.
    env = {"OMP_NUM_THREADS": "1", "PYTHONDONTWRITEBYTECODE": ""}
    session.run("pytest", *(session.posargs or ["-n", "2", "--dist", "worksteal", "-q"]), env=env)


@nox.session(name="tests-long")
def tests_long(session: nox.Session) -> None:
    """Tests of a minute: cells that move between hosts and containers, or to another number of processes."""
    install(session)
    session.run("pytest", "-q", "-n", "0", "-m", "long", *session.posargs)


@nox.session(name="slurm")
def slurm(session: nox.Session) -> None:
    """Start a real Slurm of two nodes, run the tests marked `slurm` on it, stop it.

    TABENCH_SLURM_START is a script that starts it and prints the exports to use it; TABENCH_SLURM_STOP ends
    it. Default: tests/slurm/start-cluster.sh and stop-cluster.sh, which need root and Debian's packages
    slurm-wlm and munge; these are installed where they are missing.
    """
    install(session)
    if shutil.which("slurmctld") is None:
        session.run("apt-get", "update", "-q", external=True)
        session.run("apt-get", "install", "-y", "-q", "slurm-wlm", "munge", external=True)
    place = Path(__file__).parent / "tests" / "slurm"
    begin = os.environ.get("TABENCH_SLURM_START") or str(place / "start-cluster.sh")
    end = os.environ.get("TABENCH_SLURM_STOP") or str(Path(begin).with_name("stop-cluster.sh"))
    folder = tempfile.mkdtemp(prefix="slurm.")  # a short path: it holds sockets
    cluster = {"TABENCH_SLURM_DIR": folder, "SLURM_CONF": f"{folder}/slurm.conf"}
    try:
        session.run("bash", begin, "2", external=True, env=cluster)
        session.run(
            "pytest", "-q", "-n", "0", "-m", "slurm", "tests/integration", *session.posargs, env=cluster
        )
    finally:
        session.run("bash", end, external=True, env=cluster)


@nox.session(name="portable")
def portable(session: nox.Session) -> None:
    """Portable numerics under qemu-user: the same digests on emulated processors of two vendors.

    Ten to thirty minutes for two methods; `-- lora-hps` for others. Installs Debian's package qemu-user where
    it is missing, which needs root.
    """
    install(session)
    if shutil.which("qemu-x86_64") is None:
        session.run("apt-get", "update", "-q", external=True)
        session.run("apt-get", "install", "-y", "-q", "qemu-user", external=True)
    session.run("python", "tests/portable_emulated.py", *session.posargs)


@nox.session(name="soak")
def soak(session: nox.Session) -> None:
    """Kill commands and their processes 100 times on one results folder; every record must come out the same.

    Twenty to thirty minutes on two cores; `-- --kills 10` for fewer, `-- --seed 1` for other moments.
    """
    install(session)
    session.run("python", "tests/scale/soak.py", *session.posargs)


@nox.session(name="fuzz")
def fuzz(session: nox.Session) -> None:
    """Feed every reader 20,000 broken and hostile files a format; `-- --inputs 200 --only zip` for less."""
    install(session)
    session.run("python", "-m", "fuzz", *session.posargs, env={"PYTHONPATH": "tests"})


@nox.session(name="lint")
def lint(session: nox.Session) -> None:
    """Ruff: rules and format."""
    session.install("ruff", "-c", LOCK)
    session.run("ruff", "check", *CODE)
    session.run("ruff", "format", "--check", *CODE)


@nox.session(name="types")
def types(session: nox.Session) -> None:
    """Mypy, strict where there is no torch."""
    install(session)
    session.run("mypy")


@nox.session(name="bench")
def bench(session: nox.Session) -> None:
    """The fast path against the plain one, on the CPU or GPU; results/bench/ and reports/bench/."""
    install(session)
    session.run("tabench", "bench", *session.posargs)


@nox.session(name="gpu-day")
def gpu_day(session: nox.Session) -> None:
    """All that is asked of a GPU, in parts that resume; under ten minutes, `-- --full` for everything.

    `-- --parts tests,vit_l` for some; `-- --rehearse --full` tries all of it small on a CPU.
    """
    install(session)
    session.run("tabench", "bench", "--suite", "gpu", *session.posargs)


@nox.session(name="bench-report")
def bench_report(session: nox.Session) -> None:
    """Render a report from 20,000 made-up runs; fails above 60 s of processor time or 1 GB."""
    install(session)
    session.run("python", "tests/scale/store_speed.py", "report", *session.posargs)


@nox.session(name="artifact")
def artifact(session: nox.Session) -> None:
    """Pack the shipped records, unpack them elsewhere, install only what reports need, compare the tables."""
    install(session)
    place = Path(session.create_tmp()).resolve() / "artifact"
    shutil.rmtree(place, ignore_errors=True)
    reports, packed, here = place / "reports", place / "artifact.zip", place / "unpacked"
    reference = ("nyuv2", "--results", "results/reference")
    session.run("tabench", "report", *reference, "--out", str(reports / "nyuv2"))
    session.run("tabench", "export", "artifact", *reference, "--reports", str(reports), "--out", str(packed))
    session.run("python", "-m", "zipfile", "-e", str(packed), str(here))
    session.run("python", "-m", "venv", str(place / "venv"))
    python = str(place / "venv" / ("Scripts" if sys.platform == "win32" else "bin") / "python")
    with session.chdir(here):
        pins = ("--require-hashes", "-r", "requirements-report.txt")
        session.run(python, "-m", "pip", "install", "--quiet", *pins, external=True)
        run = (python, "-B", "-m", "tabench")
        session.run(*run, "export", "check", ".", external=True)
        session.run(*run, "report", "nyuv2", "--results", "results", "--out", "../again", external=True)
    for table in sorted((reports / "nyuv2" / "tables").iterdir()):
        if table.read_bytes() != (place / "again" / "tables" / table.name).read_bytes():
            session.error(f"{table.name} came out differently without torch")


@nox.session(name="bench-plan")
def bench_plan(session: nox.Session) -> None:
    """Time `plan` and `status` on 20,000 made-up cells; fails above 3 s of processor time or 1 GB."""
    install(session)
    session.run("python", "tests/scale/store_speed.py", "plan", *session.posargs)


@nox.session(name="bench-store")
def bench_store(session: nox.Session) -> None:
    """Check, export and merge 20,000 made-up records; fails above 60 s of processor time or 1 GB."""
    install(session)
    session.run("python", "tests/scale/store_speed.py", "store", *session.posargs)


@nox.session(name="bench-data")
def bench_data(session: nox.Session) -> None:
    """Time reading, augmenting and scoring an image; `-- --small` for the demo's sizes."""
    install(session)
    session.run("python", "tests/scale/data_speed.py", *session.posargs)


@nox.session(name="pretrain-nano")
def pretrain_nano(session: nox.Session) -> None:
    """Pretrain sam_vit_nano again from its recipe (17 minutes on one busy core)."""
    install(session)
    session.run("tabench", "pretrain", *session.posargs)


@nox.session(name="lock")
def lock(session: nox.Session) -> None:
    """Resolve the dependencies again into requirements.lock."""
    session.install("uv")
    flags = ("--universal", "--python-version", "3.11", "--generate-hashes", "--no-header", "--no-annotate")
    session.run(
        "uv",
        "pip",
        "compile",
        "pyproject.toml",
        "--extra",
        "dev",
        "--extra",
        "slurm",
        "--extra",
        "parquet",
        *flags,
        *session.posargs,
        "-o",
        LOCK,
    )
    if "://" in Path(LOCK).read_text(encoding="utf-8"):
        session.error(f"{LOCK} holds an address; remove it before committing")
