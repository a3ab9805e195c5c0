"""The finest detail that stands out from the noise of a reconstruction."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import ArrayLike
from scipy.ndimage import maximum_filter

from caviar_kit import validation
from caviar_kit.physics import electron_wavelength
from caviar_kit.vibrations.lattice import Lattice
from caviar_kit.vibrations.power_spectrum import PowerSpectrum, power_spectrum

__all__ = ["InformationLimit", "information_limit", "significant_peaks"]


@dataclass(frozen=True, eq=False)
class InformationLimit:
    """The highest spatial frequency with a significant peak.

    Attributes
    ----------
    frequency : float
        [1/Å]; 0 if there is no peak at all.
    peaks : array, (peaks, 2)
        Spatial frequencies y, x [1/Å] of all significant peaks, by length.
    false_alarm : float
        Chance that noise alone makes one such peak anywhere in the spectrum.
    at_nyquist : bool
        Peaks reach the last ring that the pixels carry: the limit may lie beyond.
    spectrum : PowerSpectrum
        What was searched.
    """

    frequency: float
    peaks: np.ndarray
    false_alarm: float
    at_nyquist: bool
    spectrum: PowerSpectrum

    @property
    def angstrom(self) -> float:
        """The corresponding distance d = 1 / frequency [Å]; infinite if there is no peak."""
        return 1 / self.frequency if self.frequency else math.inf

    def over_wavelength(self, energy_ev: float) -> float:
        """D / λ for electrons of that energy [eV]."""
        return self.angstrom / electron_wavelength(energy_ev)

    def within(self, frequency: float) -> InformationLimit:
        """The same without peaks beyond ``frequency`` [1/Å], such as the edge of the detector."""
        largest = validation.number("frequency", frequency, minimum=0)
        return self._only(np.linalg.norm(self.peaks, axis=1) <= largest)

    def on_lattices(self, *lattices: Lattice) -> InformationLimit:
        """The same without peaks that belong to none of the lattices: a crystal has no detail there.

        A peak belongs to the nearest vector of a reciprocal lattice if it is less than half the diagonal of a
        pixel of the spectrum away, about as exactly as its place is known. By chance that happens to π r² / A
        of the pairs ±k of peaks, for each lattice, r being that distance and A the area of the reciprocal
        cell. ``frequency`` is the farthest that is left, which one such pair can make too large;
        ``false_alarm`` does not cover that. A wrong picture with the right period has its peaks there, too:
        where the truth is known, compare amplitudes and phases (docs/results.md does).

        Raises
        ------
        TypeError, ValueError
            If there is no lattice, or something that is none; if π r² / A exceeds 1/2, as every other place
            is then near some vector: the field is too small for this cell.
        """
        if not lattices or not all(isinstance(lattice, Lattice) for lattice in lattices):
            raise TypeError("lattices must be one or several Lattice from fit_lattice")
        reach = float(np.linalg.norm(self.spectrum.step)) / 2
        for lattice in lattices:
            by_chance = math.pi * reach**2 * abs(np.linalg.det(lattice.vectors))
            if by_chance > 0.5:
                raise ValueError(
                    f"lattices must have cells that the field can tell apart: {by_chance:.0%} of any peaks "
                    "would be on this one"
                )
        near = [_to_nearest(self.peaks, np.linalg.inv(lattice.vectors).T) < reach for lattice in lattices]
        return self._only(np.any(near, axis=0))

    def _only(self, kept: np.ndarray) -> InformationLimit:
        peaks = self.peaks[kept]
        frequency = float(np.linalg.norm(peaks, axis=1).max(initial=0.0))
        return replace(
            self, peaks=peaks, frequency=frequency, at_nyquist=_at_nyquist(frequency, self.spectrum)
        )


def information_limit(
    obj: ArrayLike,
    sampling: float | ArrayLike,
    *,
    slices: slice | Sequence[int] | None = None,
    field: ArrayLike | None = None,
    false_alarm: float = 0.01,
) -> InformationLimit:
    """Highest spatial frequency at which a crystal's peak stands out from the power spectrum.

    The criterion: a local maximum of the power spectrum, averaged over slices and states, counts if it is
    larger than ln(n / ``false_alarm``) times the noise of its ring, n being the number of pixels searched.
    The noise is the median of the ring and its two neighbours on
    either side, divided by ln 2. The power of a noise pixel is exponentially
    distributed, and an average over states and slices scatters less, so fewer than one in 1 / ``false_alarm``
    spectra of pure noise show a single false peak. The largest frequency of a peak that counts is the limit.

    Parameters
    ----------
    obj : complex array, (states, slices, y, x)
        Transmission functions.
    sampling : float or (y, x)
        Pixel [Å].
    slices, field
        As for :func:`power_spectrum`.
    false_alarm : float
        Between 0 and 0.5.

    Raises
    ------
    TypeError, ValueError
        As :func:`power_spectrum`, and if ``false_alarm`` is out of range.
    """
    chance = validation.number("false_alarm", false_alarm, minimum=0, maximum=0.5, open_minimum=True)
    spectrum = power_spectrum(obj, sampling, slices=slices, field=field)
    rings = spectrum.rings()
    found = significant_peaks(spectrum.power, rings, int(spectrum.nyquist / spectrum.step.max()), chance)
    places = (np.argwhere(found) - np.array(found.shape) // 2) * spectrum.step
    lengths = np.linalg.norm(places, axis=1)
    frequency = float(lengths.max(initial=0.0))
    return InformationLimit(
        frequency=frequency,
        peaks=places[np.argsort(lengths, kind="stable")],
        false_alarm=chance,
        at_nyquist=_at_nyquist(frequency, spectrum),
        spectrum=spectrum,
    )


def _at_nyquist(frequency: float, spectrum: PowerSpectrum) -> bool:
    return bool(frequency > spectrum.nyquist - 2 * spectrum.step.max())


def _to_nearest(places: np.ndarray, vectors: np.ndarray) -> np.ndarray:
    """Distance of each place from the nearest point of the lattice with these rows."""
    index = places @ np.linalg.inv(vectors)
    corners = np.floor(index)[:, None] + np.indices((2, 2)).reshape(2, -1).T
    return np.linalg.norm((index[:, None] - corners) @ vectors, axis=-1).min(axis=1)


def significant_peaks(power: np.ndarray, rings: np.ndarray, last: int, false_alarm: float) -> np.ndarray:
    """Where ``power`` (y, x) has a local maximum far above the noise around its ring, bool (y, x).

    Parameters
    ----------
    power : array, (y, x)
        Zero frequency in the middle.
    rings : int array, (y, x)
        Ring of every pixel; the innermost two hold the slow background and are not searched.
    last : int
        Outermost ring to search.
    false_alarm : float
        Chance of one false peak in the whole spectrum, if the noise is exponentially distributed.
    """
    searched = (rings >= 2) & (rings <= last)
    near = [(abs(rings - n) <= 2) & (rings >= 2) for n in range(last + 1)]
    median = np.array([np.median(power[ring]) for ring in near])
    noise = median[np.minimum(rings, last)] / math.log(2)
    threshold = noise * math.log(max(np.count_nonzero(searched), 1) / false_alarm)
    return searched & (power > threshold) & (power == maximum_filter(power, 3, mode="wrap"))
