"""Atoms → thermal snapshots → calibrated 4D-STEM data, with the truth that a reconstruction should find."""

from caviar_kit.simulation.bad_pixels import apply_bad_pixels, bad_pixels
from caviar_kit.simulation.binning import apply_binning, beam_pixel
from caviar_kit.simulation.calibration_error import apply_calibration_error
from caviar_kit.simulation.columns import Columns, column_displacements, columns
from caviar_kit.simulation.contributions import PatternContributions, pattern_contributions
from caviar_kit.simulation.dose import apply_dose
from caviar_kit.simulation.effects import applied_effects
from caviar_kit.simulation.einstein import coherent, einstein
from caviar_kit.simulation.experiment import Experiment
from caviar_kit.simulation.ground_truth import GroundTruth, ground_truth
from caviar_kit.simulation.modulation_transfer import apply_mtf
from caviar_kit.simulation.probe_positions import distorted_positions, drifted_positions
from caviar_kit.simulation.resampling import apply_drift, apply_positions, true_positions
from caviar_kit.simulation.rotation import apply_rotation
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
    "applied_effects",
    "apply_bad_pixels",
    "apply_binning",
    "apply_calibration_error",
    "apply_dose",
    "apply_drift",
    "apply_mtf",
    "apply_positions",
    "apply_rotation",
    "apply_source_size",
    "bad_pixels",
    "beam_pixel",
    "coherent",
    "column_displacements",
    "columns",
    "distorted_positions",
    "drifted_positions",
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
    "true_positions",
    "vacuum_probe_intensity",
]
