"""Atoms → thermal snapshots → calibrated 4D-STEM data, with the truth that a reconstruction should find."""

from caviar_kit.simulation.bad_pixels import apply_bad_pixels, bad_pixels
from caviar_kit.simulation.binning import apply_binning, beam_pixel
from caviar_kit.simulation.boundary import boundary_energy, coordination
from caviar_kit.simulation.bulk_motion import mean_square_displacements
from caviar_kit.simulation.calibration_error import apply_calibration_error
from caviar_kit.simulation.column_covariance import column_covariance
from caviar_kit.simulation.columns import Columns, column_displacements, columns
from caviar_kit.simulation.contributions import PatternContributions, pattern_contributions
from caviar_kit.simulation.dose import apply_dose
from caviar_kit.simulation.effects import applied_effects
from caviar_kit.simulation.einstein import coherent, einstein
from caviar_kit.simulation.experiment import Experiment
from caviar_kit.simulation.ground_truth import GroundTruth, ground_truth
from caviar_kit.simulation.harmonic import harmonic, harmonic_covariance, phonon_frequencies
from caviar_kit.simulation.lammps_engine import Lammps
from caviar_kit.simulation.modulation_transfer import apply_mtf
from caviar_kit.simulation.molecular_dynamics import molecular_dynamics
from caviar_kit.simulation.phonons import atoms_from_phonopy, phonopy_of, phonopy_of_atoms
from caviar_kit.simulation.potentials import InteratomicPotential, interatomic_potential
from caviar_kit.simulation.probe_positions import distorted_positions, drifted_positions
from caviar_kit.simulation.resampling import apply_drift, apply_positions, true_positions
from caviar_kit.simulation.rotation import apply_rotation
from caviar_kit.simulation.scan import scan, vacuum_probe_intensity
from caviar_kit.simulation.scan_file import open_scan
from caviar_kit.simulation.sigma9 import silicon_sigma9
from caviar_kit.simulation.snapshots import Snapshots
from caviar_kit.simulation.source_size import apply_source_size
from caviar_kit.simulation.stillinger_weber import StillingerWeber
from caviar_kit.simulation.storage import load_snapshots, save_snapshots
from caviar_kit.simulation.structures import silicon_sigma9_snapshots
from caviar_kit.simulation.thickness import thicken

__all__ = [
    "Columns",
    "Experiment",
    "GroundTruth",
    "InteratomicPotential",
    "Lammps",
    "PatternContributions",
    "Snapshots",
    "StillingerWeber",
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
    "atoms_from_phonopy",
    "bad_pixels",
    "beam_pixel",
    "boundary_energy",
    "coherent",
    "column_covariance",
    "column_displacements",
    "columns",
    "coordination",
    "distorted_positions",
    "drifted_positions",
    "einstein",
    "ground_truth",
    "harmonic",
    "harmonic_covariance",
    "interatomic_potential",
    "load_snapshots",
    "mean_square_displacements",
    "molecular_dynamics",
    "open_scan",
    "pattern_contributions",
    "phonon_frequencies",
    "phonopy_of",
    "phonopy_of_atoms",
    "save_snapshots",
    "scan",
    "silicon_sigma9",
    "silicon_sigma9_snapshots",
    "thicken",
    "true_positions",
    "vacuum_probe_intensity",
]
