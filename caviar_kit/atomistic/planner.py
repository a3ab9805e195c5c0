"""Errors of correlations: of a finished fit, and of an experiment that has not been done."""

from __future__ import annotations

import math
from dataclasses import replace
from functools import partial
from typing import Any

import numpy as np
from numpy.typing import ArrayLike

from caviar_kit import validation
from caviar_kit.atomistic.atomic_object import Atoms
from caviar_kit.atomistic.errors import CorrelationErrors
from caviar_kit.atomistic.information import MeasuredScene, correlation_information
from caviar_kit.atomistic.refine import AtomisticFit
from caviar_kit.atomistic.scattering import phase_form_factors
from caviar_kit.atomistic.sites import Sites
from caviar_kit.backend import to_numpy
from caviar_kit.illumination import ideal_aperture, probe_modes, unit_probe
from caviar_kit.multislice.instrument import Instrument
from caviar_kit.multislice.model import MultisliceModel
from caviar_kit.multislice.operators import frequency_grid
from caviar_kit.simulation import Experiment, Snapshots, columns
from caviar_kit.simulation.columns import column_displacements
from caviar_kit.simulation.periodic import nearest_image
from caviar_kit.simulation.snapshots import check_snapshots
from caviar_kit.simulation.window import cut_window
from caviar_kit.vibrations.correlations import displacements, greens_tensor

__all__ = ["correlation_errors", "guessed_tensor", "plan_experiment", "planned_scene"]

_SOURCE_MODES = 6
_FRAME = 1.5  # pixels of the waves per pixel of the detector, as in a reconstruction


def correlation_errors(
    fit: AtomisticFit,
    electrons_per_pattern: float,
    *,
    greens_tensor: ArrayLike | None = None,
    **options: Any,
) -> CorrelationErrors:
    """Errors that counting leaves in the correlations of a finished fit.

    Parameters
    ----------
    fit : AtomisticFit
        After its iterations.
    electrons_per_pattern : float
        Of the data, or of data to come.
    greens_tensor : (movers, 2, movers, 2), optional
        Correlations to expect; those of the fit by default [Å²].
    **options
        Of :func:`caviar_kit.atomistic.correlation_information`: ``reach_angstrom``, ``every`` ...

    Returns
    -------
    CorrelationErrors
        Of ``fit.movers``, in their order; positions are in the frame of the object.

    Raises
    ------
    TypeError, ValueError
        If there is no result yet, or an argument is not usable.
    """
    if not isinstance(fit, AtomisticFit):
        raise TypeError(f"fit must be an AtomisticFit, got {type(fit).__name__}")
    if fit.snapshot is None:
        raise ValueError("fit must have iterated: there is no result yet")
    scene, evaluator = fit.snapshot.scene, fit.evaluator
    tensor = _of_states(scene.atoms.positions) if greens_tensor is None else _checked(greens_tensor)
    weights = None if evaluator.weights is None else to_numpy(evaluator.weights)
    instrument = scene.instrument
    if instrument.background is not None:
        instrument = replace(instrument, background=to_numpy(instrument.background))
    measured = MeasuredScene(
        evaluator.model,
        to_numpy(scene.probe),
        instrument,
        fit.movers,
        fit.form_factors,
        scene.atoms,
        tensor,
        np.ones(evaluator.model.window, bool) if weights is None else weights > 0,
    )
    return correlation_information(measured, electrons_per_pattern, **options)


def plan_experiment(
    snapshots: Snapshots,
    experiment: Experiment,
    electrons_per_pattern: float,
    *,
    greens_tensor: ArrayLike | None = None,
    parametrization: str = "lobato",
    **options: Any,
) -> CorrelationErrors:
    """Errors to expect of an experiment, before it is done.

    >>> truth = ck.simulation.ground_truth(snapshots, experiment)
    >>> errors = ck.atomistic.plan_experiment(snapshots, experiment, 1e6)
    >>> errors.scans_needed(truth.greens_tensor, truth.positions)

    Parameters
    ----------
    snapshots : Snapshots
        The specimen and how it moves; with a single snapshot give ``greens_tensor``, for example
        :func:`guessed_tensor`.
    experiment : Experiment
        Optics, scan, detector, slices.
    electrons_per_pattern : float
        Dose.
    greens_tensor : (columns, 2, columns, 2), optional
        Correlations to expect of the columns of ``caviar_kit.simulation.columns(snapshots)`` [Å²]; those of
        the snapshots by default.
    parametrization : {"lobato", "kirkland", "peng"}
        Table of scattering factors.
    **options
        Of :func:`caviar_kit.atomistic.correlation_information`.

    Returns
    -------
    CorrelationErrors
        Of the columns in the window; positions in the frame of the scan, as of ``simulation.ground_truth``.

    Raises
    ------
    TypeError, ValueError
        If an argument is not usable.
    """
    scene = planned_scene(snapshots, experiment, greens_tensor, parametrization)
    errors = correlation_information(scene, electrons_per_pattern, **options)
    first = scene.model.positions[0] * np.array(scene.model.sampling)
    return replace(errors, positions=errors.positions - first)


def guessed_tensor(snapshots: Snapshots, rms_angstrom: float, length_angstrom: float) -> np.ndarray:
    """Correlations of columns that fall off with distance, rms² exp(-d / length) along each axis.

    Parameters
    ----------
    snapshots : Snapshots
        The specimen; how it moves does not matter.
    rms_angstrom : float
        Root mean square displacement of a column along each axis [Å].
    length_angstrom : float
        Distance over which correlations fall to 1/e [Å]; short for independent columns.

    Returns
    -------
    float64 (columns, 2, columns, 2)
        Of ``caviar_kit.simulation.columns(snapshots)`` [Å²].

    Raises
    ------
    TypeError, ValueError
        If a number is not positive.
    """
    rms = validation.number("rms_angstrom", rms_angstrom, minimum=0, maximum=0.5, open_minimum=True, unit="Å")
    length = validation.number("length_angstrom", length_angstrom, minimum=0, open_minimum=True, unit="Å")
    places = columns(snapshots).positions
    apart = nearest_image(places[:, None] - places, snapshots.cell)
    share = np.exp(-np.linalg.norm(apart, axis=-1) / length)
    return np.asarray(np.einsum("ij,ab->iajb", rms**2 * share, np.eye(2)))


def planned_scene(
    snapshots: Snapshots,
    experiment: Experiment,
    tensor: ArrayLike | None = None,
    parametrization: str = "lobato",
) -> MeasuredScene:
    """The columns of a specimen under the beam of an experiment; parameters of :func:`plan_experiment`."""
    check_snapshots(snapshots)
    if not isinstance(experiment, Experiment):
        raise TypeError(f"experiment must be an Experiment, got {type(experiment).__name__}")
    model, measured = _model(snapshots, experiment)
    sites, occupancies, column = _columns_in_window(snapshots, experiment, model)
    found = columns(snapshots)
    if tensor is None:
        if len(snapshots) < 2:
            raise ValueError("greens_tensor must be given, as one snapshot shows no motion")
        whole = greens_tensor(column_displacements(snapshots, found))
    else:
        whole = _checked(tensor)
        if len(whole) != len(found):
            raise ValueError(f"greens_tensor must be of the {len(found)} columns, got {whole.shape}")
    # images of a column across the periodic cell share its tensor; they are far beyond the reach
    near = whole[column][:, :, column]
    atoms = Atoms(
        sites.positions[None], occupancies, np.ones(len(sites.species)), _widths(snapshots, found, sites)
    )
    factors = partial(
        phase_form_factors,
        sites.species,
        energy_ev=experiment.energy_ev,
        parametrization=parametrization,
    )
    return MeasuredScene(
        model, _probe(experiment, model), Instrument.nominal(model), sites, factors, atoms, near, measured
    )


def _model(snapshots: Snapshots, experiment: Experiment) -> tuple[MultisliceModel, np.ndarray]:
    """Geometry, and measured pixels (y, x) in FFT order."""
    pixels = min(2 * math.ceil(_FRAME * experiment.detector_pixels / 2), experiment.grid_points)
    sampling = experiment.window_angstrom / pixels
    scan = experiment.scan_positions_angstrom / sampling
    first = pixels // 2
    size = int(np.ceil(scan.max())) + pixels + 1
    model = MultisliceModel(
        window=(pixels, pixels),
        sampling=(sampling, sampling),
        wavelength=experiment.wavelength_angstrom,
        thicknesses=(snapshots.thickness_angstrom / experiment.num_slices,) * (experiment.num_slices - 1),
        positions=np.round(scan + first, 4),
        object_shape=(size, size),
    )
    side = np.zeros(pixels, bool)
    begin = pixels // 2 - experiment.detector_pixels // 2
    side[begin : begin + experiment.detector_pixels] = True
    side = np.fft.ifftshift(side)
    return model, side[:, None] & side[None, :]


def _columns_in_window(
    snapshots: Snapshots, experiment: Experiment, model: MultisliceModel
) -> tuple[Sites, np.ndarray, np.ndarray]:
    """Sites in the object, atoms in their slices, and the column of the specimen that each one is."""
    from ase.data import chemical_symbols

    window, found = cut_window(snapshots, experiment), columns(snapshots)
    mean = snapshots.mean_positions
    level = (window.place(mean)[:, 2] / window.size[2] * experiment.num_slices).astype(int)
    inside = (mean[window.index] + window.shift)[:, 1::-1]  # not wrapped at the window's edges
    labels, half = found.labels[window.index], experiment.window_angstrom / 2
    vectors = inside - found.positions[labels] + np.array(experiment.centre_angstrom) - half
    images = np.rint(vectors @ np.linalg.inv(snapshots.cell[:2, 1::-1]))
    keys, site = np.unique(
        np.column_stack([labels, images, snapshots.numbers[window.index]]), axis=0, return_inverse=True
    )
    occupancies = np.zeros((len(keys), experiment.num_slices))
    np.add.at(occupancies, (site.ravel(), level), 1)
    places = np.zeros((len(keys), 2))
    np.add.at(places, site.ravel(), inside)
    places /= occupancies.sum(axis=1, keepdims=True)
    origin = model.positions[0] * np.array(model.sampling) - experiment.first_position_in_window_angstrom
    symbols = [chemical_symbols[int(number)] for number in keys[:, 3]]
    return Sites.of(places + origin, symbols, occupancies > 0), occupancies, keys[:, 0].astype(int)


def _widths(snapshots: Snapshots, found: Any, sites: Sites) -> np.ndarray:
    """Variance of atoms about their column along each axis, mean of each element [Å²]."""
    from ase.data import atomic_numbers

    if len(snapshots) < 2:
        return np.zeros(len(sites.species))
    moved = snapshots.displacements[:, :, 1::-1]
    apart = moved - column_displacements(snapshots, found)[:, found.labels]
    of_atom = (apart**2).mean(axis=(0, 2))
    return np.array([of_atom[snapshots.numbers == atomic_numbers[name]].mean() for name in sites.species])


def _probe(experiment: Experiment, model: MultisliceModel) -> np.ndarray:
    angle = (1e3 * model.wavelength / (model.window[0] * model.sampling[0]),) * 2
    aperture = np.fft.ifftshift(ideal_aperture(model.window, angle, experiment.semiangle_mrad))
    ky, kx = frequency_grid(model.window, model.sampling)
    defocused = aperture * np.exp(
        1j * math.pi * model.wavelength * experiment.defocus_angstrom * (ky**2 + kx**2)
    )
    probe = unit_probe(np.fft.ifft2(defocused)[None])
    if experiment.source_fwhm_angstrom == 0:
        return probe
    source = experiment.source_fwhm_angstrom
    return probe_modes(probe, _SOURCE_MODES, model.sampling, model.wavelength, source_fwhm_angstrom=source)


def _of_states(positions: np.ndarray) -> np.ndarray:
    """(sites, 2, sites, 2); zero with a single state."""
    if len(positions) < 2:
        return np.zeros(2 * positions.shape[1:])
    return greens_tensor(displacements(positions))


def _checked(tensor: ArrayLike) -> np.ndarray:
    return validation.as_array("greens_tensor", tensor, shape=(None, 2, None, 2)).astype(float)
