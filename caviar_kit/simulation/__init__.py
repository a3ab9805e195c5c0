"""Atoms → thermal snapshots → calibrated 4D-STEM data, with the truth that a reconstruction should find."""

from caviar_kit.simulation.coincidence import CommensurateCell, commensurate_cell
from caviar_kit.simulation.columns import Columns, column_displacements, columns
from caviar_kit.simulation.einstein import coherent, einstein
from caviar_kit.simulation.experiment import Experiment
from caviar_kit.simulation.ground_truth import GroundTruth, ground_truth
from caviar_kit.simulation.harmonic import harmonic, harmonic_covariance, phonon_frequencies
from caviar_kit.simulation.hbn import twisted_hbn
from caviar_kit.simulation.hbn_springs import HbnSprings, hbn_force_constants
from caviar_kit.simulation.lammps_engine import Lammps
from caviar_kit.simulation.potentials import InteratomicPotential, interatomic_potential
from caviar_kit.simulation.scan import scan, vacuum_probe_intensity
from caviar_kit.simulation.snapshots import Snapshots
from caviar_kit.simulation.source_size import apply_source_size
from caviar_kit.simulation.storage import load_snapshots, save_snapshots
from caviar_kit.simulation.structures import silicon_sigma9, silicon_sigma9_snapshots

__all__ = [
    "Columns",
    "CommensurateCell",
    "Experiment",
    "GroundTruth",
    "HbnSprings",
    "InteratomicPotential",
    "Lammps",
    "Snapshots",
    "apply_source_size",
    "coherent",
    "column_displacements",
    "columns",
    "commensurate_cell",
    "einstein",
    "ground_truth",
    "harmonic",
    "harmonic_covariance",
    "hbn_force_constants",
    "interatomic_potential",
    "load_snapshots",
    "phonon_frequencies",
    "save_snapshots",
    "scan",
    "silicon_sigma9",
    "silicon_sigma9_snapshots",
    "twisted_hbn",
    "vacuum_probe_intensity",
]
