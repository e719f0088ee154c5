"""Measuring inference: the plain path, the factored model and the merged one; one task and all tasks."""

from __future__ import annotations

from collections.abc import Sequence
from functools import partial
from typing import Any

import torch
from torch import Tensor

from tabench.bench.counting import counted
from tabench.bench.jobs import Job, Place
from tabench.bench.memory import kept_peak
from tabench.bench.rate import chip_rate
from tabench.bench.subject import Subject
from tabench.bench.timing import Work, measured
from tabench.engine.model import MergedMSam
from tabench.store.encoding import significant

FORMS = ("plain", "factored", "merged")


class Inference:
    """A job's models, adapted and merged, and a batch on the device.

    Args:
        job: The job.
        place: Where it runs.
        forms: Which of `FORMS` are needed; the adapted models make room for merged ones alone.
    """

    def __init__(self, job: Job, place: Place, forms: Sequence[str] = FORMS) -> None:
        self.job, self.subject = job, Subject(job, place)
        self.images = self.subject.batch.image.to(self.subject.device)
        self.merged = [MergedMSam(part.model) for part in self.subject.parts] if "merged" in forms else []
        if tuple(forms) == ("merged",):
            for part in self.subject.parts:
                del part.model, part.optimizer

    def run(self, form: str, wanted: Sequence[str]) -> dict[str, Tensor]:
        """Activated maps of the wanted tasks."""
        subject, size = self.subject, (int(self.images.shape[-2]), int(self.images.shape[-1]))
        outputs: dict[str, Tensor] = {}
        kind, bf16 = subject.device.type, self.job.precision == "bf16"
        if form != "merged":
            subject.take("plain" if form == "plain" else "fast")
        with torch.inference_mode(), torch.autocast(kind, torch.bfloat16, enabled=bf16):
            for number, part in enumerate(subject.parts):
                if names := [name for name in part.context.unit.tasks if name in wanted]:
                    model = self.merged[number] if form == "merged" else part.model.eval()
                    outputs |= model(self.images, size, names)
        return {name: subject.tasks[name].activate(raw.float()) for name, raw in outputs.items()}


def time_inference(job: Job, place: Place) -> dict[str, Any]:
    """Seconds from a batch on the device to its activated maps, all forms in turn.

    Returns:
        "chip_flops", "apart" (largest difference of merged and factored maps over the largest value), and
        for "one" (the first task) and "all" tasks each form's times, "flops" and "images_per_s".
    """
    inference = Inference(job, place)
    device, names = inference.subject.device, job.task_names
    factored, merged = inference.run("factored", names), inference.run("merged", names)
    apart = max(float((merged[n] - value).abs().max() / value.abs().max()) for n, value in factored.items())
    chip = chip_rate(device, job.precision)
    found: dict[str, Any] = {"chip_flops": significant(chip, 4), "apart": significant(apart, 3)}
    for scope, wanted in (("one", names[:1]), ("all", names)):
        ways: dict[str, Work] = {form: partial(inference.run, form, wanted) for form in FORMS}
        flops = counted(ways)
        figures = measured(ways, flops, job, device)
        pace = {
            form: significant(job.batch / timed["median_s"], 4)
            for form, timed in figures.items()
            if "median_s" in timed
        }
        found[scope] = {**figures, "flops": flops, "images_per_s": pace}
    return found


def memory_of_form(job: Job, place: Place, form: str) -> dict[str, Any]:
    """Peak memory of all tasks in one form, in a process of its own that holds no other form."""
    inference = Inference(job, place, (form,))
    return {"all": kept_peak(partial(inference.run, form, job.task_names), inference.subject.device)}
