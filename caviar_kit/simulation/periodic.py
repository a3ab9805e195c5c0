"""Two helpers for specimens that are periodic in the plane; vectors are (y, x)."""

from __future__ import annotations

import numpy as np

__all__ = ["lattice_shifts", "nearest_image"]


def nearest_image(vectors: np.ndarray, cell: np.ndarray) -> np.ndarray:
    """Shortest periodic image of short in-plane ``vectors`` (n, 2) [Å] in a (3, 3) ``cell`` [Å]."""
    plane = _plane(cell)
    return vectors - np.round(vectors @ np.linalg.inv(plane)) @ plane


def lattice_shifts(
    cell: np.ndarray, positions: np.ndarray, centre: np.ndarray, half: np.ndarray
) -> np.ndarray:
    """Lattice vectors (n, 2) [Å] bringing any of ``positions`` (m, 2) into the box ``centre`` ± ``half``."""
    inverse = np.linalg.inv(_plane(cell))
    corners = (centre + half * np.array([[-1, -1], [-1, 1], [1, -1], [1, 1]])) @ inverse
    atoms = positions @ inverse
    low = np.ceil(corners.min(axis=0) - atoms.max(axis=0)).astype(int)
    high = np.floor(corners.max(axis=0) - atoms.min(axis=0)).astype(int)
    first, second = (np.arange(a, b + 1) for a, b in zip(low, high, strict=True))
    return np.stack(np.meshgrid(first, second, indexing="ij"), axis=-1).reshape(-1, 2) @ _plane(cell)


def _plane(cell: np.ndarray) -> np.ndarray:
    """In-plane cell vectors as rows, components y, x."""
    return cell[:2, 1::-1]
