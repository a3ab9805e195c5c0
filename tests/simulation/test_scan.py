"""The simulated patterns against physics and against an independent multislice."""

from dataclasses import replace

import numpy as np
import pytest

from caviar_kit.simulation import (
    Experiment,
    Snapshots,
    einstein,
    ground_truth,
    scan,
    silicon_sigma9_snapshots,
    vacuum_probe_intensity,
)
from caviar_kit.simulation.window import cut_window
from tests.simulation.tiny import TINY


@pytest.fixture(scope="module")
def silicon() -> Snapshots:
    return silicon_sigma9_snapshots().subset(3)


@pytest.fixture(scope="module")
def data(silicon) -> np.ndarray:
    return scan(silicon, TINY).data


def one_atom(y: float, x: float, number: int = 47) -> Snapshots:
    """A single atom in a large cell."""
    positions = np.array([[[x, y, 1.0]]])
    return Snapshots(positions, [number], np.diag([40.0, 40.0, 2.0]), positions[0], 0.0)


def centre_of_mass(patterns: np.ndarray) -> np.ndarray:
    """(..., 2) in pixels from the central one: y, x."""
    pixels = np.arange(patterns.shape[-1]) - patterns.shape[-1] // 2
    y, x = (patterns.sum(axis=axis) @ pixels for axis in (-1, -2))
    return np.stack([y, x], axis=-1) / patterns.sum(axis=(-2, -1))[..., None]


def numpy_multislice(snapshots: Snapshots, frame: int, experiment: Experiment) -> np.ndarray:
    """Independent, in double precision and (y, x) throughout; only the projected potential is abTEM's."""
    import abtem
    from ase import Atoms
    from scipy import constants as c

    window = cut_window(snapshots, experiment)
    atoms = Atoms(
        numbers=snapshots.numbers[window.index],
        positions=window.place(snapshots.positions[frame]),
        cell=window.size,
        pbc=True,
    )
    n, side, thickness = experiment.grid_points, experiment.window_angstrom, window.size[2]
    built = abtem.Potential(
        atoms, gpts=n, slice_thickness=thickness / experiment.num_slices, projection="infinite"
    ).build(lazy=False)
    potential = built.array.astype(float).swapaxes(1, 2)
    assert len(potential) == experiment.num_slices

    total, rest = experiment.energy_ev * c.e, c.m_e * c.c**2
    momentum = np.sqrt(total * (total + 2 * rest)) / c.c
    wavelength = c.h / momentum * 1e10
    sigma = 2 * np.pi * (c.m_e + total / c.c**2) * c.e * wavelength * 1e-20 / c.h**2  # rad / (V Å)

    k = np.fft.fftfreq(n, side / n)
    radius = np.hypot(k[:, None], k[None])
    cutoff, taper = n / (3 * side), 0.01 * n / side
    band = np.clip((cutoff - radius) / taper, 0, 1)
    band = 0.5 - 0.5 * np.cos(np.pi * band)
    propagator = band * np.exp(-1j * np.pi * wavelength * radius**2 * thickness / experiment.num_slices)
    edge = (experiment.semiangle_mrad * 1e-3 / wavelength - radius) * side + 0.5
    spectrum = np.clip(edge, 0, 1) * np.exp(1j * np.pi * wavelength * experiment.defocus_angstrom * radius**2)
    spectrum /= np.sqrt((np.abs(spectrum) ** 2).sum())

    first = (side - (np.array(experiment.scan_shape) - 1) * experiment.scan_step_angstrom) / 2
    patterns = []
    for y, x in experiment.scan_positions_angstrom + first:
        ramp = np.exp(-2j * np.pi * (k[:, None] * y + k[None] * x))
        wave = np.fft.ifft2(spectrum * ramp)
        for v in potential:
            transmission = np.fft.ifft2(np.fft.fft2(np.exp(1j * sigma * v)) * band)
            wave = np.fft.ifft2(np.fft.fft2(wave * transmission) * propagator)
        patterns.append(np.fft.fftshift(np.abs(np.fft.fft2(wave)) ** 2))
    first_pixel = n // 2 - experiment.detector_pixels // 2
    kept = slice(first_pixel, first_pixel + experiment.detector_pixels)
    return np.array(patterns)[:, kept, kept].reshape(
        *experiment.scan_shape, *2 * (experiment.detector_pixels,)
    )


@pytest.mark.parametrize(
    "changes", [{}, {"defocus_angstrom": -30}, {"grid_points": 61, "detector_pixels": 39}]
)
def test_patterns_agree_with_an_independent_multislice(silicon, changes):
    experiment = replace(TINY, **changes)
    got = scan(silicon.subset(1), experiment).data
    wanted = numpy_multislice(silicon, 0, experiment)
    assert np.abs(got - wanted).sum(axis=(2, 3)).max() < 2e-5  # of the beam


def test_opposite_defocus_is_another_experiment(silicon):
    """The comparison above could not tell the sign of the defocus if this were small."""
    over, under = (scan(silicon.subset(1), replace(TINY, defocus_angstrom=d)).data for d in (-40, 40))
    assert np.abs(over - under).sum(axis=(2, 3)).min() > 0.05


def test_mean_of_snapshots_is_the_mean_of_single_runs(silicon, data):
    single = [scan(replace(silicon, positions=frame[None]), TINY).data for frame in silicon.positions]
    np.testing.assert_allclose(data, np.mean(single, axis=0, dtype=float), rtol=1e-5, atol=1e-10)


def test_result_is_the_same_bits_for_any_number_of_threads(silicon, data):
    np.testing.assert_array_equal(scan(silicon, TINY, workers=1).data, data)
    np.testing.assert_array_equal(scan(silicon, TINY, workers=3).data, data)


def test_result_does_not_depend_on_what_ran_before(silicon, data):
    """FFTW keeps what it learned from other transforms, and plans, hence rounds, accordingly."""
    pyfftw = pytest.importorskip("pyfftw")
    for shape in ((2, 60, 60), (6, 60, 60), (60, 60)):
        array = pyfftw.zeros_aligned(shape, np.complex64)
        for way in ("FFTW_FORWARD", "FFTW_BACKWARD"):
            pyfftw.FFTW(array, array, axes=(-2, -1), direction=way, flags=("FFTW_MEASURE",))
    known = [set(precision.splitlines()) for precision in pyfftw.export_wisdom()]
    np.testing.assert_array_equal(scan(silicon, TINY).data, data)
    assert [set(precision.splitlines()) for precision in pyfftw.export_wisdom()] == known


def test_patterns_hold_fractions_of_the_beam(data):
    assert data.dtype == np.float32
    assert data.shape == (2, 3, 40, 40)
    brightness = data.sum(axis=(2, 3))
    assert brightness.min() >= 0.9
    assert brightness.max() <= 1 + 1e-6


def test_pixels_beyond_the_band_are_empty(silicon):
    data = scan(silicon.subset(1), replace(TINY, detector_pixels=60)).data
    pixels = np.arange(60) - 30
    angle = np.hypot(pixels[:, None], pixels) * TINY.detector_pixel_mrad
    assert data[..., angle > TINY.antialias_mrad * 1.01].max() < 1e-12
    assert data[..., angle < 0.9 * TINY.antialias_mrad].min() > 1e-12


def test_data_cube_is_calibrated(silicon):
    calibration = scan(silicon.subset(1), TINY).calibration
    assert calibration.get_R_pixel_size() == 0.7
    assert calibration.get_R_pixel_units() == "A"
    assert calibration.get_Q_pixel_size() == pytest.approx(0.1)
    assert calibration.get_Q_pixel_units() == "A^-1"


@pytest.mark.filterwarnings("ignore:the simulated band ends")
@pytest.mark.parametrize(("grid_points", "detector_pixels"), [(60, 40), (60, 39), (61, 40), (61, 39)])
def test_vacuum_pattern_is_centred_and_symmetric(grid_points, detector_pixels):
    experiment = replace(TINY, semiangle_mrad=30, grid_points=grid_points, detector_pixels=detector_pixels)
    probe = vacuum_probe_intensity(experiment)
    assert probe.shape == (detector_pixels, detector_pixels)
    assert probe.sum() == pytest.approx(1, abs=1e-5)
    middle = detector_pixels // 2
    reach = (detector_pixels - 1) // 2
    inner = probe[middle - reach : middle + reach + 1, middle - reach : middle + reach + 1]
    for mirrored in (inner[::-1], inner[:, ::-1], inner.T):
        np.testing.assert_allclose(inner, mirrored, atol=1e-8)
    radius = np.sqrt((probe > probe.max() / 2).sum() / np.pi) * experiment.detector_pixel_mrad
    assert radius == pytest.approx(30, rel=0.03)


def test_patterns_without_atoms_nearby_are_the_vacuum_pattern():
    experiment = replace(TINY, centre_angstrom=(20, 20))
    far = scan(one_atom(15.1, 15.1, number=1), experiment).data
    np.testing.assert_allclose(far[1, 2], vacuum_probe_intensity(experiment), atol=2e-6)


def test_beam_is_drawn_to_the_atom_along_the_right_axes():
    """A nucleus attracts electrons: left of the atom they go right, above it they go down (+y)."""
    experiment = replace(
        TINY, defocus_angstrom=0, scan_shape=(3, 3), scan_step_angstrom=0.4, centre_angstrom=(20, 20)
    )
    com = centre_of_mass(scan(one_atom(20, 20), experiment).data)
    np.testing.assert_allclose(com[1, 1], 0, atol=1e-3)
    assert com[0, 1, 0] > 0.5 > 1e-3 > abs(com[0, 1, 1])
    assert com[2, 1, 0] < -0.5
    assert com[1, 0, 1] > 0.5 > 1e-3 > abs(com[1, 0, 0])
    assert com[1, 2, 1] < -0.5


@pytest.mark.filterwarnings("ignore:neighbouring probes overlap")
def test_scan_rows_follow_y_of_the_specimen():
    """An atom off centre in +y only is met by the last row of the scan, in the middle column."""
    experiment = replace(
        TINY, defocus_angstrom=0, scan_shape=(3, 3), scan_step_angstrom=0.8, centre_angstrom=(20, 20)
    )
    data = scan(one_atom(20.8, 20), experiment).data
    change = np.abs(data - vacuum_probe_intensity(experiment)).sum(axis=(2, 3))
    assert np.unravel_index(change.argmax(), change.shape) == (2, 1)


def test_window_wraps_the_periodic_specimen(silicon, data):
    """One lattice vector away is the same place."""
    ly, lx = silicon.cell[1, 1], silicon.cell[0, 0]
    moved = replace(TINY, centre_angstrom=(TINY.centre_angstrom[0] - ly, TINY.centre_angstrom[1] + lx))
    np.testing.assert_allclose(scan(silicon, moved).data, data, atol=1e-8)


@pytest.mark.filterwarnings("ignore:the detector reaches")
def test_window_larger_than_the_cell_takes_periodic_images(silicon):
    experiment = replace(TINY, window_angstrom=70.0, grid_points=600)
    window = cut_window(silicon, experiment)
    density = len(window.index) / 70.0**2
    assert density == pytest.approx(864 / (silicon.cell[0, 0] * silicon.cell[1, 1]), rel=0.02)


@pytest.mark.parametrize("num_slices", [1, 2, 4])
def test_no_thermal_atom_crosses_a_slice_boundary(num_slices):
    snapshots = silicon_sigma9_snapshots()
    window = cut_window(
        snapshots,
        replace(TINY, window_angstrom=20, grid_points=120, detector_pixels=80, num_slices=num_slices),
    )
    thickness = window.size[2] / num_slices
    wanted = np.floor(window.place(snapshots.relaxed)[:, 2] / thickness)
    assert np.array_equal(np.bincount(wanted.astype(int)), [152 // num_slices] * num_slices)
    for positions in (*snapshots.positions, *einstein(snapshots, 0).positions):
        np.testing.assert_array_equal(np.floor(window.place(positions)[:, 2] / thickness), wanted)


def test_progress_counts_and_may_cancel(silicon):
    seen = []
    scan(silicon, TINY, lambda done, total: seen.append((done, total)))
    assert seen == [(1, 3), (2, 3), (3, 3)]

    def cancel(done: int, total: int) -> None:
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        scan(silicon, TINY, cancel)


def test_abtem_configuration_is_left_alone(silicon):
    import abtem

    before = abtem.config.get("fftw.planning_effort"), abtem.config.get("precision")
    with abtem.config.set({"precision": "float64"}):
        scan(silicon.subset(1), TINY)
        assert abtem.config.get("precision") == "float64"
    assert (abtem.config.get("fftw.planning_effort"), abtem.config.get("precision")) == before


def test_import_of_py4dstem_leaves_warnings_alone():
    import warnings

    from caviar_kit._py4dstem import import_py4dstem

    show = warnings.showwarning
    assert import_py4dstem().__name__ == "py4DSTEM"
    assert warnings.showwarning is show


def test_ground_truth_is_in_the_scan_frame(silicon):
    y, x = 20.3, 20.1
    experiment = replace(TINY, centre_angstrom=(20, 20))
    truth = ground_truth(one_atom(y, x), experiment)
    np.testing.assert_allclose(truth.positions, [[0.3 + 0.35, 0.1 + 0.7]])
    assert truth.displacements.shape == (1, 1, 2)

    field = replace(TINY, scan_shape=(10, 12), window_angstrom=20, grid_points=120, detector_pixels=80)
    wide, inner = ground_truth(silicon, field, margin_angstrom=-1), ground_truth(silicon, field)
    assert len(wide.positions) > len(inner.positions) > 7
    assert inner.positions.min() >= 0
    assert np.all(inner.positions.max(axis=0) <= [0.7 * 9, 0.7 * 11])
    assert np.all(np.diff(inner.positions[:, 0]) >= 0)


def test_ground_truth_tensor_is_that_of_its_displacements(silicon):
    truth = ground_truth(
        silicon, replace(TINY, scan_shape=(10, 12), window_angstrom=20, grid_points=120, detector_pixels=80)
    )
    u = truth.displacements
    np.testing.assert_allclose(truth.greens_tensor, np.einsum("nia,njb->iajb", u, u) / len(u), atol=1e-15)
    np.testing.assert_allclose(u.mean(axis=0), 0, atol=1e-12)


def test_bad_arguments_are_refused(silicon):
    with pytest.raises(TypeError, match="snapshots must be Snapshots, got Atoms"):
        scan(silicon.atoms(0), TINY)
    with pytest.raises(TypeError, match="experiment must be an Experiment, got str"):
        scan(silicon, "tutorial")
    with pytest.raises(TypeError, match="experiment must be an Experiment"):
        vacuum_probe_intensity(None)
    with pytest.raises(TypeError, match="progress must be callable"):
        scan(silicon, TINY, True)
    with pytest.raises(ValueError, match="workers must be at least 1"):
        scan(silicon, TINY, workers=0)
    with pytest.raises(ValueError, match="holds no atoms"):
        scan(one_atom(1, 1), replace(TINY, centre_angstrom=(20, 20)))
    with pytest.raises(ValueError, match="no atomic column lies inside"):
        ground_truth(silicon, TINY, margin_angstrom=5)
    with pytest.raises(ValueError, match="margin_angstrom must be finite"):
        ground_truth(silicon, TINY, margin_angstrom=np.nan)
