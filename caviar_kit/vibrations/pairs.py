"""Green's tensor averaged over pairs of atoms that a perfect lattice makes equal."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
from numpy.typing import ArrayLike

from caviar_kit import validation
from caviar_kit.vibrations.correlations import tensor_with_gaps
from caviar_kit.vibrations.lattice import Lattice
from caviar_kit.vibrations.symmetry import LatticeOperation, lattice_operations

__all__ = ["FullTensor", "PairAverages", "average_equivalent_pairs"]


class FullTensor(NamedTuple):
    """What `caviar_kit.plot.correlation_arrows` takes: ``correlation_arrows(*full)``."""

    G: np.ndarray
    """float64 (atoms, 2, atoms, 2), Å²."""
    positions: np.ndarray
    """float64 (atoms, 2), Å; the reference atom at the origin."""
    reference: int
    """Index of the reference atom."""


@dataclass(frozen=True, eq=False)
class PairAverages:
    """Mean Green's tensor of each kind of pair: from (cell 0, site κ) to (cell Δ, site κ')."""

    lattice: Lattice
    """The lattice whose sites are meant."""
    cells: np.ndarray
    """Cell differences Δ, int64 (pairs, 2); with every Δ there is -Δ."""
    tensors: np.ndarray
    """Mean of G[i, α, j, β], float64 (pairs, sites, sites, 2, 2), Å², axes Δ, κ, κ', α, β; NaN where no
    pair was measured."""
    counts: np.ndarray
    """Measured pairs in each mean, int64 (pairs, sites, sites)."""
    standard_errors: np.ndarray
    """Standard deviation between equivalent pairs over √count, like ``tensors``; NaN below 2 pairs.

    Equivalent pairs share atoms and states, so this is a scatter, not an interval: see
    `caviar_kit.vibrations.pair_intervals`.
    """

    @property
    def vectors(self) -> np.ndarray:
        """Ideal vector from the first to the second atom, float64 (pairs, sites, sites, 2), y, x, Å."""
        return pair_vectors(self.lattice, self.cells)

    def between(self, nearest: float, farthest: float) -> np.ndarray:
        """Tensors of the measured pairs whose atoms are between two distances [Å] apart.

        Returns
        -------
        array of float64, (n, 2, 2), Å²
            In the order of ``counts``: the same for two averages over the same lattice and atoms.

        Raises
        ------
        TypeError, ValueError
            If the distances are not finite numbers in ascending order.
        """
        nearest = validation.number("nearest", nearest, unit="Å")
        farthest = validation.number("farthest", farthest, minimum=nearest, unit="Å")
        distance = np.linalg.norm(self.vectors, axis=-1)
        return self.tensors[(self.counts > 0) & (nearest <= distance) & (distance <= farthest)]

    def full_tensor(
        self, site: int = 0, *, radius: float | None = None, local: bool = False, missing: float = 0.0
    ) -> FullTensor:
        """Ideal patch of the crystal with the averaged tensor of every pair in it.

        Parameters
        ----------
        site : int
            Basis site of the reference atom.
        radius : float, Å, optional
            How far the patch extends; by default as far as the averaged pairs.
        local : bool
            Turn positions and tensor into the lattice's local axes (x along a nearest neighbour).
        missing : float, Å²
            What stands where no such pair was measured; `correlation_arrows` refuses NaN.

        Returns
        -------
        FullTensor

        Raises
        ------
        TypeError, ValueError
            If an argument is out of range.
        """
        site = validation.integer("site", site, minimum=0, maximum=self.tensors.shape[1] - 1)
        apart = self.vectors[:, site]  # (pairs, sites, 2)
        distance = np.where(self.counts[:, site] > 0, np.linalg.norm(apart, axis=-1), np.inf)
        if radius is None:
            radius = float(distance[np.isfinite(distance)].max(initial=0)) + 1e-6
        reach = validation.number("radius", radius, minimum=0, unit="Å")
        which, sites = np.nonzero(distance <= reach)
        cells, positions = self.cells[which], apart[which, sites]
        blocks = self._blocks(cells, sites, missing)
        reference = int(np.argmin(np.linalg.norm(positions, axis=1)))
        tensor = blocks.transpose(0, 2, 1, 3)
        if local:
            axes = self.lattice.axes
            positions = positions @ axes.T
            tensor = np.einsum("ab,ibjc,dc->iajd", axes, tensor, axes)
        return FullTensor(tensor, positions, reference)

    def _blocks(self, cells: np.ndarray, sites: np.ndarray, missing: float) -> np.ndarray:
        lookup = {(int(a), int(b)): k for k, (a, b) in enumerate(self.cells)}
        blocks = np.full((len(cells), len(cells), 2, 2), np.nan)
        for i, (cell, site) in enumerate(zip(cells, sites, strict=True)):
            rows = [lookup.get((int(a), int(b)), -1) for a, b in cells - cell]
            known = np.array(rows) >= 0
            blocks[i, known] = self.tensors[np.array(rows)[known], site, sites[known]]
        return np.where(np.isnan(blocks), missing, blocks)


def average_equivalent_pairs(
    G: ArrayLike,
    lattice: Lattice,
    *,
    point_group: str | Sequence[ArrayLike] | None = None,
    tolerance: float = 0.1,
) -> PairAverages:
    """Average Green's tensor over the lattice's translations and, on request, its point group.

    Parameters
    ----------
    G : array, (atoms, 2, atoms, 2), Å²
        From `greens_tensor`, for the atoms the lattice was fitted to. NaN pairs are left out of
        their means.
    lattice : Lattice
        From `fit_lattice`; atoms outside take no part.
    point_group : {"site", "lattice"} or sequence of (2, 2) matrices, optional
        Average over rotations and mirrors too, T → R T Rᵀ; see
        `caviar_kit.vibrations.lattice_operations`. By default translations only.
    tolerance : float, Å
        How far a site may miss its image under the point group.

    Returns
    -------
    PairAverages
        Symmetric: the tensor of (Δ, κ, κ') is the transpose of that of (-Δ, κ', κ).

    Raises
    ------
    TypeError, ValueError
        If shapes disagree, G is infinite, no atom is inside, or the point group is not the lattice's.
    """
    if not isinstance(lattice, Lattice):
        raise TypeError(f"lattice must be a Lattice from fit_lattice, got {type(lattice).__name__}")
    sums = _translation_sums(_blocks_of(G, lattice), lattice)
    if point_group is not None:
        sums = _turned(sums, lattice_operations(lattice, point_group, tolerance=tolerance))
    weight = np.maximum(sums.weight, 1)[..., None]
    mean = np.where(sums.weight[..., None] > 0, sums.first / weight, np.nan)
    square = np.einsum("...kk->...k", sums.second) / weight
    count = sums.measured[..., None]
    variance = np.clip(square - mean**2, 0, None) * count / np.maximum(count - 1, 1)
    error = np.where(count > 1, np.sqrt(variance / np.maximum(count, 1)), np.nan)
    shape = (*sums.weight.shape, 2, 2)
    return PairAverages(lattice, sums.cells, mean.reshape(shape), sums.measured, error.reshape(shape))


class _Sums(NamedTuple):
    """Sums over equivalent pairs; a 2 × 2 block is a 4-vector here."""

    cells: np.ndarray  # (pairs, 2)
    first: np.ndarray  # Σ block, (pairs, sites, sites, 4)
    second: np.ndarray  # Σ block blockᵀ, (pairs, sites, sites, 4, 4)
    weight: np.ndarray  # blocks added, turned copies of one pair included, (pairs, sites, sites)
    measured: np.ndarray  # pairs behind them


def pair_vectors(lattice: Lattice, cells: np.ndarray) -> np.ndarray:
    """From (cell 0, site κ) to (cell Δ, site κ'), float64 (pairs, sites, sites, 2), y, x, Å."""
    return (cells @ lattice.vectors)[:, None, None] + lattice.basis[None] - lattice.basis[:, None]


def cell_differences(cells: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """All differences Δ between ``cells`` (atoms, 2): (pairs, 2), and which one each two atoms have.

    Sorted so that row k and row -1-k are Δ and -Δ.
    """
    difference = cells[None] - cells[:, None]
    unique, index = np.unique(difference.reshape(-1, 2), axis=0, return_inverse=True)
    return unique, index.reshape(difference.shape[:2])


def _translation_sums(blocks: np.ndarray, lattice: Lattice) -> _Sums:
    inside = np.flatnonzero(lattice.sites >= 0)
    values = blocks[np.ix_(inside, inside)].reshape(-1, 4)
    sites, kinds = lattice.sites[inside], len(lattice.basis)
    cells, index = cell_differences(lattice.cells[inside])
    key = ((index * kinds + sites[:, None]) * kinds + sites).ravel()
    seen = ~np.isnan(values).any(axis=1)
    key, values = key[seen], values[seen]
    size = len(cells) * kinds**2
    count = np.bincount(key, minlength=size)
    first = np.stack([np.bincount(key, v, size) for v in values.T], axis=-1)
    products = (values[:, :, None] * values[:, None]).reshape(-1, 16)
    second = np.stack([np.bincount(key, v, size) for v in products.T], axis=-1)
    shape = (len(cells), kinds, kinds)
    return _Sums(
        cells,
        first.reshape(*shape, 4),
        second.reshape(*shape, 4, 4),
        count.reshape(shape),
        count.reshape(shape),
    )


class Images(NamedTuple):
    """Where point operations take each kind of pair."""

    cells: np.ndarray  # all cell differences reached, with their negatives, (pairs, 2)
    targets: list[
        tuple[np.ndarray, np.ndarray, np.ndarray]
    ]  # per operation: index into (pairs, sites, sites)
    turns: list[np.ndarray]  # per operation: (4, 4), what it does to a block


def images_of(
    cells: np.ndarray, one: np.ndarray, two: np.ndarray, operations: Sequence[LatticeOperation]
) -> Images:
    """Images of the pairs from (cell 0, site ``one``) to (cell ``cells``, site ``two``)."""
    moved = [cells @ op.cells + op.hops[two] - op.hops[one] for op in operations]
    every = np.concatenate(moved)
    reached = np.unique(np.concatenate([every, -every]), axis=0)
    place = {(int(a), int(b)): k for k, (a, b) in enumerate(reached)}
    targets = [
        (np.array([place[int(a), int(b)] for a, b in new]), op.sites[one], op.sites[two])
        for new, op in zip(moved, operations, strict=True)
    ]
    return Images(reached, targets, [np.kron(op.matrix, op.matrix) for op in operations])


def _turned(sums: _Sums, operations: Sequence[LatticeOperation]) -> _Sums:
    """Add the images of every sum under all operations; T → R T Rᵀ for each block."""
    kinds = sums.weight.shape[1]
    pair, one, two = np.nonzero(sums.measured)
    images = images_of(sums.cells[pair], one, two, operations)
    shape = (len(images.cells), kinds, kinds)
    first, second = np.zeros((*shape, 4)), np.zeros((*shape, 4, 4))
    weight, measured = np.zeros(shape, int), np.zeros(shape, int)
    origins = []
    for target, turn in zip(images.targets, images.turns, strict=True):
        # an operation maps different kinds of pairs to different kinds: no index twice
        first[target] += sums.first[pair, one, two] @ turn.T
        second[target] += turn @ sums.second[pair, one, two] @ turn.T
        weight[target] += sums.measured[pair, one, two]
        origins.append(np.ravel_multi_index(target, shape) * len(pair) + np.arange(len(pair)))
    reached, source = np.divmod(np.unique(np.concatenate(origins)), len(pair))
    np.add.at(measured.reshape(-1), reached, sums.measured[pair, one, two][source])
    return _Sums(images.cells, first, second, weight, measured)


def _blocks_of(G: ArrayLike, lattice: Lattice) -> np.ndarray:
    array, atoms = tensor_with_gaps("G", G), len(lattice.sites)
    if len(array) != atoms:
        raise ValueError(
            f"G must have shape ({atoms}, 2, {atoms}, 2) for the {atoms} atoms of lattice, got {array.shape}"
        )
    if not (lattice.sites >= 0).any():
        raise ValueError("lattice has no atom inside")
    return array.transpose(0, 2, 1, 3)
