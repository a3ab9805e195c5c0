"""Atoms → thermal snapshots → calibrated 4D-STEM data, with the truth that a reconstruction should find."""

from caviar_kit.simulation.columns import Columns, column_displacements, columns
from caviar_kit.simulation.contributions import PatternContributions, pattern_contributions
from caviar_kit.simulation.einstein import coherent, einstein
from caviar_kit.simulation.experiment import Experiment
from caviar_kit.simulation.ground_truth import GroundTruth, ground_truth
from caviar_kit.simulation.scan import scan, vacuum_probe_intensity
from caviar_kit.simulation.scan_file import open_scan
from caviar_kit.simulation.snapshots import Snapshots
from caviar_kit.simulation.source_size import apply_source_size
from caviar_kit.simulation.storage import load_snapshots, save_snapshots
from caviar_kit.simulation.structures import silicon_sigma9, silicon_sigma9_snapshots
from caviar_kit.simulation.thickness import thicken

__all__ = [
    "Columns",
    "Experiment",
    "GroundTruth",
    "PatternContributions",
    "Snapshots",
    "apply_source_size",
    "coherent",
    "column_displacements",
    "columns",
    "einstein",
    "ground_truth",
    "load_snapshots",
    "open_scan",
    "pattern_contributions",
    "save_snapshots",
    "scan",
    "silicon_sigma9",
    "silicon_sigma9_snapshots",
    "thicken",
    "vacuum_probe_intensity",
]
