"""What every site adds to the phase of the object, and how that changes as the site moves; NumPy."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from scipy import fft

from caviar_kit.atomistic.atomic_object import Atoms
from caviar_kit.atomistic.sites import Sites

__all__ = ["FIRST", "PHASE", "SECOND", "SitePhases", "site_phases"]

PHASE, FIRST, SECOND = 0, slice(1, 3), slice(3, 6)  # maps: phase; its ∂y, ∂x; its ∂yy, ∂yx, ∂xx


@dataclass(frozen=True, eq=False)
class SitePhases:
    """Maps of one atom of each site, and how many atoms it has.

    Attributes
    ----------
    maps : real (sites, 6, y, x)
        Phase [rad] and its derivatives in the place of the site: ∂y, ∂x [rad/Å], ∂yy, ∂yx, ∂xx [rad/Å²];
        see :data:`PHASE`, :data:`FIRST`, :data:`SECOND`.
    occupancies : real (sites, slices)
        Atoms of each site in each slice.
    """

    maps: np.ndarray
    occupancies: np.ndarray

    def phases(self) -> np.ndarray:
        """Phases of the slices, (slices, y, x) [rad]."""
        return np.einsum("az,ayx->zyx", self.occupancies, self.maps[:, PHASE])


def site_phases(
    sites: Sites,
    atoms: Atoms,
    blurs: np.ndarray,
    form_factors: Callable[[np.ndarray], np.ndarray],
    shape: tuple[int, int],
    sampling: tuple[float, float],
    dtype: np.dtype,
) -> SitePhases:
    """Phase of every site, φ(q) = s e^{-2π² (w q² + q·B q)} f(q) e^{-2πi q·r}, periodic in the field.

    The blur B by the thermal motion of the site takes the mean over that motion of a weak phase, the
    Debye-Waller factor.

    Parameters
    ----------
    sites : Sites
        Elements.
    atoms : Atoms
        Mean positions are those over the states.
    blurs : (sites, 2, 2)
        B of each site [Å²]: its block of the displacement tensor.
    form_factors : callable
        From q² [1/Å²] to the phase of one atom [rad Å²], (species, *q².shape).
    shape, sampling : (y, x)
        Pixels and pixel [Å] of the object.
    dtype : real dtype
        Of the maps.
    """
    ky, kx = np.fft.fftfreq(shape[0], sampling[0])[:, None], np.fft.rfftfreq(shape[1], sampling[1])[None]
    q2 = ky**2 + kx**2
    factors = np.asarray(form_factors(q2)) / math.prod(sampling)
    slope_y, slope_x = -2j * math.pi * ky, -2j * math.pi * kx
    maps = np.empty((len(sites), 6, *shape), dtype)
    for site, (place, kind) in enumerate(zip(atoms.positions.mean(axis=0), sites.kinds, strict=True)):
        (yy, yx), (_, xx) = blurs[site] + atoms.widths[kind] * np.eye(2)
        blurred = np.exp(-2 * math.pi**2 * (yy * ky**2 + 2 * yx * ky * kx + xx * kx**2))
        spectrum = atoms.scales[kind] * factors[kind] * blurred
        spectrum = spectrum * np.exp(slope_y * place[0]) * np.exp(slope_x * place[1])
        along_y, along_x = slope_y * spectrum, slope_x * spectrum
        derivatives = (spectrum, along_y, along_x, slope_y * along_y, slope_y * along_x, slope_x * along_x)
        maps[site] = fft.irfft2(np.stack(derivatives), shape)
    return SitePhases(maps, atoms.occupancies.astype(dtype))
