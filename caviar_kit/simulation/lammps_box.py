"""Between the caller's cell and the lower-triangular one that LAMMPS wants."""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np

from caviar_kit import validation

__all__ = ["Box"]

_TINY = 1e-10  # of a side: rounding, not tilt


@dataclass(frozen=True, eq=False)
class Box:
    """A cell in the caller's frame and in LAMMPS's.

    Attributes
    ----------
    matrix : array, shape (3, 3)
        LAMMPS's cell vectors as rows [Å]: lower triangular, tilts at most half a side.
    rotation : array, shape (3, 3)
        Orthogonal; a row vector v of the caller is ``v @ rotation`` in LAMMPS. Its determinant is -1
        if the caller's cell is left-handed.
    combination : array of int, shape (3, 3)
        The caller's cell vectors as combinations of LAMMPS's.
    """

    matrix: np.ndarray
    rotation: np.ndarray
    combination: np.ndarray

    @classmethod
    def of(cls, cell: np.ndarray) -> Box:
        """The box of a (3, 3) ``cell``, vectors as rows [Å].

        Raises
        ------
        ValueError
            If the vectors do not span a volume.
        """
        from ase.calculators.lammps import Prism

        cell = np.array(validation.as_array("cell", cell, shape=(3, 3)), dtype=float)
        lengths = np.linalg.norm(cell, axis=1)
        if abs(np.linalg.det(cell)) < 1e-6 * lengths.prod() or not lengths.all():
            raise ValueError(f"cell vectors must span a volume, got {cell.tolist()}")
        prism = Prism(cell, reduce_cell=True)
        matrix = np.array(prism.lammps_cell)
        matrix[np.abs(matrix) < _TINY * lengths.max()] = 0.0
        combination = np.rint(prism.lammps_tilt @ np.linalg.inv(matrix))
        return cls(matrix, np.array(prism.rot_mat), combination)

    @property
    def caller_cell(self) -> np.ndarray:
        """The caller's cell vectors as rows [Å]."""
        return self.combination @ self.to_caller(self.matrix)

    @property
    def tilted(self) -> bool:
        """Whether the cell is not a block."""
        return bool(np.any(self.matrix - np.diag(np.diag(self.matrix))))

    @property
    def keeps_axes(self) -> bool:
        """Whether x, y, z of LAMMPS are those of the caller."""
        return bool(np.abs(self.rotation - np.eye(3)).max() < 1e-6)

    def changed(self, matrix: np.ndarray) -> Box:
        """The box after LAMMPS has deformed its cell to ``matrix``."""
        return replace(self, matrix=matrix)

    def to_caller(self, vectors: np.ndarray) -> np.ndarray:
        """(..., 3) vectors from LAMMPS's frame to the caller's."""
        return vectors @ self.rotation.T

    def wrap(self, positions: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """Caller's (n, 3) positions → the same inside LAMMPS's cell [Å], and cells away (n, 3) as int."""
        turned = positions @ self.rotation
        images = np.floor(turned @ np.linalg.inv(self.matrix)).astype(int)
        return turned - images @ self.matrix, images

    def region(self, name: str) -> str:
        """LAMMPS's command that declares the box as a region."""
        (x, _, _), (xy, y, _), (xz, yz, z) = self.matrix.tolist()
        sides = f"0 {x!r} 0 {y!r} 0 {z!r}"
        return (
            f"region {name} prism {sides} {xy!r} {xz!r} {yz!r}"
            if self.tilted
            else f"region {name} block {sides}"
        )
