"""Thermal snapshots: the same atoms, frozen at several instants."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import ArrayLike

from caviar_kit import validation

if TYPE_CHECKING:
    from ase import Atoms

__all__ = ["Snapshots", "check_snapshots"]


@dataclass(frozen=True, eq=False)
class Snapshots:
    """Positions of the same atoms at several instants; the beam runs along +z.

    A fast electron crosses the specimen within 1e-16 s and sees the atoms at rest, so a
    recorded pattern is the mean over such snapshots (frozen phonons).

    Parameters
    ----------
    positions : array, shape (snapshots, atoms, 3)
        Cartesian x, y, z [Å], not wrapped into the cell; kept as float64, read-only.
    numbers : array of int, shape (atoms,)
        Atomic numbers.
    cell : array, shape (3, 3)
        Cell vectors as rows [Å]; the first two in the xy plane, the third along z.
    relaxed : array, shape (atoms, 3)
        Positions of least energy [Å].
    temperature_k : float
        Temperature [K]; 0 for atoms at rest.
    provenance : mapping of str to str
        Where the snapshots come from: program, potential, thermostat...
    periodic_along_beam : bool
        Whether the specimen goes on beyond the cell along z, so that the cell may be cut anywhere. False for
        a slab with surfaces, whose layers keep their order.

    Raises
    ------
    TypeError, ValueError
        If an array has the wrong shape, dtype or is not finite, an atomic number is not in
        1–118, or the cell is flat, not in Å or not aligned with the beam.
    """

    positions: np.ndarray
    numbers: np.ndarray
    cell: np.ndarray
    relaxed: np.ndarray
    temperature_k: float
    provenance: Mapping[str, str] = field(default_factory=dict)
    periodic_along_beam: bool = True

    def __post_init__(self) -> None:
        numbers = _numbers(self.numbers)
        atoms = len(numbers)
        values: dict[str, Any] = {
            "numbers": numbers,
            "positions": _floats("positions", self.positions, (None, atoms, 3)),
            "relaxed": _floats("relaxed", self.relaxed, (atoms, 3)),
            "cell": _cell(self.cell),
            "temperature_k": validation.number("temperature_k", self.temperature_k, minimum=0.0, unit="K"),
            "provenance": _provenance(self.provenance),
        }
        for name, value in values.items():
            object.__setattr__(self, name, value)
        if not isinstance(self.periodic_along_beam, bool):
            raise TypeError(f"periodic_along_beam must be True or False, got {self.periodic_along_beam!r}")

    def __len__(self) -> int:
        return len(self.positions)

    @property
    def thickness_angstrom(self) -> float:
        """Length of the cell along the beam [Å]."""
        return float(self.cell[2, 2])

    @property
    def mean_positions(self) -> np.ndarray:
        """Mean over the snapshots, (atoms, 3) [Å]."""
        return self.positions.mean(axis=0)

    @property
    def displacements(self) -> np.ndarray:
        """Displacements u = R − ⟨R⟩ (CAVIAR, arXiv:2309.12017, eq. 1), (snapshots, atoms, 3) [Å]."""
        return self.positions - self.mean_positions

    def atoms(self, index: int) -> Atoms:
        """Snapshot ``index`` (negative: from the end) as ASE ``Atoms``, periodic in the plane.

        Raises
        ------
        TypeError, ValueError
            If ``index`` is not an integer, or there is no such snapshot.
        """
        from ase import Atoms

        index = validation.integer("index", index, minimum=-len(self), maximum=len(self) - 1)
        return Atoms(
            numbers=self.numbers,
            positions=self.positions[index],
            cell=self.cell,
            pbc=(True, True, self.periodic_along_beam),
        )

    def subset(self, count: int) -> Snapshots:
        """``count`` of the snapshots, evenly spread in time.

        Raises
        ------
        TypeError, ValueError
            If ``count`` is not an integer from 1 to the number of snapshots.
        """
        count = validation.integer("count", count, maximum=len(self))
        return replace(self, positions=self.positions[np.arange(count) * len(self) // count])

    def only(self, atoms: ArrayLike) -> Snapshots:
        """The same snapshots of the atoms that the mask ``atoms``, bool (atoms,), selects.

        Raises
        ------
        TypeError, ValueError
            If ``atoms`` does not hold True or False for each atom, or selects none.
        """
        mask = np.asarray(atoms)
        if mask.dtype != np.bool_:
            raise TypeError(f"atoms must hold True or False for each atom, got dtype {mask.dtype}")
        if mask.shape != self.numbers.shape or not mask.any():
            raise ValueError(
                f"atoms must have shape ({len(self.numbers)},) and select at least one atom, got shape "
                f"{mask.shape} with {np.count_nonzero(mask)} selected"
            )
        return replace(
            self, positions=self.positions[:, mask], numbers=self.numbers[mask], relaxed=self.relaxed[mask]
        )


def check_snapshots(value: Any) -> None:
    """Refuse what is not ``Snapshots``.

    Raises
    ------
    TypeError
        Then.
    """
    if not isinstance(value, Snapshots):
        raise TypeError(f"snapshots must be Snapshots, got {type(value).__name__}")


def _floats(name: str, value: Any, shape: tuple[int | None, ...]) -> np.ndarray:
    array = np.array(validation.as_array(name, value, shape=shape), dtype=np.float64)
    array.setflags(write=False)
    return array


def _numbers(value: Any) -> np.ndarray:
    array = validation.as_array("numbers", value, shape=(None,))
    if array.dtype.kind not in "iu":
        raise TypeError(f"numbers must hold integers (atomic numbers), got dtype {array.dtype}")
    if array.min() < 1 or array.max() > 118:
        raise ValueError(f"numbers must be atomic numbers from 1 to 118, got {array.min()} to {array.max()}")
    numbers = array.astype(np.int64)
    numbers.setflags(write=False)
    return numbers


def _cell(value: Any) -> np.ndarray:
    cell = _floats("cell", value, (3, 3))
    lengths = np.linalg.norm(cell, axis=1)
    if lengths.min() < 0.5:
        raise ValueError(
            f"cell vectors must be at least 0.5 Å long, got {lengths.min():g}; is the cell in angstrom?"
        )
    if np.abs(cell[:2, 2]).max() > 1e-6 or np.abs(cell[2, :2]).max() > 1e-6 or cell[2, 2] < 0:
        raise ValueError(
            "cell must have its first two vectors in the xy plane and its third along +z (the beam), "
            f"got {cell.tolist()}; rotate the structure"
        )
    if abs(np.linalg.det(cell)) < 1e-6 * lengths.prod():
        raise ValueError(f"cell vectors must span a volume, got {cell.tolist()}")
    return cell


def _provenance(value: Any) -> dict[str, str]:
    if not isinstance(value, Mapping) or not all(isinstance(x, str) for item in value.items() for x in item):
        raise TypeError(f"provenance must map strings to strings, got {value!r}")
    return dict(value)
