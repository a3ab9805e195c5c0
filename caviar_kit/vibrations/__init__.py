"""From a reconstructed object to correlated atomic displacements.

Phase → atoms → one position per atom and object state → displacements (eq. 1) →
displacement Green's tensor (eq. 2) → how well two tensors agree (eq. 3, 4). The equation
numbers are those of Gladyshev et al., arXiv:2309.12017. Arrays are (y, x), lengths Å,
pixel (0, 0) is the origin of coordinates.
"""

from caviar_kit.vibrations.atoms import find_atoms, track_atoms
from caviar_kit.vibrations.correlations import displacements, greens_tensor
from caviar_kit.vibrations.lattice import Lattice, fit_lattice
from caviar_kit.vibrations.matching import match_atoms
from caviar_kit.vibrations.offset import correlation_offset, subtract_offset
from caviar_kit.vibrations.phase import projected_phase
from caviar_kit.vibrations.shells import NeighbourShells, neighbour_shells
from caviar_kit.vibrations.similarity import CorrelationComparison, ShellSimilarity, compare_correlations

__all__ = [
    "CorrelationComparison",
    "Lattice",
    "NeighbourShells",
    "ShellSimilarity",
    "compare_correlations",
    "correlation_offset",
    "displacements",
    "find_atoms",
    "fit_lattice",
    "greens_tensor",
    "match_atoms",
    "neighbour_shells",
    "projected_phase",
    "subtract_offset",
    "track_atoms",
]
