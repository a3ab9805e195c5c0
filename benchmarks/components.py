"""Fourier components of a reconstructed phase, and of the phase of atoms that are known. NumPy only."""

from __future__ import annotations

from typing import Any

import numpy as np

__all__ = ["components", "mean_phase_of_atoms", "waves"]


def waves(k: np.ndarray, places: np.ndarray) -> np.ndarray:
    """Plane waves exp(−2πi k x), complex (k, places)."""
    return np.exp(-2j * np.pi * np.outer(k, places))


def components(phase: np.ndarray, sampling: Any, peaks: np.ndarray) -> np.ndarray:
    """At the spatial frequencies ``peaks`` (peaks, 2) [1/Å], of a phase that fades to the borders."""
    fade = np.outer(*(np.hanning(n + 2)[1:-1] for n in phase.shape))
    y, x = (step * np.arange(n) for step, n in zip(sampling, phase.shape, strict=True))
    faded = fade * (phase - np.average(phase, weights=fade))
    return np.asarray(np.einsum("ky,yx,kx->k", waves(peaks[:, 0], y), faded, waves(peaks[:, 1], x)))


def mean_phase_of_atoms(
    frames: np.ndarray,
    kinds: np.ndarray,
    factors: np.ndarray,
    k: np.ndarray,
    side: float,
    grid: tuple[np.ndarray, np.ndarray],
) -> np.ndarray:
    """Phase [rad] of atoms in a periodic window, averaged over the frames, at y × x of the ``grid`` [Å].

    Parameters
    ----------
    frames : (frames, atoms, 2)
        Places y, x in the window [Å].
    kinds : (atoms,) int
        Row of ``factors`` for each atom.
    factors : (kinds, k, k)
        Phase form factors [rad Å²], as of `caviar_kit.atomistic.phase_form_factors`.
    k : (k,)
        Frequencies along y and x, multiples of 1 / ``side`` up to what the pixels of ``grid`` carry [1/Å].
    """
    spectrum = np.zeros((len(k), len(k)), complex)
    for kind, factor in enumerate(factors):
        for frame in frames[:, kinds == kind]:
            spectrum += factor * (waves(k, frame[:, 0]) @ waves(k, frame[:, 1]).T) / len(frames)
    y, x = grid
    return np.asarray((waves(-k, y).T @ spectrum @ waves(-k, x)).real / side**2)
