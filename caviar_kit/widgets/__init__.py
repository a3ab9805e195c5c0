"""Panels for notebooks; they hold no science, each calls public functions."""

from caviar_kit.widgets.calibration_tuner import CalibrationTuner
from caviar_kit.widgets.correlation_explorer import CorrelationExplorer
from caviar_kit.widgets.dispersion_explorer import DispersionExplorer
from caviar_kit.widgets.ensemble_player import EnsemblePlayer
from caviar_kit.widgets.job import Job
from caviar_kit.widgets.reconstruction_panel import ReconstructionPanel

__all__ = [
    "CalibrationTuner",
    "CorrelationExplorer",
    "DispersionExplorer",
    "EnsemblePlayer",
    "Job",
    "ReconstructionPanel",
]
