"""Measuring for real, at the smallest size."""

from __future__ import annotations

import sys
from collections import Counter
from dataclasses import replace
from types import FrameType
from typing import Any

import pytest
import torch
from segment_anything.modeling import ImageEncoderViT, MaskDecoder

from tabench.bench.counting import agreement, flops_of
from tabench.bench.inference import Inference
from tabench.bench.jobs import Job, Place
from tabench.bench.measures import kind_of, measure
from tabench.bench.runner import MeasurementError, apart
from tabench.bench.subject import Subject
from tabench.catalog import METHODS
from tabench.encoders.plain import Way
from tabench.encoders.sam import attention_cuda
from tabench.methods.injection import AdaptedLinear

PLACE = Place("cpu", 1)
JOB = Job("paths", "ta-lora", "nano-24", params={"ranks": (3, 4, 2)}, repeats=2, fewest=2)


def test_both_paths() -> None:
    found = measure(JOB, PLACE, "time")
    assert found["models"] == 1
    assert found["chip_flops"] > 1e8
    for work in ("train", "evaluate"):
        figures = found[work]
        for way in ("plain", "fast"):
            assert len(figures[way]["wall_s"]) == 2
            rate = figures["flops"][way] / figures[way]["median_s"]
            assert figures["rates"][way]["tflop_per_s"] == pytest.approx(rate / 1e12, rel=1e-3)
            assert figures["rates"][way]["share_of_chip"] == pytest.approx(
                rate / found["chip_flops"], rel=1e-3
            )
    assert found["train"]["flops"]["plain"] > 2 * found["evaluate"]["flops"]["plain"]
    assert found["agreement"]["outputs"] < 1e-4
    assert found["agreement"]["gradients"] < 1e-3
    assert found["agreement"]["loss"] < 1e-5


@pytest.mark.parametrize("method", METHODS.names())
def test_the_paths_agree_for_every_method(method: str) -> None:
    subject = Subject(Job("paths", method, "nano-24", batch=2), PLACE)
    assert len(subject.parts) == (3 if METHODS.get(method).sharing == "per-task" else 1)
    found = agreement(subject)
    assert found["outputs"] < 1e-4
    assert found["gradients"] < 1e-3


@pytest.mark.parametrize("method", ["ta-lora", "full-hps"])  # with and without rows of a task's own
def test_the_plain_path_sums_the_same_one_task_at_a_time(method: str) -> None:
    found = []
    for passes in ("together", "apart"):
        subject = Subject(Job("paths", method, "nano-24", passes=passes), PLACE)
        model = subject.parts[0].model.eval()  # without dropout
        terms = subject.gradients("plain")
        found.append((terms, {n: p.grad for n, p in model.named_parameters() if p.grad is not None}))
    (terms, together), (other, apart_) = found
    assert other == pytest.approx(terms, rel=1e-5)
    torch.testing.assert_close(apart_, together, rtol=1e-4, atol=1e-5)


def test_a_path_that_computes_something_else_is_found_out() -> None:
    class Wrong(Subject):
        def gradients(self, way: Way) -> dict[str, float]:
            terms = super().gradients(way)
            if way == "fast":
                self.parts[0].model.image_encoder.blocks[0].norm1.weight.grad *= 1.01
            return terms

    found = agreement(Wrong(JOB, PLACE))
    assert found["gradients"] > 5e-3
    assert found["worst"].endswith("blocks.0.norm1.weight")


def test_no_update_is_zero() -> None:
    for method in ("ta-lora", "ta-lora-cp", "lora-hps"):
        model = Subject(replace(JOB, method=method, params={}), PLACE).parts[0].model
        for layer in model.modules():
            if isinstance(layer, AdaptedLinear):
                update = layer.scale * layer.factors.dense().detach()
                assert float(update.std()) == pytest.approx(0.02, rel=0.01)


def test_a_job_runs_by_the_kernels_of_its_cells_and_counts_by_the_default_ones(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    chosen = {"3x3": {"kernel": "rows", "ms": {}, "left_out": {}}}
    seen = []
    train = Subject.train

    def watched(subject: Subject, way: Way) -> None:
        seen.append((way, dict(attention_cuda._in_use)))
        train(subject, way)

    monkeypatch.setattr("tabench.bench.measures.kernels_of", lambda job, device: chosen)
    monkeypatch.setattr(Subject, "train", watched)
    found = measure(replace(JOB, works=("train",), repeats=1, fewest=1), PLACE, "time")
    assert found["kernels"] == chosen
    counted, timed = seen[:2], seen[2:]
    assert counted == [("plain", {}), ("fast", {})]
    assert timed == [("plain", {"3x3": "rows"}), ("fast", {"3x3": "rows"})]


def test_flops_are_of_the_products_alone() -> None:
    a, b = torch.ones(3, 5), torch.ones(5, 7)
    assert flops_of(lambda: (a @ b).softmax(-1) + 1) == 2 * 3 * 5 * 7


def test_memory_of_each_path() -> None:
    for part in ("memory-plain", "memory-fast"):
        found = measure(JOB, PLACE, part)
        assert set(found) == {"train", "evaluate"}
        assert all(figures["peak_mb"] >= figures["base_mb"] > 0 for figures in found.values())


def test_memory_by_the_process_that_tells_the_time() -> None:
    found = measure(JOB, replace(PLACE, rehearsal=True), "time")
    for way in ("plain", "fast"):
        assert set(found[f"memory-{way}"]) == {"train", "evaluate"}


def test_inference_forms() -> None:
    job = replace(JOB, kind="inference", batch=2)
    found = measure(job, PLACE, "time")
    assert found["apart"] < 1e-4
    for scope in ("one", "all"):
        assert set(found[scope]["images_per_s"]) == {"bare", "factored", "merged"}
        assert set(found[scope]["ratio"]) == {"factored", "merged"}
        pace = found[scope]["images_per_s"]["merged"]
        assert pace == pytest.approx(2 / found[scope]["merged"]["median_s"], rel=1e-3)
    # one product where the factored layer has four; of all tasks the factored ones share their first
    assert found["one"]["flops"]["merged"] < found["one"]["flops"]["factored"]
    assert found["one"]["flops"]["bare"] < found["all"]["flops"]["bare"]
    narrow = measure(replace(job, precision="bf16", repeats=1, fewest=1), PLACE, "time")
    assert narrow["all"]["flops"] == found["all"]["flops"]
    for form in ("bare", "factored", "merged"):
        assert measure(job, PLACE, f"memory-{form}")["all"]["peak_mb"] > 0


@pytest.mark.parametrize(("method", "passes"), [("ta-lora", 3), ("lora-hps", 1)])
def test_the_bare_form_is_sams_own_modules(method: str, passes: int) -> None:
    job = Job("inference", method, "nano-24", batch=2)
    inference = Inference(job, PLACE, ("bare", "merged"))
    own = {kind.forward.__code__: kind for kind in (ImageEncoderViT, MaskDecoder)}
    ran: Counter[type] = Counter()

    def seen(frame: FrameType, event: str, _: object) -> None:  # hooks would turn the fast path off
        if event == "call" and frame.f_code in own:
            ran[own[frame.f_code]] += 1

    for form, calls in (("merged", {}), ("bare", {ImageEncoderViT: passes, MaskDecoder: 2 * 3})):
        sys.setprofile(seen)
        inference.run(form, job.task_names)
        sys.setprofile(None)
        assert ran == calls  # an encoder's is of a batch, a decoder's of an image and a task


def test_a_step_beside_one_of_lora_hps() -> None:
    found = measure(replace(JOB, kind="relative", method="lora-stl", params={}, repeats=5), PLACE, "time")
    assert found["models"] == 3
    assert found["flops"]["step"] > 1.5 * found["flops"]["reference"]
    low, high = found["ratio"]["interval"]
    assert low <= found["ratio"]["of_medians"] <= high


def test_steps_on_images_from_a_folder(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("tabench.bench.jobs.HARNESS_STEPS", 5)  # more than an epoch
    seen: list[torch.Tensor] = []
    train = Subject.train
    monkeypatch.setattr(Subject, "train", lambda self, way: seen.append(self.batch.image) or train(self, way))
    job = replace(
        JOB, kind="loader", size="nano-16", batch=2, repeats=1, fewest=1
    )  # smaller than a room can be
    found = measure(job, PLACE, "time")
    assert found["steps"] == 5
    assert len(seen) == 2 * 2 * 5  # both ways, after a warm-up
    assert len({image.data_ptr() for image in seen[:5]}) == 1
    assert not torch.equal(seen[5], seen[6])
    assert all(found["images_per_s"][way] > 0 for way in ("bare", "end_to_end", "packed", "source"))
    assert found["ratio"]["of_medians"] == pytest.approx(
        found["end_to_end"]["median_s"] / found["bare"]["median_s"], rel=1e-3
    )


def test_the_harness_against_a_bare_loop(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("tabench.bench.steps.HARNESS_STEPS", 2)
    found = measure(replace(JOB, kind="harness"), PLACE, "time")
    assert found["steps"] == 2
    more = found["harness"]["median_s"] - found["bare"]["median_s"]
    assert found["overhead"] == pytest.approx(more / found["bare"]["median_s"], rel=0.01, abs=1e-3)


def test_a_profile_names_where_the_time_goes() -> None:
    found = measure(replace(JOB, kind="profile"), PLACE, "time")
    for way in ("plain", "fast"):
        kinds: dict[str, Any] = found[way]["kinds"]
        assert {"matrix products", "softmax", "norms", "optimiser"} <= set(kinds)
        assert sum(kinds.values()) == pytest.approx(found[way]["total_s"], rel=0.01)
        assert len(found[way]["operators"]) == 8


@pytest.mark.parametrize(
    ("operator", "kind"),
    [
        ("aten::addmm", "matrix products"),
        ("aten::_softmax_backward_data", "softmax"),
        ("aten::native_layer_norm", "norms"),
        ("aten::copy_", "copies"),
        ("aten::mul", "other element-wise work"),
        ("ampere_sgemm_128x64_nn", "matrix products"),
    ],
)
def test_kinds_of_operators(operator: str, kind: str) -> None:
    assert kind_of(operator) == kind


def test_a_failed_process_is_named_with_its_error() -> None:
    with pytest.raises(MeasurementError, match=r"paths-ta-lora-nano-24-n1, time.*no-such-task"):
        apart(replace(JOB, tasks=(("no-such-task", 1),)), PLACE, "time")
