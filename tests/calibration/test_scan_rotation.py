"""Rotation and transposition: analytic fields, shadows, simulated data, and py4DSTEM's own answer."""

import numpy as np
import pytest

import caviar_kit as ck
from caviar_kit.calibration import (
    centre_of_mass,
    find_rotation,
    integrate_centre_of_mass,
    shadow_motion,
    survey,
    turn_centre_of_mass,
    without_descan,
)
from caviar_kit.simulation import (
    Experiment,
    Snapshots,
    distorted_positions,
    scan,
    vacuum_probe_intensity,
)

RNG = np.random.default_rng(1)
BLOBS = RNG.uniform(0, 30, (12, 2))
ANGLES = [-140.0, -33.0, 0.0, 12.5, 77.0, 164.0]


def phase(y, x):
    """Positive peaks, and nothing between them: what atoms do."""
    return sum(np.exp(-((y - a) ** 2 + (x - b) ** 2) / 8) for a, b in BLOBS)


def slopes(shape=(28, 31)):
    """Gradient of `phase` (2, Ry, Rx) at the scan positions, along the scan."""
    y, x = np.indices(shape).astype(float)
    return -0.25 * np.array(
        [
            sum((y - a) * np.exp(-((y - a) ** 2 + (x - b) ** 2) / 8) for a, b in BLOBS),
            sum((x - b) * np.exp(-((y - a) ** 2 + (x - b) ** 2) / 8) for a, b in BLOBS),
        ]
    )


def on_detector(field, degrees, transpose):
    """A vector along the scan (y, x) in the detector's axes: docs/conventions.md, rotation, then flip."""
    c, s = np.cos(np.deg2rad(degrees)), np.sin(np.deg2rad(degrees))
    turned = np.stack([field[0] * c + field[1] * s, field[1] * c - field[0] * s])
    return turned[::-1] if transpose else turned


def apart(first, second):
    return abs((first - second + 180) % 360 - 180)


@pytest.mark.parametrize("transpose", [False, True])
@pytest.mark.parametrize("degrees", ANGLES)
def test_a_known_rotation_and_transposition_are_found(degrees, transpose):
    com = on_detector(slopes(), degrees, transpose) + RNG.normal(0, 0.01, (2, 28, 31))
    fit = find_rotation(com)
    assert fit.transpose is transpose
    assert apart(fit.degrees, degrees) < 1
    assert fit.clear and fit.contrast < 0.15
    assert fit.curl(fit.degrees) < fit.curl(fit.degrees + 5) < fit.curl(fit.degrees, not transpose)


@pytest.mark.parametrize("transpose", [False, True])
def test_turning_is_the_inverse_of_the_scans_rotation(transpose):
    field = RNG.normal(size=(2, 4, 5))
    back = turn_centre_of_mass(on_detector(field, 37.0, transpose), 37.0, transpose)
    np.testing.assert_allclose(back, field, atol=1e-12)


@pytest.mark.parametrize("transpose", [False, True])
def test_curves_are_those_of_turned_fields(transpose):
    com = without_descan(RNG.normal(size=(2, 9, 8)))
    fit = find_rotation(com)
    for degrees in (-100.0, 0.0, 41.0):
        y, x = turn_centre_of_mass(com, degrees, transpose)
        along_y = [(f[2:, 1:-1] - f[:-2, 1:-1]) / 2 for f in (y, x)]
        along_x = [(f[1:-1, 2:] - f[1:-1, :-2]) / 2 for f in (y, x)]
        curl, divergence = along_y[1] - along_x[0], along_y[0] + along_x[1]
        assert fit.curl(degrees, transpose) == pytest.approx(np.sqrt((curl**2).mean()))
        assert fit.divergence(degrees, transpose) == pytest.approx(np.sqrt((divergence**2).mean()))
    angles = np.arange(0, 180, 0.25)
    best = angles[fit.curl(angles, transpose).argmin()]
    assert (fit.least_curl(transpose) - best + 90) % 180 - 90 == pytest.approx(0, abs=0.2)


def test_the_centre_of_mass_integrates_to_the_phase_it_came_from():
    image = integrate_centre_of_mass(slopes())
    wanted = phase(*np.indices((28, 31)))
    assert np.corrcoef(image.ravel(), wanted.ravel())[0, 1] > 0.999
    assert image.std() == pytest.approx(wanted.std(), rel=0.02)


def test_centres_of_mass_are_those_of_the_patterns():
    y, x = np.indices((20, 24))
    centres = RNG.uniform(8, 12, (2, 3, 4))
    patterns = np.exp(-((y - centres[0, ..., None, None]) ** 2 + (x - centres[1, ..., None, None]) ** 2) / 4)
    np.testing.assert_allclose(centre_of_mass(patterns), centres, atol=1e-3)
    patterns[..., 0, 0] = 50.0
    measured = np.ones((20, 24), bool)
    measured[0, 0] = False
    np.testing.assert_allclose(centre_of_mass(patterns, measured), centres, atol=1e-3)


def test_descan_is_taken_out():
    y, x = np.indices((28, 31))
    descan = np.stack([3 + 0.2 * y - 0.1 * x, -5 + 0.3 * x])
    moved, alone = find_rotation(slopes() + descan), find_rotation(slopes())
    assert moved.degrees == pytest.approx(alone.degrees, abs=1e-6)


# Shadows -----------------------------------------------------------------------------------


def shadows(degrees, transpose, shift):
    """f(R + shift · k) on a detector of 16 × 18 pixels, R turned as docs/conventions.md says."""
    rows, cols = np.indices((9, 10)).astype(float)
    ky, kx = np.indices((16, 18)) - np.array([7.5, 8.5])[:, None, None]
    y, x = on_detector(np.stack([rows, cols]) * 2, degrees, transpose)
    return phase(
        15 + y[..., None, None] + shift * ky,
        15 + x[..., None, None] + shift * kx,
    )


@pytest.mark.parametrize("transpose", [False, True])
@pytest.mark.parametrize("defocus", [-500.0, 500.0])
@pytest.mark.parametrize("degrees", ANGLES)
def test_shadows_decide_between_an_angle_and_half_a_turn_more(degrees, defocus, transpose):
    patterns = shadows(degrees, transpose, -0.001 * defocus)  # a probe's part k has passed R - λ·defocus·k
    shadow = shadow_motion(patterns, (7.5, 8.5), 7.0)
    com = on_detector(slopes(), degrees, transpose)
    assert apart(find_rotation(com, shadow=shadow, defocus=defocus).degrees, degrees) < 1
    assert apart(find_rotation(com, shadow=shadow, defocus=-defocus).degrees, degrees + 180) < 1
    in_focus = find_rotation(com, shadow=shadow)  # the phase decides
    assert apart(in_focus.degrees, degrees) < 1 and in_focus.witness == "phase"


def test_a_negative_phase_is_turned_by_half_a_turn():
    assert apart(find_rotation(-slopes()).degrees, 180.0) < 1


def test_the_negative_specimen_turned_at_the_opposite_defocus_has_the_same_patterns():
    """Why a wrong sign of the defocus turns the scan by 180° and makes atoms dark."""
    n, defocus = 32, 60.0
    k2 = np.add.outer(np.fft.fftfreq(n) ** 2, np.fft.fftfreq(n) ** 2)
    thin = RNG.normal(size=(n, n))

    def pattern(phases, focus, y, x):
        probe = np.fft.ifft2((k2 < 0.04) * np.exp(1j * np.pi * focus * k2))
        return abs(np.fft.fft2(np.roll(probe, (y, x), (0, 1)) * np.exp(1j * phases))) ** 2

    negative = -np.roll(thin[::-1, ::-1], (1, 1), (0, 1))  # at -r what the specimen has at r
    for y, x in ((0, 0), (3, -5), (-7, 2)):
        np.testing.assert_allclose(
            pattern(negative, -defocus, -y, -x), pattern(thin, defocus, y, x), atol=1e-9
        )


# Simulated data ----------------------------------------------------------------------------

ATOMS = np.array([[18.6, 18.4], [18.9, 21.3], [21.2, 18.9]])  # y, x [Å]: no two alike
OPTICS = {
    "energy_ev": 200e3,
    "semiangle_mrad": 25,
    "centre_angstrom": (19.8, 20.0),
    "window_angstrom": 14,
    "grid_points": 84,
    "detector_pixels": 56,
    "num_slices": 1,
}
COARSE = Experiment(defocus_angstrom=80, scan_step_angstrom=0.6, scan_shape=(9, 11), **OPTICS)


def turned_scan(degrees):
    """Three silver atoms, scanned along turned axes; the calibration does not say so."""
    positions = np.column_stack([ATOMS[:, ::-1], np.ones(3)])[None]
    silver = Snapshots(positions, [47] * 3, np.diag([40.0, 40.0, 2.0]), positions[0], 0.0)
    cube = scan(silver, COARSE, positions_angstrom=distorted_positions(COARSE, rotation_degrees=degrees))
    for known in ("QR_rotation_degrees", "QR_rotation", "QR_flip"):
        cube.calibration._params.pop(known, None)
    return cube


def ptychography(cube):
    return ck.MixedObjectMultislicePtychography(
        datacube=cube,
        energy=200e3,
        semiangle_cutoff=25,
        defocus=80,
        vacuum_probe_intensity=vacuum_probe_intensity(COARSE),
        num_slices=1,
        slice_thicknesses=[],
        num_object_states=1,
        device="cpu",
    )


@pytest.mark.slow
@pytest.mark.parametrize("degrees", [25.0, -130.0])
def test_the_rotation_found_is_the_one_that_preprocess_wants(degrees):
    """It fits the data; its opposite, and half a turn more, do not; py4DSTEM finds it up to half a turn."""
    cube = turned_scan(degrees)
    fit = survey(cube).rotation(200e3, 80.0)
    assert not fit.transpose and apart(fit.degrees, degrees) < 4
    losses = {}
    for name, angle in {"found": fit.degrees, "half": fit.degrees + 180, "other": -fit.degrees}.items():
        ptycho = ptychography(cube).preprocess(force_com_rotation=angle, force_com_transpose=fit.transpose)
        ptycho.reconstruct(max_iter=8, one_state_iter=0, progress_bar=False)
        losses[name] = ptycho.error_iterations[-1]
    assert losses["found"] < 0.2 * min(losses["half"], losses["other"])
    theirs = ptychography(cube).preprocess()
    assert not theirs._rotation_best_transpose
    assert (np.rad2deg(theirs._rotation_best_rad) - fit.degrees + 90) % 180 - 90 == pytest.approx(0, abs=3)


# Input -------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("com", "message"),
    [
        (np.zeros((2, 5, 5)), "does not vary"),
        (np.ones((2, 2, 5)), "at least 3 × 3"),
        (np.full((2, 5, 5), np.nan), "com must be finite"),
        (np.ones((3, 5, 5)), "com must have shape"),
    ],
)
def test_bad_fields_are_refused(com, message):
    with pytest.raises(ValueError, match=message):
        find_rotation(com)


def test_bad_arguments_are_refused():
    with pytest.raises(TypeError, match="transpose must be True, False or None"):
        find_rotation(slopes(), transpose="yes")
    with pytest.raises(ValueError, match="shadow must have shape"):
        find_rotation(slopes(), shadow=np.ones(3), defocus=10.0)
    with pytest.raises(ValueError, match="at least 3 × 3"):
        shadow_motion(np.ones((2, 5, 8, 8)), (4, 4), 3)
    with pytest.raises(ValueError, match="are empty"):
        centre_of_mass(np.zeros((3, 3, 4, 4)))
