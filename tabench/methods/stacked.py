"""The stacked update of one layer, reduced to a core small enough to decompose exactly.

dW (d, k, T) is never built: with U1 = Q1 R1 and U2 = Q2 R2, dW = core x1 Q1 x2 Q2, and since Q1 and Q2 have
orthonormal columns the core has dW's singular values in every unfolding, its norm and its inner products.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

Array = npt.NDArray[np.float64]
MODES = (1, 2, 3)


@dataclass(frozen=True)
class Stacked:
    """An update dW (d, k, T) of T tasks, d inputs and k outputs.

    Attributes:
        shape: (d, k, T).
        core: (a, b, T) with a <= d and b <= k.
        rows: The tasks' own rows (T, v) of the factorisation (U3 or C); None where it has none.
    """

    shape: tuple[int, int, int]
    core: Array
    rows: Array | None = None

    @classmethod
    def tucker(cls, G: Array, U1: Array, U2: Array, U3: Array) -> Stacked:
        """Tucker: dW = G x1 U1 x2 U2 x3 U3 with G (p, q, v), U1 (d, p), U2 (k, q), U3 (T, v)."""
        core = np.einsum("pqv,ap,bq,tv->abt", G, _triangle(U1), _triangle(U2), U3, optimize=True)
        return cls((len(U1), len(U2), len(U3)), core, U3)

    @classmethod
    def cp(cls, w: Array, A: Array, B: Array, C: Array) -> Stacked:
        """CP: dW = sum_r w_r a_r o b_r o c_r with w (R), A (d, R), B (k, R), C (T, R)."""
        core = np.einsum("r,ar,br,tr->abt", w, _triangle(A), _triangle(B), C, optimize=True)
        return cls((len(A), len(B), len(C)), core, C)

    @classmethod
    def loras(cls, pairs: Sequence[tuple[Array, Array]]) -> Stacked:
        """Separate LoRAs: dW[:, :, t] = (B_t A_t)^T of A_t (r, d) and B_t (k, r); r may differ."""
        # One basis for all tasks: side by side, so that slices of different tasks can be compared.
        left = _triangle(np.concatenate([A.T for A, _ in pairs], axis=1))
        right = _triangle(np.concatenate([B for _, B in pairs], axis=1))
        ends = np.cumsum([len(A) for A, _ in pairs])[:-1]
        slices = zip(np.split(left, ends, axis=1), np.split(right, ends, axis=1), strict=True)
        core = np.stack([a @ b.T for a, b in slices], axis=2)
        return cls((pairs[0][0].shape[1], len(pairs[0][1]), len(pairs)), core)

    def singular_values(self, mode: int) -> Array:
        """Singular values of the mode-n unfolding (n = 1 inputs, 2 outputs, 3 tasks), largest first.

        At most as many as the factorisation can make other than 0.
        """
        unfolded = np.moveaxis(self.core, mode - 1, 0).reshape(self.core.shape[mode - 1], -1)
        return np.asarray(np.linalg.svd(unfolded, compute_uv=False))

    def separate_values(self) -> Array:
        """Singular values of all slices together, largest first.

        Those of the mode-1 and mode-2 unfoldings if no two tasks shared a direction: the unfolding is then
        a row (or column) of blocks with mutually orthogonal ranges.
        """
        values = np.linalg.svd(np.moveaxis(self.core, 2, 0), compute_uv=False).ravel()
        return np.asarray(np.sort(values)[::-1])

    def gram(self) -> Array:
        """Inner products (T, T) of the tasks' updates."""
        flat = self.core.reshape(-1, self.core.shape[2])
        return np.asarray(flat.T @ flat)


def effective_rank(values: Array) -> float:
    """Roy and Vetterli's effective rank (EUSIPCO 2007): exp of the entropy of values / sum(values).

    Raises:
        ValueError: All values are 0.
    """
    total = float(values.sum())
    if total <= 0:
        raise ValueError("an update of 0 has no effective rank")
    shares = values[values > 0] / total
    return float(np.exp(-(shares * np.log(shares)).sum()))


def cosines(gram: Array) -> list[list[float | None]]:
    """Cosines from inner products (T, T); None beside a vector of 0."""
    norms = np.sqrt(np.diag(gram))
    return [
        [float(gram[i, j] / (a * b)) if a > 0 and b > 0 else None for j, b in enumerate(norms)]
        for i, a in enumerate(norms)
    ]


def _triangle(factor: Array) -> Array:
    """R (min(n, r), r) of a factor's (n, r) QR decomposition."""
    return np.asarray(np.linalg.qr(factor, mode="r"))
