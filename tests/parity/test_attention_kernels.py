"""Every kernel for SAM's attention on a GPU against SAM's own formula, in double precision on the CPU."""

from __future__ import annotations

from functools import partial

import pytest
import torch
from test_attention import found, made, sams_own
from torch import Tensor, nn
from torch.nn.attention import flex_attention as torchs

from tabench.encoders.msam import MSam
from tabench.encoders.sam import attention, attention_cuda
from tabench.encoders.sam.attention_cuda import KERNELS, attend_fused, using
from tabench.encoders.sam.family import Backbone
from tabench.methods.catalog import TA_LORA
from tabench.methods.low_rank import adapt_tucker

pytestmark = pytest.mark.filterwarnings("ignore:The .grad attribute of a Tensor")  # torch's compiler reads it
EACH = pytest.mark.parametrize("kernel", KERNELS)
# a grid of 8 in padded windows of 3, then one that attends globally
SMALL = Backbone("small", 64, 8, 32, 2, 2, (1,), 3, 16, 4, 32, 16)


@pytest.fixture(autouse=True)
def flex_learns(monkeypatch: pytest.MonkeyPatch) -> None:
    """Trace flex_attention and its gradient as for a GPU, and run them in torch's own formula.

    Torch has no kernel for its gradient on the CPU and refuses it there.
    """
    monkeypatch.setattr(torchs, "_validate_device", lambda *given: None)
    formula = partial(attention_cuda._compiled, backend="aot_eager")
    monkeypatch.setattr(attention_cuda, "_compiled", formula)


def equal(mine: list[Tensor], theirs: list[Tensor]) -> None:
    for one, other in zip(mine, theirs, strict=True):
        torch.testing.assert_close(one, other, rtol=1e-9, atol=1e-11)


@EACH
@pytest.mark.parametrize("launched", [2, 65_535])
def test_outputs_and_all_gradients(kernel: str, launched: int, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(attention_cuda, "_LAUNCHED", launched)
    grid = (3, 5)
    with using({"3x5": kernel}):
        equal(found(attend_fused, made(grid), grid), found(sams_own, made(grid), grid))


@EACH
def test_half_precision_under_autocast(kernel: str) -> None:
    grid = (8, 8)
    tensors = made(grid, dtype=torch.float32)
    with torch.autocast("cpu", torch.bfloat16):
        half = found(KERNELS[kernel], [tensor.bfloat16() for tensor in tensors[:3]] + tensors[3:], grid)
    for mine, exact in zip(half, found(sams_own, tensors, grid), strict=True):
        assert (mine.float() - exact).norm() < 3e-2 * exact.norm()


def whole(model: MSam, monkeypatch: pytest.MonkeyPatch, kernel: str) -> list[Tensor]:
    """Outputs and gradients of three tasks and two images, by a kernel for a GPU or by the CPU's slabs."""
    monkeypatch.setattr("tabench.encoders.sam.encoding.attend", attend_fused if kernel else attention.attend)
    torch.manual_seed(1)
    images = torch.rand(2, 3, 48, 64, dtype=torch.float64)
    with using({"3x3": kernel, "8x8": kernel} if kernel else {}):
        outputs = model(images, (48, 64))
        total = sum((1 + index) * value.tanh().sum() for index, value in enumerate(outputs.values()))
        trained = [p for p in model.parameters() if p.requires_grad]
        slopes = torch.autograd.grad(total, trained, allow_unused=True)
    return [*outputs.values(), *(slope for slope in slopes if slope is not None)]


@EACH
@pytest.mark.parametrize("recompute", [False, True], ids=["kept", "recomputed"])
def test_a_model_of_three_tasks_with_its_tables(
    kernel: str, recompute: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    torch.manual_seed(0)
    model = MSam(SMALL, {"first": 2, "second": 1, "third": 3})
    adapt_tucker(model.image_encoder, 3, TA_LORA.params({"ranks": (2, 2, 2), "dropout": 0.0}))
    model.double()
    for key, parameter in model.named_parameters():
        nn.init.normal_(parameter, std=0.2)
        parameter.requires_grad_(parameter.requires_grad or "rel_pos" in key)
    model.recompute = recompute
    equal(whole(model, monkeypatch, kernel), whole(model, monkeypatch, ""))


def test_kernels_in_use_end_with_their_block(monkeypatch: pytest.MonkeyPatch) -> None:
    tensors = [tensor.detach() for tensor in made((4, 4))]
    seen: list[str] = []
    for name in KERNELS:
        monkeypatch.setitem(KERNELS, name, lambda *given, name=name: seen.append(name))  # type: ignore[misc]

    def run() -> None:
        attend_fused(*tensors[:3], (tensors[3], tensors[4]), (4, 4))

    with using({"4x4": "rows", "5x5": "flex"}):
        run()
        with using({}):
            run()
        run()
    run()
    assert seen == ["rows", "widened", "rows", "widened"]
    with pytest.raises(ValueError, match="called fast, slow"), using({"4x4": "slow", "5x5": "fast"}):
        pass
