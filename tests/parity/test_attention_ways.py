"""Every way to attention by fused kernels against SAM's own, in double precision on the CPU."""

from __future__ import annotations

import pytest
import torch
from test_attention import found, made, sams_own
from torch import Tensor, nn
from torch.nn.attention import flex_attention as torchs

from tabench.encoders.msam import MSam
from tabench.encoders.sam import attention, attention_cuda
from tabench.encoders.sam.attention_cuda import WAYS, added, attend_fused, relative, using
from tabench.encoders.sam.family import Backbone
from tabench.methods.catalog import TA_LORA
from tabench.methods.low_rank import adapt_tucker

# torch says that this is slow, and looks at gradients that it then warns of
pytestmark = [
    pytest.mark.filterwarnings("ignore:flex_attention called without torch.compile"),
    pytest.mark.filterwarnings("ignore:The .grad attribute of a Tensor"),
]
GRIDS = pytest.mark.parametrize("grid", [(4, 4), (3, 5), (1, 7)], ids=str)
# a grid of 8 in padded windows of 3, then one that attends globally
SMALL = Backbone("small", 64, 8, 32, 2, 2, (1,), 3, 16, 4, 32, 16)


def equal(mine: list[Tensor], theirs: list[Tensor]) -> None:
    for one, other in zip(mine, theirs, strict=True):
        torch.testing.assert_close(one, other, rtol=1e-9, atol=1e-11)


@pytest.fixture
def flex_learns(monkeypatch: pytest.MonkeyPatch) -> None:
    """Let torch's own eager backward of flex_attention run on the CPU, where it is refused."""
    monkeypatch.setattr(torchs, "_validate_device", lambda *given: None)


@GRIDS
@pytest.mark.parametrize("name", WAYS)
@pytest.mark.usefixtures("flex_learns")
def test_outputs_and_all_gradients(name: str, grid: tuple[int, int]) -> None:
    tensors = made(grid)
    equal(found(WAYS[name].attend, tensors, grid), found(sams_own, tensors, grid))


@GRIDS
def test_flex_is_its_formula(grid: tuple[int, int]) -> None:
    def formula(
        q: Tensor, k: Tensor, v: Tensor, tables: tuple[Tensor, Tensor], size: tuple[int, int]
    ) -> Tensor:
        plain = q.shape[-1] ** -0.5 * q @ k.mT
        g, query, key = torch.meshgrid(*map(torch.arange, plain.shape), indexing="ij")
        score = added(*relative(q, tables, size))
        return score(plain, torch.zeros_like(g), g, query, key).softmax(-1) @ v

    tensors = made(grid)
    equal(found(formula, tensors, grid), found(sams_own, tensors, grid))
    q, k, v, *tables = (tensor.detach() for tensor in tensors)  # as torch allows it on the CPU
    forward = WAYS["flex"].attend(q, k, v, (tables[0], tables[1]), grid)
    equal([forward], [sams_own(q, k, v, (tables[0], tables[1]), grid)])


@pytest.mark.parametrize("name", [name for name in WAYS if name != "flex"])
def test_half_precision_under_autocast(name: str) -> None:
    grid = (8, 8)
    tensors = made(grid, dtype=torch.float32)
    with torch.autocast("cpu", torch.bfloat16):
        half = found(WAYS[name].attend, [tensor.bfloat16() for tensor in tensors[:3]] + tensors[3:], grid)
    for mine, exact in zip(half, found(sams_own, tensors, grid), strict=True):
        assert (mine.float() - exact).norm() < 3e-2 * exact.norm()


def whole(model: MSam, monkeypatch: pytest.MonkeyPatch, ways: dict[attention_cuda.Kind, str]) -> list[Tensor]:
    """Outputs and gradients of three tasks and two images by ways of the fused kernels, on the CPU."""
    monkeypatch.setattr("tabench.encoders.sam.encoding.attend", attend_fused if ways else attention.attend)
    torch.manual_seed(1)
    images = torch.rand(2, 3, 48, 64, dtype=torch.float64)
    with using(ways):
        outputs = model(images, (48, 64))
        total = sum((1 + index) * value.tanh().sum() for index, value in enumerate(outputs.values()))
        trained = [p for p in model.parameters() if p.requires_grad]
        slopes = torch.autograd.grad(total, trained, allow_unused=True)
    return [*outputs.values(), *(slope for slope in slopes if slope is not None)]


@pytest.mark.parametrize("recompute", [False, True], ids=["kept", "recomputed"])
@pytest.mark.parametrize("name", WAYS)
@pytest.mark.usefixtures("flex_learns")
def test_a_model_of_three_tasks_with_its_tables(
    name: str, recompute: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    torch.manual_seed(0)
    model = MSam(SMALL, {"first": 2, "second": 1, "third": 3})
    adapt_tucker(model.image_encoder, 3, TA_LORA.params({"ranks": (2, 2, 2), "dropout": 0.0}))
    model.double()
    for key, parameter in model.named_parameters():
        nn.init.normal_(parameter, std=0.2)
        parameter.requires_grad_(parameter.requires_grad or "rel_pos" in key)
    model.recompute = recompute
    ways = {(3, 3, "float64"): name, (8, 8, "float64"): name}
    equal(whole(model, monkeypatch, ways), whole(model, monkeypatch, {}))


def test_flex_gives_way_where_work_is_done_twice() -> None:
    with using({(3, 3, "float64"): "flex", (8, 8, "float64"): "rows"}):
        with attention_cuda.while_recomputed():
            assert attention_cuda._IN_USE == {(8, 8, "float64"): "rows"}
        assert len(attention_cuda._IN_USE) == 2


def test_ways_in_use_end_with_their_block(monkeypatch: pytest.MonkeyPatch) -> None:
    tensors = [tensor.detach() for tensor in made((4, 4))]
    seen: list[str] = []
    for name, way in WAYS.items():

        def told(*given: object, name: str = name) -> None:
            seen.append(name)

        monkeypatch.setitem(WAYS, name, attention_cuda.Way(told, way.deterministic))  # type: ignore[arg-type]

    def run() -> None:
        attend_fused(*tensors[:3], (tensors[3], tensors[4]), (4, 4))

    with using({(4, 4, "float64"): "rows", (5, 4, "float64"): "flex"}):
        run()
        with using({}):
            run()
        run()
    run()
    assert seen == ["rows", "widened", "rows", "widened"]
