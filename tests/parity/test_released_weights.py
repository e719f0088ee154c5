"""Weights under the released code's names: converted, they give the outputs of a model of that layout."""

from __future__ import annotations

import copy
from pathlib import Path

import pytest
import torch
from commands import call_json
from plain_msam import randomise
from safetensors.torch import load_file, save_file
from segment_anything.modeling import Sam
from tiny_run import make_cell, make_unit
from torch import Tensor, nn
from torch.nn import functional as F

from tabench.encoders.sam.build import build_sam
from tabench.encoders.sam.family import VIT_NANO
from tabench.engine.checkpoint import fill
from tabench.engine.loop import trained_parameters
from tabench.errors import CheckpointError
from tabench.methods.released import convert_released

CHANNELS = {"segmentation": 13, "depth": 1, "normals": 3}
RANKS, SCALE, SIZE = (5, 4, 2), 0.5, (72, 96)


class Qkv(nn.Linear):
    """A layer of that layout: the update of task `task` is added to the chosen of q, k and v."""

    task = 0

    def __init__(self, base: nn.Linear, targets: str) -> None:
        super().__init__(base.in_features, base.out_features)
        self.load_state_dict(base.state_dict())
        d, (p, q, v) = base.in_features, RANKS
        self.targets = targets
        self.td_G = nn.Parameter(torch.zeros(p, q, v))
        self.td_U1 = nn.Parameter(torch.randn(d, p))
        self.td_U2 = nn.Parameter(torch.randn(d * len(targets), q))
        self.td_U3 = nn.Parameter(torch.randn(len(CHANNELS), v))

    def forward(self, x: Tensor) -> Tensor:
        factors = (self.td_G, self.td_U1, self.td_U2, self.td_U3[self.task])
        update = SCALE * torch.einsum("pqv,dp,kq,v->kd", *factors)
        rows = dict(zip(self.targets, update.chunk(len(self.targets)), strict=True))
        nothing = torch.zeros(self.in_features, self.in_features)
        return F.linear(x, self.weight + torch.cat([rows.get(part, nothing) for part in "qkv"]), self.bias)


def released_model(sam: Sam, targets: str) -> Sam:
    """A model of that layout with nothing trained at its initial value."""
    model = copy.deepcopy(sam)
    for block in model.image_encoder.blocks:
        block.attn.qkv = Qkv(block.attn.qkv, targets)
    model.mask_decoder = nn.ModuleList(copy.deepcopy(sam.mask_decoder) for _ in CHANNELS)
    model.prompt_encoder.no_mask_embed = nn.Embedding(sum(CHANNELS.values()), VIT_NANO.out_chans)
    frozen = copy.deepcopy(sam.state_dict())
    randomise(model)
    with torch.no_grad():
        for name, value in model.state_dict().items():
            if name in frozen and ".norm" not in name and "no_mask_embed" not in name:
                value.copy_(frozen[name])
    return model


@torch.no_grad()
def outputs_of(model: Sam, image: Tensor) -> dict[str, Tensor]:
    side, grid = VIT_NANO.image_size, VIT_NANO.grid
    inputs = F.pad(image, (0, side - image.shape[-1], 0, side - image.shape[-2]))
    rows = model.prompt_encoder.no_mask_embed.weight.split(list(CHANNELS.values()))
    found = {}
    for task, name in enumerate(CHANNELS):
        Qkv.task = task
        low, _ = model.mask_decoder[task](
            image_embeddings=model.image_encoder(inputs),
            image_pe=model.prompt_encoder.get_dense_pe(),
            sparse_prompt_embeddings=torch.empty(len(rows[task]), 0, VIT_NANO.out_chans),
            dense_prompt_embeddings=rows[task][:, :, None, None].expand(-1, -1, grid, grid),
            multimask_output=False,
        )
        whole = F.interpolate(low.transpose(0, 1), (side, side), mode="bilinear")
        found[name] = F.interpolate(whole[..., : SIZE[0], : SIZE[1]], SIZE, mode="bilinear")
    return found


@pytest.fixture(scope="module")
def sam() -> Sam:
    torch.manual_seed(0)
    return build_sam(VIT_NANO).eval()


@pytest.mark.parametrize("targets", ["qkv", "qv"])
def test_a_converted_file_gives_the_outputs_of_that_layout(
    sam: Sam, targets: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    there = released_model(sam, targets)
    prefix = "module." if targets == "qkv" else ""  # as DistributedDataParallel has it
    state = {f"{prefix}{key}": value for key, value in there.state_dict().items()}
    torch.save(state, tmp_path / "trained.pth")
    save_file(sam.state_dict(), tmp_path / "sam_vit_nano.safetensors")
    code, facts = call_json(
        capsys, "convert", "released", f"{tmp_path}/trained.pth", "--backbone=sam_vit_nano",
        f"--targets={targets}", f"--checkpoint={tmp_path}",
        "--channels=segmentation=13,depth=1,normals=3", f"--out={tmp_path}/w.safetensors",
    )  # fmt: skip
    assert code == 0
    assert facts["params"] == {"ranks": [5, 4, 2], "targets": targets}
    cell = make_cell("ta-lora", params__ranks=RANKS, params__targets=targets, params__scale=SCALE)
    cell = cell.model_copy(update={"backbone": cell.backbone.model_copy(update={"pixel_norm": "none"})})
    _, model = make_unit(cell, sam.state_dict())
    fill(trained_parameters(model), load_file(tmp_path / "w.safetensors"), "w.safetensors")
    image = torch.rand(1, 3, *SIZE)
    with torch.no_grad():
        found = model.eval()(image, SIZE)
    for name, expected in outputs_of(there, image).items():
        scale = float(expected.abs().max())
        torch.testing.assert_close(found[name], expected, rtol=0, atol=1e-4 * scale)


def test_what_does_not_fit_is_named(sam: Sam) -> None:
    good, plain = released_model(sam, "qkv").state_dict(), sam.state_dict()
    decoder, frozen = "mask_decoder.1.mask_tokens.weight", "image_encoder.neck.0.weight"
    moved = "mask_decoder.0.output_hypernetworks_mlps.2.layers.0.bias"  # by weight decay alone
    converted = convert_released({**good, moved: good[moved] + 1}, VIT_NANO, CHANNELS, plain)
    assert len(converted.unused) == 15
    core = "image_encoder.blocks.0.attn.qkv.td_G"
    cases: list[tuple[dict[str, Tensor], dict[str, int], str]] = [
        ({k: v for k, v in good.items() if k != decoder}, CHANNELS, f"misses 1 keys \\('{decoder}'"),
        ({**good, "head.weight": good[decoder]}, CHANNELS, "1 unknown keys \\('head.weight'"),
        ({**good, frozen: good[frozen] + 1}, CHANNELS, f"'{frozen}' is not trained there"),
        ({**good, frozen: good[frozen].half()}, CHANNELS, f"'{frozen}' is not trained there"),
        ({**good, decoder: good[decoder] * torch.nan}, CHANNELS, f"'{decoder}' holds values that are NaN"),
        (good, {**CHANNELS, "depth": 2}, "has 17 'no mask' rows, the tasks have 18 channels"),
        (good, {"segmentation": 13, "depth": 4}, "unknown keys \\('mask_decoder.2"),
        ({k: v for k, v in good.items() if k != core}, CHANNELS, f"no core '{core}'"),
        (plain, CHANNELS, "is no model of the released code"),
    ]
    for state, channels, message in cases:
        with pytest.raises(CheckpointError, match=message):
            convert_released(state, VIT_NANO, channels, plain, where="trained.pth")
