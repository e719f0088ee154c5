"""Ways to SAM's attention by torch's fused kernels, for devices other than the CPU.

All compute what `attention.attend` says, and differ in where the relative terms go:

- `widened`: both become dimensions of queries and keys, [scale * q, rel_h, rel_w] . [k, one-hot of the row,
  one-hot of the column]. 64 dimensions and a grid of 64 make heads of 192: three times the products.
- `by_rows`: all queries of row i add the same to a key, q . (scale * k + R_h[i - key's row]), so each row has
  keys of its own and the columns alone are dimensions: 128 of them, at the price of H copies of the keys.
- `flex`: torch's `flex_attention` adds both to the score. Nothing is widened, but the gradients of the terms
  are scattered by atomic additions, whose order is any (torch/_inductor/kernel/flex/common.py), so that two
  runs may differ. Under activation checkpointing torch 2.15 gives wrong gradients of the terms without a word
  (seen on the CPU by its eager backward), so it is never taken there.

`widened` is taken unless `using` says otherwise; what it should say is measured in `attention_choice`.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from contextlib import AbstractContextManager, contextmanager
from dataclasses import dataclass
from functools import cache
from typing import Any, Final

import torch
from torch import Tensor
from torch.nn import functional as F

_ALIGNED: Final = 8  # fused kernels want head dimensions that are multiples of this
Tables = tuple[Tensor, Tensor]
Grid = tuple[int, int]
Attend = Callable[[Tensor, Tensor, Tensor, Tables, Grid], Tensor]
Kind = tuple[int, int, str]  # a grid, and the type that products are taken in, such as "bfloat16"


def attend_fused(q: Tensor, k: Tensor, v: Tensor, tables: Tables, grid: Grid) -> Tensor:
    """Attention by the way that is in use for such a grid; see `attention.attend`."""
    return WAYS[_IN_USE.get((*grid, _product_type(q)), DEFAULT)].attend(q, k, v, tables, grid)


@contextmanager
def using(ways: Mapping[Kind, str]) -> Iterator[None]:
    """Take these ways inside the block, by name; what is not told goes by `DEFAULT`."""
    before = dict(_IN_USE)
    _IN_USE.clear()
    _IN_USE.update(ways)
    try:
        yield
    finally:
        _IN_USE.clear()
        _IN_USE.update(before)


def while_recomputed() -> AbstractContextManager[None]:
    """Inside, the ways in use that do not hold under activation checkpointing give way to `DEFAULT`."""
    return using({kind: way for kind, way in _IN_USE.items() if WAYS[way].recomputable})


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


def _product_type(q: Tensor) -> str:
    """The type that autocast takes products in, or the tensor's own."""
    device = q.device.type
    cast = q.dtype == torch.float32 and torch.is_autocast_enabled(device)
    return str(torch.get_autocast_dtype(device) if cast else q.dtype).removeprefix("torch.")


def widened(q: Tensor, k: Tensor, v: Tensor, tables: Tables, grid: Grid) -> Tensor:
    """Rows and columns as dimensions of the heads."""
    rel_h, rel_w = relative(q, tables, grid)
    dim = q.shape[-1]
    pad = -(dim + sum(grid)) % _ALIGNED
    query = F.pad(torch.cat([q * dim**-0.5, rel_h.to(q), rel_w.to(q)], dim=-1), (0, pad))
    places = F.pad(torch.cat(_one_hot(grid, k.device), dim=-1).to(k.dtype), (0, pad))
    key = torch.cat([k, places.expand(len(k), -1, -1)], dim=-1)
    value = F.pad(v, (0, query.shape[-1] - dim))  # flash kernels want equal head dimensions
    found = F.scaled_dot_product_attention(query[None], key[None], value[None], scale=1.0)
    return found[0, ..., :dim]


def by_rows(q: Tensor, k: Tensor, v: Tensor, tables: Tables, grid: Grid) -> Tensor:
    """Rows in the keys, each row of queries its own; columns as dimensions of the heads."""
    (height, width), dim = grid, q.shape[-1]
    pad = -(dim + width) % _ALIGNED
    table = tables[0][_offsets(height, k.device)].to(k.dtype)  # (query's row, key's row, d)
    shifted = (k * dim**-0.5).unflatten(1, grid)[:, None] + table[:, :, None]
    places = F.pad(_one_hot(grid, k.device)[1].to(k.dtype), (0, pad))
    key = torch.cat([shifted.flatten(2, 3), places.expand(len(k), height, -1, -1)], dim=-1)
    lattice, columns = q.unflatten(1, grid), tables[1][_offsets(width, q.device)]
    rel_w = torch.einsum("ghwc,wkc->ghwk", lattice, columns)
    query = F.pad(torch.cat([lattice, rel_w.to(q)], dim=-1), (0, pad))
    value = F.pad(v, (0, query.shape[-1] - dim))[:, None].expand(-1, height, -1, -1)
    found = F.scaled_dot_product_attention(query, key, value, scale=1.0)
    return found[..., :dim].flatten(1, 2)


def flex(q: Tensor, k: Tensor, v: Tensor, tables: Tables, grid: Grid) -> Tensor:
    """Rows and columns added to each score."""
    score = added(*relative(q, tables, grid))
    found: Tensor = _flex_attention(q.device.type != "cpu")(q[None], k[None], v[None], score_mod=score)
    return found[0]


def added(rel_h: Tensor, rel_w: Tensor) -> Callable[..., Tensor]:
    """The `score_mod` that adds relative terms (G, N, H) and (G, N, W) to the scores (1, G, N, N)."""
    width = rel_w.shape[-1]

    def score_mod(score: Tensor, batch: Tensor, g: Tensor, query: Tensor, key: Tensor) -> Tensor:
        return score + rel_h[g, query, key // width] + rel_w[g, query, key % width]

    return score_mod


@cache
def _flex_attention(compiled: bool) -> Callable[..., Any]:
    """Torch's `flex_attention`, which makes the whole matrix of scores unless it is compiled."""
    from torch.nn.attention.flex_attention import flex_attention  # it loads the compiler, which takes seconds

    if not compiled:
        return flex_attention
    # Windows and whole grids, training and evaluation, whole and last batches are compiled apart.
    torch._dynamo.config.recompile_limit = max(torch._dynamo.config.recompile_limit, 32)
    return torch.compile(flex_attention, dynamic=False)


def _one_hot(grid: Grid, device: torch.device) -> tuple[Tensor, Tensor]:
    """Each token's row and column as one-hot vectors, (H * W, H) and (H * W, W)."""
    rows, columns = (torch.eye(size, device=device) for size in grid)
    return rows.repeat_interleave(grid[1], dim=0), columns.repeat(grid[0], 1)


@dataclass(frozen=True)
class Way:
    """A way to attention.

    Attributes:
        deterministic: Whether two runs give the same gradients to the last bit.
        recomputable: Whether its gradients are right under activation checkpointing.
    """

    attend: Attend
    deterministic: bool = True
    recomputable: bool = True


DEFAULT: Final = "widened"
WAYS: Final = {
    DEFAULT: Way(widened),
    "rows": Way(by_rows),
    "flex": Way(flex, deterministic=False, recomputable=False),
}
# Of the process and not of a thread or context: what is computed again for the backward pass is so in
# autograd's own threads, and must go the same way.
_IN_USE: Final[dict[Kind, str]] = {}
