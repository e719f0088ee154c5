"""Dropout obeys one law on both paths: an independent mask for every task, image and token."""

from __future__ import annotations

import pytest
import torch
from plain_msam import geometry, randomise
from scipy.stats import ks_2samp
from torch import Tensor, nn

from tabench.catalog import METHODS
from tabench.encoders.msam import MSam
from tabench.encoders.plain import DenseLinear, plainly
from tabench.engine.model import adapt
from tabench.methods.factors import CPFactors, Factors, LoRAFactors, TuckerFactors
from tabench.methods.injection import AdaptedLinear, Dropout, TaskFold

RATE, SCALE, TASKS, DRAWS = 0.3, 0.5, 3, 20_000
SIGMAS = 5.0  # a true law fails here once in a million entries
FACTORS = {
    "tucker": lambda: TuckerFactors(6, 9, TASKS, (4, 4, 2)),
    "cp": lambda: CPFactors(6, 9, TASKS, 4),
    "lora": lambda: LoRAFactors(6, 9, 4),
}


def layer_of(kind: str) -> AdaptedLinear:
    torch.manual_seed(0)
    factors: Factors = FACTORS[kind]()
    for parameter in factors.parameters():
        nn.init.normal_(parameter)
    layer = AdaptedLinear(
        nn.Linear(6, 9), factors, TaskFold(TASKS), chosen=(0, 1, 2), scale=SCALE, dropout=RATE
    )
    return layer.double().train()


def draws_of(layer: AdaptedLinear, x: Tensor, path: str) -> Tensor:
    """W0 x + b taken off: the adapter's branch on `DRAWS` copies of one input (T, DRAWS, k)."""
    rows = x.expand(TASKS, DRAWS, -1)
    with torch.no_grad():
        if path == "fast":
            out = layer(rows.reshape(TASKS * DRAWS, -1)).unflatten(0, (TASKS, DRAWS))
        else:
            dense = DenseLinear(layer, layer.dense(range(TASKS)))
            parts = []
            for dense.task in range(TASKS):
                parts.append(dense(rows[dense.task]))
            out = torch.stack(parts)
        return out - layer.base(x)


@pytest.mark.parametrize("path", ["fast", "plain"])
@pytest.mark.parametrize("kind", FACTORS)
def test_mean_variance_and_independence_of_the_branch(kind: str, path: str) -> None:
    layer = layer_of(kind)
    x = torch.randn(6, dtype=torch.float64)
    draws = draws_of(layer, x, path)
    with torch.no_grad():
        update = SCALE * layer.factors.dense().expand(-1, -1, TASKS)  # (d, k, T)
    terms = x[:, None, None] * update
    mean = terms.sum(0).T  # (T, k): dropout keeps the expectation
    variance = (terms.square().sum(0) * RATE / (1 - RATE)).T
    error = (variance / DRAWS).sqrt()
    assert ((draws.mean(1) - mean).abs() < SIGMAS * error).all()
    centred = draws - mean[:, None]
    spread = (centred.pow(4).mean(1) - variance.square()).clamp_min(0) / DRAWS
    assert ((centred.square().mean(1) - variance).abs() < SIGMAS * spread.sqrt()).all()
    # one mask for all tasks would give tasks t and u the covariance sum_d x_d^2 dW_dkt dW_dku p / (1 - p)
    for t in range(TASKS):
        for u in range(t):
            product = (centred[t] * centred[u]).mean(0)
            assert (product.abs() < SIGMAS * (variance[t] * variance[u] / DRAWS).sqrt()).all()
            shared = (terms[..., t] * terms[..., u]).sum(0) * RATE / (1 - RATE)
            assert (shared.abs() > 2 * SIGMAS * (variance[t] * variance[u] / DRAWS).sqrt()).any()


def model_of(method: str, path: str) -> MSam:
    """Two tasks with equal parameters: only their masks can tell them apart."""
    torch.manual_seed(0)
    model = MSam(geometry(), {"first": 1, "second": 1})
    entry = METHODS.get(method)
    small = {key: value for key, value in {"rank": 3, "ranks": (3, 4, 2)}.items() if key in entry.defaults}
    adapt(model, entry, entry.params({**small, "dropout": RATE}))
    randomise(model)
    model.decoders["second"].load_state_dict(model.decoders["first"].state_dict())
    with torch.no_grad():
        model.no_mask["second"].copy_(model.no_mask["first"])
        for name, parameter in model.named_parameters():
            if name.endswith((".U3", ".C")):
                parameter[1] = parameter[0]
    plainly(model, path == "plain")
    return model.train()


def pixels_of(method: str, path: str, draws: int = 400) -> Tensor:
    """Three output pixels of each task for copies of one image, (tasks, draws, 3)."""
    torch.manual_seed(3)
    image = torch.rand(1, 3, 32, 32)
    with torch.no_grad():
        outputs = model_of(method, path)(image.expand(draws, -1, -1, -1), (8, 8))
    return torch.stack([value.flatten(1)[:, [0, 27, 63]] for value in outputs.values()]).double()


def correlation(x: Tensor, y: Tensor) -> float:
    return float(torch.corrcoef(torch.stack([x, y]))[0, 1])


@pytest.mark.parametrize("method", ["ta-lora", "ta-lora-cp", "lora-hps"])
def test_the_whole_model_has_one_law_on_both_paths(method: str) -> None:
    fast, plain = pixels_of(method, "fast"), pixels_of(method, "plain")
    bound = SIGMAS / len(fast[0]) ** 0.5
    for pixel in range(3):
        for task in range(2):
            assert ks_2samp(fast[task, :, pixel], plain[task, :, pixel], method="asymp").pvalue > 1e-4
            for drawn in (fast[task, :, pixel], plain[task, :, pixel]):
                assert drawn.std() > 1e-3, "dropout changes nothing here"
                assert abs(correlation(drawn[1:], drawn[:-1])) < bound, "images share a mask"
        for drawn in (fast[..., pixel], plain[..., pixel]):
            together = correlation(drawn[0], drawn[1])
            if method == "lora-hps":  # one encoder pass serves both tasks
                assert together > 0.999
            else:
                assert abs(together) < bound, "tasks share a mask"


@pytest.mark.parametrize("rate", [0.1, 0.5])
def test_its_bits_are_those_of_torch(rate: float) -> None:
    x = torch.randn(3, 500, 7, generator=torch.Generator().manual_seed(0), requires_grad=True)
    found = []
    for dropout in (nn.Dropout(rate), Dropout(rate)):
        torch.manual_seed(1)
        out = dropout(x)
        found.append([out, *torch.autograd.grad(out.square().sum(), x), torch.rand(1), dropout.eval()(x)])
    assert all(map(torch.equal, *found))
