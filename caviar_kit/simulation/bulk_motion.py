"""Mean-square displacements in an infinite crystal, summed over a mesh of wave vectors."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import ArrayLike

from caviar_kit import validation
from caviar_kit.physics import STATISTICS, mean_square_amplitude
from caviar_kit.simulation.commensurate import is_phonopy
from caviar_kit.simulation.normal_modes import refuse_unstable

__all__ = ["mean_square_displacements"]

_CHUNK = 4096  # wave vectors at a time


def mean_square_displacements(
    phonons: Any,
    *,
    temperature_k: float = 300.0,
    statistics: str = "quantum",
    mesh: ArrayLike = (32, 32, 32),
    shifted: bool = True,
) -> np.ndarray:
    """⟨u uᵀ⟩ of each atom of the primitive cell, (atoms, 3, 3) [Å²].

    Σ over wave vectors q of a mesh and over branches of ⟨Q²⟩ e e† / (N m), ⟨Q²⟩ being
    ``physics.mean_square_amplitude`` (Born and Huang, *Dynamical Theory of Crystal Lattices*, 1954).

    Parameters
    ----------
    phonons : phonopy.Phonopy
        With force constants.
    temperature_k : float
        [K], from 0.
    statistics : {"quantum", "classical"}
    mesh : three integers
        Wave vectors along the reciprocal vectors of the primitive cell.
    shifted : bool
        True: a mesh about Γ that leaves Γ out; the sum approaches that of the infinite crystal as the
        mesh gets finer. False: the mesh includes Γ, whose three translations are dropped, and the
        sum is that of a periodic cell of so many primitive cells.

    Raises
    ------
    TypeError, ValueError
        If an argument is not as above, or a branch is unstable somewhere on the mesh.
    """
    if not is_phonopy(phonons):
        raise TypeError(f"phonons must be a phonopy.Phonopy object, got {type(phonons).__name__}")
    if phonons.force_constants is None:
        raise ValueError("phonons hold no force constants; call produce_force_constants first")
    kelvin = validation.number("temperature_k", temperature_k, minimum=0.0, unit="K")
    statistics = validation.choice("statistics", statistics, STATISTICS)
    size = validation.as_array("mesh", mesh, shape=(3,))
    if size.dtype.kind not in "iu" or size.min() < 1:
        raise ValueError(f"mesh must be three integers from 1, got {size.tolist()}")
    count = int(np.prod(size))
    total = np.zeros((len(phonons.primitive), 3, 3))
    for start in range(0, count, _CHUNK):
        index = np.array(np.unravel_index(np.arange(start, min(start + _CHUNK, count)), size)).T
        total += _sum(phonons, (index + 0.5 * bool(shifted)) / size, kelvin, statistics)
    return total / (count * np.asarray(phonons.primitive.masses)[:, None, None])


def _sum(phonons: Any, wave_vectors: np.ndarray, kelvin: float, statistics: str) -> np.ndarray:
    """Σ over ``wave_vectors`` (n, 3) and branches of ⟨Q²⟩ Re e e†, (atoms, 3, 3) [u Å²]."""
    phonons.run_qpoints(wave_vectors, with_eigenvectors=True)
    found = phonons.qpoints
    frequencies, vectors = np.array(found.frequencies), np.array(found.eigenvectors)
    dropped = np.zeros(frequencies.shape, dtype=bool)
    for gamma in np.flatnonzero(~wave_vectors.any(axis=1)):
        dropped[gamma, np.argsort(np.abs(frequencies[gamma]))[:3]] = True
    refuse_unstable(frequencies[~dropped])
    square = np.zeros_like(frequencies)
    square[~dropped] = mean_square_amplitude(frequencies[~dropped], kelvin, statistics)
    shapes = vectors.reshape(len(frequencies), -1, 3, frequencies.shape[1])
    return np.einsum("qkas,qs,qkbs->kab", shapes, square, shapes.conj(), optimize=True).real
