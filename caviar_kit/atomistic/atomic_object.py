"""The object as atoms: phases of all states and slices from a few hundred numbers, and gradients back.

A slice's phase is a sum over sites, φ(q) = Σ n_a s e^{-2π²q²w} f(q) e^{-2πi q·r_a}, made in reciprocal space,
where the exponential separates into a matrix product of its y and x parts.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from typing import Any

import numpy as np
import scipy.fft

from caviar_kit.atomistic.sites import Sites
from caviar_kit.backend import to_numpy

__all__ = ["AtomicObject", "Atoms"]

Array = Any


@dataclass(frozen=True, eq=False)
class Atoms:
    """What the phases are made of, or derivatives in it; on the host.

    Attributes
    ----------
    positions : float64 (states, sites, 2)
        y, x [Å].
    occupancies : float64 (sites, slices)
        Atoms of each site in each slice.
    scales : float64 (species,)
        Factor on the phase of each species.
    widths : float64 (species,)
        Variance of a Gaussian by which each species' potential is blurred, along each axis [Å²].
    """

    positions: np.ndarray
    occupancies: np.ndarray
    scales: np.ndarray
    widths: np.ndarray


class AtomicObject:
    """From atoms to the phases of an object, periodic in its field.

    Parameters
    ----------
    sites : Sites
        Elements, and slices that sites may have atoms in.
    form_factors : callable
        From q² [1/Å²], an array, to the phase of one atom [rad Å²], (species, *q².shape).
    shape : (y, x)
        Pixels of the object.
    sampling : (y, x)
        Pixel [Å].
    xp : module
        NumPy or CuPy.
    dtype : real dtype
        Of the phases.
    threads : int
        CPU threads.
    """

    def __init__(
        self,
        sites: Sites,
        form_factors: Callable[[np.ndarray], np.ndarray],
        shape: tuple[int, int],
        sampling: tuple[float, float],
        *,
        xp: Any = np,
        dtype: Any = np.float32,
        threads: int = 1,
    ) -> None:
        self.sites, self.shape, self.xp = sites, shape, xp
        self.dtype = np.dtype(dtype)
        self._complex = np.result_type(self.dtype, np.complex64)
        self._threads = threads if xp is np else 1
        self._fft = scipy.fft if xp is np else xp.fft  # NumPy's has no single precision
        ky, kx = np.fft.fftfreq(shape[0], sampling[0]), np.fft.rfftfreq(shape[1], sampling[1])
        q2 = ky[:, None] ** 2 + kx**2
        factors = np.asarray(form_factors(q2)) / math.prod(sampling)
        self._k = [xp.asarray(-2j * math.pi * k) for k in (ky, kx)]
        self._slopes = [k.astype(self._complex) for k in self._k]
        self._q2 = xp.asarray(-2 * math.pi**2 * q2, self.dtype)
        self._factors = xp.asarray(factors, self.dtype)
        twice = np.full(
            len(kx), 2.0
        )  # of the half plane, all but the columns that are their own mirror image
        twice[0] = 1.0
        if shape[1] % 2 == 0:
            twice[-1] = 1.0
        self._weights = xp.asarray(twice / math.prod(shape), self.dtype)
        self._groups = [
            (level, kind, members)
            for level in range(sites.slices.shape[1])
            for kind in range(len(sites.species))
            if len(members := np.flatnonzero(sites.slices[:, level] & (sites.kinds == kind)))
        ]

    def phases(self, atoms: Atoms) -> Array:
        """Phases (states, slices, y, x) [rad] on the device."""
        states, slices = len(atoms.positions), self.sites.slices.shape[1]
        phases = self.xp.zeros((states, slices, *self.shape), self.dtype)
        filters = self._filters(atoms)

        def fill(state: int) -> None:
            waves = self._waves(atoms.positions[state])
            for level, spectrum in self._spectra(waves, atoms, filters):
                phases[state, level] = self._fft.irfft2(spectrum, self.shape)

        self._for_each(fill, states)
        return phases

    def pull_back(self, atoms: Atoms, gradient: Array) -> Atoms:
        """Derivatives in ``atoms`` from those in the phases, (states, slices, y, x)."""
        states = len(atoms.positions)
        positions = np.zeros(atoms.positions.shape)
        alone = np.zeros((states, *atoms.occupancies.shape))  # of one atom at its tabulated strength
        filters, slices = self._filters(atoms), range(gradient.shape[1])
        blurs = np.zeros((states, len(atoms.widths)))

        def differentiate(state: int) -> None:
            waves = self._waves(atoms.positions[state])
            spectra = [self._weights * self._fft.rfft2(gradient[state, z]).conj() for z in slices]
            for level, kind, members in self._groups:
                y, x = (wave[members] for wave in waves)
                pulled = (filters[kind] * spectra[level]).astype(self._complex, copy=False)
                along = y @ pulled
                number = atoms.scales[kind] * atoms.occupancies[members, level]
                alone[state, members, level] = _real(along * x)
                positions[state, members, 1] += number * _real(along * (x * self._slopes[1]))
                positions[state, members, 0] += number * _real(((y * self._slopes[0]) @ pulled) * x)
                blurs[state, kind] += float(number @ _real((y @ (pulled * self._q2)) * x))

        self._for_each(differentiate, states)
        of_one = alone.sum(axis=0)
        scales = np.zeros_like(atoms.scales)
        for level, kind, members in self._groups:
            scales[kind] += atoms.occupancies[members, level] @ of_one[members, level]
        strengths = atoms.scales[self.sites.kinds]
        return Atoms(positions, strengths[:, None] * of_one, scales, blurs.sum(axis=0))

    def _filters(self, atoms: Atoms) -> list[Array]:
        """Phase of one atom of each species without its factor, (y, x / 2) [rad pixel]."""
        return [
            self._factors[kind] * self.xp.exp(float(width) * self._q2)
            for kind, width in enumerate(atoms.widths)
        ]

    def _waves(self, positions: np.ndarray) -> list[Array]:
        """e^{-2πi k r} along y and x, (sites, k); in double precision until it is done."""
        places = self.xp.asarray(positions)
        return [self.xp.exp(places[:, a, None] * k).astype(self._complex) for a, k in enumerate(self._k)]

    def _spectra(self, waves: list[Array], atoms: Atoms, filters: list[Array]) -> list[tuple[int, Array]]:
        spectra: dict[int, Array] = {}
        for level, kind, members in self._groups:
            number = self.xp.asarray(atoms.scales[kind] * atoms.occupancies[members, level], self.dtype)
            part = ((waves[0][members] * number[:, None]).T @ waves[1][members]) * filters[kind]
            spectra[level] = spectra[level] + part if level in spectra else part
        return list(spectra.items())

    def _for_each(self, work: Callable[[int], None], states: int) -> None:
        if self._threads == 1 or states == 1:
            for state in range(states):
                work(state)
            return
        with ThreadPoolExecutor(self._threads) as pool:
            list(pool.map(work, range(states)))


def _real(products: Array) -> np.ndarray:
    """Real part of the sum along the last axis, on the host."""
    return to_numpy(products.real.sum(axis=-1)).astype(float)
