"""Metrics as papers print them: their names, which of ours they are, and which values are possible."""

from __future__ import annotations

from dataclasses import dataclass

from tabench.text import suggestion


@dataclass(frozen=True)
class Printed:
    """A metric under the names that papers use.

    Attributes:
        names: Spellings; compared without case, blanks and punctuation.
        tasks: Tasks of this package it may belong to; none where it is no metric of a task here.
        keys: Metric keys of those tasks it stands for.
        unit: What it is printed in.
        low: No published value can be as small as this, in `unit`.
        high: No published value can be larger.
        elsewhere: (dataset, low, high) where a dataset has other values.
    """

    names: tuple[str, ...]
    tasks: tuple[str, ...]
    keys: tuple[str, ...]
    unit: str
    low: float
    high: float
    elsewhere: tuple[tuple[str, float, float], ...] = ()

    def bounds(self, dataset: str) -> tuple[float, float]:
        """Open lower and closed upper bound of a published value."""
        for name, low, high in self.elsewhere:
            if name == dataset:
                return low, high
        return self.low, self.high


_DEPTH = ("depth", "disparity")
METRICS: tuple[Printed, ...] = (
    Printed(("mIoU", "SemSeg_mIoU"), ("segmentation",), ("miou",), "%", 1, 100),
    Printed(("HumanParts_mIoU",), ("human_parts",), ("miou",), "%", 1, 100),
    Printed(("Saliency_mIoU",), ("saliency",), ("max_iou",), "%", 1, 100),
    Printed(("Saliency_maxF",), ("saliency",), ("max_f",), "%", 1, 100),
    Printed(("PAcc", "Pixel acc."), ("segmentation",), ("pacc",), "%", 1, 100),
    # CityScapes: rescaled disparity below 0.4922, whose relative error is a raw ratio near 27
    Printed(
        ("AErr", "AbsErr", "Abs err."), _DEPTH, ("abs_err",), "m", 0.01, 10, (("cityscapes", 0, 0.4922),)
    ),
    Printed(("AErr(x100)",), (), (), "m × 100", 1, 1000, (("cityscapes", 0, 50),)),
    Printed(("RErr", "RelErr", "Rel err."), _DEPTH, ("rel_err",), "ratio", 0, 2, (("cityscapes", 1, 200),)),
    Printed(("NMean", "Mean angle", "Normals_rmse(=mean)"), ("normals",), ("mean",), "degrees", 1, 90),
    Printed(("NRMS", "RMS angle"), ("normals",), ("rms",), "degrees", 1, 90),
    Printed(("NMed", "Median angle"), ("normals",), ("median",), "degrees", 0.5, 90),
    Printed(("N11.25", "Within 11.25°"), ("normals",), ("within_11",), "%", 1, 100),
    Printed(("N22.5", "Within 22.5°"), ("normals",), ("within_22",), "%", 1, 100),
    Printed(("N30", "Within 30°"), ("normals",), ("within_30",), "%", 1, 100),
    Printed(("Params_M",), (), (), "millions", 0, 1e5),
    Printed(("Delta%(lower better)", "Delta_m%", "DeltaMTL%", "Delta_b%"), (), (), "%", -200, 200),
    Printed(("MR",), (), (), "mean rank", 0.5, 1000),
)
_BY_NAME = {
    "".join(c for c in name.lower() if c.isalnum()): metric for metric in METRICS for name in metric.names
}


def plain(text: str) -> str:
    """A name without case, blanks and punctuation."""
    return "".join(letter for letter in text.lower() if letter.isalnum())


def printed_metric(name: str) -> Printed | None:
    """The metric a paper's name stands for; None if no such name is known."""
    return _BY_NAME.get(plain(name))


def near_metric(name: str) -> str:
    """What to write instead of an unknown metric name."""
    names = [spelling for metric in METRICS for spelling in metric.names]
    return suggestion(name, names, "known metrics")


def wrong_unit(value: float, metric: Printed, dataset: str) -> str:
    """Why a value cannot be in the metric's unit, and what to write; "" if it can."""
    low, high = metric.bounds(dataset)
    if low < value <= high:
        return ""
    if metric.unit == "%" and low > 0 and 0 <= value <= 1:
        return f"a fraction where percent are meant: write {value * 100:g}"
    if metric.unit in ("m", "ratio") and value > high and low < value / 100 <= high:
        return f"it looks multiplied by 100: write {value / 100:g}"
    return f"expected {metric.unit} between {low:g} and {high:g}: write it in that unit"
