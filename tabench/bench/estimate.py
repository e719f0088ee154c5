"""How long jobs will take: FLOPs from the geometry, and a rate that earlier jobs correct. No torch."""

from __future__ import annotations

from tabench.bench.jobs import HARNESS_STEPS as STEPS
from tabench.bench.jobs import Job, Place
from tabench.bench.sizes import Size
from tabench.catalog import METHODS

_RATE = {"cpu": 4.5e10, "cuda": 2e13}  # FLOP/s reached, by a thread or a device
_START = 1.5  # seconds a process takes to start, build its models and end
_FAST = 0.5  # time of the fast path, of the plain one's


def seconds(job: Job, place: Place) -> float:
    """A rough guess of all parts of a job."""
    cuda = place.device.startswith("cuda")
    rate = _RATE["cuda"] if cuda else _RATE["cpu"] * place.threads
    method = METHODS.get(job.method)
    passes = 1 if method.sharing == "shared" else len(job.tasks)
    channels = sum(count for _, count in job.tasks)
    forward = job.batch * (passes * encoder_flops(job.where) + channels * decoder_flops(job.where)) / rate
    step = forward * (3.0 if method.trains_encoder else 2.3)
    if job.kind == "harness":
        return _START + 2 * 3 * STEPS * step * _FAST
    if job.kind == "profile":
        return _START + 2.5 * (1 + _FAST) * step
    if job.kind == "inference":
        return 4 * _START + 1.5 * (1 + 2 * _FAST) * forward * (2 + _rounds(job, forward))
    each = {"train": step, "evaluate": forward}
    timed = sum((1 + _FAST) * each[work] * (1 + _rounds(job, each[work])) for work in job.works)
    compared = (1 + _FAST) * (step + forward)
    memory = (1 + _FAST) * sum(each[work] for work in job.works)
    return 3 * _START + timed + compared + memory


def encoder_flops(size: Size) -> float:
    """Products of one image's way through the plain encoder, windows padded."""
    b, tokens = size.backbone, size.backbone.grid**2
    total = 2.0 * 3 * b.patch_size**2 * tokens * b.embed_dim
    for block in range(b.depth):
        everywhere = block in b.global_attn_indexes
        seen = tokens if everywhere else size.padded**2
        span = tokens if everywhere else b.window_size**2
        total += 8.0 * seen * b.embed_dim**2 + 4.0 * seen * span * b.embed_dim
        total += 16.0 * tokens * b.embed_dim**2
    return total


def decoder_flops(size: Size) -> float:
    """Products of one channel's way through the stock mask decoder."""
    b = size.backbone
    tokens, width = b.grid**2, b.out_chans
    return 2.0 * tokens * width * (9 * width / 2 + width + width)


def _rounds(job: Job, once: float) -> float:
    pair = once * (1 + _FAST)
    return min(job.repeats, max(job.fewest, job.budget / pair if pair else job.repeats))
