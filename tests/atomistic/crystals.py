"""Small crystals whose patterns are known: sites, form factors, patterns of given displacements."""

from __future__ import annotations

from typing import Any

import numpy as np

from caviar_kit.atomistic import AtomicObject, Atoms, Sites
from caviar_kit.multislice import AmplitudeLoss, Evaluator, MultisliceModel
from tests.multislice.problems import aperture

SLICES = 3


def form_factors(q2: np.ndarray) -> np.ndarray:
    """Two kinds of atoms: Gaussians of 0.9 and 0.5 rad Å², 0.35 and 0.3 Å wide."""
    return np.array([s * np.exp(-2 * np.pi**2 * q2 * w**2) for s, w in ((0.9, 0.35), (0.5, 0.30))])


def sites(rng: np.random.Generator, number: int = 7, extent: Any = (3.6, 4.0)) -> Sites:
    """Of two kinds; some in all slices, some in one."""
    slices = rng.random((number, SLICES)) < 0.6
    slices[:, 0] |= ~slices.any(axis=1)
    return Sites.of(rng.random((number, 2)) * extent, ["B", "N", "B", "N", "N", "B", "N"][:number], slices)


def atoms(given: Sites, states: int, rng: np.random.Generator, rms: float = 0.1) -> Atoms:
    """Displaced at random, of unequal numbers, scales and widths."""
    moved = given.positions + rng.normal(0, rms, (states, len(given), 2))
    number = np.where(given.slices, 0.5 + rng.random(given.slices.shape), 0.0)
    return Atoms(moved, number, np.array([1.1, 0.9]), np.array([0.004, -0.002]))


def square_lattice(side: int = 4, spacing: float = 1.4, first: float = 3.6) -> np.ndarray:
    """Positions of side² columns [Å]."""
    rows, columns = np.indices((side, side))
    return first + spacing * np.stack([rows.ravel(), columns.ravel()], axis=1)


def correlated(
    positions: np.ndarray, states: int, seed: int, rms: float = 0.08, reach: float = 2.0
) -> np.ndarray:
    """Displacements (states, sites, 2) [Å], correlated over about ``reach`` [Å]; 0 for independent ones."""
    rng = np.random.default_rng(seed)
    drawn = rng.normal(size=(states, len(positions), 2))
    if reach > 0:
        distance = np.linalg.norm(positions[:, None] - positions, axis=-1)
        root = np.linalg.cholesky(np.exp(-((distance / reach) ** 2) / 2) + 1e-9 * np.eye(len(positions)))
        drawn = np.einsum("ij,sja->sia", root, drawn)
    return rms * (drawn - drawn.mean(axis=0))


def scan(dtype: Any = np.float64, step: float = 3.0, side: int = 8, threads: int = 2) -> Evaluator:
    """A defocused probe over the lattice, patterns still empty: 32 × 32 pixels of 0.2 Å, three slices."""
    begin = 16 + 2
    rows, columns = np.indices((side, side))
    positions = begin + step * np.stack([rows.ravel(), columns.ravel()], axis=1).astype(float)
    size = int(begin + step * (side - 1) + 18)
    model = MultisliceModel(
        window=(32, 32),
        sampling=(0.2, 0.2),
        wavelength=0.025,
        thicknesses=(2.0, 2.0),
        positions=positions,
        object_shape=(size, size),
    )
    return Evaluator(model, np.zeros((side**2, 32, 32), dtype), AmplitudeLoss(), threads=threads)


def probe(dtype: Any = complex) -> np.ndarray:
    """One mode, (1, 32, 32)."""
    return aperture((32, 32), 1, dtype)


def measured(empty: Evaluator, given: Sites, truth: Atoms, beam: np.ndarray) -> Evaluator:
    """The same scan with the patterns of ``truth``."""
    model = empty.model
    phases = AtomicObject(
        given, form_factors, model.object_shape, model.sampling, dtype=empty.real_dtype
    ).phases(truth)
    patterns = empty.intensities(np.exp(1j * phases).astype(empty.dtype), beam)
    return Evaluator(model, patterns, empty.loss_function, threads=empty.threads)
