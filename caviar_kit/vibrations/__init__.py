"""From a reconstructed object to correlated atomic displacements.

Phase → atoms → one position per atom and object state → displacements (eq. 1) →
displacement Green's tensor (eq. 2) → how well two tensors agree (eq. 3, 4). The equation
numbers are those of Gladyshev et al., arXiv:2309.12017. Arrays are (y, x), lengths Å,
pixel (0, 0) is the origin of coordinates.
"""

from caviar_kit.vibrations.atoms import find_atoms, track_atoms
from caviar_kit.vibrations.brillouin import BrillouinPath, brillouin_path
from caviar_kit.vibrations.correlations import displacements, greens_tensor
from caviar_kit.vibrations.dispersion import phonon_dispersion
from caviar_kit.vibrations.dispersion_result import PhononDispersion
from caviar_kit.vibrations.dynamical_matrix import dynamical_matrix, fourier_displacements
from caviar_kit.vibrations.lattice import Lattice
from caviar_kit.vibrations.matching import match_atoms
from caviar_kit.vibrations.occupation import frequency_from_mean_square
from caviar_kit.vibrations.offset import correlation_offset, subtract_offset
from caviar_kit.vibrations.phase import projected_phase
from caviar_kit.vibrations.phonopy_curves import phonopy_dispersion
from caviar_kit.vibrations.shells import NeighbourShells, neighbour_shells
from caviar_kit.vibrations.similarity import CorrelationComparison, ShellSimilarity, compare_correlations

__all__ = [
    "BrillouinPath",
    "CorrelationComparison",
    "Lattice",
    "NeighbourShells",
    "PhononDispersion",
    "ShellSimilarity",
    "brillouin_path",
    "compare_correlations",
    "correlation_offset",
    "displacements",
    "dynamical_matrix",
    "find_atoms",
    "fourier_displacements",
    "frequency_from_mean_square",
    "greens_tensor",
    "match_atoms",
    "neighbour_shells",
    "phonon_dispersion",
    "phonopy_dispersion",
    "projected_phase",
    "subtract_offset",
    "track_atoms",
]
