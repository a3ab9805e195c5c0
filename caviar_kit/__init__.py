"""caviar_kit: from 4D-STEM data to correlated atomic vibrations.

Public names load on first use, so that ``caviar_kit.multislice`` also runs where
py4DSTEM and abTEM are not installed (a bare GPU machine).
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

from caviar_kit import _emd as _emd  # where emdfile finds our data classes when it reads a file

__version__ = "0.1.0"

_EXPORTS = {
    "MixedObjectMultislicePtychography": "caviar_kit.ptychography",
    "load_example": "caviar_kit.examples",
    "refine_atomistic": "caviar_kit.atomistic",
    "find_atoms": "caviar_kit.vibrations.atoms",
    "track_atoms": "caviar_kit.vibrations.atoms",
    "displacements": "caviar_kit.vibrations.correlations",
    "greens_tensor": "caviar_kit.vibrations.correlations",
    "match_atoms": "caviar_kit.vibrations.matching",
    "correlation_offset": "caviar_kit.vibrations.offset",
    "subtract_offset": "caviar_kit.vibrations.offset",
    "compare_correlations": "caviar_kit.vibrations.similarity",
    "EnsembleResult": "caviar_kit.results",
    "AtomicDisplacements": "caviar_kit.datasets",
    "DisplacementCorrelations": "caviar_kit.datasets",
    "ObjectEnsemble": "caviar_kit.datasets",
    "ThermalSnapshots": "caviar_kit.snapshot_dataset",
    "read": "caviar_kit.reading",
    "load_datacube": "caviar_kit.loading",
    "noise_level": "caviar_kit.noise",
    "check_axes": "caviar_kit.axis_order",
    "find_origin": "caviar_kit.detector",
    "suspicious_pixels": "caviar_kit.detector",
    "to_ase": "caviar_kit.export",
    "to_hyperspy": "caviar_kit.export",
    "load_result": "caviar_kit.results",
    "measure": "caviar_kit.results",
    "measure_states": "caviar_kit.results",
    "load_stored_result": "caviar_kit.stored",
    "stored_results": "caviar_kit.stored",
    "column_profiles": "caviar_kit.vibrations.column_profiles",
    "state_diversity": "caviar_kit.vibrations.diversity",
    "fit_depth_edge": "caviar_kit.vibrations.column_profiles",
    "rotate_axes": "caviar_kit.vibrations.correlations",
    "debye_waller": "caviar_kit.vibrations.debye_waller",
    "depth_spectrum": "caviar_kit.vibrations.depth_spectrum",
    "information_limit": "caviar_kit.vibrations.information_limit",
    "pair_intervals": "caviar_kit.vibrations.intervals",
    "shell_intervals": "caviar_kit.vibrations.intervals",
    "tensor_intervals": "caviar_kit.vibrations.intervals",
    "similarity_intervals": "caviar_kit.vibrations.similarity_intervals",
    "Lattice": "caviar_kit.vibrations.lattice",
    "fit_lattice": "caviar_kit.vibrations.lattice",
    "average_equivalent_pairs": "caviar_kit.vibrations.pairs",
    "power_spectrum": "caviar_kit.vibrations.power_spectrum",
    "fourier_ring_correlation": "caviar_kit.vibrations.ring_correlation",
    "state_halves": "caviar_kit.vibrations.ring_correlation",
    "phonon_dispersion": "caviar_kit.vibrations.dispersion",
    "phonopy_dispersion": "caviar_kit.vibrations.phonopy_curves",
}
_MODULES = {
    "atomistic": "caviar_kit.atomistic",
    "calibration": "caviar_kit.calibration",
    "multislice": "caviar_kit.multislice",
    "plot": "caviar_kit.plotting",
    "simulation": "caviar_kit.simulation",
    "vibrations": "caviar_kit.vibrations",
    "widgets": "caviar_kit.widgets",
}

if TYPE_CHECKING:
    from caviar_kit import atomistic, calibration, multislice, simulation, vibrations, widgets
    from caviar_kit import plotting as plot
    from caviar_kit.atomistic import refine_atomistic
    from caviar_kit.axis_order import check_axes
    from caviar_kit.datasets import AtomicDisplacements, DisplacementCorrelations, ObjectEnsemble
    from caviar_kit.detector import find_origin, suspicious_pixels
    from caviar_kit.examples import load_example
    from caviar_kit.export import to_ase, to_hyperspy
    from caviar_kit.loading import load_datacube
    from caviar_kit.noise import noise_level
    from caviar_kit.ptychography import MixedObjectMultislicePtychography
    from caviar_kit.reading import read
    from caviar_kit.results import EnsembleResult, load_result, measure, measure_states
    from caviar_kit.snapshot_dataset import ThermalSnapshots
    from caviar_kit.stored import load_stored_result, stored_results
    from caviar_kit.vibrations.atoms import find_atoms, track_atoms
    from caviar_kit.vibrations.column_profiles import column_profiles, fit_depth_edge
    from caviar_kit.vibrations.correlations import displacements, greens_tensor, rotate_axes
    from caviar_kit.vibrations.debye_waller import debye_waller
    from caviar_kit.vibrations.depth_spectrum import depth_spectrum
    from caviar_kit.vibrations.dispersion import phonon_dispersion
    from caviar_kit.vibrations.diversity import state_diversity
    from caviar_kit.vibrations.information_limit import information_limit
    from caviar_kit.vibrations.intervals import pair_intervals, shell_intervals, tensor_intervals
    from caviar_kit.vibrations.lattice import Lattice, fit_lattice
    from caviar_kit.vibrations.matching import match_atoms
    from caviar_kit.vibrations.offset import correlation_offset, subtract_offset
    from caviar_kit.vibrations.pairs import average_equivalent_pairs
    from caviar_kit.vibrations.phonopy_curves import phonopy_dispersion
    from caviar_kit.vibrations.power_spectrum import power_spectrum
    from caviar_kit.vibrations.ring_correlation import fourier_ring_correlation, state_halves
    from caviar_kit.vibrations.similarity import compare_correlations
    from caviar_kit.vibrations.similarity_intervals import similarity_intervals

__all__ = [
    "AtomicDisplacements",
    "DisplacementCorrelations",
    "EnsembleResult",
    "Lattice",
    "MixedObjectMultislicePtychography",
    "ObjectEnsemble",
    "ThermalSnapshots",
    "atomistic",
    "average_equivalent_pairs",
    "calibration",
    "check_axes",
    "column_profiles",
    "compare_correlations",
    "correlation_offset",
    "debye_waller",
    "depth_spectrum",
    "displacements",
    "find_atoms",
    "find_origin",
    "fit_depth_edge",
    "fit_lattice",
    "fourier_ring_correlation",
    "greens_tensor",
    "information_limit",
    "load_datacube",
    "load_example",
    "load_result",
    "load_stored_result",
    "match_atoms",
    "measure",
    "measure_states",
    "multislice",
    "noise_level",
    "pair_intervals",
    "phonon_dispersion",
    "phonopy_dispersion",
    "plot",
    "power_spectrum",
    "read",
    "refine_atomistic",
    "rotate_axes",
    "shell_intervals",
    "similarity_intervals",
    "simulation",
    "state_diversity",
    "state_halves",
    "stored_results",
    "subtract_offset",
    "suspicious_pixels",
    "tensor_intervals",
    "to_ase",
    "to_hyperspy",
    "track_atoms",
    "vibrations",
    "widgets",
]


def __getattr__(name: str) -> Any:
    if name in _EXPORTS:
        value = getattr(import_module(_EXPORTS[name]), name)
    elif name in _MODULES:
        value = import_module(_MODULES[name])
    else:
        raise AttributeError(f"module 'caviar_kit' has no attribute {name!r}")
    globals()[name] = value
    return value


def __dir__() -> list[str]:
    return sorted({*globals(), *__all__})
