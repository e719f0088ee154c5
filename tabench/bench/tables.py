"""The benchmark's tables: the two paths, inference, where time goes, the harness, and the sizes."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import Any

from tabench.bench.gpu_tables import of_gpus, targets
from tabench.bench.jobs import CHECKS
from tabench.bench.reading import Json, Machine, Measurement, title_of
from tabench.report.records.wording import flops, milliseconds
from tabench.report.tables.table import Column, Entry, Table, number, words

WORKS = {"train": "Training step", "evaluate": "Evaluation"}
_WHO = (
    *(Column("Method", words=True), Column("Size", words=True)),
    *(Column("Images"), Column("Run as", words=True)),
)
_STEPS = {
    "train": "forward, loss, backward and Adam, all tasks of all images",
    "evaluate": "forward, activation and metrics of all protocols, all tasks of all images",
}
_CUT = (
    "The fast path cuts a step as the harness does: all images and tasks together up to inputs of 256 "
    "pixels, above it one image and one task after the other. The plain path takes all images together, and "
    "tasks as the fast one does. Where a row says “together”, all images and tasks go in one pass; “apart”: "
    "one task after the other; “varying”: two runs may differ in the last digits."
)

_INTERVAL = (
    "small: quartiles of a time, and a ratio’s 95% bootstrap interval over whole rounds (none of fewer than "
    "five)."
)


def tables(machine: Machine) -> list[Table]:
    """Every table that a machine has figures for."""
    found = [*([targets(machine)] if machine.on_gpu else []), *(_paths(machine, work) for work in WORKS)]
    found += [_relative(machine), _inference(machine), _loader(machine)]
    found += [_profile(machine), _harness(machine), *of_gpus(machine), _sizes(machine)]
    return [replace(table, warning=machine.warning) for table in found if table.rows]


def _table(name: str, title: str, caption: str, columns: Sequence[Column], rows: Any, *notes: str) -> Table:
    return Table(name, title, caption, columns, rows, notes, fits=False)


def _group(group: str, *titles: str) -> list[Column]:
    return [Column(title, group=group) for title in titles]


def _paths(machine: Machine, work: str) -> Table:
    columns = [
        *(*_WHO, *_group("Time", "plain", "fast", "plain / fast")),
        *_group("Processor time", "plain / fast"),
        *_group("Peak memory over base", "plain", "fast", "fast / plain"),
        *(*_group("FLOPs", "plain", "fast"), *_group("FLOP/s (share of chip)", "plain", "fast")),
        *(*_group("Largest difference", "outputs", "gradients"), Column("Rounds")),
    ]
    rows = [[*_who(m), *_two_paths(m, work)] for m in machine.of("paths") if work in m.parts["time"]]
    caption = (
        f"{WORKS[work]}: {_STEPS[work]}. Medians of rounds in which the two paths alternate; small: "
        "quartiles of a time, and the lowest and highest ratio of a round."
    )
    return _table(work, WORKS[work], caption, columns, rows, _CUT)


def _two_paths(m: Measurement, work: str) -> list[Entry]:
    figures, ways = m.parts["time"][work], ("plain", "fast")
    apart, ratio = m.parts["time"].get("agreement") or {}, figures.get("ratio") or {}
    rounds = [len(figures[way]["wall_s"]) for way in ways if "wall_s" in figures[way]]
    spread = ""
    if ratio and ratio["lowest"] < ratio["highest"]:
        spread = f"{ratio['lowest']:.2f} to {ratio['highest']:.2f}"
    return [
        *(_time(figures[way]) for way in ways),
        number(ratio.get("of_medians"), "{:.2f}", spread),
        number(ratio.get("of_cpu"), "{:.2f}"),
        *(number(m.memory(way, work), "{:,.0f} MB") for way in ways),
        number(m.memory_share(work), "{:.2f}"),
        *(number(figures["flops"].get(way), flops) for way in ways),
        *(_rate(figures["rates"].get(way) or {}) for way in ways),
        *(number(apart.get(key), "{:.1e}") for key in ("outputs", "gradients")),
        number(min(rounds, default=None), "{}"),
    ]


def _relative(machine: Machine) -> Table:
    columns = [
        *(*_WHO, Column("Models"), *_group("Time of a step", "method", "LoRA-HPS", "method / LoRA-HPS")),
        *(*_group("FLOPs", "method", "LoRA-HPS", "method / LoRA-HPS"), Column("Rounds")),
    ]
    rows = []
    for m in machine.of("relative"):
        time, counts = m.parts["time"], m.parts["time"]["flops"]
        own, other = counts.get("step"), counts.get("reference")
        rows.append(
            [
                *(*_who(m), number(time["models"], "{}"), _time(time["step"]), _time(time["reference"])),
                *(_ratio(time["ratio"]), number(own, flops), number(other, flops)),
                number(own / other if own and other else None, "{:.2f}"),
                number(len(time["step"].get("wall_s", ())), "{}"),
            ]
        )
    caption = (
        f"What a training step costs beside one of LoRA-HPS: {_STEPS['train']}, summed over the models of a "
        f"method that trains each task alone. Medians of rounds in which the two alternate; {_INTERVAL} "
        "LoRA-HPS beside itself shows what noise alone gives."
    )
    return _table("relative", "Cost of each method", caption, columns, rows)


def _inference(machine: Machine) -> Table:
    forms = ("bare", "factored", "merged")
    groups = ("Time of a batch", "Images/s", "Peak memory over base", "FLOPs")
    columns = [*_WHO, Column("Tasks", words=True), *_group("Time over bare", *forms[1:])]
    columns += [column for group in groups for column in _group(group, *forms)]
    rows = []
    for m in machine.of("inference"):
        # older figures are of the plain path, which is no form of a merged model
        for scope in ("one", "all") if "bare" in m.parts["time"]["all"] else ():
            figures = m.parts["time"][scope]
            rows.append(
                [
                    *(*_who(m), words("one task" if scope == "one" else "all tasks")),
                    *(_ratio(figures["ratio"][form]) for form in forms[1:]),
                    *(_time(figures[form]) for form in forms),
                    *(number(figures["images_per_s"].get(form), "{:.3g}") for form in forms),
                    *(number(m.memory(form, scope), "{:,.0f} MB") for form in forms),
                    *(number(figures["flops"].get(form), flops) for form in forms),
                    number(m.parts["time"]["apart"], "{:.1e}"),
                ]
            )
    caption = (
        "From a batch on the device to activated maps. “Bare” is SAM’s own encoder with merged weights and "
        "SAM’s own mask decoder once an image and task: what one would run without this package. “Factored” "
        "keeps the adapters, “merged” has a plain encoder a task with the update inside its weights. Where "
        "tasks share their weights, all forms run the encoder once; else bare and merged run it once a task. "
        f"Medians of rounds in which the three alternate; {_INTERVAL}"
    )
    note = "Largest difference: of a form’s map from the bare one’s, over the largest value of its task."
    return _table("inference", "Inference", caption, [*columns, Column("Largest difference")], rows, note)


def _loader(machine: Machine) -> Table:
    columns = [
        *(*_WHO, *_group("Images/s of training", "step alone", "end to end"), Column("End to end / step")),
        *(*_group("Images/s of reading alone", "from the pack", "decoded anew"), Column("Steps a round")),
    ]
    rows = []
    for m in machine.of("loader"):
        time = m.parts["time"]
        pace = (time["images_per_s"].get(way) for way in ("bare", "end_to_end", "packed", "source"))
        first, second, *reading = (number(value, "{:,.4g}") for value in pace)
        rows.append([*_who(m), first, second, _ratio(time["ratio"]), *reading, number(time["steps"], "{}")])
    caption = (
        "Training on images from a folder beside the same steps on one batch that is there already. The "
        "folder holds synthetic rooms in NYUv2’s layout (not NYUv2), as large as the size’s images; they are "
        "read as runs read them: packed, augmented, batched, fetched ahead, from the page cache. Medians of "
        f"rounds in which all alternate; {_INTERVAL}"
    )
    return _table("loader", "Images a second, end to end", caption, columns, rows)


def _profile(machine: Machine) -> Table:
    seen = [(m, way, m.parts["time"][way]) for m in machine.of("profile") for way in ("plain", "fast")]
    totals: dict[str, float] = {}
    for _, _, figures in seen:
        for kind, seconds in sorted(figures["kinds"].items()):
            totals[kind] = totals.get(kind, 0.0) + seconds
    kinds = sorted(sorted(totals), key=lambda kind: -totals[kind])
    rows = []
    for m, way, figures in seen:
        total = float(figures["total_s"])
        costly = [
            f"{o['name'].removeprefix('aten::')} {float(o['seconds']) / total:.0%}"
            for o in figures["operators"][:4]
        ]
        shares = (number(figures["kinds"].get(kind, 0.0) / total, "{:.0%}") for kind in kinds)
        last = words(", ".join(costly))
        rows.append([*_who(m), words(way), number(total, milliseconds), *shares, last])
    columns = [*_WHO, Column("Path", words=True), Column("Inside operators")]
    columns += [*_group("Share of the time", *kinds), Column("Costliest operators", words=True)]
    caption = (
        "A training step by torch’s profiler: time inside operators by kind of work. Profiling slows a step, "
        "so shares matter here, not seconds."
    )
    return _table("profile", "Where the time goes", caption, columns, rows)


def _harness(machine: Machine) -> Table:
    columns = [*_WHO, *_group("Time of a step", "bare loop", "harness"), Column("Overhead"), Column("Steps")]
    rows = []
    for m in machine.of("harness"):
        time, steps = m.parts["time"], int(m.parts["time"]["steps"])
        loops = (_time(time[loop], steps) for loop in ("bare", "harness"))
        rows.append([*_who(m), *loops, number(float(time["overhead"]), "{:+.1%}"), number(steps, "{}")])
    caption = (
        "The harness’s training loop against a bare one over the same model and images, in turn. The harness "
        "also reads and shuffles images, seeds every step, checks losses and weights, sums curves, sends "
        "events and writes a checkpoint at the end."
    )
    return _table("harness", "Harness", caption, columns, rows)


def _sizes(machine: Machine) -> Table:
    sized = [m for m in machine.measurements if m.job["kind"] not in CHECKS]
    known: dict[str, Json] = {str(m.size["name"]): m.size for m in sized}
    rows = []
    for size in known.values():
        tokens, padded = float(size["tokens"]), float(size["padded_tokens"])
        rows.append(
            [
                *(words(str(size["name"])), number(size["input"], "{}")),
                words(f"{size['image'][0]}×{size['image'][1]}"),
                number(tokens, "{0:.0f}×{0:.0f}"),
                number(padded, "{0:.0f}×{0:.0f}", f"{1 - (tokens / padded) ** 2:.0%} padding"),
                *(number(size[key], "{}") for key in ("width", "depth", "heads", "window")),
                words(", ".join(map(str, size["global_blocks"]))),
            ]
        )
    titles = ("Input", "Image", "Tokens", "Tokens in windowed blocks", "Width", "Depth", "Heads", "Window")
    columns = [Column("Size", words=True), *map(Column, (*titles, "Global blocks"))]
    caption = (
        "What the sizes are. b4 and b12 have ViT-B’s width and heads, SAM’s windows and one global block in "
        "three; only depth and input are cut down."
    )
    note = (
        "SAM pads the token grid to whole windows. The plain path computes the padding; small grids have "
        "much of it, so small inputs flatter the fast path: 1024 pixels have 16%."
    )
    return _table("sizes", "Sizes", caption, columns, rows, note)


def _who(m: Measurement) -> list[Entry]:
    who = words(title_of(str(m.job["method"]))), words(str(m.size["name"]))
    return [*who, number(int(m.job["batch"]), "{}"), words(m.run_as)]


def _ratio(found: Json | None) -> Entry:
    """A ratio of medians with its interval, where there are rounds enough for one."""
    if not found:
        return number(None, "")
    ends = found["interval"]
    return number(found["of_medians"], "{:.3f}", f"{ends[0]:.3f} to {ends[1]:.3f}" if ends else "")


def _time(timed: Json, steps: int = 1) -> Entry:
    if "error" in timed:
        return words(str(timed["error"]))
    median, low, high = (float(timed[key]) / steps for key in ("median_s", "q1_s", "q3_s"))
    return number(median, milliseconds, f"{milliseconds(low)} to {milliseconds(high)}" if low < high else "")


def _rate(rate: Json) -> Entry:
    if not rate:
        return number(None, "")
    return number(1e12 * rate["tflop_per_s"], lambda r: f"{flops(r)}/s", f"{rate['share_of_chip']:.0%}")
