from __future__ import annotations

import pytest
import torch

from tabench.engine.optim import build_optimizer, lr_factor, set_lr, steps_per_epoch, total_steps
from tabench.spec.cell import TrainPart


def test_the_paper_recipe_has_199_steps_an_epoch_and_39800_in_all() -> None:
    train = TrainPart(epochs=200, batch_size=4)
    assert steps_per_epoch(train, 795) == 199
    assert total_steps(train, 795) == 39_800


def test_max_steps_shortens_the_run_and_never_lengthens_it() -> None:
    assert total_steps(TrainPart(epochs=2, batch_size=4, max_steps=3), 8) == 3
    assert total_steps(TrainPart(epochs=2, batch_size=4, max_steps=99), 8) == 4


def test_schedule_against_the_formula() -> None:
    total, warmup = 100, 0.05
    for step in range(total):
        expected = step / 5 if step < 5 else (100 - step) / 95
        assert lr_factor(step, total, warmup) == pytest.approx(expected, abs=1e-15)
    assert lr_factor(0, total, warmup) == 0.0
    assert lr_factor(5, total, warmup) == 1.0
    assert lr_factor(total, total, warmup) == 0.0


@pytest.mark.parametrize(("total", "warmup"), [(24, 0.05), (39_800, 0.05), (10, 0.0), (7, 1.0), (3, 0.1)])
def test_an_exact_warmup_is_the_released_codes_lambda(total: int, warmup: float) -> None:
    ramp = total * warmup  # a float there

    def rule(step: int) -> float:
        if step < ramp:
            return float(step) / float(max(1, ramp))
        return max(0.0, float(total - step) / float(max(1, total - ramp)))

    assert all(lr_factor(step, total, warmup, exact=True) == rule(step) for step in range(total + 1))
    alike = all(lr_factor(step, total, warmup) == rule(step) for step in range(total + 1))
    assert alike == (ramp == int(ramp))


def test_schedule_without_warmup_starts_at_the_peak_and_all_warmup_has_no_zero_division() -> None:
    assert lr_factor(0, 2, 0.05) == 1.0
    assert lr_factor(3, 4, 1.0) == 0.75


def test_weight_decay_is_an_l2_penalty_on_the_gradient() -> None:
    weight = torch.nn.Parameter(torch.tensor([2.0], dtype=torch.float64))
    optimizer = build_optimizer({"weight": weight}, TrainPart(lr=0.1, weight_decay=0.5, eps=1e-9))
    assert optimizer.defaults["eps"] == 1e-9
    weight.grad = torch.tensor([3.0], dtype=torch.float64)
    optimizer.step()
    # the first Adam step is lr * g / (|g| + eps) with g = gradient + decay * weight = 4
    assert optimizer.state[weight]["exp_avg"].item() == pytest.approx(0.1 * 4.0)
    assert weight.item() == pytest.approx(2.0 - 0.1, abs=1e-8)


def test_encoder_and_embeddings_may_learn_at_multiples_of_the_rate() -> None:
    sizes = {"image_encoder.a": 2, "decoders.b": 3, "no_mask.depth": 4}
    trained = {name: torch.nn.Parameter(torch.ones(size)) for name, size in sizes.items()}
    optimizer = build_optimizer(trained, TrainPart(lr=0.1, embedding_lr=10.0), encoder_lr=0.25)
    set_lr(optimizer, 0.04)
    rates = {group["params"][0].numel(): group["lr"] for group in optimizer.param_groups}
    assert rates == {2: pytest.approx(0.01), 3: pytest.approx(0.04), 4: pytest.approx(0.4)}
