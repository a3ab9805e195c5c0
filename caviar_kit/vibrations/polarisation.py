"""Names of phonon branches: longitudinal or transverse, acoustic or optic."""

from __future__ import annotations

import numpy as np

__all__ = ["branch_names", "longitudinal_share"]

_AT_GAMMA = 1e-6  # rad/Å


def longitudinal_share(vectors: np.ndarray, q: np.ndarray, reciprocal: np.ndarray) -> np.ndarray:
    """Share of each mode's energy that swings along q, Σ_κ |e_κ · q̂|²; NaN at Γ.

    Outside the first Brillouin zone q is folded back to the nearest equivalent; on its border, where several
    are equally near, the share depends on which one the path follows.

    Parameters
    ----------
    vectors : array, complex, (points, 2 sites, branches)
        Mass-weighted eigenvectors as columns.
    q : array, (points, 2), rad/Å
    reciprocal : array, (2, 2), rad/Å
        Rows b1, b2.

    Returns
    -------
    array, float64, (points, branches)
    """
    folded = nearest_equivalent(q, reciprocal)
    length = np.linalg.norm(folded, axis=1)
    gamma = length < _AT_GAMMA
    along = folded / np.where(gamma, 1, length)[:, None]
    pairs = vectors.reshape(len(q), -1, 2, vectors.shape[-1])
    share = (np.abs(np.einsum("qkab,qa->qkb", pairs, along)) ** 2).sum(axis=1)
    share[gamma] = np.nan
    return share


def nearest_equivalent(q: np.ndarray, reciprocal: np.ndarray) -> np.ndarray:
    """Of all q + reciprocal lattice vectors the shortest, q itself among equals; (points, 2), rad/Å."""
    grid = np.stack(np.meshgrid([0, 1, -1, 2, -2], [0, 1, -1, 2, -2], indexing="ij"), -1).reshape(-1, 2)
    base = np.round(q @ np.linalg.inv(reciprocal) / (1 + 1e-9))
    candidates = (q - base @ reciprocal)[:, None] + grid @ reciprocal
    candidates = np.concatenate([q[:, None], candidates], axis=1)
    lengths = np.linalg.norm(candidates, axis=2)
    best = (lengths <= lengths.min(axis=1, keepdims=True) + 1e-9).argmax(axis=1)
    return candidates[np.arange(len(q)), best]


def branch_names(share: np.ndarray) -> tuple[str, ...]:
    """Name each branch: the lowest two are acoustic, and half of each kind is longitudinal.

    Which half, their mean share along the path decides. Optic branches are numbered from below if there are
    more than two.
    """
    known = share[~np.isnan(share).any(axis=1)]
    mean = known.mean(axis=0) if len(known) else np.arange(share.shape[1], dtype=float)
    return (*_kind(mean[:2], "A"), *_kind(mean[2:], "O"))


def _kind(mean: np.ndarray, letter: str) -> list[str]:
    along = np.zeros(len(mean), bool)
    along[np.argsort(mean, kind="stable")[len(mean) // 2 :]] = True
    names = []
    for branch, is_along in enumerate(along):
        number = str(int((along[: branch + 1] == is_along).sum())) if len(mean) > 2 else ""
        names.append(("L" if is_along else "T") + letter + number)
    return names
