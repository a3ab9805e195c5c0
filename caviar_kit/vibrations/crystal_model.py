"""The force model that a patch can tell something about."""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np

from caviar_kit import validation
from caviar_kit.vibrations.bond_symmetry import equal_force_constants
from caviar_kit.vibrations.force_model import ForceModel, bonds_within, default_reach, force_model
from caviar_kit.vibrations.lattice import Lattice
from caviar_kit.vibrations.patch import Patch
from caviar_kit.vibrations.symmetry import lattice_operations

__all__ = ["CrystalModel", "crystal_model", "no_model"]

_DATA_PER_PARAMETER = 3


@dataclass(frozen=True, eq=False)
class CrystalModel:
    """A force model and what was assumed for it."""

    forces: ForceModel
    operations: int
    """Point operations under which force constants are held equal; 1 is none."""
    reach_angstrom: float
    """Longest bond, Å."""


def no_model(masses: np.ndarray) -> CrystalModel:
    """What stands for a model where nothing is fitted."""
    none = np.zeros(0, int)
    return CrystalModel(ForceModel(none, none, np.zeros((0, 2), int), np.zeros((0, 0)), masses), 1, math.inf)


def crystal_model(
    patches: list[Patch],
    lattice: Lattice,
    masses: np.ndarray,
    kinds: np.ndarray | None,
    reach: float | None,
    states: int,
) -> CrystalModel:
    """Force constants of the bonds within ``reach`` [Å], as free as symmetry leaves them.

    Bonds of which the patches hold no pair are left out. ``kinds`` None is no symmetry.

    Raises
    ------
    ValueError
        If no bond is left, or the data are fewer than 3 per free force constant.
    """
    longest = default_reach(lattice.vectors, lattice.basis) if reach is None else reach
    longest = validation.number("reach", longest, minimum=0, open_minimum=True, unit="Å")
    first, second, cells = bonds_within(lattice.vectors, lattice.basis, longest)
    seen = _seen(patches, first, second, cells)
    if not seen.any():
        raise ValueError(f"reach: the patch holds no two atoms within {longest:.3g} Å, one bond is the least")
    first, second, cells = first[seen], second[seen], cells[seen]
    operations, equal = 1, None
    if kinds is not None:
        found = [
            operation
            for operation in lattice_operations(lattice, "lattice")
            if (kinds[operation.sites] == kinds).all()
        ]
        operations, equal = len(found), equal_force_constants(found, first, second, cells)
    elif len(lattice.basis) == 1:  # a lattice of single atoms is its own inversion: blocks are symmetric
        equal = np.kron(np.eye(len(first)), [[0.0, 1.0, -1.0, 0.0]])
    model = force_model(first, second, cells, masses, equal)
    numbers = (states - 1) * max((len(patch.sites) * 2 - 2 for patch in patches), default=0)
    if numbers < _DATA_PER_PARAMETER * model.parameters:
        raise ValueError(
            f"u: {states} states of the patch give {numbers} independent numbers, too few for "
            f"{model.parameters} force constants within reach={longest:.3g} Å; use more states or cells, "
            "symmetry=True or a shorter reach"
        )
    return CrystalModel(model, operations, longest)


def _seen(patches: list[Patch], first: np.ndarray, second: np.ndarray, cells: np.ndarray) -> np.ndarray:
    """Which bonds join two atoms of a patch, bool (bonds,)."""
    pairs: set[tuple[int, ...]] = set()
    for patch in patches:
        apart = patch.cells - patch.cells[:, None]
        k, m = np.broadcast_arrays(patch.sites[:, None], patch.sites)
        rows = np.stack([k, m, apart[..., 0], apart[..., 1]], axis=-1).reshape(-1, 4)
        pairs.update(map(tuple, np.unique(rows, axis=0).tolist()))
    bonds = np.column_stack([first, second, cells]).tolist()
    return np.array([tuple(bond) in pairs for bond in bonds], dtype=bool)
