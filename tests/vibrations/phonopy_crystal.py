"""A flat crystal whose force constants and spectrum are phonopy's."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cache
from typing import Any

import numpy as np
from scipy import constants

from tests.vibrations.crystals import UNIT, Crystal


@dataclass(frozen=True, eq=False)
class PhonopyCrystal(Crystal):
    """Motion in the plane of a flat layer, normal along z: its mirror keeps it apart from that along z."""

    phonons: Any

    def dynamical_matrices(self, q: np.ndarray) -> np.ndarray:
        """Phonopy's, of phases between atoms, in our order of axes, units and phases."""
        found = self._at(q, with_dynamical_matrices=True).dynamical_matrices
        sites = len(self.masses)
        blocks = np.asarray(found).reshape(len(q), sites, 3, sites, 3)
        flat = blocks[:, :, 1::-1][..., 1::-1].reshape(len(q), 2 * sites, 2 * sites)
        phase = np.repeat(np.exp(1j * q @ self.basis.T), 2, axis=1)
        return flat * phase[:, :, None] * phase[:, None].conj() * (constants.e / UNIT)

    def frequencies(self, q: np.ndarray) -> np.ndarray:
        """Phonopy's own THz of the modes in the plane, (points, branches), ascending."""
        found = self._at(q, with_eigenvectors=True)
        along_z = (np.abs(np.asarray(found.eigenvectors)[:, 2::3]) ** 2).sum(axis=1)
        flat = np.sort(np.argsort(along_z, axis=1)[:, : 2 * len(self.masses)], axis=1)
        return np.take_along_axis(np.asarray(found.frequencies), flat, axis=1)

    def _at(self, q: np.ndarray, **wanted: bool) -> Any:
        fractions = q @ self.vectors.T / (2 * np.pi)
        return self.phonons.run_qpoints(np.column_stack([fractions, np.zeros(len(q))]), **wanted)


@cache
def hbn_layer(potential: str = "bnc-tersoff") -> PhonopyCrystal:
    """One layer of boron nitride: forces of LAMMPS, finite displacements in 9 × 9 cells by phonopy.

    Raises
    ------
    ImportError
        Without phonopy and LAMMPS.
    """
    from ase.build import graphene

    from caviar_kit.simulation import Lammps, phonopy_of

    layer = graphene("BN", a=2.5, vacuum=10)
    layer.pbc = True
    with Lammps(layer, potential) as engine:
        phonons = phonopy_of(engine.relax("xy", 1e-6), potential, (9, 9, 1))
    return flat_crystal(phonons)


def flat_crystal(phonons: Any) -> PhonopyCrystal:
    """Any flat layer, a1 and a2 in the xy plane, as a Phonopy object with force constants."""
    cell = phonons.primitive
    return PhonopyCrystal(cell.cell[:2, 1::-1], cell.positions[:, 1::-1], np.array(cell.masses), phonons)
