"""Atoms instead of pixels: displacements of every column as the unknowns of the multislice fit."""

from caviar_kit.atomistic.atomic_object import AtomicObject, Atoms
from caviar_kit.atomistic.bootstrap import BootstrapCorrelations, bootstrap_correlations
from caviar_kit.atomistic.criticism import Criticism, criticise
from caviar_kit.atomistic.ensembles import FreeStates, GaussianStates
from caviar_kit.atomistic.errors import CorrelationErrors, ExpectedSimilarity
from caviar_kit.atomistic.fit import AtomisticSnapshot, run_atomistic
from caviar_kit.atomistic.held_out import HeldOutSignal, held_out_signal
from caviar_kit.atomistic.information import MeasuredScene, correlation_information
from caviar_kit.atomistic.planner import (
    correlation_errors,
    guessed_tensor,
    plan_experiment,
    planned_scene,
)
from caviar_kit.atomistic.priors import EquivalentSites, HarmonicBonds
from caviar_kit.atomistic.refine import AtomisticFit, refine_atomistic
from caviar_kit.atomistic.result import AtomisticResult, load_atomistic
from caviar_kit.atomistic.scattering import phase_form_factors
from caviar_kit.atomistic.settings import AtomisticSettings
from caviar_kit.atomistic.sites import Sites

__all__ = [
    "AtomicObject",
    "AtomisticFit",
    "AtomisticResult",
    "AtomisticSettings",
    "AtomisticSnapshot",
    "Atoms",
    "BootstrapCorrelations",
    "CorrelationErrors",
    "Criticism",
    "EquivalentSites",
    "ExpectedSimilarity",
    "FreeStates",
    "GaussianStates",
    "HarmonicBonds",
    "HeldOutSignal",
    "MeasuredScene",
    "Sites",
    "bootstrap_correlations",
    "correlation_errors",
    "correlation_information",
    "criticise",
    "guessed_tensor",
    "held_out_signal",
    "load_atomistic",
    "phase_form_factors",
    "plan_experiment",
    "planned_scene",
    "refine_atomistic",
    "run_atomistic",
]
