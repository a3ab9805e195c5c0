"""The fixed problem of the speed benchmarks, and what every solver of it has to compute.

Needs NumPy and SciPy, or CuPy; patterns are computed here without the engine that is timed.
"""

from __future__ import annotations

import math
from dataclasses import dataclass, fields
from typing import Any

import numpy as np
import scipy.fft

from caviar_kit import validation
from caviar_kit.multislice import MultisliceModel
from caviar_kit.physics import electron_wavelength

__all__ = ["GAP", "PIXEL", "SEMIANGLE", "STEP", "Problem"]

Array = Any
STEP = 3  # pixels between scan positions: whole ones, which every code can do without interpolation
PIXEL = 0.5 / STEP  # Å
GAP = 5.0  # Å between slices
SEMIANGLE = 30e-3
ENERGY = 200e3  # eV
DEFOCUS, FURTHER_DEFOCUS = 50.0, 30.0  # Å, of the first probe mode and from one to the next
LATTICE, WIDTH, SHAKE, PHASE = 3.9, 0.3, 0.1, 0.35  # of the columns: Å, Å, Å rms per axis, rad


@dataclass(frozen=True)
class Problem:
    """Square lattice of Gaussian columns that shake in each state and slice, seen by a defocused probe.

    Parameters
    ----------
    positions_per_side : int
        Scan positions along y and along x.
    window : int
        Pixels along each side of a pattern.
    states, slices, modes : int
        Of the object, and of the probe.
    """

    positions_per_side: int = 16
    window: int = 64
    states: int = 8
    slices: int = 4
    modes: int = 1

    def __post_init__(self) -> None:
        for field in fields(self):
            validation.integer(field.name, getattr(self, field.name))

    @classmethod
    def paper(cls, modes: int = 1) -> Problem:
        """The size of the paper's silicon data."""
        return cls(positions_per_side=40, window=128, states=20, slices=4, modes=modes)

    @property
    def positions(self) -> int:
        """Scan positions."""
        return self.positions_per_side**2

    @property
    def side(self) -> int:
        """Pixels along each side of the object."""
        return self.window + STEP * (self.positions_per_side - 1)

    @property
    def waves(self) -> int:
        """Waves that cross the specimen in one pass: one per position, state and mode."""
        return self.positions * self.states * self.modes

    @property
    def ffts(self) -> int:
        """Transforms that loss and gradient cannot do without.

        Two per gap and one to the detector for every wave, and as many on the way back.
        """
        return self.waves * 2 * (2 * (self.slices - 1) + 1)

    @property
    def corners(self) -> np.ndarray:
        """First pixel (y, x) of each position's window in the object."""
        return STEP * np.stack(np.indices((self.positions_per_side,) * 2), axis=-1).reshape(-1, 2)

    def model(self) -> MultisliceModel:
        """The experiment as the kit describes it."""
        return MultisliceModel(
            (self.window, self.window),
            (PIXEL, PIXEL),
            electron_wavelength(ENERGY),
            (GAP,) * (self.slices - 1),
            self.corners + self.window // 2,
            (self.side, self.side),
        )

    def transmission(self, xp: Any = np) -> Array:
        """True transmission functions (states, slices, y, x), complex64."""
        pixels = np.arange(self.side)
        sites = np.arange(0, self.side + LATTICE / PIXEL, LATTICE / PIXEL)
        centres = np.stack(np.meshgrid(sites, sites, indexing="ij"), axis=-1)
        rng = np.random.default_rng(0)
        centres = centres + rng.normal(0, SHAKE / PIXEL, (self.states, self.slices, *centres.shape))
        y, x = np.moveaxis(centres.reshape(self.states, self.slices, -1, 2), -1, 0)
        along_y, along_x = (
            np.exp(-0.5 * ((pixels - c[..., None]) * PIXEL / WIDTH) ** 2).astype(np.float32) for c in (y, x)
        )
        phases = PHASE * np.swapaxes(along_y, -1, -2) @ along_x
        return xp.asarray(np.exp(1j * phases), dtype=np.complex64)

    def guess(self, xp: Any = np) -> Array:
        """Where loss and gradient are timed: half the true phases, far from any optimum."""
        return xp.sqrt(self.transmission(xp))

    def probe(self, xp: Any = np) -> Array:
        """Probe modes (modes, y, x) of falling weight and rising defocus, Σ|probe|² = 1, complex64."""
        k = np.fft.fftfreq(self.window, PIXEL)
        k_squared = k[:, None] ** 2 + k**2
        wavelength = electron_wavelength(ENERGY)
        aperture = np.sqrt(k_squared) * wavelength <= SEMIANGLE
        number = np.arange(self.modes)[:, None, None]
        defocus = DEFOCUS + FURTHER_DEFOCUS * number
        spectrum = aperture * np.exp(-1j * math.pi * wavelength * defocus * k_squared)
        waves = np.fft.fftshift(np.fft.ifft2(spectrum * 0.5 ** (number / 2)), axes=(-2, -1))
        return xp.asarray(waves / np.linalg.norm(waves), dtype=np.complex64)

    def patterns(self, xp: Any = np) -> Array:
        """Noise-free patterns (positions, y, x), float32: fractions of the beam in FFT order."""
        fft = scipy.fft if xp is np else xp.fft
        k = xp.fft.fftfreq(self.window, PIXEL)
        chirp = -math.pi * electron_wavelength(ENERGY) * GAP * (k[:, None] ** 2 + k**2)
        transfer = xp.exp(1j * chirp).astype(np.complex64)
        transmission, probe = self.transmission(xp), self.probe(xp)
        patterns = xp.empty((self.positions, self.window, self.window), np.float32)
        for pattern, (y, x) in zip(patterns, self.corners.tolist(), strict=True):
            slices = xp.moveaxis(transmission[..., y : y + self.window, x : x + self.window], 1, 0)
            waves = probe[:, None] * slices[0]
            for patch in slices[1:]:
                waves = fft.ifft2(fft.fft2(waves) * transfer) * patch
            intensity = (abs(fft.fft2(waves)) ** 2).sum(axis=(0, 1))
            pattern[...] = intensity / (self.states * self.window**2)
        return patterns
