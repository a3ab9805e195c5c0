"""A few atoms of two elements under a small probe, and what finite differences say about their patterns."""

from __future__ import annotations

from dataclasses import replace

import numpy as np

from caviar_kit.atomistic import AtomicObject, Atoms, MeasuredScene, Sites
from caviar_kit.multislice import AmplitudeLoss, Evaluator, Instrument, MultisliceModel

SAMPLING, WAVELENGTH = 0.25, 0.025  # Å
PLACES = np.array([[3.1, 3.3], [3.5, 4.6], [4.9, 3.6]])  # y, x [Å]
OCCUPANCIES = np.array([[1.0, 0.0, 2.0], [1.0, 1.0, 1.0], [0.5, 1.0, 0.0]])
WIDTHS = np.array([0.01, 0.03])  # Å²


def form_factors(q2: np.ndarray) -> np.ndarray:
    """Phases [rad Å²] of two elements that fall off like atoms."""
    return np.stack([0.35 / (1 + 1.1 * q2) ** 2, 0.2 / (1 + 0.7 * q2) ** 2])


def geometry() -> MultisliceModel:
    """Four positions, whole and sub-pixel, three unequal slices, a tilt."""
    return MultisliceModel(
        window=(20, 18),
        sampling=(SAMPLING, SAMPLING),
        wavelength=WAVELENGTH,
        thicknesses=(3.0, 4.5),
        positions=[[14, 14], [15.3, 16.8], [17.5, 13.25], [15.9, 15.4]],
        object_shape=(32, 30),
        tilt_mrad=(3.0, -5.0),
    )


def probe(model: MultisliceModel, modes: int = 2) -> np.ndarray:
    """Modes of a defocused aperture, Σ|probe|² = 1, centred."""
    ky, kx = (np.fft.fftfreq(n, SAMPLING) for n in model.window)
    k2 = ky[:, None] ** 2 + kx**2
    disc = (k2 < 0.8**2) * np.exp(1j * np.pi * WAVELENGTH * 60 * k2)
    spectra = np.stack([disc * (1 + n * (0.8 * ky[:, None] - 0.5 * kx)) for n in range(modes)])
    waves = np.fft.fftshift(np.fft.ifft2(spectra), axes=(-2, -1))
    return waves / np.sqrt((abs(waves) ** 2).sum())


def greens_tensor(rms: float = 0.06, correlation: float = 0.7) -> np.ndarray:
    """Correlated motion of the three sites [Å²], stronger along y."""
    between = np.full((3, 3), correlation) + (1 - correlation) * np.eye(3)
    return np.einsum("ij,ab->iajb", rms**2 * between, np.array([[1.0, 0.1], [0.1, 0.7]]))


def scene(tensor: np.ndarray | None = None, modes: int = 2) -> MeasuredScene:
    """The atoms with a beam current and a background; every third pixel row is not measured."""
    model = geometry()
    rng = np.random.default_rng(3)
    measured = np.ones(model.window, bool)
    measured[::3] = False
    instrument = replace(
        Instrument.nominal(model),
        beam=np.array([1.0, 0.9, 1.1, 1.05]),
        background=rng.uniform(1e-6, 1e-5, model.window),
    )
    return MeasuredScene(
        model,
        probe(model, modes),
        instrument,
        Sites.of(PLACES, ["Si", "C", "Si"], OCCUPANCIES > 0),
        form_factors,
        Atoms(PLACES[None], OCCUPANCIES, np.array([1.0, 1.1]), WIDTHS),
        np.zeros((3, 2, 3, 2)) if tensor is None else tensor,
        measured,
    )


class Patterns:
    """Patterns (positions, pixels) of the evaluator, at the measured pixels, in double precision."""

    def __init__(self, of: MeasuredScene) -> None:
        self._scene = of
        model = of.model
        self._object = AtomicObject(of.sites, form_factors, model.object_shape, model.sampling, dtype=float)
        blank = np.ones((len(model.positions), *model.window))
        self._evaluator = Evaluator(model, blank, AmplitudeLoss(), threads=1)

    def __call__(self, moved: np.ndarray | float = 0.0, **changes: np.ndarray) -> np.ndarray:
        """Of sites displaced by ``moved`` (sites, 2) [Å], or with other ``changes`` of the atoms."""
        atoms = replace(self._scene.atoms, **{"positions": (PLACES + moved)[None], **changes})
        transmission = np.exp(1j * self._object.phases(atoms))
        probe, instrument = self._scene.probe, self._scene.instrument
        patterns = self._evaluator.intensities(transmission, probe, instrument=instrument)
        return np.asarray(patterns[:, self._scene.measured])


def unit(coordinate: int) -> np.ndarray:
    """One coordinate moved by 1, (sites, 2)."""
    moved = np.zeros(2 * len(PLACES))
    moved[coordinate] = 1
    return moved.reshape(-1, 2)


def slope(function, step: float) -> np.ndarray:
    """Derivative at 0: central differences, once extrapolated."""
    wide, near = ((function(h) - function(-h)) / (2 * h) for h in (step, step / 2))
    return (4 * near - wide) / 3
