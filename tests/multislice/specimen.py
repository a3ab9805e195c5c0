"""A small specimen and its patterns, from an instrument that may differ from the one the fit assumes."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from caviar_kit.multislice import (
    AmplitudeLoss,
    Evaluator,
    FitSettings,
    Instrument,
    MultisliceModel,
    Snapshot,
    run,
)
from caviar_kit.multislice.operators import frequency_grid

SAMPLING, WAVELENGTH = (0.25, 0.25), 0.0251  # Å: 200 kV
WINDOW, FIELD = (32, 32), (52, 52)
SCAN = np.linspace(16.0, 35.0, 7)  # pixel
ATOMS = np.array([[y + x / 3, x - y / 5] for y in range(12, 48, 6) for x in range(16, 50, 6)], float)
PEAK, WIDTH = 0.25, 1.5  # rad per slice, pixel


@dataclass(frozen=True)
class Geometry:
    """Slices and scan, as the microscopist believes them to be."""

    thicknesses: tuple[float, ...] = (2.0,)
    scan: np.ndarray = field(default_factory=lambda: np.array([[y, x] for y in SCAN for x in SCAN]))

    @property
    def model(self) -> MultisliceModel:
        return MultisliceModel(WINDOW, SAMPLING, WAVELENGTH, self.thicknesses, self.scan, FIELD)


def probe(
    defocus: float = 80.0, semiangle: float = 0.03, astigmatism: float = 0.0, coma: float = 0.0
) -> np.ndarray:
    """One mode (1, y, x): defocus, C12 along y and C21 along y [Å]."""
    ky, kx = frequency_grid(WINDOW, SAMPLING)
    angle, azimuth = WAVELENGTH * np.hypot(ky, kx), np.arctan2(kx, ky) + 0 * ky
    chi = -defocus * angle**2 / 2 + astigmatism * angle**2 / 2 * np.cos(2 * azimuth)
    chi = 2 * math.pi / WAVELENGTH * (chi + coma * angle**3 / 3 * np.cos(azimuth))
    disc = (angle < semiangle) * np.exp(-1j * chi)
    modes = np.fft.fftshift(np.fft.ifft2(disc))[None]
    return (modes / np.linalg.norm(modes)).astype(np.complex64)


def layer(displacements: np.ndarray | float = 0.0) -> np.ndarray:
    """Gaussian atoms (y, x) [rad], displaced by (atoms, 2) [pixel]."""
    y, x = np.ogrid[: FIELD[0], : FIELD[1]]
    places = ATOMS + displacements
    away = [(y - row) ** 2 + (x - col) ** 2 for row, col in places]
    return PEAK * np.exp(-np.array(away) / (2 * WIDTH**2)).sum(axis=0)


def phases(slices: int = 2, displacements: np.ndarray | float = 0.0, states: int = 1) -> np.ndarray:
    """(states, slices, y, x) [rad]: the same layer in every slice."""
    moved = displacements if np.ndim(displacements) == 3 else [displacements] * states
    layers = np.array([layer(u) for u in moved])
    return np.repeat(layers[:, None], slices, axis=1)


def patterns(
    geometry: Geometry, true_phase: np.ndarray, true_probe: np.ndarray | None = None, **truth: Any
) -> np.ndarray:
    """Patterns of an instrument that is the nominal one except for ``truth``."""
    model = geometry.model
    nominal = Instrument.nominal(model)
    real = Instrument(**{**vars(nominal), **truth})
    blank = np.zeros((len(model.positions), *WINDOW), np.float32)
    simulator = Evaluator(model, blank, AmplitudeLoss(), threads=1)
    objects = np.exp(1j * true_phase).astype(np.complex64)
    return simulator.intensities(objects, probe() if true_probe is None else true_probe, instrument=real)


def counted(ideal: np.ndarray, electrons: float, seed: int = 0) -> np.ndarray:
    """Patterns of so many electrons each, Poisson-distributed, as fractions of the beam."""
    counts = np.random.default_rng(seed).poisson(electrons * ideal.astype(float))
    return (counts / electrons).astype(np.float32)


def fit(
    geometry: Geometry,
    data: np.ndarray,
    iterations: int,
    refine: Sequence[str] = (),
    *,
    loss: Any = None,
    start: np.ndarray | None = None,
    initial_object: np.ndarray | None = None,
    **settings: Any,
) -> list[Snapshot]:
    """Every snapshot of a fit that begins with the nominal instrument."""
    evaluator = Evaluator(geometry.model, data, loss or AmplitudeLoss(), threads=1)
    chosen = FitSettings(**{"num_states": 1, "max_iter": iterations, "refine": refine, **settings})
    return list(run(evaluator, probe() if start is None else start, chosen, initial_object=initial_object))


def rms(values: np.ndarray) -> float:
    return float(np.sqrt(np.mean(np.square(values))))


def centred(values: np.ndarray) -> np.ndarray:
    return values - values.mean(axis=0)
