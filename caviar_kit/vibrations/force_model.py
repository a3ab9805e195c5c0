"""Force constants of short range: the unknowns behind a dispersion.

The dynamical matrix of a crystal is a short Fourier series, Φ(q)[κα, κ'β] = Σ_R Φ[0κα, Rκ'β] exp(iq·R),
because atoms far apart hardly push each other, whereas their displacements are correlated over long
distances. A few numbers Φ[0κ, Rκ'] of bonds within ``reach`` therefore describe every q at once. The on-site
blocks follow from the acoustic sum rule, Σ_{Rκ'} Φ[0κ, Rκ'] = 0: a rigid shift costs nothing and acoustic
branches start at 0. They must be symmetric, which ties the bonds together.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

__all__ = ["ForceModel", "bonds_within", "default_reach", "force_model", "reaches_from"]

_SHORTEST, _LONGEST = 1.7, 2.7  # in nearest-neighbour distances, for the default reach
_SAME = 1e-8
_SHELLS, _APART = 8, 0.02  # further shells to choose from; relative gap between two shells


@dataclass(frozen=True, eq=False)
class ForceModel:
    """Bonds of a plane crystal and the free parameters of their 2 × 2 force constants.

    Each bond is counted once: bond (κ, κ', R) and its reverse (κ', κ, -R) hold transposed blocks.
    """

    first: np.ndarray
    """Site κ in cell 0, int (bonds,)."""
    second: np.ndarray
    """Site κ' in cell R, int (bonds,)."""
    cells: np.ndarray
    """R along a1 and a2, int (bonds, 2)."""
    free: np.ndarray
    """Orthonormal columns, float (4 bonds, parameters): blocks = free @ parameters."""
    masses: np.ndarray
    """Of the sites, u."""

    @property
    def parameters(self) -> int:
        """Number of free parameters."""
        return self.free.shape[1]

    def matrices(self, fractions: np.ndarray) -> np.ndarray:
        """∂D(q)/∂parameter.

        Parameters
        ----------
        fractions : array, (q points, 2)
            q along the reciprocal vectors: q·R = 2π fractions·R.

        Returns
        -------
        array, complex128, (parameters, q points, 2 sites, 2 sites)
            D = Φ / √(m m') [rad²/ps²] is their sum with the parameters [u/ps²] as weights.
        """
        sites, points = len(self.masses), len(fractions)
        phase = np.exp(2j * np.pi * fractions @ self.cells.T)  # (points, bonds)
        blocks = self.free.reshape(len(self.first), 2, 2, -1)
        result = np.zeros((points, sites, 2, sites, 2, self.parameters), complex)
        for bond, (k, m) in enumerate(zip(self.first, self.second, strict=True)):
            block, turned = blocks[bond], blocks[bond].transpose(1, 0, 2)
            result[:, k, :, m] += phase[:, bond, None, None, None] * block
            result[:, m, :, k] += phase[:, bond, None, None, None].conj() * turned
            result[:, k, :, k] -= block
            result[:, m, :, m] -= turned
        weight = 1 / np.sqrt(np.repeat(self.masses, 2))
        flat = result.reshape(points, 2 * sites, 2 * sites, -1) * weight[:, None, None] * weight[:, None]
        return np.ascontiguousarray(flat.transpose(3, 0, 1, 2))

    def springs(self) -> np.ndarray:
        """Parameters of equal springs along all bonds: the stable crystal from which a fit starts."""
        return self.free.T @ np.tile(-np.eye(2).ravel(), len(self.first))


def force_model(
    first: np.ndarray,
    second: np.ndarray,
    cells: np.ndarray,
    masses: np.ndarray,
    equal: np.ndarray | None = None,
) -> ForceModel:
    """Free parameters of bonds under the acoustic sum rule and, optionally, symmetry.

    Parameters
    ----------
    first, second, cells
        As in `ForceModel`.
    masses : array, (sites,), u
    equal : array, (conditions, 4 bonds), optional
        Further linear conditions: equal @ blocks = 0.
    """
    bonds = len(first)
    symmetric = np.zeros((len(masses), bonds, 2, 2))
    for bond, (k, m) in enumerate(zip(first, second, strict=True)):
        symmetric[k, bond] += [[0, 1], [-1, 0]]
        symmetric[m, bond] += [[0, -1], [1, 0]]
    conditions = symmetric.reshape(len(masses), -1)
    if equal is not None:
        conditions = np.concatenate([conditions, equal])
    values, vectors = np.linalg.eigh(conditions.T @ conditions)
    return ForceModel(first, second, cells, vectors[:, values < _SAME], masses)


def bonds_within(
    vectors: np.ndarray, basis: np.ndarray, reach: float
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Bonds no longer than ``reach`` [Å], each once: sites (bonds,), (bonds,) and cells (bonds, 2)."""
    first, second, cells, length = _neighbours(vectors, basis, reach)
    near = length <= reach
    return first[near], second[near], cells[near]


def default_reach(vectors: np.ndarray, basis: np.ndarray) -> float:
    """Middle of the widest gap between shells, 1.7 to 2.7 nearest-neighbour distances away [Å].

    Three shells in a honeycomb or a triangular lattice, four in a square one.
    """
    longest = float(np.linalg.norm(vectors, axis=1).max())
    shortest = _neighbours(vectors, basis, longest)[3].min()
    length = _neighbours(vectors, basis, 2 * _LONGEST * shortest)[3]
    inner = length[(length > _SHORTEST * shortest) & (length < _LONGEST * shortest)]
    edges = np.sort(np.concatenate([inner, [_SHORTEST * shortest, _LONGEST * shortest]]))
    widest = int(np.diff(edges).argmax())
    return float(edges[widest : widest + 2].mean())


def reaches_from(vectors: np.ndarray, basis: np.ndarray) -> list[float]:
    """The default reach [Å], then one shell of neighbours more at a time, each in the middle of a gap."""
    first = default_reach(vectors, basis)
    length = np.sort(_neighbours(vectors, basis, 3 * first)[3])
    length = length[(length > first) & (length <= 3 * first)]
    gaps = np.flatnonzero(np.diff(length) > _APART * length[:-1])[:_SHELLS]
    return [first, *((length[gaps] + length[gaps + 1]) / 2).tolist()]


def _neighbours(
    vectors: np.ndarray, basis: np.ndarray, reach: float
) -> tuple[np.ndarray, np.ndarray, np.ndarray, np.ndarray]:
    """Pairs out to at least ``reach``, each once, without pairs of an atom with itself."""
    heights = 1 / np.linalg.norm(np.linalg.inv(vectors), axis=0)  # between lattice rows
    spread = float(np.linalg.norm(basis[:, None] - basis, axis=-1).max())
    most = np.ceil((reach + spread) / heights).astype(int)
    grid = np.stack(np.meshgrid(*(np.arange(-n, n + 1) for n in most), indexing="ij"), -1).reshape(-1, 2)
    k, m, r = (axis.ravel() for axis in np.indices((len(basis), len(basis), len(grid))))
    cells = grid[r]
    after = (cells[:, 0] > 0) | ((cells[:, 0] == 0) & (cells[:, 1] > 0))
    once = np.where(k == m, after, k < m)
    k, m, cells = k[once], m[once], cells[once]
    return k, m, cells, np.linalg.norm(cells @ vectors + basis[m] - basis[k], axis=-1)
