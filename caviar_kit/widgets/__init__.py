"""Panels for notebooks; they hold no science, each calls public functions."""

from caviar_kit.widgets.correlation_explorer import CorrelationExplorer
from caviar_kit.widgets.ensemble_player import EnsemblePlayer

__all__ = ["CorrelationExplorer", "EnsemblePlayer"]
