"""Who is bonded to whom, and who is next to whom, in a stack of flat hBN layers."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from ase import Atoms

__all__ = ["HbnNeighbours", "Pairs", "hbn_neighbours"]

_BOND, _SECOND, _THIRD = (1.2, 1.8), (2.2, 2.7), (2.7, 3.1)  # lengths in a layer [Å]: 1.45, 2.50 and 2.89
_NEXT_LAYER = (2.5, 4.5)  # height of the next layer [Å]
_FLAT = 0.1  # largest difference of height within a layer [Å]


@dataclass(frozen=True, eq=False)
class Pairs:
    """Pairs of atoms, each once: indices (pairs,) and vectors (pairs, 3) from first to second [Å]."""

    first: np.ndarray
    second: np.ndarray
    vectors: np.ndarray

    def where(self, chosen: np.ndarray) -> Pairs:
        """The chosen ones, a mask or indices."""
        return Pairs(self.first[chosen], self.second[chosen], self.vectors[chosen])


@dataclass(frozen=True, eq=False)
class HbnNeighbours:
    """Neighbours in a stack of flat hBN layers.

    Attributes
    ----------
    boron : array of bool, shape (n,)
        Which atoms are boron.
    star : array of int, shape (n, 3)
        The three atoms that each atom is bonded to.
    star_vectors : array, shape (n, 3, 3)
        Vectors to them [Å].
    bonds, second, third : Pairs
        Neighbours in the layer: B-N, then B-B and N-N, then B-N across the hexagon. Bonds begin at boron.
    next_layer : Pairs
        Atoms of adjacent layers within a lateral distance.
    """

    boron: np.ndarray
    star: np.ndarray
    star_vectors: np.ndarray
    bonds: Pairs
    second: Pairs
    third: Pairs
    next_layer: Pairs


def hbn_neighbours(atoms: Atoms, lateral_angstrom: float) -> HbnNeighbours:
    """Find the neighbours; those in the next layer up to ``lateral_angstrom`` [Å] to the side.

    Raises
    ------
    TypeError, ValueError
        If the atoms are not boron and nitrogen in flat layers normal to z, three bonds each.
    """
    from ase import Atoms
    from ase.neighborlist import neighbor_list

    if not isinstance(atoms, Atoms):
        raise TypeError(f"atoms must be an ase.Atoms, got {type(atoms).__name__}")
    if not len(atoms) or set(atoms.numbers) != {5, 7}:
        raise ValueError(f"atoms must be boron and nitrogen, got {atoms.get_chemical_formula() or 'none'}")
    if not atoms.pbc[:2].all():
        raise ValueError(f"atoms must be periodic in the plane, got pbc={atoms.pbc.tolist()}")

    boron = atoms.numbers == 5
    everyone = Pairs(*neighbor_list("ijD", atoms, np.hypot(_NEXT_LAYER[1], lateral_angstrom)))
    length, height = np.linalg.norm(everyone.vectors, axis=1), everyone.vectors[:, 2]
    in_layer = np.abs(height) < _FLAT
    bonded = (length > _BOND[0]) & (length < _BOND[1])
    star = everyone.where(bonded)
    unlike = boron[star.first] != boron[star.second]
    counts = np.bincount(star.first, minlength=len(atoms))
    if (counts != 3).any() or not unlike.all() or not in_layer[bonded].all():
        raise ValueError(
            "atoms must form flat hBN layers normal to z, with three bonds of 1.2 to 1.8 Å from each atom to "
            f"the other element: got {counts.min()} to {counts.max()} bonds, {np.count_nonzero(~unlike)} of "
            f"them to the same element, {np.count_nonzero(~in_layer[bonded])} out of the plane"
        )
    star = star.where(np.argsort(star.first, kind="stable"))

    def shell(limits: tuple[float, float]) -> Pairs:
        return everyone.where(in_layer & (length > limits[0]) & (length < limits[1]))

    second = shell(_SECOND)
    above = (height > _NEXT_LAYER[0]) & (height < _NEXT_LAYER[1])
    lateral = np.linalg.norm(everyone.vectors[:, :2], axis=1)
    return HbnNeighbours(
        boron=boron,
        star=star.second.reshape(-1, 3),
        star_vectors=star.vectors.reshape(-1, 3, 3),
        bonds=star.where(boron[star.first]),
        second=second.where(_half_plane(second.vectors)),
        third=(third := shell(_THIRD)).where(boron[third.first]),
        next_layer=everyone.where(above & (lateral <= lateral_angstrom)),
    )


def _half_plane(vectors: np.ndarray) -> np.ndarray:
    """One of each vector and its opposite."""
    angle = np.degrees(np.arctan2(vectors[:, 1], vectors[:, 0]))
    return (angle > -1e-6) & (angle < 180 - 1e-6)
