"""Equations 5 and 6 of arXiv:2309.12017 as printed: plane waves over the patch, one inversion for each q."""

from __future__ import annotations

import numpy as np
from numpy.typing import ArrayLike

from caviar_kit import validation
from caviar_kit.vibrations.lattice import Lattice
from caviar_kit.vibrations.occupation import frequency_from_mean_square, temperature

__all__ = ["dynamical_matrix", "fourier_displacements", "mode_frequencies", "site_masses"]

_ROUNDING = 1e-13
_SMALLEST = 1e-300


def fourier_displacements(u: ArrayLike, lattice: Lattice, q: ArrayLike) -> np.ndarray:
    """Fourier components of the displacements, ũ_κα(q) = L^(-½) Σ_l u_lκα exp(-iq·r_l) (eq. 5).

    Only cells that hold all sites of the basis, in every state and slice, are summed: L of them.

    Parameters
    ----------
    u : array, (states, atoms, 2) or (states, slices, atoms, 2), Å
    lattice : Lattice
    q : array, (points, 2), rad/Å
        y then x, 2π included.

    Returns
    -------
    array, complex128, (states, slices, points, 2 sites), Å
        One slice if ``u`` has no slice axis; y, x of the first site, then of the second, …

    Raises
    ------
    TypeError, ValueError
        If shapes disagree or no cell is complete.
    """
    array = np.asarray(u, float)
    array = array[:, None] if array.ndim == 3 else array
    points = validation.as_array("q", q, shape=(None, 2)).astype(float)
    sites = len(lattice.basis)
    here = (lattice.sites >= 0) & ~np.isnan(array).any(axis=(0, 1, 3))
    cells, number = np.unique(lattice.cells[here], axis=0, return_inverse=True)
    place = np.full((len(cells), sites), -1)
    place[number.ravel(), lattice.sites[here]] = np.flatnonzero(here)
    complete = (place >= 0).all(axis=1)
    if not complete.any():
        raise ValueError(f"lattice: no cell holds all {sites} sites in every state and slice")
    moved = array[:, :, place[complete]].reshape(*array.shape[:2], int(complete.sum()), 2 * sites)
    wave = np.exp(-1j * points @ (cells[complete] @ lattice.vectors).T) / np.sqrt(complete.sum())
    return np.einsum("ql,nslk->nsqk", wave, moved, optimize=True)


def dynamical_matrix(
    greens: ArrayLike, masses: float | ArrayLike, temperature_k: float, statistics: str = "quantum"
) -> np.ndarray:
    """Dynamical matrix from G(q) = ⟨ũ ũ*⟩ at each q (eq. 6), without any correction.

    "classical": D = k_B T M^(-½) G⁻¹ M^(-½), with one mean mass the paper's eq. 6. "quantum": the same
    eigenvectors, and for each eigenvalue λ of M^½ G M^½ the ω of λ = (ħ/2ω) coth(ħω / 2 k_B T).

    Parameters
    ----------
    greens : array, (points, 2 sites, 2 sites), Å²
        Hermitian, not negative.
    masses : float or array (sites,), u
    temperature_k : float, K
    statistics : {"quantum", "classical"}

    Returns
    -------
    array, complex128, (points, 2 sites, 2 sites), rad²/ps²
        √eigenvalue / 2π is a frequency in THz. Infinite where G(q) is singular: fewer samples than modes.

    Raises
    ------
    TypeError, ValueError
        If an argument cannot be used.
    """
    array = validation.as_array("greens", greens, complex_allowed=True)
    if array.ndim != 3 or array.shape[1] != array.shape[2] or array.shape[1] % 2:
        raise ValueError(f"greens must have shape (points, 2 sites, 2 sites), got {array.shape}")
    frequencies, vectors = mode_frequencies(
        array, site_masses(masses, array.shape[1] // 2), temperature_k, statistics
    )
    singular = np.isinf(frequencies).any(axis=1)
    curvature = np.where(singular[:, None], 0, 2 * np.pi * frequencies) ** 2
    matrix = (vectors * curvature[:, None]) @ vectors.conj().swapaxes(1, 2)
    matrix[singular] = np.inf
    return matrix


def mode_frequencies(
    greens: np.ndarray, masses: np.ndarray, temperature_k: float, statistics: str
) -> tuple[np.ndarray, np.ndarray]:
    """Frequencies [THz] (…, modes), ascending, and mass-weighted eigenvectors as columns, of G(q)."""
    temperature(temperature_k, statistics)
    root = np.sqrt(np.repeat(masses, 2))
    values, vectors = np.linalg.eigh(greens * root[:, None] * root)
    rounding = values[..., -1:] * len(root) * _ROUNDING
    if (values < -rounding - _SMALLEST).any():
        raise ValueError(f"greens must not be negative, got an eigenvalue of {values.min():g} u Å²")
    square = np.where(values <= rounding, 0, values)[..., ::-1]
    return frequency_from_mean_square(square, temperature_k, statistics), vectors[..., ::-1]


def site_masses(masses: float | ArrayLike, sites: int) -> np.ndarray:
    """Mass of each site, float (sites,), u, from one mean mass or one per site.

    Raises
    ------
    TypeError, ValueError
        If they are not above 0 or of another number.
    """
    array = validation.as_array("masses", masses).astype(float)
    if array.ndim > 1 or (array.ndim == 1 and len(array) != sites):
        raise ValueError(f"masses must be one number or one for each of {sites} sites [u], got {array.shape}")
    if (array <= 0).any():
        raise ValueError(f"masses must be above 0 [u], got {array.min():g}")
    return np.broadcast_to(array, (sites,)).astype(float)
