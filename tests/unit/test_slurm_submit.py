"""What is handed to sbatch, and what is made of its refusals; scripts stand in for Slurm's programs."""

from __future__ import annotations

from pathlib import Path

import pytest
from tiny_run import make_cell

from tabench.runs.executor import Job, Options, read_jobs
from tabench.runs.slurm.queue import SlurmError, submissions
from tabench.runs.slurm.submit import submit
from tabench.runs.slurm_settings import SlurmSettings

pytest.importorskip("submitit")
CONFIG = "MaxArraySize            = {size}"
SBATCH = """#!/bin/sh
echo >> {log}
n=$(wc -l < {log})
cp "$1" {log}.$n
[ $n -le {takes} ] || {{ printf '{refusal}' >&2; exit 1; }}
echo "Submitted batch job $((40 + n))"
"""


@pytest.fixture
def jobs() -> list[Job]:
    cells = [make_cell("frozen", train__epochs=epochs) for epochs in range(1, 6)]
    return [Job("x", cell, cell.label, Path("data"), Path("weights")) for cell in cells]


class Cluster:
    """Programs that answer like Slurm's, and the scripts that were handed in."""

    def __init__(self, folder: Path, size: int, takes: int = 9, refusal: str = "") -> None:
        folder.mkdir()
        self.log = folder / "log"
        self.log.touch()
        programs = {
            "sbatch": SBATCH.format(log=self.log, takes=takes, refusal=refusal),
            "scontrol": f"#!/bin/sh\necho '{CONFIG.format(size=size)}'\n",
            "srun": "#!/bin/sh\n",
        }
        for name, text in programs.items():
            (folder / name).write_text(text)
            (folder / name).chmod(0o755)

    def scripts(self) -> list[str]:
        return [Path(f"{self.log}.{n}").read_text() for n in range(1, len(self.log.read_text()) + 1)]


@pytest.fixture
def cluster(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> type[Cluster]:
    monkeypatch.delenv("SLURM_CONF", raising=False)
    monkeypatch.setenv("PATH", f"{tmp_path / 'bin'}:/usr/bin:/bin")
    return Cluster


def send(tmp_path: Path, jobs: list[Job], **settings: object) -> list[str]:
    options = Options(results=tmp_path, slurm=SlurmSettings.model_validate(settings))
    return submit(jobs, options, tmp_path / "x", {job.cell.id: 3 for job in jobs})


def test_arrays_are_as_long_as_the_cluster_takes(
    tmp_path: Path, jobs: list[Job], cluster: type[Cluster]
) -> None:
    there = cluster(tmp_path / "bin", size=2)
    assert send(tmp_path, jobs) == ["41", "42", "43"]
    found = submissions(tmp_path / "x")
    assert [list(one.elements()) for one in found] == [["41_0", "41_1"], ["42_0", "42_1"], ["43_0"]]
    assert [cell for one in found for cell in one.elements().values()] == [job.cell.id for job in jobs]
    assert [read_jobs(one.jobs_file).since for one in found][2] == {jobs[4].cell.id: 3}
    scripts = there.scripts()
    assert [line for text in scripts for line in text.splitlines() if "--array" in line] == [
        "#SBATCH --array=0-1%2",
        "#SBATCH --array=0-1%2",
        "#SBATCH --array=0-0%1",
    ]
    assert "--dependency" not in "".join(scripts)


def test_a_limit_of_cells_at_a_time_holds_over_all_arrays(
    tmp_path: Path, jobs: list[Job], cluster: type[Cluster]
) -> None:
    there = cluster(tmp_path / "bin", size=4)
    send(tmp_path, jobs, parallel=2)
    first, second = there.scripts()
    assert "#SBATCH --array=0-3%2" in first
    assert "--dependency" not in first
    assert "#SBATCH --dependency=afterany:41" in second


def test_a_script_looks_after_its_task(tmp_path: Path, jobs: list[Job], cluster: type[Cluster]) -> None:
    there = cluster(tmp_path / "bin", size=9)
    send(tmp_path, jobs[:1])
    (script,) = there.scripts()
    folder = submissions(tmp_path / "x")[0].path
    lines = [line for line in script.splitlines() if line and not line.startswith("#")]
    assert lines[-4].startswith("srun ")
    assert lines[-4].endswith(f"-u -m tabench.runs.slurm.task {folder}")
    assert lines[-3] == "code=$?"
    assert lines[-2].startswith('[ "$code" -eq 0 ] || [ "$code" -eq 3 ] || ')
    assert lines[-2].endswith(f'-u -m tabench.runs.slurm.task {folder} "$code"')
    assert lines[-1] == 'exit "$code"'


BATCH = "sbatch: error: Batch job submission failed:"


@pytest.mark.parametrize(
    "refusal",
    [
        f"{BATCH} Invalid partition name specified\\n",
        'sbatch: unrecognized option "--foo=1"\\nTry "sbatch --help"\\n',
    ],
)
def test_a_refusal_is_quoted(tmp_path: Path, jobs: list[Job], cluster: type[Cluster], refusal: str) -> None:
    cluster(tmp_path / "bin", size=9, takes=0, refusal=refusal)
    with pytest.raises(SlurmError) as raised:
        send(tmp_path, jobs)
    said = refusal.partition("\\n")[0].removeprefix("sbatch: ").removeprefix("error: ")
    assert raised.value.message == f"nothing was submitted: {said}"
    assert "--slurm KEY=VALUE" in str(raised.value)
    assert submissions(tmp_path / "x") == []


def test_what_was_submitted_before_a_refusal_is_said(
    tmp_path: Path, jobs: list[Job], cluster: type[Cluster]
) -> None:
    cluster(tmp_path / "bin", size=2, takes=2, refusal=f"{BATCH} Job violates accounting limits\\n")
    with pytest.raises(SlurmError) as raised:
        send(tmp_path, jobs)
    assert raised.value.message.startswith(
        "4 of 5 cells were submitted, then: Batch job submission failed: Job"
    )
    assert len(submissions(tmp_path / "x")) == 2


def test_a_cluster_without_arrays_is_refused(tmp_path: Path, jobs: list[Job], cluster: type[Cluster]) -> None:
    cluster(tmp_path / "bin", size=0)
    with pytest.raises(SlurmError, match="takes no job arrays"):
        send(tmp_path, jobs)


def test_a_host_without_sbatch_is_told(
    tmp_path: Path, jobs: list[Job], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("PATH", "")
    with pytest.raises(SlurmError, match="`sbatch` is not on this host"):
        send(tmp_path, jobs)
