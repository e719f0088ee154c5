"""Sentences that stand under tables, in captions and on the page; all built from the records."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from typing import Any

from tabench.report.records.reading import Results
from tabench.text import counted, few, joined

FLAT = 0.01  # share of the target's variance below which a predicted map counts as constant
FEW = 20  # names that stand in one sentence
ARROWS = {"higher": "↑", "lower": "↓", "": ""}

PROTOCOLS = {
    "paper": (
        "segmentation from one confusion matrix over all evaluated images, averaged over all classes "
        "(undefined if a class is absent from both prediction and labels); depth and disparity as the mean "
        "over images of each image's mean on valid pixels; normals as the mean over images of each image's "
        "value, so that “median” is a mean of medians."
    ),
    "pascal": (
        "as in the field's code for PASCAL-Context: segmentation and parts from one confusion matrix, where "
        "a class absent from both prediction and labels counts as 0; saliency as the largest, over 15 "
        "thresholds, of the mean over images of the Jaccard index; normals once over all valid pixels."
    ),
    "pixel": (
        "every value is taken once over all valid pixels of all evaluated images; classes absent from both "
        "prediction and labels are left out of mIoU."
    ),
    "libmtl": (
        "as in LibMTL's code for NYUv2 and CityScapes: segmentation as in “paper” (mIoU is undefined if a "
        "class is absent), depth, disparity and normals once over all valid pixels as in “pixel”."
    ),
    "pascal-rms": (
        "as “pascal”, and for normals also the root of the mean square of all valid pixels' angles (RMS "
        "angle; Vandenhende's code prints it as rmse, while MTLoRA's rmse is the mean angle)."
    ),
}

MAIN = ("paper", "pascal")  # a dataset has one of these; its table needs no other name

SELECTIONS = {
    "last": "the weights after the last epoch are evaluated; nothing is chosen by looking at results",
    "best-val": (
        "the epoch that is best on held-out training images is evaluated, never chosen on the reported split"
    ),
}

UNREPEATED = "Run with train.deterministic = false: running it again may change the last digits"

PAIRED = "Baseline and method are paired by seed."

DELTA = (
    "Δ_b (LibMTL's formula): relative improvement over the baseline in percent, metrics averaged inside a "
    f"task first, then tasks; positive is better. {PAIRED}"
)


def number(value: float, digits: int, *, signed: bool = False) -> str:
    """Fixed-point text without a negative zero, for example "+1.25"."""
    text = f"{value:+.{digits}f}" if signed else f"{value:.{digits}f}"
    if float(text) == 0:
        text = text.lstrip("+-")
    return text


def task_title(task: str) -> str:
    """A task's name in headings: "human_parts" is "Human parts"."""
    return task.replace("_", " ").capitalize()


def metric_title(metric: Mapping[str, Any]) -> str:
    """A metric of a record with its unit: "Abs. err. (m)"."""
    return f"{metric['title']} ({metric['unit']})" if metric["unit"] else str(metric["title"])


def metric_heading(metric: Mapping[str, Any]) -> str:
    """With its task and direction: "Depth: Abs. err. (m) ↓"."""
    return f"{task_title(metric['task'])}: {metric_title(metric)} {ARROWS[metric['better']]}"


def flops(count: float) -> str:
    """FLOPs: "2.37 GFLOP"."""
    for scale, unit in ((1e15, "PFLOP"), (1e12, "TFLOP"), (1e9, "GFLOP"), (1e6, "MFLOP")):
        if count >= scale:
            return f"{count / scale:.3g} {unit}"
    return f"{count:.0f} FLOP"


def milliseconds(seconds: float) -> str:
    """A short time: "82.8 ms", "3.21 s"."""
    return f"{seconds:.3g} s" if seconds >= 1 else f"{1000 * seconds:.3g} ms"


def energy(joules: float) -> str:
    """Energy: "840 J", "12.3 kJ", "1.2 kWh"."""
    if joules >= 3.6e6:
        return f"{joules / 3.6e6:.1f} kWh"
    return f"{joules / 1000:.1f} kJ" if joules >= 1000 else f"{joules:.0f} J"


def p_value(value: float) -> str:
    """A p-value: "0.034" or "< 0.001"."""
    return "< 0.001" if value < 0.001 else number(value, 3)


def seed_text(seeds: Sequence[int]) -> str:
    """Seeds in ascending order: "0, 1 and 2"; of more than `FEW` their number and range."""
    if len(seeds) <= FEW:
        return joined([str(seed) for seed in seeds])
    return f"{len(seeds)} of them, {seeds[0]} to {seeds[-1]}"


def warning(results: Results) -> str:
    """What keeps these results from being the paper's, in plain words; empty if nothing does."""
    data, backbone = results.first["data"], results.first["backbone"]
    small = backbone["name"] == "sam_vit_nano"
    if data["synthetic"]:
        model = "a small model" if small else f"the model {backbone['name']}"
        return (
            f"Synthetic scenes and {model}: these are not the paper's data and not the paper's "
            "numbers. They show that the pipeline works and how the methods compare on this toy problem."
        )
    if small:
        return (
            "A small SAM pretrained by this project (sam_vit_nano) stands in for the published SAM "
            "checkpoints: these are not the paper's numbers."
        )
    return ""


def short_warning(results: Results) -> str:
    """The warning in one clause, for captions and pictures."""
    if results.first["data"]["synthetic"]:
        return "Synthetic scenes, not the paper's numbers."
    return "Small stand-in backbone, not the paper's numbers." if warning(results) else ""


def states(results: Results) -> str:
    """Count the runs by state: "19 of 21 runs done, 1 failed, 1 pending"."""
    total = len(results.cells)
    parts = [f"{len(results.done)} of {counted(total, 'run')} done"]
    for state in ("failed", "partial", "running", "pending"):
        amount = sum(cell.state == state for cell in results.cells)
        if amount:
            parts.append(f"{amount} {state}")
    return ", ".join(parts)


def metric_notes(results: Results, protocol: str) -> list[str]:
    """What tasks said about their values (absent classes, skipped images), with the runs it holds for."""
    heard: dict[str, dict[str, None]] = {}  # the labels in order
    for cell in results.done:
        for metric in cell.record["metrics"]:
            if metric["protocol"] == protocol:
                for note in metric["notes"]:
                    heard.setdefault(f"{metric['task']}: {note}", {})[cell.label] = None
    total = len(results.done)
    return [_of_runs(note, list(runs), total) for note, runs in heard.items()]


def constant_maps(results: Results) -> dict[str, list[str]]:
    """Method to the tasks whose predicted maps are constant inside images, with the runs it holds for."""
    found: dict[str, list[str]] = {}
    for method in results.methods:
        spreads = [cell.record.get("spread") or {} for cell in results.of(method)]
        flat = Counter(
            task for spread in spreads for task, of in spread.items() if of["predicted"] < FLAT * of["target"]
        )
        if flat:
            found[method] = [f"{task} in {n} of {counted(len(spreads), 'run')}" for task, n in flat.items()]
    return found


def constant_warning(results: Results) -> str:
    """What a reader must know of methods that predict the same everywhere; "" if none does."""
    found = constant_maps(results)
    if not found:
        return ""
    who = "; ".join(f"{results.title(method)}: {joined(tasks)}" for method, tasks in found.items())
    return (
        f"Constant maps: inside an image the prediction varies less than {FLAT:.0%} as much as the target, "
        f"that is, one class or one value is everywhere, and the numbers measure no map. {who}."
    )


def balancing_notes(results: Results) -> list[str]:
    """How tasks were balanced where it was not by the weighted sum, with the runs it holds for."""
    heard: dict[str, list[str]] = {}
    for cell in results.done:
        if part := cell.record["cell"].get("balancing"):
            heard.setdefault(f"Tasks balanced by “{part['name']}”", []).append(cell.label)
    return [f"{_of_runs(line, runs, len(results.done))}." for line, runs in heard.items()]


def repeat_notes(results: Results) -> list[str]:
    """Which runs were allowed what is not deterministic."""
    runs = [cell.label for cell in results.done if unrepeated(cell.record)]
    return [f"{_of_runs(UNREPEATED, runs, len(results.done))}."] if runs else []


def unrepeated(record: Mapping[str, Any]) -> str:
    """Says of a run that was allowed what is not deterministic that it was; of others nothing."""
    return "" if record["cell"]["train"].get("deterministic", True) else UNREPEATED


def data_warnings(results: Results) -> list[str]:
    """What runs found suspicious in their data, with the runs where these are not all."""
    heard: dict[str, list[str]] = {}
    for cell in results.done:
        for line in (cell.run.get("warnings") or [])[:FEW]:
            heard.setdefault(line, []).append(cell.label)
    return [_of_runs(line, runs, len(results.done)) for line, runs in heard.items()]


def _of_runs(note: str, runs: Sequence[str], total: int) -> str:
    """A note, and the runs that it holds for where these are not all."""
    if len(runs) == total:
        return note
    return f"{note} ({joined([*runs]) if len(runs) <= 3 else few(runs, 3)})"


def footnotes(results: Results, protocol: str) -> list[str]:
    """Lines under a table: what it is, protocol, selection rule, seeds, sample counts, missing runs."""
    record = results.first
    counts, size = record["data"]["counts"], record["data"]["size"]
    seeds = sorted({cell.seed for cell in results.cells if cell.seed is not None})
    rule = str(record["selection"]["rule"])
    versions = {f"{m['task']} v{m['version']}" for m in record["metrics"] if m["protocol"] == protocol}
    definition = PROTOCOLS.get(protocol, "defined by the task.")
    lines = [line for line in (short_warning(results), results.lacks) if line]
    lines += [
        f"Mean ± standard deviation over seeds ({seed_text(seeds)}); best bold, second "
        "underlined; parameters are not ranked.",
        f"Data: {record['data']['title']}, trained on {counts['train']} and evaluated on "
        f"{counted(counts['eval'], 'image')} of {size[0]}×{size[1]} pixels.",
        f"Protocol “{protocol}” ({joined(sorted(versions))}): {definition}",
        f"Selection rule “{rule}”: {SELECTIONS.get(rule, 'see the experiment file')}.",
        DELTA,
    ]
    if len(results.done) < len(results.cells):
        lines.append(f"Not complete: {states(results)}. A method with fewer seeds than planned is marked †.")
    if flat := constant_warning(results):
        lines.append(f"‡ {flat}")
    return lines + balancing_notes(results) + repeat_notes(results) + metric_notes(results, protocol)


def caption(results: Results, protocol: str) -> str:
    """One sentence that names a results table."""
    title = str(results.experiment.get("title") or results.name)
    which = "" if protocol in MAIN else f", {protocol} protocol"
    ways, backbone = counted(len(results.methods), "way"), results.first["backbone"]["name"]
    return f"{title}: {ways} of adapting {backbone}{which}."
