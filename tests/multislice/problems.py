"""Small multislice problems, and a multislice of a few lines to compare with."""

from __future__ import annotations

from typing import Any

import numpy as np

from caviar_kit.multislice import AmplitudeLoss, Evaluator, MultisliceModel

WAVELENGTH = 0.025  # Å, about 200 kV
STATES, MODES = 3, 2  # beside 4 slices, 5 positions, 12 × 15 pixels


def random_complex(shape: tuple[int, ...], seed: int = 0, dtype: Any = complex) -> np.ndarray:
    rng = np.random.default_rng(seed)
    return (rng.normal(size=shape) + 1j * rng.normal(size=shape)).astype(dtype)


def inner(a: np.ndarray, b: np.ndarray) -> complex:
    """⟨a, b⟩ = Σ conj(a) b."""
    return complex(np.vdot(a, b))


def dot_test(operator: Any, wave: np.ndarray, result: np.ndarray) -> float:
    """|⟨A x, y⟩ - ⟨x, A* y⟩| relative to |A x| |y|."""
    image = operator.forward(wave)
    error = inner(image, result) - inner(wave, operator.adjoint(result))
    return abs(error) / (np.linalg.norm(image) * np.linalg.norm(result))


def model(**changes: Any) -> MultisliceModel:
    """5 positions, 4 slices, an oblong window and oblong pixels; sub-pixel and whole positions; a tilt."""
    settings: dict[str, Any] = {
        "window": (12, 15),
        "sampling": (0.21, 0.18),
        "wavelength": WAVELENGTH,
        "thicknesses": (3.0, 4.5, 2.0),
        "positions": [[6, 7], [8.3, 9.8], [7.5, 11.25], [10.9, 7.4], [9.0, 12.6]],
        "object_shape": (18, 22),
        "tilt_mrad": (4.0, -7.0),
    }
    return MultisliceModel(**{**settings, **changes})


def aperture(shape: tuple[int, int], modes: int = 1, dtype: Any = complex) -> np.ndarray:
    """Probe modes centred in the window, Σ|probe|² = 1: an aperture times low orders of k, defocused."""
    ky, kx = np.fft.fftfreq(shape[0])[:, None], np.fft.fftfreq(shape[1])[None]
    disc = (ky**2 + kx**2 < 0.25**2) * np.exp(2j * np.pi * 12 * (ky**2 + kx**2))
    spectra = np.stack([disc * (1 + 3 * n * ky - 2 * n * kx) for n in range(modes)])
    probe = np.fft.fftshift(np.fft.ifft2(spectra), axes=(-2, -1))
    return (probe / np.sqrt((abs(probe) ** 2).sum())).astype(dtype)


def states(
    shape: tuple[int, ...], seed: int = 1, strength: float = 0.3, absorption: float = 0.1
) -> np.ndarray:
    """Random transmission functions, complex128."""
    rng = np.random.default_rng(seed)
    return np.exp(strength * 1j * rng.normal(size=shape) - absorption * rng.uniform(size=shape))


def evaluator(
    geometry: MultisliceModel, loss: Any = None, *, seed: int = 2, dtype: Any = float, **settings: Any
) -> Evaluator:
    """An evaluator with positive random patterns."""
    rng = np.random.default_rng(seed)
    patterns = rng.uniform(0.5, 1.5, (len(geometry.positions), *geometry.window))
    patterns /= patterns.sum(axis=(1, 2), keepdims=True)
    return Evaluator(geometry, patterns.astype(dtype), loss or AmplitudeLoss(), **{"threads": 1, **settings})


def objects(geometry: MultisliceModel, count: int = STATES, **options: Any) -> np.ndarray:
    return states((count, geometry.num_slices, *geometry.object_shape), **options)


def finite_difference(function: Any, point: np.ndarray, direction: np.ndarray, step: float = 2e-3) -> float:
    """Slope along ``direction``: central differences, twice extrapolated (error of order step⁶)."""
    slopes = [
        (function(point + h * direction) - function(point - h * direction)) / (2 * h)
        for h in (step, step / 2, step / 4)
    ]
    first = [(4 * slopes[n + 1] - slopes[n]) / 3 for n in range(2)]
    return (16 * first[1] - first[0]) / 15


def slope_error(function: Any, gradient: np.ndarray, point: np.ndarray, directions: int = 3) -> float:
    """Largest relative error of dL = Re Σ conj(G) dz; a real gradient is its own special case."""
    worst = 0.0
    for seed in range(directions):
        direction = random_complex(point.shape, 10 + seed)
        if not np.iscomplexobj(point):
            direction = direction.real
        # mostly along the gradient, so that the slope is not the small difference of large terms
        direction = 0.8 * direction / np.linalg.norm(direction) + gradient / np.linalg.norm(gradient)
        expected = finite_difference(function, point, direction)
        worst = max(worst, abs(np.vdot(gradient, direction).real - expected) / abs(expected))
    return worst


def reference_patterns(geometry: MultisliceModel, objects: np.ndarray, probe: np.ndarray) -> np.ndarray:
    """(positions, y, x), FFT order: the same physics written down again, plainly, in double precision."""
    (ny, nx), (dy, dx) = geometry.window, geometry.sampling
    ky, kx = np.fft.fftfreq(ny, dy)[:, None], np.fft.fftfreq(nx, dx)[None]
    band = np.ones((ny, nx))
    if geometry.band_limit is not None:
        band = np.hypot(ky, kx) < geometry.band_limit * 0.5 / max(dy, dx)
    slope_y, slope_x = np.tan(1e-3 * np.array(geometry.tilt_mrad))
    patterns = []
    for y, x in geometry.positions:
        row, col = round(y), round(x)
        cut = objects[:, :, row - ny // 2 :, col - nx // 2 :][:, :, :ny, :nx]
        ramp = np.exp(-2j * np.pi * (ky * (y - row) * dy + kx * (x - col) * dx))
        intensity = np.zeros((ny, nx))
        for state in cut:
            for mode in probe:
                wave = np.fft.ifft2(np.fft.fft2(mode) * ramp) * state[0]
                for dz, layer in zip(geometry.thicknesses, state[1:], strict=True):
                    fresnel = np.exp(-1j * np.pi * geometry.wavelength * dz * (ky**2 + kx**2))
                    fresnel = fresnel * np.exp(-2j * np.pi * dz * (ky * slope_y + kx * slope_x))
                    wave = np.fft.ifft2(np.fft.fft2(wave) * fresnel * band) * layer
                intensity += abs(np.fft.fft2(wave)) ** 2 * band / wave.size
        patterns.append(intensity / len(cut))
    return np.array(patterns)
