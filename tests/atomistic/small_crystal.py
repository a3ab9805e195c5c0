"""A fit of six columns to 25 patterns, small enough for tests, and patterns made from known atoms."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np

import caviar_kit as ck
from caviar_kit.atomistic import AtomisticFit, Atoms
from caviar_kit.illumination import ideal_aperture
from caviar_kit.multislice import Evaluator
from caviar_kit.multislice.loss import make_loss

WINDOW, SAMPLING, WAVELENGTH = 32, 0.25, 0.02508
STATES, SLICES = 4, 2
COLUMNS = np.array([[y, x] for y in (-1.0, 1.0) for x in (-1.3, 0.0, 1.3)])  # Å from the middle of the scan


def assumed_fit(*, num_states: int = STATES, defocus: float = 60.0, loss: str = "amplitude", **settings: Any):
    """A fit before its first iteration, with empty patterns; columns that know their atoms."""
    aperture = ideal_aperture((WINDOW, WINDOW), (3.135, 3.135), 30.0) ** 2
    vacuum = np.broadcast_to((aperture / aperture.sum()).astype(np.float32), (5, 5, WINDOW, WINDOW))
    ptycho = ck.MixedObjectMultislicePtychography.from_arrays(
        vacuum,
        scan_step_angstrom=0.7,
        sampling_angstrom=SAMPLING,
        energy=200e3,
        semiangle_cutoff=30,
        defocus=defocus,
        num_slices=SLICES,
        slice_thicknesses=3.0,
        num_object_states=1,
        vacuum_probe_intensity=vacuum[0, 0],
        device="cpu",
    ).preprocess(force_com_rotation=0, force_com_transpose=False)
    places = COLUMNS + ptycho.scan_positions_angstrom.mean(axis=0)
    fit = AtomisticFit(
        ptycho,
        places,
        "Si",
        occupancies=np.ones((len(places), SLICES)),
        loss=loss,
        num_states=num_states,
        **{"max_iter": 15, **settings},
    )
    fit.evaluator = in_double(fit.evaluator, fit.evaluator.patterns, loss)
    return fit


def in_double(evaluator: Evaluator, patterns: np.ndarray, loss: str) -> Evaluator:
    """The same model with other patterns, float64."""
    weights = None if evaluator.weights is None else evaluator.weights.astype(float)
    return Evaluator(
        evaluator.model, np.asarray(patterns, float), make_loss(loss), weights=weights, threads=1
    )


def shared_motion(
    states: int = STATES, *, sway: float = 0.12, own: float = 0.02, seed: int = 1
) -> np.ndarray:
    """Displacements (states, columns, 2) [Å]: ``sway`` in common, ``own`` for each."""
    rng = np.random.default_rng(seed)
    u = sway * rng.standard_normal((states, 1, 2)) + own * rng.standard_normal((states, len(COLUMNS), 2))
    return u - u.mean(axis=0)


def patterns_of(fit: AtomisticFit, u: np.ndarray) -> np.ndarray:
    """What the model of ``fit`` shows of columns displaced by ``u``."""
    snapshot = next(fit.iterate(start=atoms_of(fit, u)))
    objective = snapshot.objective
    scene = objective.scene(objective.start)
    return objective.evaluator.intensities(
        objective.transmission(scene), scene.probe, instrument=scene.instrument
    )


def atoms_of(fit: AtomisticFit, u: np.ndarray) -> Atoms:
    """The columns of ``fit`` displaced by ``u``."""
    return Atoms(fit.movers.positions + u, fit._occupancies.astype(float), np.ones(1), np.zeros(1))


def finished(fit: AtomisticFit, patterns: np.ndarray, u: np.ndarray | None = None) -> AtomisticFit:
    """``fit`` of these patterns after its iterations, or where the columns are displaced by ``u``."""
    fit.evaluator = in_double(fit.evaluator, patterns, fit.loss_name)
    if u is None:
        for _ in fit.iterate():
            pass
        return fit
    snapshot = next(fit.iterate(start=atoms_of(fit, u)))
    fit.snapshot = replace(snapshot, vector=snapshot.objective.start)
    return fit
