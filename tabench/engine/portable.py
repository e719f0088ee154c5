"""Products, roots and arcs that are the same on every x86-64 processor with AVX2, in the place of MKL's.

MKL looks at the processor's vendor. In its compatible mode it does not, but its products then take four
times as long, and its square root, arc cosine and arc tangent still start from the processor's approximate
reciprocal root, which vendors tabulate differently. So torch's CPU kernels of these operations are replaced,
for the process: every way to them, forward, backward or with `out`, comes by here. The products are those of
OpenBLAS, which NumPy brings along and which uses the code of one processor everywhere if it is told so.
"""

from __future__ import annotations

import math
import warnings
from collections.abc import Callable
from typing import Any

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor

Array = npt.NDArray[Any]

# elements; `torch.empty` fills what it makes, where algorithms must be deterministic, and more takes longer
_SMALL = 16384
_replaced: list[torch.library.Library] = []  # the kernels are torch's own again once it is collected


def replace_kernels() -> None:
    """Replace torch's kernels in this process; once is enough."""
    if _replaced:
        return
    library = torch.library.Library("aten", "IMPL")
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # that kernels are replaced
        for name, kernel in _KERNELS.items():
            original = torch.library.get_kernel(f"aten::{name}", "CPU")
            library.impl(name, _where_real(kernel, original), "CPU", with_keyset=True)
    _replaced.append(library)


def _where_real(kernel: Callable[..., Tensor], original: Any) -> Callable[..., Tensor]:
    """The kernel for what NumPy computes in single or double precision; torch's own for the rest."""

    def chosen(keys: Any, first: Tensor, *others: Any, **named: Any) -> Tensor:
        if first.dtype in (torch.float32, torch.float64):
            return kernel(first, *others, **named)
        return original.call_boxed(keys, first, *others, **named)

    return chosen


def _product(a: Tensor, b: Tensor, *, out: Tensor | None = None) -> Tensor:
    """The product of two matrices, or of two stacks of equally many."""
    shape = (*a.shape[:-1], b.shape[-1])
    if out is None and (count := math.prod(shape)) < _SMALL:
        out = torch.empty(shape, dtype=a.dtype)
    elif out is None:
        out = torch.empty(0, dtype=a.dtype).set_(torch.UntypedStorage(count * a.itemsize)).view(shape)
    elif out.shape != shape:
        out.resize_(shape)
    if a.shape[-1] == 1:
        return torch.mul(a, b, out=out)  # nothing is added up
    np.matmul(_array(a), _array(b), out=_numpy(out))
    return out


def _array(x: Tensor) -> Array:
    """A matrix or a stack for BLAS: it takes rows or columns that lie one after the other, and no others."""
    if x.is_contiguous():
        return _numpy(x)
    (rows, columns), (down, along) = x.shape[-2:], x.stride()[-2:]
    fits = (along == 1 and down >= columns) or (down == 1 and along >= rows)
    return _numpy(x if fits else x.contiguous())


def _numpy(x: Tensor) -> Array:
    """The same memory as NumPy's; what is computed with it has its derivative in torch."""
    return (x.detach() if x.requires_grad else x).numpy()


def _sum(
    total: Tensor, a: Tensor, b: Tensor, *, beta: float = 1, alpha: float = 1, out: Tensor | None = None
) -> Tensor:
    """``beta * total + alpha * (a @ b)``; with a beta of 0, what `total` holds does not count."""
    if alpha != 1:  # of the smaller one, as there is less to read
        a, b = (a * alpha, b) if a.numel() <= b.numel() else (a, b * alpha)
    if beta == 0:
        return _product(a, b, out=out)
    found = _product(a, b)
    return torch.add(found, total, alpha=beta, out=found if out is None else out)


def _sum_into(total: Tensor, a: Tensor, b: Tensor, *, beta: float = 1, alpha: float = 1) -> Tensor:
    return _sum(total, a, b, beta=beta, alpha=alpha, out=total)


def _root(x: Tensor) -> Tensor:
    """Rounded to the nearest value, as the processor's own instruction does."""
    with np.errstate(invalid="ignore"):  # of a negative number it is NaN, as everywhere in torch
        return torch.from_numpy(np.asarray(np.sqrt(_numpy(x))))


def _arc_cosine(x: Tensor) -> Tensor:
    return torch.atan2(_root((1 - x) * (1 + x)), x)


def _arc_tangent(x: Tensor) -> Tensor:
    return torch.atan2(x, torch.ones_like(x))


def _ways(name: str, function: Callable[[Tensor], Tensor]) -> dict[str, Callable[..., Tensor]]:
    """The kernels of a function of each element."""

    def into(x: Tensor, *, out: Tensor) -> Tensor:
        return out.resize_(x.shape).copy_(function(x))

    return {name: function, f"{name}_": lambda x: x.copy_(function(x)), f"{name}.out": into}


_KERNELS: dict[str, Callable[..., Tensor]] = {
    **dict.fromkeys(("mm", "mm.out", "bmm", "bmm.out"), _product),
    **dict.fromkeys(("addmm", "addmm.out", "baddbmm", "baddbmm.out"), _sum),
    **dict.fromkeys(("addmm_", "baddbmm_"), _sum_into),
    **_ways("sqrt", _root),
    **_ways("acos", _arc_cosine),
    **_ways("atan", _arc_tangent),
}
