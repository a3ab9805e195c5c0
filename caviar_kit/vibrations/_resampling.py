"""Means of products of displacements, unit by unit, and the intervals that follow from their scatter.

A unit is what is left out or drawn again: an object state, a slice, a lattice cell, an atom. Every
estimate is a ratio, T = f · Σ_k S_k / Σ_k C_k over the units k, with S the sum of the products and C
their number; f = N/(N-1) makes up for the mean position that comes from the same N states.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from scipy.sparse import csr_matrix
from scipy.stats import t as student

__all__ = ["Pairs", "UnitSums", "bootstrap", "jackknife", "unit_sums"]


@dataclass(frozen=True, eq=False)
class Pairs:
    """Ordered pairs of atoms and what becomes of them."""

    first: np.ndarray  # int (pairs,)
    second: np.ndarray
    kinds: np.ndarray  # class of each pair, int (pairs,)
    classes: int
    places: np.ndarray  # spatial unit of each pair, int (pairs,)
    frames: np.ndarray | None = None  # rows are the axes in which its block is taken, (pairs, 2, 2)


@dataclass(frozen=True, eq=False)
class UnitSums:
    """S (*units, classes, 4) [Å²] and C (*units, classes); f; whether axis 0 counts states."""

    sums: np.ndarray
    counts: np.ndarray
    factor: float
    states_first: bool

    @property
    def units(self) -> tuple[int, ...]:
        """Number of units along each axis."""
        return self.counts.shape[:-1]

    @property
    def value(self) -> np.ndarray:
        """The estimate, (classes, 4), Å²; NaN where nothing was measured."""
        axes = tuple(range(len(self.units)))
        return self.factor * _ratio(self.sums.sum(axis=axes), self.counts.sum(axis=axes))


def unit_sums(u: np.ndarray, pairs: Pairs, over: tuple[str, ...], place: str) -> UnitSums:
    """Sums for the units named in ``over``, in the order states, slices, ``place``.

    ``u`` is (states, slices, atoms, 2) [Å], NaN where missing; it is centred here, per slice and atom,
    on the mean over the states that are there.
    """
    states, slices = u.shape[:2]
    centred = u - _mean_of_present(u)
    by_place = place in over
    many = int(pairs.places.max()) + 1 if by_place else 1
    row = (pairs.places if by_place else 0) * pairs.classes + pairs.kinds
    columns = np.arange(len(row))
    gather = csr_matrix((np.ones(len(row)), (row, columns)), shape=(many * pairs.classes, len(row)))
    shape = (states if "states" in over else 1, slices if "slices" in over else 1)
    sums = np.zeros((*shape, many * pairs.classes, 4))
    counts = np.zeros((*shape, many * pairs.classes))
    for n in range(states):
        for s in range(slices):
            one, two = centred[n, s, pairs.first], centred[n, s, pairs.second]
            if pairs.frames is not None:
                one, two = (np.einsum("pab,pb->pa", pairs.frames, vector) for vector in (one, two))
            products = (one[:, :, None] * two[:, None]).reshape(-1, 4)
            there = ~np.isnan(products).any(axis=1)
            target = (n if shape[0] > 1 else 0, s if shape[1] > 1 else 0)
            sums[target] += gather @ np.where(there[:, None], products, 0)
            counts[target] += gather @ there
    full = [shape[0]] * ("states" in over) + [shape[1]] * ("slices" in over) + [many] * by_place
    return UnitSums(
        sums.reshape(*full, pairs.classes, 4),
        counts.reshape(*full, pairs.classes),
        states / (states - 1),
        "states" in over,
    )


def jackknife(units: UnitSums, level: float) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Standard error, lower and upper end, each (classes, 4), from leaving out one unit at a time.

    With states as units the mean position is estimated again without the state left out; for a
    covariance that scales the deviations by exactly (N-1)/(N-2).
    """
    many = units.units[0]
    total, number = units.sums.sum(axis=0), units.counts.sum(axis=0)
    without = units.factor * _ratio(total - units.sums, number - units.counts)
    deviation = without - without.mean(axis=0)
    if units.states_first:
        deviation = deviation * (many - 1) / (many - 2)
    error = np.sqrt((many - 1) / many * (deviation**2).sum(axis=0))
    half = student.ppf((1 + level) / 2, many - 1) * error
    return error, units.value - half, units.value + half


def bootstrap(
    units: UnitSums, level: float, resamples: int, rng: np.random.Generator
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """As `jackknife`, from units drawn again with replacement.

    One kind of unit: bootstrap-t (each resample divided by its own standard error), which stays
    honest for few units and skewed products. Several: their weights multiply (pigeonhole
    bootstrap, Owen 2007, doi:10.1214/07-AOAS122), and the interval is symmetric.
    """
    if len(units.units) == 1:
        return _bootstrap_t(units, level, resamples, rng)
    draws = np.stack([_drawn(units, rng) for _ in range(resamples)])
    error = draws.std(axis=0, ddof=1) * _few_states(units)
    half = student.ppf((1 + level) / 2, min(units.units) - 1) * error
    return error, units.value - half, units.value + half


def _bootstrap_t(
    units: UnitSums, level: float, resamples: int, rng: np.random.Generator
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    many = units.units[0]
    sums, counts = units.sums, units.counts[..., None]
    error = _error(sums, counts, np.ones((1, many)), units.value[None])[0]
    scaled = []
    for start in range(0, resamples, 100):
        size = min(100, resamples - start)
        weights = rng.multinomial(many, np.full(many, 1 / many), size=size).astype(float)
        drawn = _ratio(np.tensordot(weights, sums, 1), np.tensordot(weights, units.counts, 1))
        spread = _error(sums, counts, weights, drawn)
        scaled.append((drawn - units.value / units.factor) / np.where(spread > 0, spread, np.nan))
    error = error * units.factor * _few_states(units)
    lower, upper = (_quantile(np.concatenate(scaled), end) for end in ((1 - level) / 2, (1 + level) / 2))
    return error, units.value - upper * error, units.value - lower * error


def _quantile(values: np.ndarray, fraction: float) -> np.ndarray:
    """Quantile over axis 0 of what is not NaN, as `numpy.nanquantile` but fast; 0 where all is NaN."""
    ordered = np.sort(values, axis=0)  # NaN last
    number = (~np.isnan(ordered)).sum(axis=0)
    at = fraction * np.maximum(number - 1, 0)
    low = np.floor(at).astype(int)
    high = np.minimum(low + 1, np.maximum(number - 1, 0))
    one, two = (np.take_along_axis(ordered, k[None], axis=0)[0] for k in (low, high))
    return np.where(number > 0, one + (at - low) * (two - one), 0.0)


def _error(sums: np.ndarray, counts: np.ndarray, weights: np.ndarray, value: np.ndarray) -> np.ndarray:
    """Linearised standard error of the ratio, per row of ``weights``; ``value`` without the factor."""
    many = len(sums)
    square = np.tensordot(weights, sums**2, 1) - 2 * value * np.tensordot(weights, sums * counts, 1)
    square = square + value**2 * np.tensordot(weights, counts**2, 1)
    number = np.tensordot(weights, counts, 1)
    return np.sqrt(np.clip(square, 0, None) * many / (many - 1)) / np.where(number > 0, number, np.nan)


def _drawn(units: UnitSums, rng: np.random.Generator) -> np.ndarray:
    sums, counts = units.sums, units.counts
    for many in units.units:
        weights = rng.multinomial(many, np.full(many, 1 / many)).astype(float)
        sums, counts = np.tensordot(weights, sums, 1), np.tensordot(weights, counts, 1)
    return units.factor * _ratio(sums, counts)


def _few_states(units: UnitSums) -> float:
    """Draws of states keep the mean position of all: the exact jackknife's scale for that."""
    many = units.units[0]
    return (many - 1) / (many - 2) if units.states_first else 1.0


def _mean_of_present(u: np.ndarray) -> np.ndarray:
    there = ~np.isnan(u)
    number = there.sum(axis=0)
    return np.where(there, u, 0).sum(axis=0) / np.where(number > 0, number, np.nan)


def _ratio(sums: np.ndarray, counts: np.ndarray) -> np.ndarray:
    number = counts[..., None]
    return np.where(number > 0, sums / np.where(number > 0, number, 1), np.nan)
