"""Correlations with error bars: jackknife and bootstrap over states, slices, cells or atoms."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import ArrayLike

from caviar_kit import validation
from caviar_kit.vibrations._inputs import positions_2d
from caviar_kit.vibrations._interval_steps import four_axes, interval, settings_of, units_of
from caviar_kit.vibrations._resampling import Pairs, UnitSums
from caviar_kit.vibrations.lattice import Lattice
from caviar_kit.vibrations.pairs import cell_differences, images_of
from caviar_kit.vibrations.shells import SHELLS, neighbour_shells
from caviar_kit.vibrations.symmetry import LatticeOperation, lattice_operations

__all__ = [
    "PairIntervals",
    "ShellIntervals",
    "TensorIntervals",
    "pair_intervals",
    "shell_intervals",
    "tensor_intervals",
]


@dataclass(frozen=True, eq=False)
class PairIntervals:
    """Covariance of each kind of pair with its interval; arrays (pairs, sites, sites, 2, 2), Å²."""

    cells: np.ndarray
    """Cell differences Δ, int64 (pairs, 2), as in `PairAverages`."""
    value: np.ndarray
    """Estimate, free of few-state bias: N/(N-1) times the mean of G; NaN where nothing was measured."""
    low: np.ndarray
    """Lower end of the interval."""
    high: np.ndarray
    """Upper end of the interval."""
    standard_error: np.ndarray
    """Standard error of the estimate."""
    level: float
    """Probability that the interval covers the true covariance."""


@dataclass(frozen=True, eq=False)
class ShellIntervals:
    """Covariance per shell with its interval; arrays (shells, 2, 2), Å².

    The axes of a pair are (across, along) the vector from the first to the second atom, those of
    "self" are (y, x): ``value[1]`` = [[across, mixed], [mixed, along]] of the nearest neighbours.
    """

    shells: tuple[str, ...]
    """Names along the first axis: "self", "nearest", "next", "all"."""
    value: np.ndarray
    """Estimate, free of few-state bias; NaN for an empty shell."""
    low: np.ndarray
    """Lower end of the interval."""
    high: np.ndarray
    """Upper end of the interval."""
    standard_error: np.ndarray
    """Standard error of the estimate."""
    level: float
    """Probability that the interval covers the true covariance."""


@dataclass(frozen=True, eq=False)
class TensorIntervals:
    """Covariance of every two atoms with its interval; arrays (atoms, 2, atoms, 2), Å²."""

    value: np.ndarray
    """Estimate, free of few-state bias; NaN where two atoms were never seen together."""
    low: np.ndarray
    """Lower end of the interval."""
    high: np.ndarray
    """Upper end of the interval."""
    standard_error: np.ndarray
    """Standard error of the estimate."""
    level: float
    """Probability that the interval covers the true covariance."""


def tensor_intervals(u: ArrayLike, *, over: str = "states", level: float = 0.95) -> TensorIntervals:
    """Covariance of every two atoms, one by one, with jackknife intervals.

    A single pair seen in N states has a wide and skewed distribution: at N = 20 the interval of a
    variance covers the truth in about 89 % instead of 95 %. Means over equal pairs do better, see
    `pair_intervals` and `shell_intervals`.

    Parameters
    ----------
    u : array, (states, atoms, 2) or (states, slices, atoms, 2), Å
        From `displacements`; NaN are left out, pair by pair.
    over : {"states", "slices"}
        What is left out.
    level : float
        Coverage of the interval, between 0 and 1.

    Returns
    -------
    TensorIntervals

    Raises
    ------
    TypeError, ValueError
        If an argument cannot be used or there are too few units (3 states, 2 slices).
    """
    array = four_axes(u)
    validation.choice("over", over, ("states", "slices"))
    atoms = array.shape[2]
    first, second = (index.ravel() for index in np.indices((atoms, atoms)))
    pairs = Pairs(first, second, np.arange(atoms**2), atoms**2, np.zeros(atoms**2, int))
    settings = settings_of(over, "cells", "jackknife", level, 100, 0)
    sums, present = units_of(array, pairs, settings)
    blocks = interval(sums, present, atoms**2, settings).reshape(4, atoms, atoms, 2, 2)
    value, low, high, error = blocks.transpose(0, 1, 3, 2, 4)
    return TensorIntervals(value, low, high, error, settings.level)


def pair_intervals(
    u: ArrayLike,
    lattice: Lattice,
    *,
    over: str | Sequence[str] = "states",
    method: str = "jackknife",
    level: float = 0.95,
    radius: float | None = None,
    point_group: str | Sequence[ArrayLike] | None = None,
    resamples: int = 1000,
    seed: int = 0,
) -> PairIntervals:
    """Covariance of the displacements for every kind of pair of a lattice, with intervals.

    The estimate is the mean over states, slices and equivalent pairs, as `average_equivalent_pairs`
    takes it, times N/(N-1) for the mean position that the same N states gave.

    Parameters
    ----------
    u : array, (states, atoms, 2) or (states, slices, atoms, 2), Å
        From `displacements`; NaN are left out, pair by pair. Slices are correlated one by one and
        then averaged.
    lattice : Lattice
        Fitted to the same atoms.
    over : {"states", "slices", "cells"} or several of them
        What is left out or drawn again. States are independent, so "states" is honest whatever the
        correlations in space. "cells" and "slices" take these for independent: neighbouring cells
        are not, and such intervals alone are too narrow where correlations reach far.
    method : {"jackknife", "bootstrap"}
        Jackknife: t interval from leaving out one unit at a time; one kind of unit only.
        Bootstrap: bootstrap-t for one kind, product weights for several (conservative).
    level : float
        Coverage of the interval, between 0 and 1.
    radius : float, Å, optional
        Only pairs up to this distance.
    point_group : {"site", "lattice"} or sequence of (2, 2) matrices, optional
        Average over rotations and mirrors too, as in `average_equivalent_pairs`.
    resamples : int
        Bootstrap samples.
    seed : int
        Of the bootstrap; same seed, same bits.

    Returns
    -------
    PairIntervals

    Raises
    ------
    TypeError, ValueError
        If an argument cannot be used or there are too few units (3 states, 2 others).
    """
    array = four_axes(u)
    if not isinstance(lattice, Lattice):
        raise TypeError(f"lattice must be a Lattice from fit_lattice, got {type(lattice).__name__}")
    if array.shape[2] != len(lattice.sites):
        raise ValueError(f"u must hold the {len(lattice.sites)} atoms of lattice, got {array.shape[2]}")
    inside = np.flatnonzero(lattice.sites >= 0)
    differences, index = cell_differences(lattice.cells[inside])
    kinds = len(lattice.basis)
    sites = lattice.sites[inside]
    key = (index * kinds + sites[:, None]) * kinds + sites
    cell = np.unique(lattice.cells[inside], axis=0, return_inverse=True)[1].reshape(-1)
    near = np.ones(key.shape, bool)
    if radius is not None:
        radius = validation.number("radius", radius, minimum=0, unit="Å")
        ideal = lattice.ideal(lattice.cells[inside], sites)
        near = np.linalg.norm(ideal[:, None] - ideal, axis=-1) <= radius
    first, second = np.nonzero(near)
    pairs = Pairs(inside[first], inside[second], key[near], len(differences) * kinds**2, cell[first])
    settings = settings_of(over, "cells", method, level, resamples, seed)
    sums, present = units_of(array, pairs, settings)
    if point_group is not None:
        operations = lattice_operations(lattice, point_group)
        differences, sums, present = _symmetric(sums, present, differences, kinds, operations)
    result = interval(sums, present, len(differences) * kinds**2, settings)
    value, low, high, error = result.reshape(4, len(differences), kinds, kinds, 2, 2)
    return PairIntervals(differences, value, low, high, error, settings.level)


def shell_intervals(
    u: ArrayLike,
    positions: ArrayLike,
    *,
    shell_edges: Sequence[float] | None = None,
    over: str | Sequence[str] = "states",
    method: str = "jackknife",
    level: float = 0.95,
    resamples: int = 1000,
    seed: int = 0,
) -> ShellIntervals:
    """Mean covariance of the displacements per shell of neighbours, along and across the bond.

    Parameters
    ----------
    u, method, level, resamples, seed
        As for `pair_intervals`.
    positions : array, (atoms, 2), Å
        Mean positions of the same atoms.
    shell_edges : pair of float, optional, Å
        As for `compare_correlations`.
    over : {"states", "slices", "atoms"} or several of them
        As for `pair_intervals`; a pair belongs to its first atom.

    Returns
    -------
    ShellIntervals

    Raises
    ------
    TypeError, ValueError
        If an argument cannot be used or there are too few units (3 states, 2 others).
    """
    array, where = four_axes(u), positions_2d(positions)
    if array.shape[2] != len(where):
        raise ValueError(f"positions must hold the {array.shape[2]} atoms of u, got {len(where)}")
    shells = neighbour_shells(where, shell_edges)
    first, second, kinds = [], [], []
    for kind, name in enumerate(SHELLS):
        i, j = np.nonzero(shells.mask(name))
        first.append(i)
        second.append(j)
        kinds.append(np.full(len(i), kind))
    i, j = np.concatenate(first), np.concatenate(second)
    pairs = Pairs(i, j, np.concatenate(kinds), len(SHELLS), i, _frames(where[j] - where[i]))
    settings = settings_of(over, "atoms", method, level, resamples, seed)
    sums, present = units_of(array, pairs, settings)
    value, low, high, error = interval(sums, present, len(SHELLS), settings).reshape(4, len(SHELLS), 2, 2)
    return ShellIntervals(SHELLS, value, low, high, error, settings.level)


def _symmetric(
    units: UnitSums,
    present: np.ndarray,
    differences: np.ndarray,
    kinds: int,
    operations: Sequence[LatticeOperation],
) -> tuple[np.ndarray, UnitSums, np.ndarray]:
    """Sums that contain the images of all pairs; cell differences, units, classes present."""
    pair, one, two = np.unravel_index(present, (len(differences), kinds, kinds))
    images = images_of(differences[pair], one, two, operations)
    shape = (len(images.cells), kinds, kinds)
    flat = [np.ravel_multi_index(target, shape) for target in images.targets]
    reached = np.unique(np.concatenate(flat))
    sums = np.zeros((*units.units, len(reached), 4))
    counts = np.zeros((*units.units, len(reached)))
    for target, turn in zip(flat, images.turns, strict=True):
        at = np.searchsorted(reached, target)
        sums[..., at, :] += units.sums @ turn.T
        counts[..., at] += units.counts
    return images.cells, replace(units, sums=sums, counts=counts), reached


def _frames(apart: np.ndarray) -> np.ndarray:
    """Rows (across, along) for vectors (pairs, 2); the image's (y, x) for a pair of an atom with itself."""
    length = np.linalg.norm(apart, axis=1, keepdims=True)
    along = np.where(length > 0, apart / np.where(length > 0, length, 1), [0.0, 1.0])
    across = np.stack([along[:, 1], -along[:, 0]], axis=1)
    return np.stack([across, along], axis=1)
