"""Force constants known for one supercell, carried over to another of the same crystal."""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING, Any

import numpy as np

if TYPE_CHECKING:
    from ase import Atoms

__all__ = ["is_phonopy", "spread_force_constants"]

_TOLERANCE_ANGSTROM = 0.02  # by which an atom may miss its lattice site


def is_phonopy(value: Any) -> bool:
    """Whether ``value`` is a phonopy.Phonopy object; does not import phonopy."""
    module = sys.modules.get("phonopy")
    return module is not None and isinstance(value, module.Phonopy)


def spread_force_constants(phonons: Any, atoms: Atoms) -> Any:
    """Force constants of ``atoms``, a supercell of the primitive cell of ``phonons``.

    The force constant between an atom and another of phonopy's supercell belongs to the shortest of the
    vectors that join their periodic images; it is shared among them where several are equally short, as
    phonopy does for its dynamical matrices. On phonopy's own supercell nothing changes; on a larger
    one the phonons between the commensurate wave vectors are those that phonopy interpolates.

    Parameters
    ----------
    phonons : phonopy.Phonopy
        With force constants, without the long-range (non-analytical) term.
    atoms : ase.Atoms
        n atoms in any order, in the orientation of phonopy's cell.

    Returns
    -------
    scipy.sparse.csr_array, shape (3 n, 3 n)
        [eV/Å²]

    Raises
    ------
    ValueError
        If there are no force constants, a non-analytical term, or ``atoms`` is not a supercell of the
        primitive cell in its orientation: elements, cell or positions off by more than 0.02 Å.
    """
    blocks, vectors, basis_of = _pairs(phonons)
    sites = _Sites(phonons.primitive, atoms)
    rows, columns, values = [], [], []
    for first, second, block, vector in zip(*basis_of, blocks, vectors, strict=True):
        start = sites.atoms_of[first]
        rows.append(start)
        columns.append(sites.find(second, sites.cells[start] + vector))
        values.append(np.broadcast_to(block, (len(start), 3, 3)))
    return _assembled(len(atoms), np.concatenate(rows), np.concatenate(columns), np.concatenate(values))


def _pairs(phonons: Any) -> tuple[np.ndarray, np.ndarray, tuple[np.ndarray, np.ndarray]]:
    """Pairs from each primitive atom: block (3, 3), lattice vector to the other's cell, both basis atoms."""
    if phonons.force_constants is None:
        raise ValueError("force_constants: the Phonopy object holds none; call produce_force_constants first")
    if phonons.nac_params is not None:
        raise ValueError(
            "force_constants: the Phonopy object has a non-analytical (long-range) term, which has no "
            "short-range force constants; set nac_params=None"
        )
    primitive = phonons.primitive
    constants = np.asarray(phonons.force_constants)
    if len(constants) != len(primitive):  # one row per atom of the supercell
        constants = constants[primitive.p2s_map]
    shortest, multiplicity = primitive.get_smallest_vectors()
    index_of = {atom: k for k, atom in enumerate(primitive.p2s_map)}
    basis = np.array([index_of[atom] for atom in primitive.s2p_map])
    second, first = np.indices(multiplicity.shape[:2]).reshape(2, -1)
    count, start = multiplicity.reshape(-1, 2).T
    pair = np.repeat(np.arange(len(count)), count)
    address = start[pair] + np.arange(len(pair)) - np.repeat(np.cumsum(count) - count, count)
    first, second = first[pair], second[pair]
    scaled = primitive.scaled_positions
    lattice = shortest[address] + scaled[first] - scaled[basis[second]]
    vectors = np.rint(lattice).astype(int)
    if np.abs(lattice - vectors).max() > 1e-3:
        raise ValueError("force_constants: phonopy's supercell is not a repetition of its primitive cell")
    blocks = constants[first, second] / count[pair][:, None, None]
    return blocks, vectors, (first, basis[second])


def _assembled(count: int, rows: np.ndarray, columns: np.ndarray, blocks: np.ndarray) -> Any:
    """Sparse matrix (3 count, 3 count) of (3, 3) ``blocks``; those at one place are added up."""
    from scipy.sparse import bsr_array

    places, which = np.unique(rows * count + columns, return_inverse=True)
    data = np.empty((len(places), 3, 3))
    for a, b in np.ndindex(3, 3):
        data[:, a, b] = np.bincount(which, blocks[:, a, b], len(places))
    starts = np.searchsorted(places, np.arange(count + 1) * count)
    return bsr_array((data, places % count, starts), shape=(3 * count, 3 * count)).tocsr()


class _Sites:
    """Which atom of a supercell is basis atom κ in primitive cell (i, j, k), modulo the supercell."""

    def __init__(self, primitive: Any, atoms: Atoms) -> None:
        self.repeats = _repeats(np.asarray(primitive.cell), atoms.cell[:])
        self._inverse = np.linalg.inv(self.repeats)
        scaled = atoms.positions @ np.linalg.inv(primitive.cell)
        basis, self.cells = _assign(primitive, scaled, atoms.numbers)
        self.atoms_of = [np.flatnonzero(basis == k) for k in range(len(primitive))]
        self._lookup = {key: i for i, key in enumerate(self._keys(basis, self.cells))}
        wanted = round(abs(np.linalg.det(self.repeats))) * len(primitive)
        if len(self._lookup) != len(atoms) or len(atoms) != wanted:
            raise ValueError(
                f"atoms must fill each of the {wanted} sites of their cell once; {len(atoms)} atoms are on "
                f"{len(self._lookup)} sites"
            )

    def find(self, basis: int, cells: np.ndarray) -> np.ndarray:
        """Atoms on site ``basis`` of the primitive ``cells`` (k, 3)."""
        keys = self._keys(np.full(len(cells), basis), cells)
        return np.array([self._lookup[key] for key in keys])

    def _keys(self, basis: np.ndarray, cells: np.ndarray) -> list[bytes]:
        """Name of a site that is the same for all its periodic images."""
        determinant = round(abs(np.linalg.det(self.repeats)))
        inside = np.rint(cells @ self._inverse * determinant).astype(np.int64) % determinant
        return [row.tobytes() for row in np.column_stack([basis, inside]).astype(np.int64)]


def _repeats(primitive: np.ndarray, cell: np.ndarray) -> np.ndarray:
    exact = cell @ np.linalg.inv(primitive)
    whole = np.rint(exact)
    miss = np.abs((exact - whole) @ primitive).max()
    if miss > _TOLERANCE_ANGSTROM or abs(np.linalg.det(whole)) < 0.5:
        raise ValueError(
            f"atoms must be a supercell of phonopy's primitive cell {primitive.round(4).tolist()} in its "
            f"orientation; the cell is {cell.round(4).tolist()}, off by {miss:.3f} Å from a repetition"
        )
    return whole


def _assign(primitive: Any, scaled: np.ndarray, numbers: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Nearest basis atom of the same element, and the cell it is in."""
    offset = scaled[:, None] - primitive.scaled_positions
    cells = np.rint(offset)
    miss = np.linalg.norm((offset - cells) @ primitive.cell, axis=-1)
    miss[numbers[:, None] != np.asarray(primitive.numbers)] = np.inf
    basis = miss.argmin(axis=1)
    worst = miss.min(axis=1)
    if worst.max() > _TOLERANCE_ANGSTROM:
        raise ValueError(
            f"atoms must be a supercell of phonopy's primitive cell; atom {int(worst.argmax())} is off by "
            f"{worst.max():.3f} Å from a site of its element"
        )
    return basis, cells[np.arange(len(basis)), basis].astype(int)
