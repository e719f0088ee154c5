"""What a cell asks of the cluster: a [slurm] table, and values of the command line; see docs/slurm.md."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Annotated, Any

from pydantic import BaseModel, ConfigDict, Field, ValidationInfo, field_validator

from tabench.errors import SpecError
from tabench.spec.toml import parse_toml, read_toml, validated

Text = Annotated[str, Field(min_length=1, pattern=r"^[^\n\r]+$")]  # a line of a batch script
Count = Annotated[int, Field(ge=0)]
TIME = r"^(\d+|\d+:\d{2}|\d+:\d{2}:\d{2}|\d+-\d+(:\d{2}){0,2})$"
NOTICE_SECONDS = 90


class SlurmSettings(BaseModel):
    """Settings of every job of a submission; what is not set is the cluster's own default."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    partition: Text | None = None
    account: Text | None = None
    qos: Text | None = None
    constraint: Text | None = None
    # limit of one stretch, as sbatch reads it; a cell that needs longer is checkpointed and queued again
    time: Annotated[str, Field(pattern=TIME, coerce_numbers_to_str=True)] = "60"
    gpus: Count = 0  # of a cell; 0 = none is asked for
    cpus: Annotated[int, Field(ge=1)] = 1  # of a cell; also its threads, unless `--threads` says otherwise
    memory_gb: Annotated[float, Field(ge=0, allow_inf_nan=False)] = 0.0  # 0 = not asked for
    parallel: Count = 0  # cells at a time; 0 = as many as the cluster lets run
    # how long before the limit a task is told (SIGUSR2) to write its checkpoint
    notice_seconds: Annotated[int, Field(ge=1)] = NOTICE_SECONDS
    requeues: Count = 50  # how often a cell goes back into the queue by itself (time limit, preemption)
    retries: Count | None = None  # of a cell whose process, disk or device failed; None = as elsewhere
    setup: tuple[Text, ...] = ()  # shell lines before the task
    # further options of sbatch, by their long names; true for a flag
    extra: dict[Annotated[str, Field(pattern=r"^[a-z][a-z0-9-]*$")], bool | int | Text] = {}

    @field_validator("notice_seconds")
    @classmethod
    def _before_the_end(cls, value: int, info: ValidationInfo) -> int:
        """A cell that is told at once writes a checkpoint, and never comes further."""
        limit = seconds_of(info.data["time"]) if "time" in info.data else 0
        if 0 < limit <= value:
            raise ValueError(f"must be shorter than slurm.time ({limit} s)")
        return value

    def sbatch(self, name: str, cells: int) -> dict[str, Any]:
        """The parameters of submitit's Slurm executor, for an array of so many cells and its name."""
        asked: dict[str, Any] = {
            **self.model_dump(include={"time", "partition", "account", "qos", "constraint"}),
            "job_name": name,
            "nodes": 1,
            "ntasks_per_node": 1,
            "cpus_per_task": self.cpus,
            "signal_delay_s": self.notice_seconds,
            "array_parallelism": self.parallel or cells,
            "stderr_to_stdout": True,
            "setup": list(self.setup) or None,
            "gpus_per_node": self.gpus or None,
            "mem": f"{round(self.memory_gb * 1024)}M" if self.memory_gb else None,
            "additional_parameters": {"requeue": True, **self.extra},
        }
        return {key: value for key, value in asked.items() if value is not None}


def seconds_of(time: str) -> int:
    """A time as sbatch reads it: minutes, "M:SS", "H:MM:SS", "D-H", "D-H:MM" or "D-H:MM:SS"; 0 = no limit."""
    days, dash, rest = time.rpartition("-")
    parts = [int(part) for part in rest.split(":")]
    units = (3600, 60, 1) if dash or len(parts) == 3 else (60, 1)
    clock = sum(count * unit for count, unit in zip(parts, units, strict=False))
    return clock + 86400 * int(days or 0)


def read_settings(words: Sequence[str]) -> SlurmSettings:
    """Settings from `--slurm` options: files with a [slurm] table and KEY=VALUE, a later one wins.

    Raises:
        SpecError: A file that cannot be read, or a key or value that cannot be used.
    """
    found: dict[str, Any] = {"notice_seconds": NOTICE_SECONDS}  # is held against another time, too
    for word in words:
        key, equals, value = word.partition("=")
        found |= {key.strip(): _value(value)} if equals and not word.endswith(".toml") else _table(Path(word))
    return validated(SlurmSettings, found, f"--slurm {' '.join(words)}", prefix="slurm.")


def _value(text: str) -> Any:
    """A value of the command line: what TOML makes of it, else the text itself."""
    try:
        value = parse_toml(f"x = {text}")["x"]
    except ValueError:
        return text
    return value if isinstance(value, bool | int | float | str | list | dict) else text  # 1:30:00 is a time


def _table(path: Path) -> dict[str, Any]:
    content = read_toml(path, f"--slurm {path}", "give a .toml file or KEY=VALUE")
    table = content.get("slurm")
    if not isinstance(table, dict) or len(content) != 1:
        raise SpecError("must hold one table, [slurm]", where=f"--slurm {path}", hint="begin it with [slurm]")
    return table
