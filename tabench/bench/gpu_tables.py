"""What is asked of a GPU beside its times: targets, checks, losses by precision, the largest batch."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from tabench.bench.reading import Json, Machine, Measurement
from tabench.report.tables.table import Column, Entry, Table, number, words

METHOD, SIZE, TASKS = "ta-lora", "vit_l", 3  # of the targets
ROUNDS = 30  # that a median is of, at least
MOST_MS, OVER_FP32, OVER_BF16 = 46.0, 8.0, 2.5
_WHERE = (Column("Size", words=True), Column("Run as", words=True))


def targets(machine: Machine) -> Table:
    """What a GPU should reach: met, missed or not measured."""
    fast = _quickest(machine, "fast", "bf16")
    rows = [
        _row(
            f"a training step in bf16 takes at most {MOST_MS:g} ms an image",
            fast,
            lambda seconds: 1e3 * seconds <= MOST_MS,
            lambda seconds: f"{1e3 * seconds:.1f} ms",
        )
    ]
    for precision, factor, how in (("fp32", OVER_FP32, "in fp32"), ("bf16", OVER_BF16, "under autocast")):
        plain = _quickest(machine, "plain", precision)
        both = None if plain is None or fast is None else (plain[0] / fast[0], f"{plain[1]}; {fast[1]}")
        rows.append(
            _row(
                f"a training step in bf16 is at least {factor:g} times as fast as the plain path {how}",
                both,
                factor.__le__,
                "{:.2f} times".format,
            )
        )
    caption = (
        f"Set for one H100 or H200: TA-LoRA at ViT-L, 1024 pixels, {TASKS} tasks; forward, backward and "
        f"update of all of them, medians of at least {ROUNDS} rounds after a warm-up. Of each path the "
        "quickest number of images and cut of the step, as told."
    )
    columns = (
        *(Column("Target", words=True), Column("Reached", words=True), Column("Measured")),
        Column("With", words=True),
    )
    note = "“varying”: two runs may differ in the last digits (train.deterministic = false)."
    return Table("targets", "Targets", caption, columns, rows, (note,), fits=False)


def _quickest(machine: Machine, way: str, precision: str) -> tuple[float, str] | None:
    """Seconds an image of the quickest step of a path, and how it was run; None if it is not measured."""
    found = []
    for m in machine.of("paths"):
        timed: Json = m.parts["time"].get("train", {}).get(way, {})
        wanted = (m.job["method"], m.size["name"], m.precision) == (METHOD, SIZE, precision)
        if wanted and len(m.job["tasks"]) == TASKS and len(timed.get("wall_s", ())) >= ROUNDS:
            found.append((float(timed["median_s"]) / m.images, f"{way}: {m.run_as}, batch {m.images}"))
    return min(found, default=None)


def _row(
    text: str, found: tuple[float, str] | None, holds: Callable[[float], bool], shown: Callable[[float], str]
) -> list[Entry]:
    if found is None:
        return [words(text), words("not measured"), number(None, ""), words("")]
    value, how = found
    return [words(text), words("met" if holds(value) else "missed"), number(value, shown), words(how)]


def of_gpus(machine: Machine) -> list[Table]:
    """Checks, losses by precision and the largest batches."""
    return [_checks(machine), _losses(machine), _largest(machine)]


def _checks(machine: Machine) -> Table:
    rows = []
    for kind, title, told in _CHECKS:
        for m in machine.of(kind):
            time = m.parts["time"]
            problems = [str(problem) for problem in time["problems"]]
            word = "not run" if "left_out" in time else "wrong" if problems else "done"
            text = "; ".join(problems) or str(time.get("left_out") or told(time))
            rows.append([words(title), words(word), words(text)])
    columns = (Column("Check", words=True), Column("Outcome", words=True), Column("Found", words=True))
    caption = "The tests that need a GPU, a short cell trained several times, and the demo beside a CPU’s."
    return Table("checks", "Checks", caption, columns, rows, fits=False)


def _tests(time: Json) -> str:
    return f"{time['passed']} passed, {time['failed']} failed, {time['skipped']} skipped"


def _findings(time: Json) -> str:
    return "; ".join(str(message) for _, message in time["findings"])


def _demo(time: Json) -> str:
    rows = time["methods"].items()
    compared = (
        f"{name}: {r['identical']} of {r['numbers']} numbers equal, {r['largest']}" for name, r in rows
    )
    return "; ".join(compared) or "no cell of the shipped records was run"


_CHECKS: tuple[tuple[str, str, Callable[[Json], str]], ...] = (
    ("tests", "Tests marked gpu", _tests),
    ("determinism", "doctor --determinism", _findings),
    ("demo", "NYUv2’s demo against the shipped records; largest differences", _demo),
)


def _losses(machine: Machine) -> Table:
    rows, marks = [], []
    for m in machine.of("losses"):
        time = m.parts["time"]
        marks = list(time["apart"]["bf16"])  # equal in all of a machine
        for name, apart in time["apart"].items():
            who = words(str(m.size["name"])), words(name), words(str(time["weights"]))
            last = (number(time["last"][curve], "{:.4f}") for curve in (name, "fp32"))
            rows.append([*who, *(number(apart[mark], "{:.1e}") for mark in marks), *last])
    steps = [Column(mark, group="Largest difference from fp32 up to step") for mark in marks]
    columns = [*_WHERE, Column("Weights", words=True), *steps]
    columns += [Column(title, group="Last loss") for title in ("this", "fp32")]
    caption = (
        "Training from the same weights on the same images: the largest relative difference of a step’s loss "
        "from fp32. Rounding grows along a run; another dropout seed tells what is much."
    )
    return Table("losses", "Losses by precision", caption, columns, rows, fits=False)


def _largest(machine: Machine) -> Table:
    rows = [
        [words(str(m.size["name"])), words(m.precision), *_fits(m, "plain"), *_fits(m, "fast")]
        for m in machine.of("largest")
    ]
    groups = [
        Column(title, group=f"{way} path")
        for way in ("Plain", "Fast")
        for title in ("images", "images/s", "peak memory")
    ]
    caption = "The most images of one training step of TA-LoRA, all images and tasks in one pass."
    return Table("largest", "Largest batch", caption, [*_WHERE, *groups], rows, fits=False)


def _fits(m: Measurement, way: str) -> list[Entry]:
    found: dict[str, Any] = m.parts["time"][way]
    most = "the most tried" if found["images"] == m.parts["time"]["most"] else ""
    return [
        number(found["images"], "{}", most),
        number(found.get("images_per_s"), "{:.3g}"),
        number(found.get("peak_mb"), "{:,.0f} MB"),
    ]
