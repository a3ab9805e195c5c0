"""The benchmark of atomistic fits measures what it says, and makes the errors that it names."""

from __future__ import annotations

import re
from types import SimpleNamespace

import numpy as np
import pytest

import caviar_kit as ck
from benchmarks import atomistic
from benchmarks.atomistic import WRONG, choices, outside, parse, pixelwise, ratio, ratio_with_interval

PLACES = np.array([[0.0, 0.0], [0.0, 1.4], [0.0, 2.8], [0.0, 4.2]])
STEP, PIXEL = 0.5, 0.06


@pytest.fixture(scope="module")
def example():
    """Optics and empty patterns, enough for what happens before the first iteration."""
    ky, kx = (np.arange(48) - 24) * PIXEL * np.ones((2, 1))
    disc = (np.hypot(ky[:, None], kx) < 0.030 / 0.02508).astype(np.float32)
    vacuum = disc / disc.sum()
    patterns = np.broadcast_to(vacuum, (4, 4, 48, 48))
    ptycho = ck.MixedObjectMultislicePtychography.from_arrays(
        patterns.copy(),
        scan_step_angstrom=STEP,
        detector_pixel_inverse_angstrom=PIXEL,
        energy=200e3,
        semiangle_cutoff=30,
        num_slices=2,
        slice_thicknesses=2.0,
    )
    optics = SimpleNamespace(
        energy_ev=200e3, semiangle_mrad=30.0, defocus_angstrom=100.0, detector_pixel_inverse_angstrom=PIXEL
    )
    return SimpleNamespace(
        experiment=optics,
        datacube=ptycho._datacube,
        vacuum_probe=vacuum,
        snapshots=SimpleNamespace(thickness_angstrom=4.0),
        num_slices=2,
    )


def made(example, *arguments):
    return pixelwise(example, parse(["any", *arguments]))


@pytest.fixture(scope="module")
def right(example):
    return made(example)


def test_a_wrong_pixel_changes_the_sampling_and_not_the_example(example, right):
    wrong = made(example, "--wrong", "pixel")
    np.testing.assert_allclose(wrong.sampling, np.array(right.sampling) / 1.02, rtol=1e-6)
    np.testing.assert_allclose(made(example).sampling, right.sampling)


@pytest.mark.parametrize("name", ["defocus", "astigmatism"])
def test_a_wrong_aberration_changes_only_phases_of_the_probe(example, right, name):
    wrong = made(example, "--wrong", name)
    one, other = (np.fft.fft2(p._unit_probe[0]) for p in (right, wrong))
    np.testing.assert_allclose(abs(one), abs(other), atol=1e-4)
    assert abs(one - other).max() > 0.1 * abs(one).max()


def test_a_wrong_aperture_is_wider(example, right):
    wide = made(example, "--wrong", "aperture")
    one, other = (abs(np.fft.fft2(p._unit_probe[0])) ** 2 for p in (right, wide))
    k2 = np.fft.fftfreq(one.shape[0])[:, None] ** 2 + np.fft.fftfreq(one.shape[1]) ** 2
    assert (other * k2).sum() > (one * k2).sum()


def test_wrong_slices_are_thicker(example, right):
    wrong = made(example, "--wrong", "thickness")
    np.testing.assert_allclose(wrong._model.thicknesses, 1.1 * np.array(right._model.thicknesses))


def test_counts_come_with_their_beam(example):
    counted = made(example, "--dose", "1e4")
    assert counted._beam == pytest.approx(1e4, rel=1e-3)
    patterns = np.square(counted._amplitudes, dtype=float)
    np.testing.assert_allclose(patterns, np.rint(patterns), atol=1e-2)


def test_distance_from_the_scan():
    scan = np.array([[1.0, 1.0], [3.0, 4.0]])
    np.testing.assert_allclose(outside(np.array([[2.0, 2.0], [0.0, 2.0], [6.0, 8.0]]), scan), [0, 1, 5])


def test_ratio_of_a_common_motion_is_one_and_of_none_zero():
    together = np.random.default_rng(0).normal(size=(6, 1, 2)) * np.ones((1, 4, 1))
    together -= together.mean(axis=0)
    assert ratio(ck.greens_tensor(together), PLACES) == pytest.approx(1)
    np.testing.assert_allclose(ratio_with_interval(together, PLACES), 1)
    assert ratio(np.zeros((4, 2, 4, 2)), PLACES) == 0


def test_interval_of_independent_columns_holds_zero():
    u = np.random.default_rng(1).normal(size=(20, 4, 2))
    value, low, high = ratio_with_interval(u - u.mean(axis=0), PLACES)
    assert low < 0 < high
    assert low < value < high


def test_choices_are_what_was_asked_for():
    options = parse(["si-sigma9-md", "--dose", "1e5", "--wrong", "pixel", "--save", "file"])
    chosen = choices(options)
    assert chosen["dose"] == 1e5
    assert chosen["wrong"] == "pixel"
    assert not {"save", "refine", "rank"} & set(chosen)


def test_every_error_is_explained():
    named = set(re.findall(r"``(\w+)``", atomistic.__doc__ or ""))
    assert set(WRONG) <= named
