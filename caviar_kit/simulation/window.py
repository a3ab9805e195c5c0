"""Cut the specimen to the simulation window and lay its atomic layers between the slice boundaries."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from caviar_kit.simulation.experiment import Experiment
from caviar_kit.simulation.periodic import lattice_shifts
from caviar_kit.simulation.snapshots import Snapshots

__all__ = ["Window", "cut_window"]


@dataclass(frozen=True, eq=False)
class Window:
    """The atoms, periodic images included, whose relaxed positions lie in the window.

    The same atoms in every snapshot: none appears or vanishes at the edge as it vibrates.

    Attributes
    ----------
    index : array of int, shape (n,)
        Atom of the specimen cell.
    shift : array, shape (n, 3)
        x, y, z [Å] to add to its position; the window's corner becomes the origin.
    size : array, shape (3,)
        Sides x, y, z of the window [Å].
    """

    index: np.ndarray
    shift: np.ndarray
    size: np.ndarray

    def place(self, positions: np.ndarray) -> np.ndarray:
        """(atoms, 3) positions of one snapshot → (n, 3) x, y, z in the window [Å].

        Periodic in the plane; along the beam, atoms beyond a surface stay at the surface.
        """
        placed = positions[self.index] + self.shift
        placed[:, :2] %= self.size[:2]
        placed[:, 2] = np.clip(placed[:, 2], 0, np.nextafter(self.size[2], 0))
        return placed


def cut_window(snapshots: Snapshots, experiment: Experiment) -> Window:
    """Find the atoms inside the experiment's window.

    In a specimen that repeats along the beam the slice boundaries go to the middle of the widest gap between
    atomic layers (modulo the slice thickness), so that as few atoms as possible cross one as they vibrate.
    A slab with surfaces is moved as a whole, its middle to that of the cell.

    Raises
    ------
    ValueError
        If the window holds no atoms.
    """
    relaxed = snapshots.relaxed
    projected = relaxed[:, 1::-1]
    centre, side = np.array(experiment.centre_angstrom), experiment.window_angstrom
    index, shifts = [np.empty(0, dtype=int)], [np.empty((0, 2))]
    for shift in lattice_shifts(snapshots.cell, projected, centre, np.full(2, side / 2)) - centre + side / 2:
        moved = projected + shift
        inside = np.flatnonzero(((moved >= 0) & (moved < side)).all(axis=1))
        index.append(inside)
        shifts.append(np.broadcast_to(shift[::-1], (len(inside), 2)))
    atoms = np.concatenate(index)
    if not len(atoms):
        raise ValueError(
            f"the window of {side:g} Å about centre_angstrom={experiment.centre_angstrom} holds no atoms"
        )
    thickness = snapshots.thickness_angstrom
    height = relaxed[atoms, 2]
    if snapshots.periodic_along_beam:
        along = (height - _slice_boundary(height, thickness / experiment.num_slices)) % thickness - height
    else:
        along = np.full(len(height), (thickness - relaxed[:, 2].min() - relaxed[:, 2].max()) / 2)
    shift = np.column_stack([np.concatenate(shifts), along])
    return Window(atoms, shift, np.array([side, side, thickness]))


def _slice_boundary(height: np.ndarray, slice_thickness: float) -> float:
    """Middle of the widest gap between ``height`` modulo ``slice_thickness`` [Å]."""
    phase = np.sort(height % slice_thickness)
    gap = np.diff(phase, append=phase[0] + slice_thickness)
    widest = int(np.argmax(gap))
    return float(phase[widest] + gap[widest] / 2) % slice_thickness
