"""Panels for notebooks; they hold no science, each calls public functions."""

from caviar_kit.widgets.calibration_tuner import CalibrationTuner
from caviar_kit.widgets.correlation_explorer import CorrelationExplorer

__all__ = ["CalibrationTuner", "CorrelationExplorer"]
