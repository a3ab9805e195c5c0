"""Mean square displacements and Debye–Waller factors from the self terms of Green's tensor."""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike

from caviar_kit import validation
from caviar_kit.vibrations.correlations import tensor_with_gaps
from caviar_kit.vibrations.lattice import Lattice

__all__ = ["DebyeWaller", "debye_waller"]

_PM2 = 1e4  # pm² per Å²


@dataclass(frozen=True, eq=False)
class DebyeWaller:
    """In-plane mean square displacements of atoms, or of the sites of a lattice.

    Two quantities are called B. The usual one is B = 8π²U with U the mean square displacement along
    *one* direction. Gladyshev et al. (arXiv:2309.12017) print B = 8π²(⟨u_x²⟩ + ⟨u_y²⟩), twice that for
    isotropic vibration; here it is ``b_both_axes_…``.
    """

    tensors: np.ndarray
    """⟨u_α u_β⟩, float64 (atoms or sites, 2, 2), y then x, Å²."""
    counts: np.ndarray
    """Atoms in each mean, int64 (atoms or sites,)."""

    @property
    def u_angstrom2(self) -> np.ndarray:
        """U per direction, ⟨u_y²⟩ and ⟨u_x²⟩, (n, 2), Å²."""
        return np.stack([self.tensors[:, 0, 0], self.tensors[:, 1, 1]], axis=1)

    @property
    def u_pm2(self) -> np.ndarray:
        """U per direction, (n, 2), pm²."""
        return self.u_angstrom2 * _PM2

    @property
    def u_mean_angstrom2(self) -> np.ndarray:
        """U averaged over the two directions, (n,), Å²."""
        return self.u_angstrom2.mean(axis=1)

    @property
    def b_angstrom2(self) -> np.ndarray:
        """B = 8π²U per direction, the usual one, (n, 2), Å²."""
        return 8 * math.pi**2 * self.u_angstrom2

    @property
    def b_pm2(self) -> np.ndarray:
        """B = 8π²U per direction, the usual one, (n, 2), pm²."""
        return self.b_angstrom2 * _PM2

    @property
    def b_both_axes_angstrom2(self) -> np.ndarray:
        """B = 8π²(⟨u_x²⟩ + ⟨u_y²⟩), the paper's, (n,), Å²."""
        return self.b_angstrom2.sum(axis=1)

    @property
    def b_both_axes_pm2(self) -> np.ndarray:
        """B = 8π²(⟨u_x²⟩ + ⟨u_y²⟩), the paper's, (n,), pm²."""
        return self.b_both_axes_angstrom2 * _PM2

    @property
    def principal_angstrom2(self) -> np.ndarray:
        """Smallest and largest mean square displacement along any direction, (n, 2), Å²."""
        return np.linalg.eigvalsh(self._finite())[:, :] + self._gaps()

    @property
    def principal_axes(self) -> np.ndarray:
        """Unit vectors (rows; y, x) that go with `principal_angstrom2`, (n, 2, 2); their sign is free."""
        return np.linalg.eigh(self._finite())[1].transpose(0, 2, 1) + self._gaps()[..., None]

    @property
    def anisotropy(self) -> np.ndarray:
        """(largest - smallest) / (largest + smallest) of `principal_angstrom2`, (n,): 0 is isotropic."""
        small, large = self.principal_angstrom2.T
        return (large - small) / np.where(large + small > 0, large + small, np.nan)

    def _finite(self) -> np.ndarray:
        return np.where(np.isnan(self.tensors).any(axis=(1, 2), keepdims=True), 0, self.tensors)

    def _gaps(self) -> np.ndarray:
        return np.where(np.isnan(self.tensors).any(axis=(1, 2)), np.nan, 0)[:, None]


def debye_waller(G: ArrayLike, *, states: int | None = None, lattice: Lattice | None = None) -> DebyeWaller:
    """Mean square displacements U and Debye–Waller factors B of every atom or site.

    In a projection they are those of a column's mean position, less than those of its atoms.

    Parameters
    ----------
    G : array, (atoms, 2, atoms, 2), Å²
        From `greens_tensor`, or from `subtract_offset`, since the source size adds to U. Only
        G[i, :, i, :] is used; the rest may be NaN.
    states : int, optional
        How many object states G was averaged over. Their mean position comes from the same states,
        which takes 1/N of the variance away; with ``states`` it is put back, times N/(N-1). N is
        the number of states also if slices were averaged: each has its own mean.
    lattice : Lattice, optional
        Average over the atoms of each site; those outside, or NaN, are left out.

    Returns
    -------
    DebyeWaller

    Raises
    ------
    TypeError, ValueError
        If the shape is wrong, a self term is negative, or ``states`` is below 2.
    """
    tensor = tensor_with_gaps("G", G)
    atoms = np.arange(len(tensor))
    blocks = tensor[atoms, :, atoms, :]
    factor = 1.0
    if states is not None:
        count = validation.integer("states", states, minimum=2)
        factor = count / (count - 1)
    if lattice is None:
        there = ~np.isnan(blocks).any(axis=(1, 2))
        result = DebyeWaller(factor * blocks, there.astype(np.int64))
    else:
        result = _per_site(factor * blocks, lattice)
    if (result.u_angstrom2 < 0).any():
        raise ValueError(
            f"G has negative self terms, down to {np.nanmin(result.u_angstrom2):.3g} Å²: no mean square "
            "displacement is; was too large an offset subtracted?"
        )
    return result


def _per_site(blocks: np.ndarray, lattice: Lattice) -> DebyeWaller:
    if not isinstance(lattice, Lattice):
        raise TypeError(f"lattice must be a Lattice from fit_lattice, got {type(lattice).__name__}")
    if len(lattice.sites) != len(blocks):
        raise ValueError(f"lattice must hold the {len(blocks)} atoms of G, got {len(lattice.sites)}")
    kinds = len(lattice.basis)
    used = (lattice.sites >= 0) & ~np.isnan(blocks).any(axis=(1, 2))
    counts = np.bincount(lattice.sites[used], minlength=kinds)
    total = np.zeros((kinds, 2, 2))
    np.add.at(total, lattice.sites[used], blocks[used])
    number = counts[:, None, None]
    return DebyeWaller(np.where(number > 0, total / np.maximum(number, 1), np.nan), counts)
