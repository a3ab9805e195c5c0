"""Small structures, displacements and phase images with a known truth."""

from __future__ import annotations

import math

import numpy as np
from scipy.spatial.distance import cdist

# Doyle & Turner (1968), doi:10.1107/S0567739468000756: f(q) = Σ a exp(−b q²/4) for silicon
SI_A = np.array([2.1293, 2.5333, 0.8349, 0.3216])
SI_B = np.array([57.7748, 16.4756, 2.8796, 0.3860])
VOLT_PER_FACTOR = 47.878  # V Å², h²/(2π m e)
SIGMA_200KV = 7.29e-4  # rad / (V Å)


def silicon_110(repeat_y: int, repeat_x: int) -> tuple[np.ndarray, np.ndarray]:
    """Columns (atoms, 2) [Å] of Si along [110] and the cell (2,); dumbbells of 1.36 Å along y."""
    a = 5.431
    unit = np.array([(0, 0), (0.25, 0), (0.5, 0.5), (0.75, 0.5)])
    return _repeat(unit, np.array([a, a / np.sqrt(2)]), repeat_y, repeat_x)


def honeycomb(repeat_y: int, repeat_x: int) -> tuple[np.ndarray, np.ndarray]:
    """HBN layer: (atoms, 2) [Å] in a rectangular cell (2,); bonds of 1.446 Å."""
    bond = 2.504 / np.sqrt(3)
    unit = np.array([(0, 0), (1 / 3, 0), (1 / 2, 1 / 2), (5 / 6, 1 / 2)])
    return _repeat(unit, np.array([3 * bond, 2.504]), repeat_y, repeat_x)


def twin_boundary(width: int) -> np.ndarray:
    """Two mirror-related Si [110] crystals: strained distances near the plane they share."""
    grain, _ = silicon_110(width, width)
    angle = np.deg2rad(19.47)
    turn = np.array([[np.cos(angle), -np.sin(angle)], [np.sin(angle), np.cos(angle)]])
    upper = (grain - grain.mean(axis=0)) @ turn.T
    upper = upper[upper[:, 0] > 0.6]
    both = np.concatenate([upper, upper * [-1, 1]])
    return both[np.abs(both).max(axis=1) < 10]


def covariance(positions: np.ndarray, cell: np.ndarray, rms: float = 0.07) -> np.ndarray:
    """Positive definite (2 atoms, 2 atoms) [Å²]: neighbours move together, along the bond most."""
    apart = positions[:, None] - positions
    apart -= cell * np.round(apart / cell)
    distance = np.linalg.norm(apart, axis=-1)
    along = apart / np.maximum(distance, 1e-9)[..., None]
    bond = 0.25 * np.exp(-((distance - 2.35) ** 2)) * (distance > 0.1)
    matrix = 0.7 * np.exp(-distance / 4)[:, None, :, None] * np.eye(2)[:, None, :]
    matrix = matrix + np.einsum("ij,ija,ijb->iajb", bond, along, along)
    flat = matrix.reshape(2 * len(positions), -1)
    values, vectors = np.linalg.eigh((flat + flat.T) / 2)
    flat = (vectors * np.clip(values, 1e-3, None)) @ vectors.T
    scale = np.sqrt(np.diag(flat))
    return flat / scale / scale[:, None] * rms**2


def draw(matrix: np.ndarray, states: int, rng: np.random.Generator) -> np.ndarray:
    """Gaussian displacements (states, atoms, 2) with that covariance and zero mean over the states."""
    u = rng.standard_normal((states, len(matrix))) @ np.linalg.cholesky(matrix).T
    u = u.reshape(states, -1, 2)
    return u - u.mean(axis=0)


def phase_images(
    positions: np.ndarray, cell: np.ndarray, pixel: float, atoms_per_column: int = 2
) -> tuple[np.ndarray, np.ndarray]:
    """Projected phase of ``positions`` (states, atoms, 2), band limited: (states, y, x) rad, pixel (2,) Å."""
    shape = np.round(cell / pixel).astype(int)
    size = cell / shape
    q_y, q_x = np.fft.fftfreq(shape[0], size[0]), np.fft.fftfreq(shape[1], size[1])
    q2 = q_y[:, None] ** 2 + q_x**2
    factor = sum(a * np.exp(-b * q2 / 4) for a, b in zip(SI_A, SI_B, strict=True))
    factor = factor * atoms_per_column * VOLT_PER_FACTOR * SIGMA_200KV / size.prod()
    images = []
    for atoms in positions:
        shift_y = np.exp(-2j * np.pi * np.outer(q_y, atoms[:, 0]))
        shift_x = np.exp(-2j * np.pi * np.outer(atoms[:, 1], q_x))
        images.append(np.fft.ifft2((shift_y @ shift_x) * factor).real)
    return np.array(images), size


def turn(degrees: float) -> np.ndarray:
    """Rotation for (y, x) vectors in rows: from +x towards +y."""
    c, s = math.cos(math.radians(degrees)), math.sin(math.radians(degrees))
    return np.array([[c, -s], [s, c]])


def patch(kind: str, radius: float = 11.0, *, angle: float = 0.0, strain: tuple = (1.0, 1.0)) -> np.ndarray:
    """Round patch (atoms, 2) [Å] about the origin, strained and then turned."""
    make = {"honeycomb": honeycomb, "silicon": silicon_110}[kind]
    where, _ = make(20, 26)
    where = (where - where.mean(axis=0)) @ np.diag(strain) @ turn(angle)
    return where[np.linalg.norm(where, axis=1) < radius]


def symmetric_tensor(where: np.ndarray) -> np.ndarray:
    """A tensor with the symmetry of the structure: it depends on the vectors between atoms only."""
    apart = where[:, None] - where
    length = np.linalg.norm(apart, axis=-1)
    unit = apart / np.maximum(length, 1e-9)[..., None]
    blocks = np.exp(-length / 3)[..., None, None] * np.eye(2)
    blocks = blocks + 0.3 * np.exp(-length / 2)[..., None, None] * unit[..., None] * unit[..., None, :]
    return blocks.transpose(0, 2, 1, 3) * 0.005


def interior(positions: np.ndarray, cell: np.ndarray, margin: float = 1.2) -> np.ndarray:
    """Atoms at least ``margin`` [Å] from the edge of the cell, bool (atoms,)."""
    return ((positions > margin) & (positions < cell - margin)).all(axis=1)


def unmatched(found: np.ndarray, true: np.ndarray, tolerance: float) -> int:
    """How many atoms of either list lack a partner within ``tolerance`` [Å] in the other."""
    distance = cdist(found, true)
    return int((distance.min(axis=0) > tolerance).sum() + (distance.min(axis=1) > tolerance).sum())


def _repeat(unit: np.ndarray, cell: np.ndarray, ny: int, nx: int) -> tuple[np.ndarray, np.ndarray]:
    shift = np.stack(np.meshgrid(np.arange(ny), np.arange(nx), indexing="ij"), axis=-1).reshape(-1, 1, 2)
    return ((unit + shift) * cell).reshape(-1, 2), cell * [ny, nx]
