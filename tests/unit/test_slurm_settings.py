"""What a cell asks of a cluster: files, values of the command line, sbatch's words."""

from __future__ import annotations

from pathlib import Path

import pytest

from tabench.errors import SpecError
from tabench.runs.slurm_settings import SlurmSettings, read_settings, seconds_of

FILE = """
[slurm]
partition = "gpu"
account = "lab"
time = "12:00:00"
gpus = 1
cpus = 8
memory_gb = 31.5
setup = ["module load cuda"]
extra = {mail-type = "FAIL", exclusive = true}
"""


def test_nothing_asked_is_the_clusters_own_default_and_always_requeued() -> None:
    asked = SlurmSettings().sbatch("tabench-x", 3)
    assert not asked.keys() & {"partition", "account", "gpus_per_node"}
    assert (asked["additional_parameters"], asked["array_parallelism"]) == ({"requeue": True}, 3)


def test_a_file_and_the_command_line_make_the_words_of_sbatch(tmp_path: Path) -> None:
    file = tmp_path / "cluster.toml"
    file.write_text(FILE)
    settings = read_settings([str(file), "partition=a100", "time=2:00:00", "parallel=2"])
    asked = settings.sbatch("tabench-nyuv2", 9)
    words = {"partition": "a100", "account": "lab", "time": "2:00:00", "gpus_per_node": 1, "cpus_per_task": 8}
    words |= {"mem": "32256M", "setup": ["module load cuda"], "array_parallelism": 2}  # the later one counts
    words["additional_parameters"] = {"requeue": True, "mail-type": "FAIL", "exclusive": True}
    assert words.items() <= asked.items()


@pytest.mark.parametrize(
    ("text", "seconds"),
    [
        ("90", 5400),
        ("90:05", 5405),
        ("1:30:01", 5401),
        ("2-12", 216000),
        ("2-12:30", 217800),
        ("2-12:30:09", 217809),
        ("0", 0),
    ],
)
def test_times_are_those_of_sbatch(text: str, seconds: int) -> None:
    assert read_settings([f"time={text}"]).time == text
    assert seconds_of(text) == seconds


@pytest.mark.parametrize(
    ("word", "part"),
    [
        ("partion=gpu", "did you mean 'partition'?"),
        ("time=soon", "slurm.time: String should match pattern"),
        ("time=1", "slurm.notice_seconds: must be shorter than slurm.time (60 s), got 90"),
        ("notice_seconds=3600", "must be shorter than slurm.time (3600 s)"),
        ("retries=-1", "slurm.retries"),
        ("gpus=-1", "slurm.gpus"),
        ("cpus=0", "slurm.cpus"),
        ('partition="a\\n#SBATCH --uid=0"', "slurm.partition"),
        ('setup=["a\\nb"]', "slurm.setup.0"),
        ("extra={'a b'=1}", "slurm.extra"),
        ("nowhere.toml", "give a .toml file or KEY=VALUE"),
    ],
)
def test_what_cannot_be_used_is_named(word: str, part: str) -> None:
    with pytest.raises(SpecError) as raised:
        read_settings([word])
    assert part in str(raised.value)
    assert word in str(raised.value) or "slurm.time" in part  # the other of the two was not given


def test_a_file_without_its_table_is_refused(tmp_path: Path) -> None:
    file = tmp_path / "cluster.toml"
    file.write_text("partition = 'gpu'\n")
    with pytest.raises(SpecError, match=r"begin it with \[slurm\]"):
        read_settings([str(file)])
