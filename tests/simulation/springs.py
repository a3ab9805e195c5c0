"""Crystals of springs, whose vibrations are known in closed form."""

from __future__ import annotations

import numpy as np
from ase import Atoms
from scipy import constants as c

THZ = np.sqrt(c.e / c.atomic_mass) * 1e10 / (2e12 * np.pi)  # of √(1 eV/Å²/u)


def bound(atoms, pairs):
    """Force constants (n, 3, n, 3) of springs: ``pairs`` holds (i, j, 3 × 3 stiffness [eV/Å²])."""
    constants = np.zeros((len(atoms), 3, len(atoms), 3))
    for i, j, stiffness in pairs:
        constants[i, :, i] += stiffness
        constants[j, :, j] += stiffness
        constants[i, :, j] -= stiffness
        constants[j, :, i] -= stiffness
    return constants


def dimer(stiffness=(3.0, 5.0, 8.0), symbols="BN"):
    """Two atoms, one spring per axis; ω² = k (1/m + 1/m')."""
    atoms = Atoms(symbols, [[1, 1, 1], [1, 1, 2.5]], cell=[6, 7, 8], pbc=True)
    return atoms, bound(atoms, [(0, 1, np.diag(stiffness))])


def chain(count=12, stiffness=(2.0, 3.0, 7.0), spacing=2.0):
    """A ring of equal atoms along z, each tied to the next; ω² = (4k/m) sin²(πl/count)."""
    atoms = Atoms(
        f"Si{count}", [[2, 2, spacing * i] for i in range(count)], cell=[5, 6, spacing * count], pbc=True
    )
    pairs = [(i, (i + 1) % count, np.diag(stiffness)) for i in range(count)]
    return atoms, bound(atoms, pairs)


def chain_frequencies(count, stiffness):
    """Of ``chain``, without the translations [THz], ascending."""
    mass = Atoms("Si").get_masses()[0]
    curvature = np.multiply.outer(stiffness, 4 * np.sin(np.pi * np.arange(1, count) / count) ** 2) / mass
    return THZ * np.sort(np.sqrt(curvature).ravel())


def block_of_springs(shape=(5, 4, 6), seed=0):
    """A simple cubic crystal of B and N with springs of random, anisotropic stiffness along its bonds."""
    rng = np.random.default_rng(seed)
    index = np.arange(np.prod(shape)).reshape(shape)
    sites = np.indices(shape).reshape(3, -1).T
    symbols = ["BN"[site.sum() % 2] for site in sites]
    atoms = Atoms(symbols, 2.0 * sites, cell=2.0 * np.array(shape), pbc=True)
    pairs = []
    for axis in range(3):
        for i, j in zip(index.ravel(), np.roll(index, -1, axis).ravel(), strict=True):
            factor = rng.normal(size=(3, 3))
            pairs.append((i, j, 0.3 * factor @ factor.T + 0.2 * np.eye(3)))
    return atoms, bound(atoms, pairs)
