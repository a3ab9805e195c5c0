"""The adapter against the py4DSTEM it was written for: an upgrade fails here first, and by name."""

from __future__ import annotations

import inspect
import tomllib
from importlib.metadata import version
from pathlib import Path

import pytest

import caviar_kit as ck
from caviar_kit._adapter.parent import VERSION, Parent
from tests.adapter.problems import parent_of, planted

OURS = ck.MixedObjectMultislicePtychography
PROJECT = tomllib.loads((Path(__file__).parents[1] / "pyproject.toml").read_text(encoding="utf-8"))["project"]

# Parameters, in order, of the methods of py4DSTEM 0.14.18 that we override.
RECORDED = {
    "_populate_instance": "group",
    "to_h5": "group",
    "__init__": (
        "energy num_slices slice_thicknesses num_probes datacube semiangle_cutoff semiangle_cutoff_pixels "
        "rolloff vacuum_probe_intensity polar_parameters object_padding_px initial_object_guess "
        "initial_probe_guess initial_scan_positions object_fov_ang positions_offset_ang theta_x theta_y "
        "middle_focus object_type positions_mask verbose device storage clear_fft_cache name **kwargs"
    ),
    "_crop_rotate_object_fov": "array positions_px padding",
    "_calculate_scan_positions_in_pixels": (
        "positions positions_mask object_padding_px positions_offset_ang"
    ),
    "_gradient_descent_adjoint": (
        "current_object current_probe object_patches shifted_probes positions_px exit_waves step_size "
        "normalization_min fix_probe"
    ),
    "_gradient_descent_fourier_projection": "amplitudes overlap fourier_mask virtual_detector_masks",
    "_initialize_object": "initial_object num_slices positions_px object_type",
    "_initialize_probe": (
        "initial_probe vacuum_probe_intensity mean_diffraction_intensity semiangle_cutoff crop_patterns"
    ),
    "_normalize_diffraction_intensities": (
        "diffraction_intensities com_fitted_x com_fitted_y positions_mask crop_patterns "
        "in_place_datacube_modification shifting_interpolation_order return_intensities_instead"
    ),
    "_object_constraints": (
        "current_object gaussian_filter gaussian_filter_sigma pure_phase_object butterworth_filter "
        "butterworth_order q_lowpass q_highpass identical_slices kz_regularization_filter "
        "kz_regularization_gamma tv_denoise tv_denoise_weights tv_denoise_inner_iter tv_denoise_chambolle "
        "tv_denoise_weight_chambolle tv_denoise_pad_chambolle object_positivity shrinkage_rad object_mask "
        "vacuum_mask **kwargs"
    ),
    "_overlap_projection": (
        "current_object vectorized_patch_indices_row vectorized_patch_indices_col shifted_probes_in"
    ),
    "_projection_sets_adjoint": (
        "current_object current_probe object_patches shifted_probes positions_px exit_waves "
        "normalization_min fix_probe"
    ),
    "_return_object_fft": "obj apply_hanning_window **kwargs",
    "_return_projected_cropped_potential": "obj return_kwargs **kwargs",
    "_return_self_consistency_errors": "max_batch_size",
    "attach_datacube": "datacube",
    "copy_attributes_to_device": "attrs device",
    "cross_correlate_amplitudes_to_probe_aperture": "upsample_factor progress_bar probe",
    "preprocess": (
        "diffraction_intensities_shape reshaping_method shifting_interpolation_order "
        "padded_diffraction_intensities_shape region_of_interest_shape dp_mask "
        "in_place_datacube_modification fit_function plot_center_of_mass plot_rotation "
        "maximize_divergence rotation_angles_deg plot_probe_overlaps force_com_rotation "
        "force_com_transpose force_com_shifts force_com_measured vectorized_com_calculation "
        "force_scan_sampling force_angular_sampling force_reciprocal_sampling object_fov_mask "
        "crop_patterns center_positions_in_fov store_initial_arrays device clear_fft_cache max_batch_size "
        "**kwargs"
    ),
    "reconstruct": (
        "num_iter reconstruction_method reconstruction_parameter reconstruction_parameter_a "
        "reconstruction_parameter_b reconstruction_parameter_c max_batch_size seed_random step_size "
        "normalization_min positions_step_size fix_probe_com orthogonalize_probe fix_probe "
        "fix_probe_aperture constrain_probe_amplitude constrain_probe_amplitude_relative_radius "
        "constrain_probe_amplitude_relative_width constrain_probe_fourier_amplitude "
        "constrain_probe_fourier_amplitude_max_width_pixels "
        "constrain_probe_fourier_amplitude_constant_intensity fix_positions fix_positions_com "
        "max_position_update_distance max_position_total_distance global_affine_transformation "
        "gaussian_filter_sigma gaussian_filter fit_probe_aberrations "
        "fit_probe_aberrations_max_angular_order fit_probe_aberrations_max_radial_order "
        "fit_probe_aberrations_remove_initial fit_probe_aberrations_using_scikit_image "
        "num_probes_fit_aberrations butterworth_filter q_lowpass q_highpass butterworth_order "
        "kz_regularization_filter kz_regularization_gamma identical_slices object_positivity "
        "shrinkage_rad fix_potential_baseline vacuum_mask detector_fourier_mask virtual_detector_masks "
        "probe_real_space_support_mask pure_phase_object tv_denoise_chambolle tv_denoise_weight_chambolle "
        "tv_denoise_pad_chambolle tv_denoise tv_denoise_weights tv_denoise_inner_iter store_iterations "
        "progress_bar reset device clear_fft_cache object_type"
    ),
    "reinitialize_parameters": "device storage clear_fft_cache verbose",
    "set_device": "device clear_fft_cache",
    "set_save_defaults": "save_datacube save_exit_waves save_iterations save_iterations_frequency",
    "set_storage": "storage",
    "show_depth_section": (
        "ptA ptB aspect_ratio plot_line_profile ms_object specify_calibrated gaussian_filter_sigma cbar "
        "**kwargs"
    ),
    "show_object_fft": "obj apply_hanning_window scalebar pixelsize pixelunits **kwargs",
    "show_slices": "ms_object cbar common_color_scale padding num_cols show_fft **kwargs",
    "show_transmitted_probe": "**kwargs",
    "show_uncertainty_visualization": (
        "errors max_batch_size projected_cropped_potential kde_sigma plot_histogram plot_contours **kwargs"
    ),
    "slim_preprocess": (
        "amplitudes probe_array object_array positions_px reciprocal_sampling angular_sampling "
        "store_initial_arrays"
    ),
    "visualize": (
        "fig iterations_grid plot_convergence plot_probe plot_fourier_probe "
        "remove_initial_probe_aberrations cbar **kwargs"
    ),
}
PROPERTIES = {"object_cropped", "object_fft"}
CLASS_METHODS = {"_get_constructor_args": ["group"]}
CONSTANTS = {"_emd_group_type", "_class_specific_metadata"}
# Entry points that only users call: ours differ on purpose, see their docstrings.
ENTRY_POINTS = {"__init__", "preprocess", "reconstruct", "visualize"}
# What the adapter reads or writes after the parent's preprocess.
STATE = """
_amplitudes _datacube _dp_mask _energy _mean_diffraction_intensity _object _object_initial
_object_padding_px _object_shape _polar_parameters _positions_mask _positions_px _positions_px_initial
_preprocessed _probe _probe_initial _rotation_best_rad _rotation_best_transpose _scan_positions
_slice_thicknesses _theta_x _theta_y _vacuum_probe_intensity
""".split()


def overridden() -> set[str]:
    """Names of the parent that a class of ours defines anew."""
    ours = (cls for cls in OURS.__mro__ if cls.__module__.startswith("caviar_kit"))
    inherited = {name for name in dir(Parent) if not name.startswith("__")} | {"__init__"}
    return {name for cls in ours for name in vars(cls)} & inherited


def parameters(method: object) -> list[inspect.Parameter]:
    return list(inspect.signature(method).parameters.values())[1:]


def test_the_installed_version_is_the_pinned_one() -> None:
    assert version("py4DSTEM") == VERSION
    assert any(line.split()[0] == f"py4DSTEM=={VERSION}" for line in PROJECT["dependencies"])


def test_every_overridden_name_is_recorded() -> None:
    assert overridden() - CONSTANTS == set(RECORDED) | PROPERTIES | set(CLASS_METHODS)


@pytest.mark.parametrize("name", sorted(RECORDED))
def test_the_parents_signature_is_the_recorded_one(name: str) -> None:
    prefix = {inspect.Parameter.VAR_KEYWORD: "**", inspect.Parameter.VAR_POSITIONAL: "*"}
    found = [prefix.get(p.kind, "") + p.name for p in parameters(getattr(Parent, name))]
    assert found == RECORDED[name].split()


@pytest.mark.parametrize("name", sorted(set(RECORDED) - ENTRY_POINTS))
def test_ours_accepts_what_the_parent_passes(name: str) -> None:
    """All by position, and those with a default by keyword too."""
    theirs = [p for p in parameters(getattr(Parent, name)) if p.kind is p.POSITIONAL_OR_KEYWORD]
    ours = inspect.signature(getattr(OURS, name))
    ours.bind(None, *theirs)
    required = [p for p in theirs if p.default is p.empty]
    ours.bind(None, *required, **{p.name: None for p in theirs if p.default is not p.empty})


@pytest.mark.parametrize("name", sorted(ENTRY_POINTS - {"reconstruct"}))
def test_entry_points_know_the_parents_keywords(name: str) -> None:
    keywords = [p.name for p in parameters(getattr(Parent, name)) if p.kind is p.POSITIONAL_OR_KEYWORD]
    inspect.signature(getattr(OURS, name)).bind(None, **dict.fromkeys(keywords))


@pytest.mark.parametrize("name", sorted(PROPERTIES))
def test_properties_stay_properties(name: str) -> None:
    assert isinstance(inspect.getattr_static(Parent, name), property)
    assert isinstance(inspect.getattr_static(OURS, name), property)


@pytest.mark.parametrize("name", sorted(CLASS_METHODS))
def test_class_methods_take_the_same(name: str) -> None:
    for cls in (Parent, OURS):
        assert list(inspect.signature(getattr(cls, name)).parameters) == CLASS_METHODS[name]


def test_the_parent_still_keeps_its_state_where_the_adapter_looks() -> None:
    ours, _ = planted(1, num_object_states=1)
    parent = parent_of(ours)
    assert not [name for name in STATE if not hasattr(parent, name)]
    assert parent._amplitudes.shape == (30, 24, 24)
    assert parent._object.shape == (3, *ours._model.object_shape)
