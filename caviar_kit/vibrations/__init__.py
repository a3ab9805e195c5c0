"""From a reconstructed object to correlated atomic displacements.

Phase → atoms → one position per atom and object state → displacements (eq. 1) →
displacement Green's tensor (eq. 2) → how well two tensors agree (eq. 3, 4). The equation
numbers are those of Gladyshev et al., arXiv:2309.12017. Arrays are (y, x), lengths Å,
pixel (0, 0) is the origin of coordinates.
"""

from caviar_kit.vibrations.atoms import find_atoms, track_atoms
from caviar_kit.vibrations.brillouin import BrillouinPath, brillouin_path, special_points
from caviar_kit.vibrations.column_profiles import ColumnProfiles, DepthEdge, column_profiles, fit_depth_edge
from caviar_kit.vibrations.correlations import displacements, greens_tensor, rotate_axes
from caviar_kit.vibrations.debye_waller import DebyeWaller, debye_waller
from caviar_kit.vibrations.depth_spectrum import DepthSpectrum, depth_spectrum
from caviar_kit.vibrations.dispersion import phonon_dispersion
from caviar_kit.vibrations.dispersion_result import PhononDispersion
from caviar_kit.vibrations.diversity import state_diversity
from caviar_kit.vibrations.dynamical_matrix import dynamical_matrix, fourier_displacements
from caviar_kit.vibrations.information_limit import InformationLimit, information_limit
from caviar_kit.vibrations.intervals import (
    PairIntervals,
    ShellIntervals,
    TensorIntervals,
    pair_intervals,
    shell_intervals,
    tensor_intervals,
)
from caviar_kit.vibrations.lattice import Lattice, fit_lattice
from caviar_kit.vibrations.matching import match_atoms
from caviar_kit.vibrations.occupation import frequency_from_mean_square
from caviar_kit.vibrations.offset import correlation_offset, subtract_offset
from caviar_kit.vibrations.pairs import PairAverages, average_equivalent_pairs
from caviar_kit.vibrations.phase import projected_phase
from caviar_kit.vibrations.phonopy_curves import phonopy_dispersion
from caviar_kit.vibrations.power_spectrum import PowerSpectrum, power_spectrum
from caviar_kit.vibrations.refinement import FLAGS as TRACKING_FLAGS
from caviar_kit.vibrations.ring_correlation import RingCorrelation, fourier_ring_correlation, state_halves
from caviar_kit.vibrations.shells import NeighbourShells, neighbour_shells
from caviar_kit.vibrations.similarity import CorrelationComparison, ShellSimilarity, compare_correlations
from caviar_kit.vibrations.similarity_intervals import SimilarityIntervals, similarity_intervals
from caviar_kit.vibrations.symmetry import LatticeOperation, lattice_operations

__all__ = [
    "BrillouinPath",
    "ColumnProfiles",
    "CorrelationComparison",
    "DebyeWaller",
    "DepthEdge",
    "DepthSpectrum",
    "InformationLimit",
    "Lattice",
    "LatticeOperation",
    "NeighbourShells",
    "PairAverages",
    "PairIntervals",
    "PhononDispersion",
    "PowerSpectrum",
    "RingCorrelation",
    "ShellIntervals",
    "ShellSimilarity",
    "SimilarityIntervals",
    "TRACKING_FLAGS",
    "TensorIntervals",
    "average_equivalent_pairs",
    "brillouin_path",
    "column_profiles",
    "compare_correlations",
    "correlation_offset",
    "debye_waller",
    "depth_spectrum",
    "displacements",
    "dynamical_matrix",
    "find_atoms",
    "fit_depth_edge",
    "fit_lattice",
    "fourier_displacements",
    "fourier_ring_correlation",
    "frequency_from_mean_square",
    "greens_tensor",
    "information_limit",
    "lattice_operations",
    "match_atoms",
    "neighbour_shells",
    "pair_intervals",
    "phonon_dispersion",
    "phonopy_dispersion",
    "power_spectrum",
    "projected_phase",
    "rotate_axes",
    "shell_intervals",
    "similarity_intervals",
    "special_points",
    "state_diversity",
    "state_halves",
    "subtract_offset",
    "tensor_intervals",
    "track_atoms",
]
