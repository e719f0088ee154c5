"""SAM's attention on devices other than the CPU: torch's fused kernels, fed in one of three ways.

All compute what `attention.attend` says, and differ in where the relative terms go:

- `widened`: both become dimensions of queries and keys, [scale * q, rel_h, rel_w] . [k, one-hot of the row,
  one-hot of the column]. 64 dimensions and a grid of 64 make heads of 192: three times the products.
- `by_rows`: all queries of row i add the same to a key, q . (scale * k + R_h[i - key's row]), so each row has
  keys of its own and the columns alone are dimensions: 128 of them, at the price of H copies of the keys.
- `flex`: torch's `flex_attention` adds both to the score. Nothing is widened, but the gradients of the terms
  are scattered by atomic additions, whose order is any (torch/_inductor/kernel/flex/common.py).

`DEFAULT` is taken unless `using` says otherwise; what it should say is measured in `attention_choice`.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from functools import cache
from typing import Any, Final

import torch
from torch import Tensor
from torch.nn import functional as F

_ALIGNED: Final = 8  # fused kernels want head dimensions that are multiples of this
_LAUNCHED: Final = 65_535  # matrices of one call: the longest second or third side of a CUDA grid
Tables = tuple[Tensor, Tensor]
Grid = tuple[int, int]
Attend = Callable[[Tensor, Tensor, Tensor, Tables, Grid], Tensor]


def attend_fused(q: Tensor, k: Tensor, v: Tensor, tables: Tables, grid: Grid) -> Tensor:
    """Attention by the kernel that is in use for such a grid; see `attention.attend`."""
    if len(q) > _LAUNCHED:
        parts = zip(q.split(_LAUNCHED), k.split(_LAUNCHED), v.split(_LAUNCHED), strict=True)
        return torch.cat([attend_fused(*part, tables, grid) for part in parts])
    return KERNELS[_in_use.get(f"{grid[0]}x{grid[1]}", DEFAULT)](q, k, v, tables, grid)


@contextmanager
def using(kernels: Mapping[str, str]) -> Iterator[None]:
    """Take these kernels inside the block, by grids such as "14x14"; for other grids `DEFAULT`.

    Raises:
        ValueError: There is no such kernel.
    """
    if unknown := set(kernels.values()) - set(KERNELS):
        raise ValueError(f"no kernel for attention is called {', '.join(sorted(unknown))}")
    global _in_use
    before, _in_use = _in_use, kernels
    try:
        yield
    finally:
        _in_use = before


def relative(q: Tensor, tables: Tables, grid: Grid) -> tuple[Tensor, Tensor]:
    """The relative terms (G, N, H) and (G, N, W) of each query."""
    rows, columns = (table[_offsets(size, table.device)] for table, size in zip(tables, grid, strict=True))
    lattice = q.unflatten(1, grid)  # one for both: the order in which q's gradients are added hangs on it
    rel_h = torch.einsum("ghwc,hkc->ghwk", lattice, rows)
    rel_w = torch.einsum("ghwc,wkc->ghwk", lattice, columns)
    return rel_h.flatten(1, 2), rel_w.flatten(1, 2)


def _offsets(size: int, device: torch.device) -> Tensor:
    """Index of query i's offset to key j in a table of 2 * size - 1 offsets, (size, size)."""
    place = torch.arange(size, device=device)
    return place[:, None] - place[None, :] + size - 1


def widened(q: Tensor, k: Tensor, v: Tensor, tables: Tables, grid: Grid) -> Tensor:
    """Rows and columns as dimensions of the heads."""
    rel_h, rel_w = relative(q, tables, grid)
    query = _beside(q * q.shape[-1] ** -0.5, rel_h.to(q), rel_w.to(q))
    key = _beside(k, *(places.to(k).expand(len(k), -1, -1) for places in _one_hot(grid, k.device)))
    return _fused(query[None], key[None], v[None])[0]


def by_rows(q: Tensor, k: Tensor, v: Tensor, tables: Tables, grid: Grid) -> Tensor:
    """Rows in the keys, each row of queries its own; columns as dimensions of the heads."""
    height, width = grid
    table = tables[0][_offsets(height, k.device)].to(k)  # (query's row, key's row, d)
    shifted = (k * k.shape[-1] ** -0.5).unflatten(1, grid)[:, None] + table[:, :, None]
    places = _one_hot(grid, k.device)[1].to(k)
    key = _beside(shifted.flatten(2, 3), places.expand(len(k), height, -1, -1))
    lattice, columns = q.unflatten(1, grid), tables[1][_offsets(width, q.device)]
    query = _beside(lattice, torch.einsum("ghwc,wkc->ghwk", lattice, columns).to(q))
    return _fused(query, key, v[:, None]).flatten(1, 2)


def flex(q: Tensor, k: Tensor, v: Tensor, tables: Tables, grid: Grid) -> Tensor:
    """Rows and columns added to each score."""
    (rel_h, rel_w), width = relative(q, tables, grid), grid[1]

    def score_mod(score: Tensor, batch: Tensor, g: Tensor, query: Tensor, key: Tensor) -> Tensor:
        return score + rel_h[g, query, key // width] + rel_w[g, query, key % width]

    found: Tensor = _flex_attention()(q[None], k[None], v[None], score_mod=score_mod)
    return found[0]


def _flex_attention() -> Callable[..., Any]:
    from torch.nn.attention.flex_attention import flex_attention  # it loads the compiler, which takes seconds

    # Blocks that are compiled as a whole (`--compile`) take it in; a call of its own must be compiled.
    function: Callable[..., Any] = flex_attention
    return function if torch.compiler.is_compiling() else _compiled(function)


@cache
def _compiled(function: Callable[..., Any], backend: str = "inductor") -> Callable[..., Any]:
    # Windows and whole grids, training and evaluation, whole and last batches are compiled apart.
    torch._dynamo.config.recompile_limit = max(torch._dynamo.config.recompile_limit, 128)
    # `fullgraph` makes what cannot be compiled an error. Torch would run it otherwise: with the whole matrix
    # of scores and, under activation checkpointing, with wrong gradients of what `score_mod` captures.
    compiled: Callable[..., Any] = torch.compile(function, dynamic=False, fullgraph=True, backend=backend)
    return compiled


def _fused(query: Tensor, key: Tensor, value: Tensor) -> Tensor:
    """softmax(query key^T) value by torch's fused kernels; a value may be that of several keys."""
    dim, device = value.shape[-1], value.device.type
    # Flash kernels want equal head dimensions; single precision has none, and then what is added is waste.
    if value.dtype in (torch.bfloat16, torch.float16) or torch.is_autocast_enabled(device):
        value = F.pad(value, (0, query.shape[-1] - dim))
    value = value.expand(*key.shape[:-1], -1)  # after the padding, which would write every copy out
    return F.scaled_dot_product_attention(query, key, value, scale=1.0)[..., :dim]


def _beside(*parts: Tensor) -> Tensor:
    """Parts side by side as the dimensions of heads, and zeros up to what kernels want."""
    missing = -sum(part.shape[-1] for part in parts) % _ALIGNED
    return torch.cat([*parts, parts[0].new_zeros(()).expand(*parts[0].shape[:-1], missing)], dim=-1)


def _one_hot(grid: Grid, device: torch.device) -> tuple[Tensor, Tensor]:
    """Each token's row and column as one-hot vectors, (H * W, H) and (H * W, W)."""
    rows, columns = (torch.eye(size, device=device) for size in grid)
    return rows.repeat_interleave(grid[1], dim=0), columns.repeat(grid[0], 1)


DEFAULT: Final = "widened"
KERNELS: Final[dict[str, Attend]] = {DEFAULT: widened, "rows": by_rows, "flex": flex}
VARYING: Final = frozenset({"flex"})  # two runs of these may differ in the last digits
# Of the process and not of a thread or context: what is computed again for the backward pass is so in
# autograd's own threads, and must go by the same kernel.
_in_use: Mapping[str, str] = {}
