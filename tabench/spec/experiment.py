"""The experiment file: what to run, on what, and how it is reported."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path
from typing import Annotated, Any, Literal

from pydantic import Field, PrivateAttr

from tabench.catalog import BACKBONES, BALANCERS, DATASETS, METHODS, TASKS
from tabench.errors import SpecError
from tabench.registry import Registry
from tabench.spec.cell import Count, EvaluationRule, Frozen, Names, Params, Positive, Seeds, TrainPart
from tabench.spec.toml import read_toml, validated
from tabench.text import suggestion

MOST_VALUES = 2**20  # bytes of a file of published values


class Generate(Frozen):
    """The recipe of a synthetic dataset; its content enters a cell by the fingerprint alone."""

    seed: Count = 0  # seed of all scenes
    train: Positive  # images of the training split
    val: Positive  # images of the reported split
    height: Positive  # pixels
    width: Positive  # pixels


class DatasetSpec(Frozen):
    """Which dataset and which of its tasks, in the order they are folded."""

    name: str
    tasks: Names
    train_split: str = "train"
    eval_split: str = "val"
    generate: Generate | None = None


class BackboneSpec(Frozen):
    """Which SAM; `checkpoint` is the path of its weights where they lie elsewhere than usual."""

    name: str
    pixel_norm: Literal["none", "sam", "encoder"] | None = None  # None: the backbone's own first one
    checkpoint: str | None = None


class Variant(Frozen):
    """A further row of the matrix: a method with hyper-parameters other than the profile's."""

    method: str
    params: Params


class Repeats(Frozen):
    """How far apart two runs of one cell come out on other machines; `tabench margins` writes it."""

    # "task.metric" to the largest difference of one run, in the metric's unit, that repeating explains
    margins: dict[str, Annotated[float, Field(strict=True, gt=0)]]
    source: str = ""  # what was repeated, and where


class Profile(Frozen):
    """One full setting of the experiment ("paper", "demo")."""

    note: str = ""  # printed with every table of it
    dataset: DatasetSpec
    backbone: BackboneSpec
    train: TrainPart = TrainPart()
    evaluation: EvaluationRule = EvaluationRule()
    # hyper-parameters that differ from a method's defaults
    methods: dict[str, Params] = Field(default_factory=dict)
    # hyper-parameters that differ from the defaults of a way of balancing
    balancing: dict[str, Params] = Field(default_factory=dict)
    # what a run may differ by from the reference's run of the same cell and still be its repeat
    repeats: Repeats | None = None
    # rows beside those of `axes.methods`; each starts from `methods` and changes what it names
    variants: tuple[Variant, ...] = ()


class Axes(Frozen):
    """What the matrix runs over; a method that trains every task alone has nothing to balance."""

    methods: Names
    balancing: Names = ("equal",)
    seeds: Seeds = (0,)


class Report(Frozen):
    """How the results are shown."""

    baselines: tuple[str, ...] = ()  # methods that Delta_b is taken against
    grid: tuple[str, ...] = ()  # methods in the qualitative figure, the boxed one last
    published: str | None = None  # CSV of published values, relative to the experiment file


class Experiment(Frozen):
    """A whole experiment file."""

    schema_version: Literal[1] = Field(alias="schema")
    name: Annotated[str, Field(pattern=r"^[a-z0-9][a-z0-9._-]*$")]
    title: str
    table: str = ""
    figure: str = ""
    axes: Axes
    report: Report = Report()
    profiles: Annotated[dict[str, Profile], Field(min_length=1)]
    _source: Path = PrivateAttr(default=Path("experiment.toml"))

    @property
    def source(self) -> Path:
        """The file it was read from."""
        return self._source

    @property
    def published(self) -> Path | None:
        """Path of the published values, if the file names one."""
        return self.source.parent / self.report.published if self.report.published else None

    def published_text(self) -> str:
        """The content of that file; "" if the experiment names none. Raises as `read_values`."""
        return "" if self.published is None else read_values(self.published)

    def profile(self, name: str) -> Profile:
        """A profile by name. Raises SpecError: there is no such profile."""
        if name not in self.profiles:
            hint = suggestion(name, self.profiles, "it has")
            raise SpecError(f"unknown profile '{name}'", where=f"{self.source}: profiles", hint=hint)
        return self.profiles[name]


def load_experiment(path: str | Path, *, names: bool = True) -> Experiment:
    """Read and check an experiment file.

    A file with `base = "other.toml"` has the profiles of that file beside it, changed by its own. `names`
    says whether methods, tasks and data that it names must be installed: what reads results alone does
    without. Raises SpecError: the file is missing, is not TOML, or has a key, a value or a name that is not
    valid; names file, dotted key and the nearest valid name.
    """
    path = Path(path)
    data = _read(path)
    base = data.pop("base", None)
    if base is not None:
        if not isinstance(base, str):
            raise SpecError(f"expected a file name, got {base!r}", where=f"{path}: base")
        inherited = _read(path.parent / base).get("profiles", {})
        data["profiles"] = _merged(inherited, data.get("profiles", {}))
    experiment = validated(Experiment, data, str(path))
    experiment._source = path
    if names:
        check_names(experiment, str(path))
    return experiment


def read_values(path: Path) -> str:
    """The text of a file of published values.

    Raises SpecError: it is missing or no text, or longer than `MOST_VALUES`; names the nearest file.
    """
    hint = "keep a table of values"
    try:
        if path.stat().st_size > MOST_VALUES:
            raise SpecError(f"has more than {MOST_VALUES:,} bytes", where=str(path), hint=hint)
        return path.read_text(encoding="utf-8-sig")
    except OSError as error:
        missing = isinstance(error, FileNotFoundError)
        why = "no such file of published values" if missing else f"cannot be read: {error.strerror}"
        beside = [found.name for found in sorted(path.parent.glob("*.csv"))]
        hint = suggestion(path.name, beside, "CSV files there")
        raise SpecError(why, where=str(path), hint=hint) from error
    except UnicodeDecodeError as error:
        raise SpecError(f"not a CSV file in UTF-8: {error}", where=str(path)) from error


def _read(path: Path) -> dict[str, Any]:
    try:
        return read_toml(path)
    except SpecError as error:
        if not isinstance(error.__cause__, FileNotFoundError):
            raise
        beside = sorted(str(found) for found in path.parent.glob("[!.]*.toml"))
        hint = f"in that folder: {', '.join(beside)}" if beside else "give the path of a .toml file"
        raise SpecError("no such experiment file", where=str(path), hint=hint) from error


def _merged(old: Any, new: Any) -> Any:
    """Tables are merged key by key; everything else is replaced."""
    if not (isinstance(old, dict) and isinstance(new, dict)):
        return new
    return old | {key: _merged(old.get(key), value) for key, value in new.items()}


def check_names(experiment: Experiment, where: str) -> None:
    """Check every method, task, dataset and backbone name and every hyper-parameter.

    Raises SpecError: one is not registered, or a method lacks the hyper-parameter.
    """
    named: list[tuple[Registry[Any], str, Iterable[str]]] = [
        (METHODS, "axes.methods", experiment.axes.methods),
        (METHODS, "report.baselines", experiment.report.baselines),
        (METHODS, "report.grid", experiment.report.grid),
        (BALANCERS, "axes.balancing", experiment.axes.balancing),
    ]
    given: list[tuple[Registry[Any], str, str, Params]] = []
    for name, profile in experiment.profiles.items():
        inside = f"profiles.{name}"
        named += [
            (DATASETS, f"{inside}.dataset.name", [profile.dataset.name]),
            (BACKBONES, f"{inside}.backbone.name", [profile.backbone.name]),
            (TASKS, f"{inside}.dataset.tasks", profile.dataset.tasks),
            (TASKS, f"{inside}.train.task_weights", profile.train.task_weights),
        ]
        given += [(METHODS, f"{inside}.methods.{m}", m, p) for m, p in profile.methods.items()]
        given += [
            (METHODS, f"{inside}.variants.{n}", r.method, r.params) for n, r in enumerate(profile.variants)
        ]
        given += [(BALANCERS, f"{inside}.balancing.{b}", b, p) for b, p in profile.balancing.items()]
    for registry, key, names in named:
        for one in names:
            registry.entry(one, where=f"{where}: {key}")
    for registry, key, name, params in given:
        registry.get(name, where=f"{where}: {key}").params(params, where=f"{where}: {key}")
