"""docs/conventions.md: every line names a test that exists, and the conventions no other file proves."""

from __future__ import annotations

import ast
import math
import re
from pathlib import Path

import numpy as np
import pytest

import caviar_kit as ck
from caviar_kit._py4dstem import import_py4dstem
from caviar_kit.multislice.operators import FresnelPropagator, frequency_grid
from caviar_kit.physics import electron_wavelength
from caviar_kit.simulation import Experiment, Snapshots, ground_truth, scan, vacuum_probe_intensity
from caviar_kit.vibrations import projected_phase

ROOT = Path(__file__).parents[1]
ENERGY, SEMIANGLE = 200e3, 25.0  # eV, mrad
GPTS, SAMPLING = (64, 64), (0.25, 0.25)

# Unequal neighbours at unequal distances: any transposed, mirrored or shifted frame puts them elsewhere.
ATOMS = np.array([[18.6, 18.4], [18.9, 21.3], [21.2, 18.9]])  # y, x [Å]
THREE_ATOMS = Experiment(
    energy_ev=ENERGY,
    semiangle_mrad=SEMIANGLE,
    defocus_angstrom=80,
    scan_step_angstrom=0.6,
    scan_shape=(9, 11),
    centre_angstrom=(19.8, 20.0),
    window_angstrom=14,
    grid_points=84,
    detector_pixels=56,
    num_slices=1,
)


# The document ------------------------------------------------------------------------------


def table_rows() -> list[list[str]]:
    lines = (ROOT / "docs" / "conventions.md").read_text(encoding="utf-8").splitlines()
    rows = [
        [cell.strip() for cell in line.strip().strip("|").split("|")]
        for line in lines
        if line.startswith("|")
    ]
    return [row for row in rows if not set("".join(row)) <= set("-: ") and row[-1] != "Proved by"]


def names_of_tests(path: Path) -> set[str]:
    tree = ast.parse(path.read_text(encoding="utf-8"))
    return {node.name for node in ast.walk(tree) if isinstance(node, ast.FunctionDef)}


def test_every_line_names_an_existing_test():
    rows = table_rows()
    assert len(rows) > 20
    for row in rows:
        named = re.findall(r"`([\w/]+\.py)::(test_\w+)`", row[-1])
        assert named, f"no test is named in the line {row}"
        for file, function in named:
            assert function in names_of_tests(ROOT / "tests" / file), f"{file}::{function}, named in {row[0]}"


# Defocus -----------------------------------------------------------------------------------


def defocused_spectrum(defocus: float) -> np.ndarray:
    """A(k) exp(+iπλ·defocus·k²), Σ|A|² = 1, FFT order."""
    wavelength = electron_wavelength(ENERGY)
    ky, kx = frequency_grid(GPTS, SAMPLING)
    k2 = ky**2 + kx**2
    spectrum = (wavelength**2 * k2 < (1e-3 * SEMIANGLE) ** 2) * np.exp(
        1j * math.pi * wavelength * defocus * k2
    )
    return spectrum / np.linalg.norm(spectrum)


def interior(spectrum: np.ndarray) -> np.ndarray:
    """The spectrum well inside the aperture, with the phase at k = 0 taken out."""
    wavelength = electron_wavelength(ENERGY)
    ky, kx = frequency_grid(GPTS, SAMPLING)
    inside = wavelength * np.hypot(ky, kx) < 0.8e-3 * SEMIANGLE
    return spectrum[inside] / spectrum[0, 0]


def test_positive_defocus_puts_the_crossover_below_the_entrance_surface():
    probe = np.fft.ifft2(defocused_spectrum(100.0))
    focused = np.fft.ifft2(defocused_spectrum(0.0))
    propagator = FresnelPropagator(GPTS, SAMPLING, electron_wavelength(ENERGY), 100.0)
    np.testing.assert_allclose(propagator.forward(probe), focused, atol=1e-12)
    assert abs(probe).max() < 0.5 * abs(focused).max()


@pytest.mark.parametrize("defocus", [-70.0, 120.0])
def test_defocus_has_py4dstems_sign(defocus):
    import_py4dstem()
    from py4DSTEM.process.phase.utils import ComplexProbe

    probe = ComplexProbe(ENERGY, GPTS, SAMPLING, semiangle_cutoff=SEMIANGLE, defocus=defocus).build()._array
    expected = interior(defocused_spectrum(defocus))
    np.testing.assert_allclose(interior(np.fft.fft2(probe)), expected, atol=1e-3)


@pytest.mark.parametrize("defocus", [-70.0, 120.0])
def test_defocus_has_abtems_sign(defocus):
    import abtem

    waves = abtem.Probe(
        energy=ENERGY, semiangle_cutoff=SEMIANGLE, defocus=defocus, sampling=SAMPLING[0], gpts=GPTS
    ).build(lazy=False)
    spectrum = np.fft.fft2(np.fft.ifftshift(waves.array))
    np.testing.assert_allclose(interior(spectrum), interior(defocused_spectrum(defocus)), atol=1e-3)


# Frames ------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def three_atoms():
    """(ground truth, preprocessed and reconstructed ptychography) of three silver atoms; data by abTEM."""
    positions = np.column_stack([ATOMS[:, ::-1], np.ones(3)])[None]
    specimen = Snapshots(positions, [47] * 3, np.diag([40.0, 40.0, 2.0]), positions[0], 0.0)
    ptychography = ck.MixedObjectMultislicePtychography(
        datacube=scan(specimen, THREE_ATOMS),
        energy=ENERGY,
        semiangle_cutoff=SEMIANGLE,
        defocus=THREE_ATOMS.defocus_angstrom,
        vacuum_probe_intensity=vacuum_probe_intensity(THREE_ATOMS),
        num_slices=1,
        slice_thicknesses=[],
        num_object_states=1,
        device="cpu",
    )
    ptychography.preprocess(force_com_rotation=0, force_com_transpose=False)
    ptychography.reconstruct(max_iter=40, progress_bar=False)
    return ground_truth(specimen, THREE_ATOMS), ptychography


def test_ground_truth_frame_starts_at_the_first_scan_position(three_atoms):
    truth, _ = three_atoms
    np.testing.assert_allclose(truth.positions, ATOMS - THREE_ATOMS.scan_origin_angstrom, atol=1e-9)
    np.testing.assert_array_equal(THREE_ATOMS.scan_positions_angstrom[0], 0)


def test_scan_positions_are_rows_then_columns_in_the_object_frame(three_atoms):
    _, ptychography = three_atoms
    positions = ptychography.scan_positions_angstrom
    np.testing.assert_allclose(positions - positions[0], THREE_ATOMS.scan_positions_angstrom, atol=1e-3)
    pixels = positions / ptychography.sampling
    assert (pixels > 0).all() and (pixels < ptychography.object.shape[-2:]).all()


def test_ground_truth_maps_to_object_pixels(three_atoms):
    """Truth + first scan position is where the object shows the atoms: no transpose, no shift."""
    truth, ptychography = three_atoms
    image = projected_phase(ptychography.object).mean(axis=0)
    found = ck.find_atoms(image, ptychography.sampling, min_distance=1.5, smoothing=0.3)
    expected = truth.positions + ptychography.scan_positions_angstrom[0]
    for atom in expected:
        assert np.linalg.norm(found - atom, axis=1).min() < 0.05  # Å


def test_object_probe_and_losses_have_the_documented_shapes(three_atoms):
    _, ptychography = three_atoms
    assert ptychography.object.ndim == 4 and ptychography.object.shape[:2] == (1, 1)  # states, slices
    assert ptychography.object.dtype == ptychography.probe.dtype == np.complex64
    assert ptychography.probe.ndim == 3
    peak = np.unravel_index(abs(ptychography.probe[0]).argmax(), ptychography.probe.shape[1:])
    centre = np.array(ptychography.probe.shape[1:]) // 2
    assert np.linalg.norm((np.array(peak) - centre) * ptychography.sampling) < 2.5  # Å, a defocused disc
    assert len(ptychography.error_iterations) == 40


def test_atoms_have_positive_phase(three_atoms):
    """An atom's potential is positive and the object is exp(+iσV)."""
    truth, ptychography = three_atoms
    image = np.angle(ptychography.object[0, 0])
    pixels = (truth.positions + ptychography.scan_positions_angstrom[0]) / ptychography.sampling
    for y, x in np.rint(pixels).astype(int):
        assert image[y, x] > image[y - 8 : y + 9, x - 8 : x + 9].mean() + 0.2
