"""Where atoms may be: columns or single atoms, their elements, and the slices that hold them."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike
from scipy.spatial import KDTree

from caviar_kit import validation

__all__ = ["Sites"]

_SAME_PLACE_ANGSTROM = 0.1


@dataclass(frozen=True, eq=False)
class Sites:
    """Columns, or atoms, whose places in the plane are refined.

    Attributes
    ----------
    positions : array, float64, (sites, 2)
        y, x [Å]; pixel (0, 0) of the object is the origin.
    species : tuple of str
        The elements that occur, each once, in alphabetic order.
    kinds : array of int, (sites,)
        Index into ``species`` of each site.
    slices : array of bool, (sites, slices)
        Slices that a site may have atoms in.
    """

    positions: np.ndarray
    species: tuple[str, ...]
    kinds: np.ndarray
    slices: np.ndarray

    @classmethod
    def of(cls, positions: ArrayLike, species: str | Sequence[str], slices: ArrayLike) -> Sites:
        """Check and sort what users hand over.

        Parameters
        ----------
        positions : (sites, 2)
            y, x [Å].
        species : str or sequence of str
            Chemical symbol of all sites, or one for each.
        slices : bool (sites, slices)
            Where a site may have atoms.

        Raises
        ------
        TypeError, ValueError
            If shapes disagree, numbers are not finite, a symbol is unknown, a site has no slice, or two of
            one element are at the same place.
        """
        places = validation.as_array("positions", positions, shape=(None, 2)).astype(float)
        if not isinstance(species, Iterable):
            raise TypeError(f"species must be a chemical symbol, or one for each site, got {species!r}")
        symbols = [species] * len(places) if isinstance(species, str) else list(species)
        if len(symbols) != len(places):
            raise ValueError(
                f"species must name one element for each of {len(places)} positions, got {len(symbols)}"
            )
        for symbol in set(symbols):
            _check_symbol(symbol)
        allowed = np.asarray(slices, dtype=bool)
        if allowed.ndim != 2 or len(allowed) != len(places):
            raise ValueError(f"slices must have shape ({len(places)}, slices), got {allowed.shape}")
        if not allowed.any(axis=1).all():
            raise ValueError(
                f"sites {np.flatnonzero(~allowed.any(axis=1))[:20].tolist()} have atoms in no slice"
            )
        names, kinds = np.unique(symbols, return_inverse=True)
        _check_apart(places, kinds, allowed)
        return cls(places, tuple(str(n) for n in names), kinds, allowed)

    def __len__(self) -> int:
        return len(self.positions)

    @property
    def symbols(self) -> tuple[str, ...]:
        """Chemical symbol of every site."""
        return tuple(self.species[k] for k in self.kinds)

    def one_per_slice(self) -> Sites:
        """The same atoms with a site for each slice, site by site: they may then move on their own."""
        site, level = np.nonzero(self.slices)
        alone = np.zeros((len(site), self.slices.shape[1]), bool)
        alone[np.arange(len(site)), level] = True
        return Sites(self.positions[site], self.species, self.kinds[site], alone)


def _check_apart(places: np.ndarray, kinds: np.ndarray, allowed: np.ndarray) -> None:
    """Two atoms of one element at one place: patterns see their sum only."""
    for one, other in KDTree(places).query_pairs(_SAME_PLACE_ANGSTROM):
        if kinds[one] == kinds[other] and (allowed[one] & allowed[other]).any():
            raise ValueError(
                f"positions must be apart, got {one} and {other} of one element within "
                f"{_SAME_PLACE_ANGSTROM} Å of each other in the same slice"
            )


def _check_symbol(symbol: object) -> None:
    from ase.data import atomic_numbers

    if not isinstance(symbol, str):
        raise TypeError(f"species must hold chemical symbols, got {symbol!r}")
    if atomic_numbers.get(symbol, 0) == 0:
        raise ValueError(f"species must hold chemical symbols such as 'Si', got {symbol!r}")
