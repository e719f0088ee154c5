"""A dense update as Tucker or CP factors: TensorLy's decompositions in float64, each checked against a bound.

TensorLy answers zeros with a singular matrix and an overlarge rank with NaN, and says nothing of a start that
converged to nowhere. Here every result is finite, its residual is measured on the numbers that are kept, and
it is no worse than what singular values prove to be possible; otherwise there is no result.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from math import isfinite, prod, sqrt

import tensorly as tl
import torch
from tensorly.decomposition import parafac, tucker
from torch import Tensor

STARTS = 2  # of the search for a CP: the first from eigenvectors, where they exist
EXACT = 1e-10  # relative residual below which a decomposition counts as exact


@dataclass(frozen=True)
class Fit:
    """What was found for an update.

    Attributes:
        core: Tucker's core (p, q, v) or CP's weights (R).
        factors: The three factor matrices, one row for each index of a mode.
        residual: Norm of what is left over the update's own, in 0..1; of the numbers as they are kept.
    """

    core: Tensor
    factors: list[Tensor]
    residual: float


def checked(update: Tensor, shape: tuple[int, ...]) -> Tensor:
    """The update in float64.

    Raises:
        TypeError: It has integers, booleans or complex numbers.
        ValueError: It has another shape, or holds NaN or infinite values.
    """
    if not update.is_floating_point():
        raise TypeError(f"an update has real numbers, not {update.dtype}: convert it with .double() first")
    if tuple(update.shape) != shape:
        raise ValueError(
            f"an update of these factors has the shape (d, k, T) = {shape}, not {tuple(update.shape)}"
        )
    if not update.isfinite().all():
        raise ValueError("the update holds NaN or infinite values, which have no factors")
    return update.detach().double()


def tucker_fit(update: Tensor, ranks: Sequence[int], dtype: torch.dtype) -> Fit:
    """The closest Tucker update that TensorLy's `tucker` finds; exact if the update has such ranks.

    Args:
        update: What `checked` returned, (d, k, T), not all 0.
        ranks: (p, q, v); what no update of this shape can fill is cut.
        dtype: Of the numbers that are kept.

    Raises:
        ValueError: The result is worse than its bound (singular values beyond the ranks), or not finite.
    """
    ranks = [min(rank, size) for rank, size in zip(ranks, update.shape, strict=True)]
    ranks = [min(rank, prod(ranks) // rank) for rank in ranks]  # an unfolding has no higher rank
    scale = update.abs().max()
    scaled = update / scale
    left = 0.0  # De Lathauwer, De Moor and Vandewalle (2000): squares beyond the ranks, over all modes
    for mode, rank in enumerate(ranks):
        unfolded = scaled.movedim(mode, 0).flatten(1)
        left += float(torch.linalg.svdvals(unfolded)[rank:].square().sum())
    with tl.backend_context("pytorch", local_threadsafe=True):
        core, factors = tucker(scaled, rank=ranks)
    return _kept(scale, scaled, core, factors, dtype, sqrt(left))


def cp_fit(update: Tensor, rank: int, dtype: torch.dtype, seed: int = 0) -> Fit:
    """The closest CP update that is found: a sum of slices, eigenvectors, and TensorLy's `parafac` from both.

    The sum of slices decomposes all slices along a mode by singular values and keeps the `rank` largest of
    all terms. It is exact where the slices' ranks add up to no more than `rank`, as those of stacked LoRAs
    do, and for any update at rank min(dk, dT, kT); it always exists, so nothing worse is ever returned.

    Args:
        update: What `checked` returned, (d, k, T), not all 0.
        rank: Number of terms R; fewer are returned where fewer are needed.
        dtype: Of the numbers that are kept.
        seed: Of all draws.

    Raises:
        ValueError: The result is worse than the sum of slices, or not finite.
    """
    scale = update.abs().max()
    scaled = update / scale
    core, bases = _compressed(scaled)
    exact = EXACT * float(core.norm())
    best = min((_slices(core, rank, mode) for mode in range(3)), key=lambda found: found.residual)
    bound = best.residual
    # no sum of `rank` terms has an unfolding of a higher rank, so none leaves less than this
    spectra = [torch.linalg.svdvals(core.movedim(mode, 0).flatten(1)) for mode in range(3)]
    least = max(float(values[rank:].norm()) for values in spectra)
    if bound > least + exact:
        for found in _searched(core, rank, seed):
            best = min(best, found, key=lambda fit: fit.residual)
            if best.residual <= least + exact:
                break
    factors = [basis @ factor for basis, factor in zip(bases, best.factors, strict=True)]
    return _kept(scale, scaled, best.core, factors, dtype, bound)


def _compressed(scaled: Tensor) -> tuple[Tensor, list[Tensor]]:
    """The update in orthonormal bases of its modes' ranges: as good to decompose, and often far smaller."""
    core, bases = scaled, []
    for mode in range(3):
        left, values, _ = torch.linalg.svd(core.movedim(mode, 0).flatten(1), full_matrices=False)
        basis = left[:, values > values[0] * max(scaled.shape) * torch.finfo(scaled.dtype).eps]
        core = torch.tensordot(basis.T, core.movedim(mode, 0), dims=1).movedim(0, mode)
        bases.append(basis)
    return core, bases


def _slices(core: Tensor, rank: int, mode: int) -> Fit:
    """The largest terms of all slices along a mode, with the norm (not relative) of those left out."""
    left, values, right = torch.linalg.svd(core.movedim(mode, 0), full_matrices=False)
    flat, order = values.flatten().sort(descending=True)
    needed = min(rank, int((flat > 0).sum()))
    which, term = order[:needed] // values.shape[1], order[:needed] % values.shape[1]
    index = torch.eye(core.shape[mode], dtype=core.dtype, device=core.device)[:, which]
    factors = [left[which, :, term].T, right[which, term, :].T]
    factors.insert(mode, index)
    return Fit(flat[:needed], factors, float(flat[needed:].norm()))


def _searched(core: Tensor, rank: int, seed: int) -> Iterator[Fit]:
    """CP updates with their residual norms (not relative); what is not finite is left out."""
    generator = torch.Generator().manual_seed(seed)
    for start in range(STARTS):
        try:
            factors = _eigenvectors(core, rank, generator) if start == 0 else None
            if factors is not None:
                yield from _finite(core, torch.ones_like(core[0, 0, 0]).expand(rank), factors)
            else:
                factors = [torch.randn(n, rank, dtype=core.dtype, generator=generator) for n in core.shape]
            init = (None, [factor.to(core.device) for factor in factors])
            with tl.backend_context("pytorch", local_threadsafe=True):
                weights, factors = parafac(core, rank, n_iter_max=500, tol=1e-12, init=init)
            yield from _finite(core, weights, factors)
        except torch.linalg.LinAlgError:  # type: ignore[attr-defined] # equal columns: nothing to solve
            continue


def _finite(core: Tensor, weights: Tensor, factors: Sequence[Tensor]) -> Iterator[Fit]:
    """The terms with columns of unit length, if there is no NaN among them."""
    lengths = [factor.norm(dim=0) for factor in factors]
    weights = weights * lengths[0] * lengths[1] * lengths[2]
    units = [factor / length for factor, length in zip(factors, lengths, strict=True)]
    residual = _distance(core, weights, units)
    if isfinite(residual):
        yield Fit(weights, units, residual)


def _eigenvectors(core: Tensor, rank: int, generator: torch.Generator) -> list[Tensor] | None:
    """Factors by simultaneous diagonalisation (Leurgans, Ross and Abel, 1993); None for small modes.

    Exact for an update of that rank whose two larger factors have independent columns: two mixtures X and Y
    of the slices along the smallest mode share them, so they are the eigenvectors of X Y^-1.
    """
    order = sorted(range(3), key=lambda mode: -core.shape[mode])
    turned = core.permute(order)
    if turned.shape[1] < rank:
        return None
    ends = [
        torch.linalg.svd(turned.movedim(mode, 0).flatten(1), full_matrices=False)[0][:, :rank]
        for mode in (0, 1)
    ]
    mixtures = torch.randn(2, turned.shape[2], dtype=core.dtype, generator=generator).to(core.device)
    x, y = torch.einsum("abt,ar,bs,mt->mrs", turned, *ends, mixtures)
    values, vectors = torch.linalg.eig(x @ torch.linalg.inv(y))
    first = ends[0] @ torch.where(values.imag < 0, vectors.imag, vectors.real)  # of a pair, both parts
    # each row of what is left has one term alone
    rest = torch.einsum("ra,abt->rbt", torch.linalg.pinv(first), turned)
    left, sizes, right = torch.linalg.svd(rest, full_matrices=False)
    found = [first, (left[:, :, 0] * sizes[:, :1]).T, right[:, 0, :].T]
    return [found[order.index(mode)] for mode in range(3)]


def _distance(scaled: Tensor, core: Tensor, factors: Sequence[Tensor]) -> float:
    with tl.backend_context("pytorch", local_threadsafe=True):
        make = tl.cp_to_tensor if core.ndim == 1 else tl.tucker_to_tensor
        return float((make((core, list(factors))) - scaled).norm())


def _kept(
    scale: Tensor, scaled: Tensor, core: Tensor, factors: Sequence[Tensor], dtype: torch.dtype, bound: float
) -> Fit:
    """The result in the numbers that are kept, if its residual norm is within the bound."""
    core, factors = (core * scale).to(dtype), [factor.to(dtype) for factor in factors]
    distance = _distance(scaled, core.double() / scale, [factor.double() for factor in factors])
    norm = float(scaled.norm())
    allowed = bound + max(EXACT, 16 * torch.finfo(dtype).eps) * norm
    if not distance <= allowed:  # so written, NaN is refused too
        raise ValueError(
            f"the update cannot be kept as factors of {dtype}: {distance / norm:.2g} of its norm is left, "
            f"where {allowed / norm:.2g} is possible; decompose it in float64, or give another rank"
        )
    return Fit(core, factors, distance / norm)
