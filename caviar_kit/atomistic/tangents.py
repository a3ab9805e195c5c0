"""Derivatives of one pattern in the places of sites, to second order, through the multislice model; NumPy.

With ψ_z the wave that enters slice z, t_z = exp(iφ_z), and P the propagator to the next slice,

    first:   D^a_{z+1} = P t_z (D^a_z + i ∂_aφ_z ψ_z)
    second:  B^{ab}_{z+1} = P t_z (B^{ab}_z + i ∂_aφ_z D^b_z + i ∂_bφ_z D^a_z - ∂_aφ_z ∂_bφ_z ψ_z)

for coordinates a, b of sites. A phase's own curvature enters in first order, as C^{ab} with ∂_a∂_bφ in
place of ∂_aφ, so that the second derivative of the wave is B + C. Of the intensity |ψ̂|² far away,
∂_a = 2 Re ψ̂* D̂^a and ∂_a∂_b = 2 Re D̂^a* D̂^b + 2 Re ψ̂* (B̂ + Ĉ)^{ab}.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from scipy import fft

from caviar_kit.atomistic.site_phases import FIRST, PHASE, SECOND, SitePhases
from caviar_kit.multislice.batched_waves import BatchedWaves
from caviar_kit.multislice.instrument import Instrument
from caviar_kit.multislice.model import MultisliceModel

__all__ = ["PatternDerivatives", "Tangents"]

_TOGETHER = 24  # second-order waves at once: they stay in cache


@dataclass(frozen=True, eq=False)
class PatternDerivatives:
    """One pattern at the measured pixels, as a fraction of the beam, and its derivatives.

    Attributes
    ----------
    intensity : (pixels,)
        Of sites at rest in their mean places.
    places : (sites, 2, pixels)
        First derivatives [1/Å].
    strengths : (sites, pixels)
        Derivatives in a factor on each site's phase.
    curved : (sites, 3, pixels)
        2 Re ψ̂* Ĉ of each site, yy, yx, xx [1/Å²]; half of it is the derivative in a blur of its phase.
    bent : (pairs, pixels)
        2 Re D̂^a* D̂^b + 2 Re ψ̂* B̂^{ab} of the pairs of coordinates asked for [1/Å²].
    """

    intensity: np.ndarray
    places: np.ndarray
    strengths: np.ndarray
    curved: np.ndarray
    bent: np.ndarray


class Tangents:
    """Patterns and their derivatives at any scan position.

    Parameters
    ----------
    model : MultisliceModel
        Without a band limit.
    probe : (modes, y, x) complex
        Σ|probe|² = 1, centred in the window.
    instrument : Instrument
        Positions, tilts, thicknesses, beam, background.
    phases : SitePhases
        Their precision is that of the waves.
    measured : bool (y, x)
        Pixels wanted, FFT order.

    Raises
    ------
    ValueError
        If the model has a band limit.
    """

    def __init__(
        self,
        model: MultisliceModel,
        probe: np.ndarray,
        instrument: Instrument,
        phases: SitePhases,
        measured: np.ndarray,
    ) -> None:
        if model.band_limit is not None:
            raise ValueError(f"model must have no band_limit for its derivatives, got {model.band_limit:g}")
        self._phases, self._window, self._measured = phases, model.window, measured
        self._dtype = np.result_type(phases.maps.dtype, np.complex64)
        transmission = np.exp(1j * phases.phases())[None].astype(self._dtype)
        self._waves = BatchedWaves(model, transmission, np.asarray(probe, self._dtype), instrument)

    def light(self, position: int) -> np.ndarray:
        """Norm of ∂φ ψ over axes and slices, (sites,): how strongly a pattern feels each site [1/Å]."""
        incident, _ = self._incident(position)
        density = (abs(incident) ** 2).sum(axis=1).reshape(len(incident), -1)
        slopes = self._cut(self._phases.maps[:, FIRST], position)
        felt = np.einsum("sap,zp->sz", slopes.reshape(*slopes.shape[:2], -1) ** 2, density, optimize=True)
        return np.asarray(np.sqrt((felt * self._phases.occupancies**2).sum(axis=1)))

    def at(self, position: int, lit: np.ndarray, pairs: np.ndarray) -> PatternDerivatives:
        """Derivatives of one pattern.

        Parameters
        ----------
        position : int
            Scan position.
        lit : (sites,) int
            Sites in which to differentiate.
        pairs : (pairs, 2) int
            Coordinates a, b of ``bent``: 2 · (index into ``lit``) + axis.
        """
        incident, transfers = self._incident(position)
        maps, numbers = self._cut(self._phases.maps[lit], position), self._phases.occupancies[lit]
        parts = [
            self._of_mode(incident[:, mode], transfers, self._transmissions(position), maps, numbers, pairs)
            for mode in range(incident.shape[1])
        ]
        response, background = self._response(position)
        total = [sum(part[n] for part in parts) * response for n in range(5)]
        if background is not None:
            total[0] = total[0] + background
        return PatternDerivatives(*total)

    def _of_mode(
        self,
        incident: np.ndarray,
        transfers: np.ndarray,
        transmissions: np.ndarray,
        maps: np.ndarray,
        numbers: np.ndarray,
        pairs: np.ndarray,
    ) -> tuple[np.ndarray, ...]:
        """Intensity, places, strengths, curved, bent of one mode, before the detector's response."""
        slopes = maps[:, FIRST].reshape(-1, *self._window)
        slopes_numbers = np.repeat(numbers, 2, axis=0)
        entering = np.zeros((len(incident), *slopes.shape), self._dtype)
        far = self._far(incident[-1] * transmissions[-1])
        bent = np.empty((len(pairs), far.size), slopes.dtype)

        def respond(kick: Any, count: int, keep: np.ndarray | None = None) -> np.ndarray:
            """Far waves of ``count`` perturbations with source kick(z) before transmission."""
            wave = np.zeros((count, *self._window), self._dtype)
            for z, transmission in enumerate(transmissions):
                if z:
                    spectrum = fft.fft2(wave, overwrite_x=True)
                    spectrum *= transfers[z - 1]
                    wave = fft.ifft2(spectrum, norm="forward", overwrite_x=True)
                if keep is not None:
                    keep[z] = wave
                wave += kick(z)
                wave *= transmission
            return self._far(wave)

        def of_phase(wanted: np.ndarray, atoms: np.ndarray, keep: np.ndarray | None = None) -> np.ndarray:
            return respond(
                lambda z: wanted * (1j * atoms[:, z, None, None] * incident[z]).astype(self._dtype),
                len(wanted),
                keep,
            )

        moved = of_phase(slopes, slopes_numbers, entering)
        strengths = of_phase(maps[:, PHASE], numbers)
        curved = of_phase(maps[:, SECOND].reshape(-1, *self._window), np.repeat(numbers, 3, axis=0))
        for begin in range(0, len(pairs), _TOGETHER):
            a, b = pairs[begin : begin + _TOGETHER].T

            def kick(z: int, a: np.ndarray = a, b: np.ndarray = b) -> np.ndarray:
                of_a = slopes[a] * slopes_numbers[a, z, None, None]
                of_b = slopes[b] * slopes_numbers[b, z, None, None]
                source = entering[z, b]
                source += (0.5j * of_b) * incident[z]
                source *= of_a
                other = entering[z, a]
                other += (0.5j * of_a) * incident[z]
                other *= of_b
                source += other
                source *= 1j
                return source

            second = respond(kick, len(a))
            bent[begin : begin + _TOGETHER] = 2 * _real(moved[a], moved[b]) + 2 * _real(far, second)
        return (
            _real(far, far),
            2 * _real(far, moved).reshape(len(numbers), 2, -1),
            2 * _real(far, strengths),
            2 * _real(far, curved).reshape(len(numbers), 3, -1),
            bent,
        )

    def _incident(self, position: int) -> tuple[np.ndarray, np.ndarray]:
        """Waves that enter each slice (slices, modes, y, x), and transfer functions (gaps, y, x)."""
        index = np.array([position])
        y, x = self._waves.ramps(index)
        wave = fft.ifft2(self._waves.spectrum * (y[0][:, None] * x[0][None, :]))
        transfers = self._waves.propagation.at(index)[:, 0]
        entering = [wave]
        for transmission, transfer in zip(self._transmissions(position)[:-1], transfers, strict=True):
            spectrum = fft.fft2(entering[-1] * transmission) * transfer
            entering.append(fft.ifft2(spectrum, norm="forward"))
        return np.stack(entering), transfers

    def _transmissions(self, position: int) -> np.ndarray:
        """Of the slices, (slices, y, x)."""
        return self._cut(self._waves.transmission[0], position)

    def _cut(self, maps: np.ndarray, position: int) -> np.ndarray:
        y, x = self._waves.corners[position]
        return np.ascontiguousarray(maps[..., y : y + self._window[0], x : x + self._window[1]])

    def _far(self, exit_waves: np.ndarray) -> np.ndarray:
        """(..., y, x) to the measured pixels, (..., pixels); transforms are not normalised."""
        return fft.fft2(exit_waves)[..., self._measured]

    def _response(self, position: int) -> tuple[Any, np.ndarray | None]:
        """From Σ|far|² to an intensity, and what is added to it."""
        waves = self._waves
        response = waves.response if waves.response.ndim == 0 else waves.response[self._measured]
        if waves.beam is not None:
            response = response * waves.beam[position, 0, 0]
        return response, None if waves.background is None else waves.background[self._measured]


def _real(a: np.ndarray, b: np.ndarray) -> np.ndarray:
    """Re a* b without the imaginary part."""
    return np.asarray(a.real * b.real + a.imag * b.imag)
