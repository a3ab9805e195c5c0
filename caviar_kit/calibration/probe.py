"""The probe that an aperture and a defocus make."""

from __future__ import annotations

import math

import numpy as np

from caviar_kit import validation
from caviar_kit.illumination import ideal_aperture
from caviar_kit.physics import electron_wavelength

__all__ = ["ideal_probe"]


def ideal_probe(
    shape: tuple[int, int], sampling: float, energy: float, semiangle_cutoff: float, defocus: float = 0.0
) -> np.ndarray:
    """Intensity (y, x) of the probe of a round aperture at the entrance surface; sum 1, centred.

    |F⁻¹ A(k) exp(iπλ·defocus·k²)|², the kit's sign of defocus.

    Parameters
    ----------
    shape : (y, x)
        Pixels of the picture; its centre is (y // 2, x // 2).
    sampling : float
        Pixel [Å].
    energy, semiangle_cutoff, defocus : float
        [eV], [mrad], [Å].

    Raises
    ------
    TypeError, ValueError
        If a value is out of range.
    """
    height, width = (validation.integer("shape", n) for n in shape)
    sampling = validation.number("sampling", sampling, minimum=0, open_minimum=True, unit="Å")
    cutoff = validation.number("semiangle_cutoff", semiangle_cutoff, minimum=0.5, maximum=200, unit="mrad")
    defocus = validation.number("defocus", defocus, minimum=-1e6, maximum=1e6, unit="Å")
    wavelength = electron_wavelength(energy)
    step = (1e3 * wavelength / (height * sampling), 1e3 * wavelength / (width * sampling))  # mrad
    y, x = (np.arange(n) - n // 2 for n in (height, width))
    angle2 = (1e-3 * step[0] * y[:, None]) ** 2 + (1e-3 * step[1] * x) ** 2
    spectrum = ideal_aperture((height, width), step, cutoff) * np.exp(
        1j * math.pi * defocus * angle2 / wavelength
    )
    intensity = abs(np.fft.fftshift(np.fft.ifft2(np.fft.ifftshift(spectrum)))) ** 2
    result: np.ndarray = intensity / intensity.sum()
    return result
