"""Atoms → thermal snapshots → calibrated 4D-STEM data, with the truth that a reconstruction should find."""

from caviar_kit.simulation.boundary import boundary_energy, coordination
from caviar_kit.simulation.bulk_motion import mean_square_displacements
from caviar_kit.simulation.coincidence import CommensurateCell, commensurate_cell
from caviar_kit.simulation.column_covariance import column_covariance
from caviar_kit.simulation.columns import Columns, column_displacements, columns
from caviar_kit.simulation.einstein import coherent, einstein
from caviar_kit.simulation.experiment import Experiment
from caviar_kit.simulation.ground_truth import GroundTruth, ground_truth
from caviar_kit.simulation.harmonic import harmonic, harmonic_covariance, phonon_frequencies
from caviar_kit.simulation.hbn import twisted_hbn
from caviar_kit.simulation.hbn_springs import HbnSprings, hbn_force_constants
from caviar_kit.simulation.lammps_engine import Lammps
from caviar_kit.simulation.molecular_dynamics import molecular_dynamics
from caviar_kit.simulation.phonons import atoms_from_phonopy, phonopy_of, phonopy_of_atoms
from caviar_kit.simulation.potentials import InteratomicPotential, interatomic_potential
from caviar_kit.simulation.scan import scan, vacuum_probe_intensity
from caviar_kit.simulation.sigma9 import silicon_sigma9
from caviar_kit.simulation.snapshots import Snapshots
from caviar_kit.simulation.source_size import apply_source_size
from caviar_kit.simulation.stillinger_weber import StillingerWeber
from caviar_kit.simulation.storage import load_snapshots, save_snapshots
from caviar_kit.simulation.structures import silicon_sigma9_snapshots

__all__ = [
    "Columns",
    "CommensurateCell",
    "Experiment",
    "GroundTruth",
    "HbnSprings",
    "InteratomicPotential",
    "Lammps",
    "Snapshots",
    "StillingerWeber",
    "apply_source_size",
    "atoms_from_phonopy",
    "boundary_energy",
    "coherent",
    "column_covariance",
    "column_displacements",
    "columns",
    "commensurate_cell",
    "coordination",
    "einstein",
    "ground_truth",
    "harmonic",
    "harmonic_covariance",
    "hbn_force_constants",
    "interatomic_potential",
    "load_snapshots",
    "mean_square_displacements",
    "molecular_dynamics",
    "phonon_frequencies",
    "phonopy_of",
    "phonopy_of_atoms",
    "save_snapshots",
    "scan",
    "silicon_sigma9",
    "silicon_sigma9_snapshots",
    "twisted_hbn",
    "vacuum_probe_intensity",
]
