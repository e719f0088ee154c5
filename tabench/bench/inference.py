"""Inference: a model with its adapters and a merged one, against SAM's own modules with the same weights.

"bare" is what one would run without this package: segment_anything's encoder with the merged weights, and its
mask decoder once an image and task, resized as SAM resizes. Where the tasks share their weights (LoRA-HPS)
one pass of the encoder serves all of them; where each has its own, the bare form and the merged one both need
a pass a task.
"""

from __future__ import annotations

from collections.abc import Sequence
from functools import partial
from typing import Any

import torch
from torch import Tensor

from tabench.bench.counting import counted
from tabench.bench.jobs import Job, Place
from tabench.bench.subject import Subject
from tabench.bench.timing import Work, chip_rate, kept_peak, measured, ratio
from tabench.encoders.plain import plainly
from tabench.methods.merging import MergedMSam
from tabench.runs.circumstances import keep_freed_memory
from tabench.store.encoding import significant

FORMS = ("bare", "factored", "merged")


class Inference:
    """A job's models and a batch on the device, in the forms asked for; without "factored", merged alone."""

    def __init__(self, job: Job, place: Place, forms: Sequence[str] = FORMS) -> None:
        self.job, self.subject = job, Subject(job, place)
        self.images = self.subject.batch.image.to(self.subject.device)
        factored = [part.model.eval() for part in self.subject.parts]
        # Bare modules are called as they are: nobody has put their weights in bf16 for them.
        narrow = {"bare": False, "merged": job.precision == "bf16"}
        self.models: dict[str, list[Any]] = {
            form: factored if form == "factored" else [MergedMSam(m, bf16=narrow[form]) for m in factored]
            for form in forms
        }
        for merged in self.models.get("bare", ()):
            for model in merged.models:
                plainly(model)
        if "factored" not in forms:
            for part in self.subject.parts:
                del part.model, part.optimizer

    def run(self, form: str, wanted: Sequence[str]) -> dict[str, Tensor]:
        """Activated maps of the wanted tasks."""
        subject, size = self.subject, (int(self.images.shape[-2]), int(self.images.shape[-1]))
        outputs: dict[str, Tensor] = {}
        keep_freed_memory(large=form != "bare")
        kind, bf16 = subject.device.type, self.job.precision == "bf16"
        # No `inference_mode`: counting FLOPs in it takes SAM's einsum apart below autocast, in two types.
        with torch.no_grad(), torch.autocast(kind, torch.bfloat16, enabled=bf16):
            for part, model in zip(subject.parts, self.models[form], strict=True):
                if names := [name for name in part.context.unit.tasks if name in wanted]:
                    outputs |= model(self.images, size, names)
        return {name: subject.tasks[name].activate(raw.float()) for name, raw in outputs.items()}


def time_inference(job: Job, place: Place) -> dict[str, Any]:
    """Seconds from a batch on the device to its activated maps, all forms in turn.

    Returns "chip_flops", "apart" (largest difference of a map from the bare form's over its largest value),
    and for "one" (the first task) and "all" tasks each form's times, "flops", "images_per_s" and "ratio" (its
    time over the bare form's).
    """
    inference = Inference(job, place)
    device, names = inference.subject.device, job.task_names
    maps = {form: inference.run(form, names) for form in FORMS}
    apart = max(
        float((maps[form][name] - value).abs().max() / value.abs().max())
        for form in FORMS[1:]
        for name, value in maps["bare"].items()
    )
    del maps
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
        ratios = {form: ratio(figures, form, "bare") for form in FORMS[1:]}
        found[scope] = {**figures, "flops": flops, "images_per_s": pace, "ratio": ratios}
    return found


def memory_of_form(job: Job, place: Place, form: str) -> dict[str, Any]:
    """Peak memory of all tasks in one form, in a process of its own that holds no other form."""
    inference = Inference(job, place, (form,))
    return {"all": kept_peak(partial(inference.run, form, job.task_names), inference.subject.device)}
