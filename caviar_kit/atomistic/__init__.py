"""Atoms instead of pixels: displacements of every column as the unknowns of the multislice fit."""

from caviar_kit.atomistic.atomic_object import AtomicObject, Atoms
from caviar_kit.atomistic.bootstrap import BootstrapCorrelations, bootstrap_correlations
from caviar_kit.atomistic.criticism import Criticism, criticise
from caviar_kit.atomistic.ensembles import FreeStates, GaussianStates
from caviar_kit.atomistic.fit import AtomisticSnapshot, run_atomistic
from caviar_kit.atomistic.held_out import HeldOutSignal, held_out_signal
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
    "Criticism",
    "EquivalentSites",
    "FreeStates",
    "GaussianStates",
    "HarmonicBonds",
    "HeldOutSignal",
    "Sites",
    "bootstrap_correlations",
    "criticise",
    "held_out_signal",
    "load_atomistic",
    "phase_form_factors",
    "refine_atomistic",
    "run_atomistic",
]
