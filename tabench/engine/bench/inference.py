"""Measuring inference: the plain path, the factored model and the merged one; one task and all tasks."""

from __future__ import annotations

from collections.abc import Sequence
from functools import partial
from typing import Any

import torch

from tabench.engine.bench.counting import counted
from tabench.engine.bench.jobs import Job, Place
from tabench.engine.bench.rate import chip_rate
from tabench.engine.bench.subject import Subject
from tabench.engine.bench.timing import Work, measured
from tabench.engine.merged import MergedMSam

FORMS = ("plain", "factored", "merged")


def time_inference(job: Job, place: Place) -> dict[str, Any]:
    """Seconds from a batch on the device to its activated maps, all ways in turn.

    Returns:
        "chip_flops", "apart" (largest difference of merged and factored outputs over the largest output), and
        for "one" (the first task) and "all" tasks each form's times, "flops" and "images_per_s".
    """
    subject = Subject(job, place)
    device, images = subject.device, subject.batch.image.to(subject.device)
    size = (int(images.shape[-2]), int(images.shape[-1]))
    merged = [MergedMSam(part.model) for part in subject.parts]

    def run(form: str, wanted: Sequence[str]) -> dict[str, torch.Tensor]:
        subject.take("plain" if form == "plain" else "fast")
        outputs: dict[str, torch.Tensor] = {}
        bf16 = job.precision == "bf16"
        with torch.inference_mode(), torch.autocast(device.type, torch.bfloat16, enabled=bf16):
            for part, whole in zip(subject.parts, merged, strict=True):
                if names := [name for name in part.setting.unit.tasks if name in wanted]:
                    part.model.eval()
                    model = whole if form == "merged" else part.model
                    outputs |= model(images, size, names)
        return {name: subject.tasks[name].activate(raw.float()) for name, raw in outputs.items()}

    factored, plain = run("factored", job.task_names), run("merged", job.task_names)
    apart = max(
        float((plain[name] - value).abs().max() / value.abs().max()) for name, value in factored.items()
    )
    chip = chip_rate(device, job.precision)
    found: dict[str, Any] = {"chip_flops": float(f"{chip:.4g}"), "apart": float(f"{apart:.3g}")}
    for scope, wanted in (("one", job.task_names[:1]), ("all", job.task_names)):
        ways: dict[str, Work] = {form: partial(run, form, wanted) for form in FORMS}
        flops = counted(ways)
        figures = measured(ways, flops, job, device)
        pace = {
            form: float(f"{job.batch / timed['median_s']:.4g}")
            for form, timed in figures.items()
            if "median_s" in timed
        }
        found[scope] = {**figures, "flops": flops, "images_per_s": pace}
    return found
