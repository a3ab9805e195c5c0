"""Calculated phonons of phonopy along the path of a measured dispersion."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from caviar_kit import validation
from caviar_kit.vibrations.brillouin import brillouin_path

if TYPE_CHECKING:
    from caviar_kit.vibrations.dispersion_result import PhononDispersion

__all__ = ["phonopy_dispersion"]

_NORMAL = 1e-3  # Å: how far a1 and a2 may leave the plane


def phonopy_dispersion(phonon: Any, dispersion: PhononDispersion, path: str | None = "GKMG") -> np.ndarray:
    """In-plane branches of a Phonopy object at the points of a dispersion.

    Points are matched by their names: the path is laid through the Brillouin zone of phonopy's own cell, so
    cells that are turned, mirrored, slightly strained or of the other angle (60° or 120°) still agree. The
    crystal's normal must be along z, a1 and a2 of the primitive cell in the plane.

    Parameters
    ----------
    phonon : phonopy.Phonopy
        With force constants; phonopy 4 (``pip install caviar_kit[md]``).
    dispersion : PhononDispersion
    path : str or None
        The names given to `phonon_dispersion`. None uses ``dispersion.fractions`` as they are: phonopy's a1
        and a2 must then be those of the lattice.

    Returns
    -------
    array, float64, (points, branches), THz
        Ascending; negative for imaginary frequencies. Of all modes at a q the 2 per atom with the largest
        share of energy in the plane, so of a stack of layers the branches of every layer.

    Raises
    ------
    TypeError, ValueError
        If ``phonon`` has no force constants or another orientation, or the path has another number of points
        there.
    """
    if not all(hasattr(phonon, name) for name in ("primitive", "force_constants", "run_qpoints")):
        raise TypeError(f"phonon must be a phonopy.Phonopy, got {type(phonon).__name__}")
    if phonon.force_constants is None:
        raise ValueError("phonon has no force constants; call its produce_force_constants() first")
    cell = np.asarray(phonon.primitive.cell)
    if np.abs(cell[:2, 2]).max() > _NORMAL:
        raise ValueError("phonon: a1 and a2 of its primitive cell must lie in the xy plane")
    fractions = dispersion.fractions if path is None else _same_points(cell, path, len(dispersion.q))
    phonon.run_qpoints(np.column_stack([fractions, np.zeros(len(fractions))]), with_eigenvectors=True)
    frequencies = np.asarray(phonon.qpoints.frequencies)
    vectors = np.asarray(phonon.qpoints.eigenvectors)
    atoms = vectors.shape[1] // 3
    in_plane = (np.abs(vectors.reshape(len(fractions), atoms, 3, -1)[:, :, :2]) ** 2).sum(axis=(1, 2))
    chosen = np.argsort(-in_plane, axis=1, kind="stable")[:, : 2 * atoms]
    return np.sort(np.take_along_axis(frequencies, chosen, axis=1), axis=1)


def _same_points(cell: np.ndarray, path: str, count: int) -> np.ndarray:
    validation.choice("path", path, (path,) if isinstance(path, str) else ())
    fractions = brillouin_path(cell[:2, :2], path, points=count).fractions
    if len(fractions) != count:
        raise ValueError(
            f"path {path!r} has {len(fractions)} points in phonon's cell, dispersion has {count}"
        )
    return fractions
