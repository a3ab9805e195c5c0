"""Before the fit: beam, aperture and rotation from the patterns, and what to choose for them."""

from caviar_kit.calibration.centre_of_mass import (
    centre_of_mass,
    integrate_centre_of_mass,
    turn_centre_of_mass,
    without_descan,
)
from caviar_kit.calibration.probe import ideal_probe
from caviar_kit.calibration.recommend import (
    Recommendation,
    probe_diameter,
    recommend_loss,
    recommend_slices,
    recommend_step,
    recommend_window,
    thickest_slice,
)
from caviar_kit.calibration.rotation import RotationFit, find_rotation
from caviar_kit.calibration.shadow import shadow_motion
from caviar_kit.calibration.survey import Survey, doubts, recommend, survey
from caviar_kit.calibration.virtual_detector import annulus, virtual_image
from caviar_kit.detector import disc_radius, find_origin, mean_pattern

__all__ = [
    "Recommendation",
    "RotationFit",
    "Survey",
    "annulus",
    "centre_of_mass",
    "disc_radius",
    "doubts",
    "find_origin",
    "find_rotation",
    "ideal_probe",
    "integrate_centre_of_mass",
    "mean_pattern",
    "probe_diameter",
    "recommend",
    "recommend_loss",
    "recommend_slices",
    "recommend_step",
    "recommend_window",
    "shadow_motion",
    "survey",
    "thickest_slice",
    "turn_centre_of_mass",
    "virtual_image",
    "without_descan",
]
