"""One function, one picture: each takes ``ax``, returns it, and never calls ``show``.

Arrays are (y, x) in Å; correlations are drawn in pm². Images have y downwards.
"""

from caviar_kit.plotting.agreement import correlation_agreement
from caviar_kit.plotting.arrows import correlation_arrows
from caviar_kit.plotting.calibration import (
    centre_of_mass,
    detector_rings,
    mean_pattern,
    probe_overlap,
    rotation_curves,
    scan_image,
)
from caviar_kit.plotting.comparison import ensemble_comparison
from caviar_kit.plotting.contributions import pattern_contributions
from caviar_kit.plotting.criticism import residual_maps
from caviar_kit.plotting.curves import loss
from caviar_kit.plotting.dispersion import dispersion
from caviar_kit.plotting.instrument import probe_modes, refined_positions
from caviar_kit.plotting.movie import save_movie
from caviar_kit.plotting.spectra import (
    depth_map,
    depth_power,
    depth_profile,
    power_spectrum,
    ring_correlation,
)
from caviar_kit.plotting.states import object_states
from caviar_kit.plotting.stills import column_displacements, complex_wave, phase_map
from caviar_kit.plotting.tensor import greens_tensor

__all__ = [
    "centre_of_mass",
    "column_displacements",
    "complex_wave",
    "correlation_agreement",
    "correlation_arrows",
    "depth_map",
    "depth_power",
    "depth_profile",
    "detector_rings",
    "dispersion",
    "ensemble_comparison",
    "greens_tensor",
    "loss",
    "mean_pattern",
    "object_states",
    "pattern_contributions",
    "phase_map",
    "power_spectrum",
    "probe_modes",
    "probe_overlap",
    "refined_positions",
    "residual_maps",
    "ring_correlation",
    "rotation_curves",
    "save_movie",
    "scan_image",
]
