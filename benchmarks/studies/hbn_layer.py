"""One layer of the kit's hBN model: exact bands, perfect correlations, states of a patch of 59 cells."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np
from ase import units

import caviar_kit as ck
from caviar_kit.physics import mean_square_amplitude
from caviar_kit.vibrations.brillouin import BrillouinPath
from caviar_kit.vibrations.lattice import Lattice

__all__ = ["BRANCHES", "CELLS", "HbnLayer"]

BRANCHES = ("TA", "LA", "TO", "LO")
CELLS = 59  # of the paper's patch
_THZ_PER_ROOT = 1e3 * units.fs / (2 * np.pi)  # √(eV/Å²/u) in THz
_AT_REST_THZ = 1e-3  # instead of 0 at Γ, where correlations are infinite


@dataclass(frozen=True)
class HbnLayer:
    """Cells of ``twisted_hbn(1, 0, 0)`` with the default ``HbnSprings``, periodic; motion in the plane.

    Attributes
    ----------
    temperature_k : float
        Of the quantum vibrations [K].
    points : int
        About how many along the path Γ-K-M-Γ.
    repeat : int
        Cells along each side; at least 10 for a patch of 59 cells.
    """

    temperature_k: float = 300.0
    points: int = 91
    repeat: int = 18

    @cached_property
    def atoms(self) -> Any:
        """ASE atoms: boron and nitrogen in turn."""
        return ck.simulation.twisted_hbn(1, 0, 0).repeat((self.repeat, self.repeat, 1))

    @cached_property
    def force_constants(self) -> np.ndarray:
        """(3 n, 3 n) [eV/Å²]."""
        return np.asarray(ck.simulation.hbn_force_constants(self.atoms).toarray())

    @property
    def masses(self) -> np.ndarray:
        """Of boron and nitrogen [u]."""
        return np.asarray(self.atoms.get_masses()[:2])

    @cached_property
    def patch(self) -> np.ndarray:
        """Indices of the atoms of the 59 cells nearest to the middle."""
        where = self.atoms.positions[:, 1::-1]
        away = np.linalg.norm(where[::2] - where.mean(axis=0), axis=1)
        cells = np.sort(np.argsort(away)[:CELLS])
        return np.asarray(np.stack([2 * cells, 2 * cells + 1], axis=1).ravel())

    @cached_property
    def lattice(self) -> Lattice:
        """Of the patch; sites are boron, then nitrogen."""
        positions = self.atoms.positions[self.patch, 1::-1]
        return ck.fit_lattice(positions, sites=2, species=self.atoms.numbers[self.patch], occupied=0)

    @cached_property
    def way(self) -> BrillouinPath:
        """The path Γ-K-M-Γ."""
        return ck.vibrations.brillouin_path(self.lattice.vectors, "GKMG", points=self.points)

    @cached_property
    def modes(self) -> tuple[np.ndarray, np.ndarray]:
        """Frequencies [THz] (points, 4), ascending; mass-weighted eigenvectors as columns (points, 4, 4)."""
        count, points = len(self.atoms), range(len(self.atoms))
        forces = self.force_constants[:6].reshape(2, 3, count, 3)[:, 1::-1, :, 1::-1]
        apart = [self.atoms.get_distances(i, points, mic=True, vector=True)[:, 1::-1] for i in (0, 1)]
        wave = np.exp(1j * np.array(apart) @ self.way.q.T).transpose(2, 0, 1)
        matrix = np.zeros((len(self.way.q), 2, 2, 2, 2), complex)
        for site in (0, 1):  # atoms of one kind: every other one
            part = np.einsum("qij,iajb->qiab", wave[..., site::2], forces[:, :, site::2], optimize=True)
            matrix[:, :, :, site] = part
        light = np.repeat(self.masses, 2) ** -0.5
        values, vectors = np.linalg.eigh(matrix.reshape(-1, 4, 4) * light[:, None] * light)
        return _THZ_PER_ROOT * np.sqrt(values.clip(0)), vectors

    def mean(self, frequencies_thz: np.ndarray) -> np.ndarray:
        """Mean along the path, branch by branch (4,) [THz]."""
        return np.asarray(self.way.weights @ frequencies_thz)

    def perfect_correlations(self) -> np.ndarray:
        """G(q) = ⟨ũ ũ*⟩ of quantum vibrations in the infinite layer, (points, 4, 4) [Å²]."""
        thz, vectors = self.modes
        square = mean_square_amplitude(thz.clip(_AT_REST_THZ), self.temperature_k, "quantum")
        light = np.repeat(self.masses, 2) ** -0.5
        shapes = light[:, None] * vectors
        return np.asarray((shapes * square[:, None]) @ shapes.conj().swapaxes(1, 2))

    @cached_property
    def patch_covariance(self) -> np.ndarray:
        """⟨u u'⟩ of the patch's atoms, (118, 2, 118, 2) [Å²], y then x."""
        tensor = ck.simulation.harmonic_covariance(self.atoms, self.force_constants, self.temperature_k)
        return np.asarray(tensor[np.ix_(self.patch, [1, 0], self.patch, [1, 0])])

    def patch_correlations(self) -> np.ndarray:
        """G(q) by plane waves over the patch (eq. 5) of infinitely many states, (points, 4, 4) [Å²]."""
        lattice, tensor = self.lattice, self.patch_covariance
        order = np.lexsort((lattice.sites, *lattice.cells.T))
        cells = lattice.cells[order][::2] @ lattice.vectors
        blocks = tensor[np.ix_(order, [0, 1], order, [0, 1])].reshape(CELLS, 4, CELLS, 4)
        wave = np.exp(-1j * self.way.q @ cells.T) / np.sqrt(CELLS)
        return np.asarray(np.einsum("ql,limj,qm->qij", wave, blocks, wave.conj(), optimize=True))

    def displacements(self, states: int, rng: np.random.Generator) -> np.ndarray:
        """Displacements (states, 118, 2) [Å] of the patch: normal numbers of its exact covariance."""
        tensor = self.patch_covariance.reshape(4 * CELLS, 4 * CELLS)
        drawn = rng.standard_normal((states, len(tensor))) @ np.linalg.cholesky(tensor).T
        return ck.displacements(drawn.reshape(states, -1, 2))
