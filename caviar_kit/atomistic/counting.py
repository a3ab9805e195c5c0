"""How many atoms a column has, from the phase of a pixel-wise reconstruction: where a fit begins."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

from caviar_kit.atomistic.atomic_object import AtomicObject, Atoms
from caviar_kit.atomistic.sites import Sites
from caviar_kit.multislice.model import MultisliceModel

__all__ = ["count_atoms"]

_ASSUMED_WIDTH = 0.02  # Å²: blur of atoms in a pixel-wise mean phase


def count_atoms(
    phase: np.ndarray,
    sites: Sites,
    form_factors: Callable[[np.ndarray], np.ndarray],
    model: MultisliceModel,
    scan_angstrom: np.ndarray,
) -> np.ndarray:
    """One number of atoms for all columns of an element, spread evenly over their slices.

    Least squares of the phase in the scanned field, with a constant beside the atoms.

    Parameters
    ----------
    phase : (y, x)
        Projected phase, mean over the states [rad].
    sites : Sites
        Columns.
    form_factors : callable
        From q² [1/Å²] to the phase of one atom [rad Å²], (species, *q².shape).
    model : MultisliceModel
        Grid of the object.
    scan_angstrom : (positions, 2)
        Scan positions [Å].

    Returns
    -------
    float64 (sites, slices)

    Raises
    ------
    ValueError
        If the phase is empty, or an element has less phase at its sites than there is between them.
    """
    if not np.ptp(phase) > 0:
        raise ValueError(
            "ptychography shows no phase to count atoms in: reconstruct first (one state is enough), "
            "or give occupancies"
        )
    kinds, pixel = len(sites.species), np.array(model.sampling)
    flat = Sites(sites.positions, sites.species, sites.kinds, np.ones((len(sites), 1), bool))
    single = AtomicObject(flat, form_factors, model.object_shape, model.sampling, dtype=float)
    first, last = (np.rint(end(scan_angstrom, axis=0) / pixel).astype(int) for end in (np.min, np.max))
    field = np.s_[first[0] : last[0] + 1, first[1] : last[1] + 1]
    images = [np.ones(phase[field].size)]
    for kind in range(kinds):
        number = (sites.kinds == kind)[:, None].astype(float)
        atoms = Atoms(sites.positions[None], number, np.ones(kinds), np.full(kinds, _ASSUMED_WIDTH))
        images.append(single.phases(atoms)[0, 0][field].ravel())
    counts = np.linalg.lstsq(np.stack(images, axis=1), phase[field].ravel(), rcond=None)[0][1:]
    if not (counts > 0).all():
        lacking = [name for name, count in zip(sites.species, counts, strict=True) if count <= 0]
        raise ValueError(
            f"positions of {lacking} do not match the reconstruction, with less phase there than between"
        )
    return np.asarray(counts[sites.kinds, None] * sites.slices / sites.slices.sum(axis=1, keepdims=True))
