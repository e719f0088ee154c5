"""mSAM written out plainly: a loop over tasks and images around SAM's own, unchanged modules."""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor, nn
from torch.func import functional_call

from tabench.encoders.msam import MSam
from tabench.encoders.sam.build import build_image_encoder
from tabench.encoders.sam.family import Backbone
from tabench.methods.factors import CPFactors, TuckerFactors
from tabench.methods.injection import AdaptedLinear


def geometry(window: int = 3, size: int = 32) -> Backbone:
    """A SAM of a few thousand parameters; a grid of 4 pads windows of 3 and fills windows of 2."""
    return Backbone(
        "tiny",
        image_size=size,
        patch_size=8,
        embed_dim=8,
        depth=2,
        num_heads=2,
        global_attn_indexes=(1,),
        window_size=window,
        out_chans=16,
        decoder_heads=2,
        decoder_mlp_dim=16,
        iou_hidden_dim=8,
    )


def randomise(model: nn.Module, seed: int = 0) -> None:
    """Leave no parameter at a special value (zeros hide errors)."""
    generator = torch.Generator().manual_seed(seed)
    with torch.no_grad():
        for parameter in model.parameters():
            noise = torch.randn(parameter.shape, generator=generator, dtype=torch.float64)
            parameter.add_(0.3 * noise.to(parameter.dtype))


def update_of(layer: AdaptedLinear, task: int) -> Tensor:
    """dW[:, :, task] from the written formulas, (d, k)."""
    f = layer.factors
    if isinstance(f, TuckerFactors):
        return torch.einsum("pqv,dp,kq,v->dk", f.G, f.U1, f.U2, f.U3[task])
    if isinstance(f, CPFactors):
        return torch.einsum("r,dr,kr,r->dk", f.w, f.A, f.B, f.C[task])
    return torch.einsum("rd,kr->dk", f.A, f.B)


def plain_embedding(model: MSam, inputs: Tensor, task: int) -> Tensor:
    """One task's image embedding by SAM's own encoder forward with W0 + s * dW_t^T as its weight."""
    encoder = model.image_encoder
    weights = {name.replace(".base.", "."): p for name, p in encoder.named_parameters()}
    for i, block in enumerate(encoder.blocks):
        layer = block.attn.qkv
        if isinstance(layer, AdaptedLinear):
            weights[f"blocks.{i}.attn.qkv.weight"] = (
                layer.base.weight + layer.scale * update_of(layer, task).T
            )
            weights = {name: p for name, p in weights.items() if ".factors." not in name}
    stock = build_image_encoder(model.backbone).to(inputs.dtype)
    assert set(weights) == set(stock.state_dict())
    return functional_call(stock, weights, (inputs,))


def plain_forward(model: MSam, images: Tensor, out_size: tuple[int, int]) -> dict[str, Tensor]:
    """The whole of mSAM, one task and one image at a time; the image's long side fills the input."""
    side, (height, width) = model.backbone.image_size, images.shape[-2:]
    inputs = images.new_zeros(len(images), 3, side, side)
    inputs[..., :height, :width] = images
    pe = model.pe_layer
    frequencies = pe.positional_encoding_gaussian_matrix.float()
    grid = model.backbone.grid
    centres = (torch.arange(grid) + 0.5) / grid
    coordinates = torch.stack(
        [centres[None, :].expand(grid, grid), centres[:, None].expand(grid, grid)], dim=-1
    )
    angles = 2 * torch.pi * ((2 * coordinates - 1) @ frequencies)
    dense_pe = torch.cat([angles.sin(), angles.cos()], dim=-1).permute(2, 0, 1)[None].to(images.dtype)
    outputs = {}
    for index, (task, channels) in enumerate(model.channels.items()):
        masks = []
        for image in inputs:
            embedding = plain_embedding(model, image[None], index)
            low_res, _ = model.decoders[task](
                image_embeddings=embedding,
                image_pe=dense_pe,
                sparse_prompt_embeddings=images.new_zeros(channels, 0, model.backbone.out_chans),
                dense_prompt_embeddings=model.no_mask[task][:, :, None, None].expand(-1, -1, grid, grid),
                multimask_output=False,
            )
            full = F.interpolate(low_res.transpose(0, 1), (side, side), mode="bilinear")
            masks.append(F.interpolate(full[..., :height, :width], out_size, mode="bilinear"))
        outputs[task] = torch.cat(masks)
    return outputs
