"""Lattice noise: a hash of whole coordinates, and smooth values between them."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from tabench.worlds.scenes.dice import Floats

_X, _Y, _Z, _S = (np.uint32(k) for k in (0x9E3779B1, 0x85EBCA77, 0xC2B2AE3D, 0x27D4EB2F))
Lattice = npt.NDArray[np.int64]


def lattice_hash(cells: Lattice, seed: int) -> Floats:
    """A number in [0, 1) for each row of whole coordinates (n, 3)."""
    c = cells.astype(np.uint32)
    return _mix(c[:, 0] * _X ^ c[:, 1] * _Y ^ c[:, 2] * _Z ^ _salt(seed, len(c)))


def value_noise(points: Floats, seed: int) -> Floats:
    """Smooth noise in [0, 1) with a period of about one unit, (n, 3) -> (n,)."""
    base = np.floor(points).astype(np.int64)
    f = points - base
    f = f * f * (3.0 - 2.0 * f)
    c = base.astype(np.uint32)
    xs = (c[:, 0] * _X, (c[:, 0] + np.uint32(1)) * _X)
    ys = (c[:, 1] * _Y, (c[:, 1] + np.uint32(1)) * _Y)
    salt = _salt(seed, len(c))
    zs = (c[:, 2] * _Z ^ salt, (c[:, 2] + np.uint32(1)) * _Z ^ salt)
    planes = []
    for z in zs:
        rows = []
        for y in ys:
            a, b = _mix(xs[0] ^ y ^ z), _mix(xs[1] ^ y ^ z)
            rows.append(a + f[:, 0] * (b - a))
        planes.append(rows[0] + f[:, 1] * (rows[1] - rows[0]))
    return planes[0] + f[:, 2] * (planes[1] - planes[0])


def _salt(seed: int, size: int) -> npt.NDArray[np.uint32]:
    return np.full(size, seed & 0xFFFFFFFF, dtype=np.uint32) * _S


def _mix(h: npt.NDArray[np.uint32]) -> Floats:
    h = (h ^ (h >> np.uint32(15))) * np.uint32(0x2C1B3C6D)
    h = (h ^ (h >> np.uint32(12))) * np.uint32(0x297A2D39)
    h = h ^ (h >> np.uint32(15))
    return h.astype(np.float64) * (1.0 / 4294967296.0)
