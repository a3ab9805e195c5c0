"""How far forces reach, judged by states that were left out of the fit."""

from __future__ import annotations

import math

import numpy as np

from caviar_kit.vibrations.crystal_model import CrystalModel, crystal_model
from caviar_kit.vibrations.force_fit import ForceFit, fit_force_constants, leave_out_groups
from caviar_kit.vibrations.force_model import reaches_from
from caviar_kit.vibrations.lattice import Lattice
from caviar_kit.vibrations.likelihood import Likelihood, likelihood_of
from caviar_kit.vibrations.patch import Patch

__all__ = ["fit_of_best_reach", "predicted"]


def fit_of_best_reach(
    patches: list[Patch],
    lattice: Lattice,
    masses: np.ndarray,
    kinds: np.ndarray | None,
    states: int,
    temperature_k: float,
    statistics: str,
) -> tuple[CrystalModel, ForceFit]:
    """Most likely force constants, of the default reach or one that predicts states better.

    Shell by shell, until the next one no longer raises `predicted`, does not converge or asks for more data
    than there are. Forces that are too short bias frequencies, forces that are too long scatter them; states
    left out feel both. Slices of a state are left out together, however correlated they are.

    Raises
    ------
    ValueError
        As `crystal_model` does for the default reach.
    """
    groups = leave_out_groups(states)
    best: tuple[CrystalModel, ForceFit] | None = None
    score = -math.inf
    for reach in reaches_from(lattice.vectors, lattice.basis):
        try:
            model = crystal_model(patches, lattice, masses, kinds, reach, states)
        except ValueError:  # too few data for so many force constants
            if best is None:
                raise
            break
        if best is not None and model.forces.parameters == best[0].forces.parameters:
            break  # the patch holds no longer bonds
        likelihood = likelihood_of(patches, model.forces, temperature_k, statistics)
        fit = fit_force_constants(likelihood, groups)
        value = predicted(likelihood, fit, groups)
        if best is not None and (value <= score or not fit.converged):
            break
        best, score = (model, fit), value
    assert best is not None  # there is always a first reach
    return best


def predicted(likelihood: Likelihood, fit: ForceFit, groups: list[np.ndarray]) -> float:
    """Log-likelihood of each group of states given the others, under the fit to the others; summed.

    The likelihood of deviations from the mean over all states, over that from the mean of the others.
    """
    states = np.arange(len(likelihood.patches[0].moved))
    total = 0.0
    for group, parameters in zip(groups, fit.without, strict=True):
        found = [likelihood.evaluate(parameters, some) for some in (states, np.setdiff1d(states, group))]
        if found[0] is None or found[1] is None:
            return -math.inf
        total += found[0].value - found[1].value
    return total
