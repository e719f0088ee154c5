"""Methods of somebody else's package: right ones that look unusual, and wrong ones that look right."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import torch
from segment_anything.modeling import ImageEncoderViT
from segment_anything.modeling.image_encoder import Block
from torch import Tensor, nn

from tabench.encoders.base import ROLES, LayerSpec, TaskFold
from tabench.methods.adapted import Shared
from tabench.methods.base import Method
from tabench.methods.factors import Factors, LoRAFactors, TuckerFactors
from tabench.methods.freezing import train_norms_only
from tabench.methods.injection import inject

RANK = 3


class Lora(nn.Module):
    """A layer beside which a low-rank one is trained."""

    def __init__(self, base: nn.Linear, start: float = 0.0) -> None:
        super().__init__()
        self.base = base
        self.down = nn.Parameter(0.2 * torch.randn(RANK, base.in_features))
        self.up = nn.Parameter(start * torch.randn(base.out_features, RANK))

    def update(self, x: Tensor) -> Tensor:
        return x @ self.down.T @ self.up.T

    def forward(self, x: Tensor) -> Tensor:
        return self.base(x) + self.update(x)


class FromWeights(Lora):
    """Trains the largest singular directions of the weights and leaves the rest: fp32 at the start."""

    def __init__(self, base: nn.Linear) -> None:
        super().__init__(base)
        left, sizes, right = torch.linalg.svd(base.weight.detach().float(), full_matrices=False)
        with torch.no_grad():
            self.up.copy_(left[:, :RANK] * sizes[:RANK].sqrt())
            self.down.copy_(sizes[:RANK, None].sqrt() * right[:RANK])
            base.weight -= self.up @ self.down


class InSingle(Lora):
    """Computes in fp32 whatever it is given, and under autocast too."""

    def update(self, x: Tensor) -> Tensor:
        with torch.autocast(x.device.type, enabled=False):
            return (x.float() @ self.down.float().T @ self.up.float().T).to(x.dtype)


class Gated(Block):  # type: ignore[misc]
    """SAM's block with a trained share of its input."""

    def __init__(self, block: Block) -> None:
        nn.Module.__init__(self)
        self.block, self.gate = block, nn.Parameter(torch.zeros(()))

    def forward(self, x: Tensor) -> Tensor:
        changed: Tensor = self.block(x)
        return changed + self.gate * x


class TaskBias(nn.Module):
    """A trained bias a task, on a batch of tasks."""

    def __init__(self, base: nn.Linear, tasks: int, fold: TaskFold) -> None:
        super().__init__()
        self.base, self.fold = base, fold
        self.bias = nn.Parameter(torch.zeros(tasks, base.out_features))

    def rows(self) -> Tensor:
        return self.bias[list(self.fold.tasks)]

    def forward(self, x: Tensor) -> Tensor:
        rows = self.rows()
        whole: Tensor = self.base(x)
        return (whole.unflatten(0, (len(rows), -1)) + rows.view(len(rows), *[1] * x.dim(), -1)[:, 0]).flatten(
            0, 1
        )


class WrongRows(TaskBias):
    """Says that each row is a task's own, and adds the next task's, too."""

    task_rows = ("bias",)

    def rows(self) -> Tensor:
        return (self.bias + self.bias.roll(1, 0))[list(self.fold.tasks)]


class FirstTasks(TaskBias):
    """Takes the first rows whatever tasks are asked for."""

    def rows(self) -> Tensor:
        return self.bias[: len(self.fold.tasks)]


class Backwards(Lora):
    """The right value with the gradient's sign turned."""

    def update(self, x: Tensor) -> Tensor:
        value = super().update(x)
        return 2 * value.detach() - value


class Idle(Lora):
    """Trains something that nothing reads."""

    def __init__(self, base: nn.Linear) -> None:
        super().__init__(base)
        self.scale = nn.Parameter(torch.ones(()))


class Counting(Lora):
    """Its strength grows with every step, in a number that no state dict holds."""

    steps = 0

    def update(self, x: Tensor) -> Tensor:
        self.steps += self.training
        return super().update(x) * (1 + self.steps)


class Centred(Lora):
    """Subtracts the mean over all images of a batch."""

    def update(self, x: Tensor) -> Tensor:
        value = super().update(x)
        return value - value.mean(dim=0)


class Drawn(Lora):
    """Draws its start elsewhere than from torch."""

    def __init__(self, base: nn.Linear) -> None:
        super().__init__(base)
        with torch.no_grad():
            self.down.copy_(torch.from_numpy(np.random.default_rng().normal(size=self.down.shape)))


class Steep(Lora):
    """A root, whose slope at 0 is infinite."""

    def update(self, x: Tensor) -> Tensor:
        value = super().update(x)
        return value.abs().sqrt()


class WrongAtZero(Lora):
    """Says that it makes 0 of an input of 0, and makes its bias of it."""

    row_wise = True

    @property
    def at_zero(self) -> Tensor:
        return torch.zeros_like(self.base.bias)

    def spread(self, x: Tensor) -> Tensor:
        return self.forward(x)


class Twice(LoRAFactors):
    linear = True

    def dense(self) -> Tensor:
        return 2 * super().dense()


def lora(encoder: ImageEncoderViT, num_tasks: int, params: Mapping[str, Any]) -> None:
    """Put the layer that the hyper-parameter names on every block."""
    layer = globals()[params["layer"]]
    encoder.requires_grad_(False)
    if issubclass(layer, TaskBias):
        encoder.task_fold = TaskFold(num_tasks)
    for block in encoder.blocks:
        qkv, start = block.attn.qkv, params["start"]
        if issubclass(layer, TaskBias):
            block.attn.qkv = layer(qkv, num_tasks, encoder.task_fold)
        else:
            block.attn.qkv = layer(qkv, start) if start else layer(qkv)


def gated(encoder: ImageEncoderViT, num_tasks: int, params: Mapping[str, Any]) -> None:
    """Replace every block."""
    encoder.requires_grad_(False)
    for index, block in enumerate(encoder.blocks):
        encoder.blocks[index] = Gated(block)


def normed(encoder: ImageEncoderViT, num_tasks: int, params: Mapping[str, Any]) -> None:
    """Put a batch norm, with its running mean, behind the neck."""
    encoder.requires_grad_(False)
    encoder.neck.append(nn.BatchNorm2d(encoder.neck[2].out_channels))


def scaled(encoder: ImageEncoderViT, num_tasks: int, params: Mapping[str, Any]) -> None:
    """Scale what the MLPs return by a trained number, with a hook."""
    encoder.requires_grad_(False)
    for block in encoder.blocks:
        block.scale = nn.Parameter(torch.ones(()))
        block.mlp.register_forward_hook(lambda module, _, found, block=block: found * block.scale)


def twice(encoder: ImageEncoderViT, num_tasks: int, params: Mapping[str, Any]) -> None:
    """Say of the update that it is twice what is computed, where it is merged."""
    encoder.requires_grad_(False)
    settings = {"targets": "qkv", "scale": 1.0, "dropout": 0.0}
    inject(encoder, TaskFold(1), settings, lambda d, k: Twice(d, k, RANK))


def on_the_mlp(encoder: nn.Module, num_tasks: int, params: Mapping[str, Any]) -> None:
    """A Tucker update of other layers than q, k and v."""
    train_norms_only(encoder)
    encoder.task_fold = TaskFold(num_tasks)
    inject(encoder, encoder.task_fold, params, lambda d, k: TuckerFactors(d, k, num_tasks, params["ranks"]))


class Common(Shared):
    """LoRA's input factors of every layer."""

    def __init__(self, layers: int, d: int) -> None:
        super().__init__()
        self.A = nn.Parameter(0.2 * torch.randn(layers, RANK, d))


class OfCommon(Factors):
    """A LoRA whose input factor is a slice of the common tensor."""

    linear = True
    kind = "lora"

    def __init__(self, common: Common, index: int, k: int) -> None:
        super().__init__()
        self.held, self.index = (common,), index  # a tuple: the common parameters are not registered again
        self.B = nn.Parameter(torch.zeros(k, RANK))

    def tensors(self) -> dict[str, Tensor]:
        return {"A": self.held[0].A[self.index], "B": self.B}

    def reset(self) -> None:
        nn.init.zeros_(self.B)

    def narrow(self, x: Tensor, tasks: Sequence[int], scale: float = 1.0) -> Tensor:
        return x @ (scale * self.tensors()["A"]).T

    def outputs(self) -> Tensor:
        return self.B

    def dense(self) -> Tensor:
        return (self.B @ self.tensors()["A"]).T[:, :, None]


def sharing(model: nn.Module, layers: Sequence[LayerSpec], params: Mapping[str, Any]) -> None:
    """One tensor for the projections of all blocks."""
    encoder = model.image_encoder
    train_norms_only(encoder)
    chosen = [layer for layer in layers if layer.role == "proj"]
    encoder.common = Common(len(chosen), chosen[0].inputs)
    indices = iter(range(len(chosen)))
    settings = {"targets": ("proj",), "scale": 1.0, "dropout": 0.0}
    inject(encoder, TaskFold(1), settings, lambda d, k: OfCommon(encoder.common, next(indices), k), chosen)


class Bottleneck(nn.Module):
    """SAM's MLP and a narrow one beside it."""

    def __init__(self, inner: nn.Module, width: int) -> None:
        super().__init__()
        self.inner, self.down, self.up = inner, nn.Linear(width, RANK), nn.Linear(RANK, width)
        nn.init.zeros_(self.up.weight)
        nn.init.zeros_(self.up.bias)

    def forward(self, x: Tensor) -> Tensor:
        return self.applied(x, (0,))

    def applied(self, x: Tensor, tasks: Sequence[int]) -> Tensor:
        found: Tensor = self.inner(x) + self.up(self.down(x).relu())
        return found


def bottleneck(encoder: nn.Module, num_tasks: int, params: Mapping[str, Any]) -> None:
    """Insert a bottleneck into every block."""
    encoder.requires_grad_(False)
    for block in encoder.blocks:
        block.mlp = Bottleneck(block.mlp, block.norm2.normalized_shape[0])


def in_decoders(model: nn.Module, layers: Sequence[LayerSpec], params: Mapping[str, Any]) -> None:
    """Leave the encoder alone and adapt the decoders."""
    model.image_encoder.requires_grad_(False)
    for decoder in model.decoders.values():
        mlp = decoder.transformer.layers[0].mlp
        mlp.lin1 = Lora(mlp.lin1)


def _layered(name: str, layer: type[nn.Module], start: float = 0.0) -> Method:
    sharing: Any = "task-aware" if issubclass(layer, TaskBias) else "shared"
    defaults = {"layer": layer.__name__, "start": start}
    return Method(f"outside-{name}", name, f"{__name__}:lora", sharing, defaults)


RIGHT = [
    _layered("from-weights", FromWeights),
    _layered("in-single", InSingle),
    _layered("task-bias", TaskBias),
    Method("outside-gated", "gated", f"{__name__}:gated", "shared"),
    Method("outside-scaled", "scaled", f"{__name__}:scaled", "shared"),
    Method(
        *("outside-mlp", "on the MLP", f"{__name__}:on_the_mlp", "task-aware"),
        {"ranks": (3, 4, 2), "scale": 0.5, "dropout": 0.0, "targets": ("proj", "mlp.lin1")},
        roles=ROLES,
        merges=True,
    ),
    Method("outside-sharing", "sharing", f"{__name__}:sharing", "shared", whole_model=True, merges=True),
    Method("outside-bottleneck", "bottleneck", f"{__name__}:bottleneck", "shared"),
    Method("outside-in-decoders", "in decoders", f"{__name__}:in_decoders", "shared", whole_model=True),
    Method("outside-normed", "normed", f"{__name__}:normed", "shared", starts_elsewhere=True),
]
WRONG = {  # with the tests that must fail
    "test_it_starts_as_the_unadapted_model": [_layered("elsewhere", Lora, 0.01)],
    "test_one_seed_makes_one_model": [_layered("drawn", Drawn)],
    "test_it_learns": [_layered("backwards", Backwards)],
    "test_every_trained_parameter_gets_a_gradient": [_layered("idle", Idle)],
    "test_its_state_survives_a_round_trip": [_layered("counting", Counting)],
    "test_a_merged_encoder_gives_its_output_or_is_refused": [
        Method("outside-twice", "twice", f"{__name__}:twice", "shared")
    ],
    "test_it_trains_in_every_precision": [_layered("steep", Steep)],
    "test_tasks_and_images_do_not_touch_one_another": [
        _layered("centred", Centred),
        _layered("first-tasks", FirstTasks),
    ],
    "test_what_it_says_is_a_tasks_own_gets_that_tasks_gradient_alone": [_layered("wrong-rows", WrongRows)],
    "test_the_fast_path_is_sams_own_forward": [_layered("at-zero", WrongAtZero)],
}
METHODS = {method.name: method for method in [*RIGHT, *(m for found in WRONG.values() for m in found)]}
