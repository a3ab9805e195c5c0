"""Patterns of a fit, and of its columns if they knew nothing of each other."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from typing import Any

import numpy as np

from caviar_kit.atomistic.objective import AtomicScene, AtomisticObjective
from caviar_kit.atomistic.refine import AtomisticFit
from caviar_kit.multislice.gradient import Evaluator
from caviar_kit.multislice.misfit import misfit

__all__ = ["finished", "independent_intensities", "intensities", "losses", "measured"]

Array = Any


def finished(fit: AtomisticFit) -> tuple[AtomisticObjective, AtomicScene]:
    """Where an iterated fit of several states has ended.

    Raises
    ------
    TypeError, ValueError
        If it is no such fit.
    """
    if not isinstance(fit, AtomisticFit):
        raise TypeError(f"fit must be an AtomisticFit, got {type(fit).__name__}")
    if fit.snapshot is None:
        raise ValueError("fit must have been iterated")
    scene = fit.snapshot.scene
    if len(scene.atoms.positions) < 2:
        raise ValueError("fit must have several states, got 1: there are no correlations to criticise")
    return fit.snapshot.objective, scene


def intensities(objective: AtomisticObjective, scene: AtomicScene) -> Array:
    """Modelled patterns (positions, y, x) on the device."""
    return objective.evaluator.intensities(
        objective.transmission(scene), scene.probe, instrument=scene.instrument
    )


def independent_intensities(fit: AtomisticFit, shuffles: int, rng: np.random.Generator) -> Array:
    """The same if the states of every site come in an order of their own, mean of several shuffles.

    A site's atoms in all slices keep together, and self terms stay as they are; chance correlations of one
    shuffle are averaged away.
    """
    objective, scene = finished(fit)
    site = np.arange(len(fit.sites)) if fit.movers is fit.sites else np.nonzero(fit.sites.slices)[0]
    total = intensities(objective, _shuffled(scene, site, rng))
    for _ in range(shuffles - 1):
        total += intensities(objective, _shuffled(scene, site, rng))
    return total / shuffles


def losses(evaluator: Evaluator, modelled: Array) -> np.ndarray:
    """Loss of each pattern, (positions,)."""
    values = (
        misfit(evaluator.loss_function, modelled[n : n + 1], data[None], evaluator.weights, None)
        for n, data in enumerate(measured(evaluator))
    )
    return np.array([float(value[0]) for value in values])


def measured(evaluator: Evaluator) -> Iterator[Array]:
    """Measured patterns (y, x), one after the other, on the device."""
    return (evaluator.patterns[n] for n in range(len(evaluator.patterns)))


def _shuffled(scene: AtomicScene, site: np.ndarray, rng: np.random.Generator) -> AtomicScene:
    positions = scene.atoms.positions
    order = rng.permuted(np.tile(np.arange(len(positions))[:, None], site.max() + 1), axis=0)[:, site]
    mixed = np.take_along_axis(positions, order[..., None], axis=0)
    return replace(scene, atoms=replace(scene.atoms, positions=mixed))
