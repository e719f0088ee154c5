"""SAM's attention with decomposed relative positions, without the whole N x N matrix.

A query's score of a key is `scale * q.k + rel_h[key's row] + rel_w[key's column]`, where the two relative
terms are products of the query with a table (segment_anything/modeling/image_encoder.py,
add_decomposed_rel_pos).

- On the CPU slabs of the matrix that fit the cache are made, used and, where they are many, made again for
  the backward pass: `_Slabs`.
- On other devices the two terms go where torch's fused kernels can take them: `attention_cuda`.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from typing import Any, Final

import torch
from torch import Tensor

from tabench.encoders.sam.attention_cuda import attend_fused, relative

# raised when sums are taken in another order than before, here or in decoders: run.json tells it
ORDER: Final = 3
SLAB: Final = 1 << 18  # scores made at a time of whole matrices: 1 MiB in fp32, a core's second-level cache
ROWS: Final = 256  # rows made at a time of a matrix beyond that: wide enough for products at full rate
KEPT: Final = 1 << 22  # scores of one call that are kept for the backward pass instead of made again
Part = tuple[slice, slice]


def attend(q: Tensor, k: Tensor, v: Tensor, tables: tuple[Tensor, Tensor], grid: tuple[int, int]) -> Tensor:
    """Attention of every token of a grid to every token of it.

    Args:
        q: Queries (G, N, d), one matrix a head, window and image; N = H * W, rows first.
        k: Keys (G, N, d).
        v: Values (G, N, d).
        tables: Relative positions of rows (2H - 1, d) and columns (2W - 1, d), as SAM stores them.
        grid: (H, W).

    Returns:
        (G, N, d).
    """
    if q.device.type != "cpu":
        return attend_fused(q, k, v, tables, grid)
    return _in_slabs(q, k, v, *relative(q, tables, grid))


# its loops, unrolled, would take minutes to compile
@torch.compiler.disable  # type: ignore[untyped-decorator]
def _in_slabs(q: Tensor, k: Tensor, v: Tensor, rel_h: Tensor, rel_w: Tensor) -> Tensor:
    found: Tensor = _Slabs.apply(*map(_autocast, (q, k, v, rel_h, rel_w)))
    return found


def _autocast(tensor: Tensor) -> Tensor:
    """As autocast would have it for a matrix product: all parts of `_Slabs` are of one kind, backward too."""
    if torch.is_autocast_enabled("cpu") and tensor.dtype == torch.float32:
        return tensor.to(torch.get_autocast_dtype("cpu"))
    return tensor


class _Slabs(torch.autograd.Function):
    """softmax(scale * q k^T + rel_h + rel_w) v in slabs; see `attend` for the arguments.

    The order of every sum follows from the shapes alone, whatever the machine, so that a run that goes on
    elsewhere does what it would have done here.
    """

    @staticmethod
    def forward(ctx: Any, q: Tensor, k: Tensor, v: Tensor, rel_h: Tensor, rel_w: Tensor) -> Tensor:
        keep = any(ctx.needs_input_grad) and q.shape[0] * q.shape[1] ** 2 <= KEPT
        kept: list[Tensor] = []
        out, room = torch.empty_like(v), _room(q)
        for g, n in _slabs(q):
            if kept:  # what is kept needs memory of its own
                room = _room(q)
            weights = _weights(q[g, n], k[g], rel_h[g, n], rel_w[g, n], room)
            torch.bmm(weights, v[g], out=out[g, n])
            if keep:
                kept.append(weights)
        ctx.save_for_backward(q, k, v, rel_h, rel_w, *kept)
        return out

    @staticmethod
    def backward(ctx: Any, *gradients: Tensor) -> tuple[Tensor, ...]:
        q, k, v, rel_h, rel_w, *kept = ctx.saved_tensors
        scale, room, other = q.shape[-1] ** -0.5, _room(q), _room(q)
        dq, drel_h, drel_w = (torch.empty_like(t) for t in (q, rel_h, rel_w))
        # summed up transposed: so the wide matrix of scores is read along its rows
        dk, dv = (torch.empty_like(t.mT, memory_format=torch.contiguous_format) for t in (k, v))
        for index, (g, n) in enumerate(_slabs(q)):
            weights = kept[index] if kept else _weights(q[g, n], k[g], rel_h[g, n], rel_w[g, n], room)
            slope = gradients[0][g, n]
            change = torch.bmm(slope, v[g].mT, out=_part(other, weights.shape))
            torch._softmax_backward_data(change, weights, -1, weights.dtype, grad_input=change)
            lattice = change.unflatten(-1, (rel_h.shape[-1], rel_w.shape[-1]))
            torch.sum(lattice, -1, out=drel_h[g, n])
            torch.sum(lattice, -2, out=drel_w[g, n])
            torch.baddbmm(dq[g, n], change, k[g], beta=0, alpha=scale, out=dq[g, n])
            first = int(n.start > 0)  # 0: what the rows before left of another matrix is not read
            # as `out=` and not in place: torch's counter of FLOPs knows the in-place form by no formula
            torch.baddbmm(dk[g], q[g, n].mT, change, beta=first, alpha=scale, out=dk[g])
            torch.baddbmm(dv[g], slope.mT, weights, beta=first, out=dv[g])
        return dq, dk.mT, dv.mT, drel_h, drel_w


def _room(q: Tensor) -> Tensor:
    """Memory for a slab of scores, used again by each: fresh memory costs as much as the scores."""
    matrices, tokens = q.shape[:2]
    whole = SLAB // tokens**2
    return q.new_empty((min(matrices, whole) * tokens if whole else min(ROWS, tokens)) * tokens)


def _part(room: Tensor, shape: Sequence[int]) -> Tensor:
    return room[: math.prod(shape)].view(*shape)


def _weights(q: Tensor, k: Tensor, rel_h: Tensor, rel_w: Tensor, room: Tensor) -> Tensor:
    """Rows of attention weights (g, n, N) of some queries (g, n, d), in `room`; summed in fp32 or better."""
    scores = _part(room, (*q.shape[:2], k.shape[1]))
    lattice = scores.unflatten(-1, (rel_h.shape[-1], rel_w.shape[-1]))
    torch.add(rel_h[..., None], rel_w[..., None, :], out=lattice)
    torch.baddbmm(scores, q, k.mT, alpha=q.shape[-1] ** -0.5, out=scores)
    if scores.dtype in (torch.float32, torch.float64):
        return torch.softmax(scores, -1, out=scores)
    return scores.copy_(scores.softmax(-1, dtype=torch.float32))


def _slabs(q: Tensor) -> Iterator[Part]:
    """Cut G matrices of N x N scores into slabs: some whole matrices, or some rows of one."""
    matrices, tokens = q.shape[:2]
    whole = SLAB // tokens**2
    if whole:
        for first in range(0, matrices, whole):
            yield slice(first, first + whole), slice(0, tokens)
        return
    for matrix in range(matrices):
        for first in range(0, tokens, ROWS):
            yield slice(matrix, matrix + 1), slice(first, first + ROWS)
