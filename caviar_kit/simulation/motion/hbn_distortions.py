"""Distortions of an hBN stack: linear functions of the displacements that rigid motions leave at zero."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from caviar_kit.simulation.motion.hbn_neighbours import HbnNeighbours, Pairs

__all__ = ["Distortions", "bends", "stretches", "torsions", "umbrellas"]


@dataclass(frozen=True, eq=False)
class Distortions:
    """Functions b·u = Σ_k b_k·u(atom k), one per row.

    Attributes
    ----------
    atoms : array of int, shape (rows, k)
        Atoms that take part.
    weights : array, shape (rows, k, 3)
        Their vectors b_k, without unit: b·u is a length.
    """

    atoms: np.ndarray
    weights: np.ndarray


def stretches(pairs: Pairs) -> Distortions:
    """Change of each pair's distance."""
    along = pairs.vectors / np.linalg.norm(pairs.vectors, axis=1, keepdims=True)
    return Distortions(np.stack([pairs.first, pairs.second], axis=1), np.stack([-along, along], axis=1))


def bends(near: HbnNeighbours) -> Distortions:
    """Change of the three angles at each atom times the bond length, in the plane."""
    along = near.star_vectors / np.linalg.norm(near.star_vectors, axis=2, keepdims=True)
    across = np.stack([-along[..., 1], along[..., 0], np.zeros(along.shape[:2])], axis=2)
    centres = np.arange(len(near.star))
    atoms, weights = [], []
    for a, b in ((0, 1), (1, 2), (2, 0)):
        atoms.append(np.stack([centres, near.star[:, a], near.star[:, b]], axis=1))
        one, other = across[:, a], across[:, b]
        weights.append(np.stack([one - other, -one, other], axis=1))
    return Distortions(np.concatenate(atoms), np.concatenate(weights))


def umbrellas(near: HbnNeighbours, centres: np.ndarray) -> Distortions:
    """Height of each of the atoms ``centres`` above the mean of its neighbours."""
    heights = np.broadcast_to([1.0, -1 / 3, -1 / 3, -1 / 3], (len(centres), 4))
    return Distortions(np.column_stack([centres, near.star[centres]]), _along_z(heights))


def torsions(near: HbnNeighbours) -> Distortions:
    """Twist of each bond: height difference across it at one end minus that at the other."""
    direction = near.bonds.vectors
    ends = [
        _sides(near, near.bonds.first, near.bonds.second, direction),
        _sides(near, near.bonds.second, near.bonds.first, direction),
    ]
    heights = np.broadcast_to([1.0, -1.0, -1.0, 1.0], (len(direction), 4))
    return Distortions(np.concatenate(ends, axis=1), _along_z(heights))


def _sides(near: HbnNeighbours, end: np.ndarray, other: np.ndarray, direction: np.ndarray) -> np.ndarray:
    """The two further neighbours of ``end``: left, then right of the bond's ``direction``."""
    vectors = near.star_vectors[end]
    left = direction[:, None, 0] * vectors[..., 1] - direction[:, None, 1] * vectors[..., 0]
    order = np.argsort(-left, axis=1)  # left of the bond, along it, right of it
    found = np.take_along_axis(near.star[end], order, axis=1)
    assert (found[:, 1] == other).all()
    return found[:, [0, 2]]


def _along_z(heights: np.ndarray) -> np.ndarray:
    return np.stack([np.zeros_like(heights), np.zeros_like(heights), heights], axis=-1)
