"""Three-dimensional power spectrum of the phase: what a reconstruction knows about depth."""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
import scipy.fft
from numpy.typing import ArrayLike

from caviar_kit import validation
from caviar_kit.vibrations._inputs import pixel_size
from caviar_kit.vibrations.information_limit import significant_peaks
from caviar_kit.vibrations.phase import slice_phases
from caviar_kit.vibrations.power_spectrum import PowerSpectrum, field_slices, hann_window

__all__ = ["DepthSpectrum", "depth_spectrum"]


@dataclass(frozen=True, eq=False)
class DepthSpectrum:
    """Power of the phase against frequency along the beam and in the plane.

    Attributes
    ----------
    power : array, (slices, y, x)
        For k_z from 0 up, both signs added [rad² Å³]; in the plane the zero frequency is at pixel
        (N // 2, M // 2).
    k_z : array, (slices,)
        [1/Å], in steps of 1 / (2 · thickness of all slices).
    step : array, (2,)
        Frequency step in the plane, y and x [1/Å].
    peaks : bool array, like ``power``
        Local maxima in the plane that stand out from the noise, as in :func:`information_limit`.
    false_alarm : float
        Chance that noise alone makes one such peak at any one k_z.
    """

    power: np.ndarray
    k_z: np.ndarray
    step: np.ndarray
    peaks: np.ndarray
    false_alarm: float

    @property
    def limit(self) -> float:
        """Largest k_z [1/Å] with significant peaks before two k_z in a row have none; NaN without any.

        One k_z may lack them: a step in the middle of the specimen has only every other one.
        """
        found = self.peaks.any(axis=(1, 2))
        if not found[0]:
            return math.nan
        here = found | np.append(found[1:], False)
        end = len(found) if here.all() else int(np.argmin(here))
        return float(self.k_z[np.flatnonzero(found[:end])[-1]])

    @property
    def depth_angstrom(self) -> float:
        """1 / limit [Å]: the finest modulation along the beam that is seen; infinite if nothing varies."""
        return 1 / self.limit if self.limit else math.inf

    @property
    def at_nyquist(self) -> bool:
        """The slices are too thick to show the limit."""
        return bool(self.limit == self.k_z[-1])

    def radial_mean(self) -> tuple[np.ndarray, np.ndarray]:
        """Frequency in the plane (rings,) [1/Å] and the ring means of every k_z, (k_z, rings)."""
        planes = [PowerSpectrum(plane, self.step).radial_mean() for plane in self.power]
        return planes[0][0], np.array([mean for _, mean in planes])


def depth_spectrum(
    obj: ArrayLike,
    sampling: float | ArrayLike,
    slice_thickness_angstrom: float,
    *,
    field: ArrayLike | None = None,
    false_alarm: float = 0.01,
) -> DepthSpectrum:
    """Power spectrum of the phase in three dimensions, averaged over the states.

    A crystal that is the same in all slices has power at k_z = 0 only, so peaks at k_z > 0 need
    something that changes with depth: two lattices one above the other, a tilt, atoms of single slices.
    Along the beam the specimen is continued by its mirror image (a cosine transform): continued
    periodically, the step from the last slice to the first would show modulations as fine as the slices
    whatever the resolution. In the plane there is a Hann window.

    Parameters
    ----------
    obj : complex array, (states, slices, y, x)
        At least 2 slices, equally thick.
    sampling : float or (y, x)
        Pixel [Å].
    slice_thickness_angstrom : float
        [Å].
    field : ((y0, x0), (y1, x1)), optional
        Corners [Å] of the part to use; all by default.
    false_alarm : float
        Between 0 and 0.5; see :func:`information_limit`.

    Raises
    ------
    TypeError, ValueError
        If ``obj`` is not complex and 4-D or has one slice only, or an argument is out of range.
    """
    pixel = pixel_size(sampling)
    thickness = validation.number(
        "slice_thickness_angstrom", slice_thickness_angstrom, minimum=0, open_minimum=True, unit="Å"
    )
    chance = validation.number("false_alarm", false_alarm, minimum=0, maximum=0.5, open_minimum=True)
    phases = slice_phases(obj)
    states, slices = phases.shape[:2]
    if slices < 2:
        raise ValueError(f"obj must have at least 2 slices, got {slices}")
    rows, columns = field_slices(field, phases.shape[-2:], pixel)
    phases = phases[..., rows, columns]
    window = hann_window(phases.shape[-2:])
    power = np.zeros(phases.shape[1:])
    for state in phases:
        # every slice's own mean is arbitrary in ptychography
        centred = (
            state
            - np.average(state, axis=(1, 2), weights=np.broadcast_to(window, state.shape))[:, None, None]
        )
        along = scipy.fft.dct(centred * window, axis=0, norm="ortho")
        power += np.abs(scipy.fft.fft2(along)) ** 2
    power *= pixel.prod() * 2 * thickness / (states * np.sum(window**2))
    power = np.fft.fftshift(power, axes=(1, 2))
    step = 1 / (np.array(power.shape[1:]) * pixel)
    plane = PowerSpectrum(power[0], step)
    rings, last = plane.rings(), int(plane.nyquist / step.max())
    return DepthSpectrum(
        power=power,
        k_z=np.arange(slices) / (2 * slices * thickness),
        step=step,
        peaks=np.array([significant_peaks(p, rings, last, chance) for p in power]),
        false_alarm=chance,
    )
