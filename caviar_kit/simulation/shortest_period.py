"""The fastest vibration of a crystal, which limits the time step of molecular dynamics."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING

import numpy as np

from caviar_kit.physics import frequency_thz

if TYPE_CHECKING:
    from caviar_kit.simulation.lammps_engine import Lammps

__all__ = ["shortest_period_ps"]

_STEPS = 24
_LENGTH_ANGSTROM = 1e-3  # rms displacement of an atom in the finite differences


def shortest_period_ps(engine: Lammps) -> float:
    """Period [ps] of the crystal's fastest normal mode at Γ of its cell, to about one per cent.

    The largest eigenvalue of the dynamical matrix by Lanczos's method; each product with a vector is a
    difference of two forces. The atoms stay where they are, best in a minimum.
    """
    start = engine.positions
    root_mass = np.sqrt(engine.atoms.get_masses())[:, None]

    def product(vector: np.ndarray) -> np.ndarray:
        move = vector / root_mass
        scale = _LENGTH_ANGSTROM * np.sqrt(len(start)) / np.linalg.norm(move)
        difference = engine.forces(start - scale * move) - engine.forces(start + scale * move)
        return difference / (2 * scale * root_mass)

    largest = _largest_eigenvalue(product, start.shape)
    engine.positions = start
    return 1 / float(frequency_thz(largest))


def _largest_eigenvalue(product: Callable[[np.ndarray], np.ndarray], shape: tuple[int, ...]) -> float:
    """Largest Ritz value of the symmetric ``product`` after some steps from a random start."""
    current = np.random.default_rng(0).standard_normal(shape)
    basis = [current / np.linalg.norm(current)]
    diagonal: list[float] = []
    beside: list[float] = []
    for _ in range(min(_STEPS, 3 * shape[0])):
        following = product(basis[-1])
        diagonal.append(float((basis[-1] * following).sum()))
        for vector in basis:  # keeps the basis orthogonal to rounding
            following = following - (vector * following).sum() * vector
        beside.append(float(np.linalg.norm(following)))
        if beside[-1] < 1e-6 * abs(diagonal[0]):
            break
        basis.append(following / beside[-1])
    count = len(diagonal)
    tridiagonal = np.diag(diagonal) + np.diag(beside[: count - 1], 1) + np.diag(beside[: count - 1], -1)
    return float(np.linalg.eigvalsh(tridiagonal)[-1])
