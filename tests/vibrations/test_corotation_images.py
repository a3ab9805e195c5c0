"""Scenes drawn at turned, mirrored and shifted positions give turned, mirrored and shifted results."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as some
from scipy.spatial.distance import cdist

import caviar_kit as ck
from tests.vibrations import structures as st
from tests.vibrations.scenes import CENTRE, PIXEL, SHAPE, Motion, bells, motions

few = settings(max_examples=5, deadline=None, derandomize=True)

SILICON = st.patch("silicon", 8.0) + CENTRE
HONEYCOMB = st.patch("honeycomb", 8.0) + CENTRE
HEIGHTS = np.where(ck.fit_lattice(HONEYCOMB, occupied=0).sites == 0, 1.0, 0.6)  # two elements


def flips(quarters: int, mirror: bool, image: np.ndarray) -> np.ndarray:
    return np.rot90(image[..., ::-1, :] if mirror else image, quarters, axes=(-2, -1))


def as_object(phases: np.ndarray) -> np.ndarray:
    return np.exp(1j * phases)


@few
@given(motion=motions(1.0), kind=some.sampled_from(["silicon", "honeycomb"]))
def test_found_atoms_are_those_of_the_turned_scene(motion: Motion, kind: str):
    atoms, heights = (SILICON, 1.0) if kind == "silicon" else (HONEYCOMB, HEIGHTS)
    true = motion.points(atoms)
    found = ck.find_atoms(bells(true, heights), PIXEL)
    apart = cdist(found, true)
    assert len(found) == len(true)
    assert apart.min(axis=1).max() < 0.06  # the tails of neighbours and the grid of pixels
    assert (np.sort(apart.argmin(axis=1)) == np.arange(len(true))).all()


@few
@given(motion=motions(0.8), method=some.sampled_from(["com", "gaussian"]), seed=some.integers(0, 99))
def test_tracked_displacements_turn_with_the_scene(motion: Motion, method: str, seed: int):
    atoms = SILICON[np.linalg.norm(SILICON - CENTRE, axis=1) < 6]
    moved = atoms + np.random.default_rng(seed).normal(0, 0.07, (4, *atoms.shape))

    def follow(states: np.ndarray, start: np.ndarray) -> np.ndarray:
        images = np.array([bells(state) for state in states])
        return ck.displacements(ck.track_atoms(images, start, PIXEL, method=method))

    plain, turned = follow(moved, atoms), follow(motion.points(moved), motion.points(atoms))
    np.testing.assert_allclose(turned, motion.vectors(plain), atol=0.004)  # Å, of 0.07: the grid of pixels
    in_object = as_object(np.array([0.2 * bells(state) for state in motion.points(moved)])[:, None])
    tracked = ck.track_atoms(in_object, motion.points(atoms), PIXEL, method=method)
    np.testing.assert_allclose(ck.displacements(tracked), turned, atol=1e-3)


@few
@given(motion=motions(0.8), seed=some.integers(0, 99))
def test_column_profiles_do_not_notice(motion: Motion, seed: int):
    heights = np.random.default_rng(seed).uniform(0.05, 0.2, (2, 3, len(HONEYCOMB)))
    inner = np.linalg.norm(HONEYCOMB - CENTRE, axis=1) < 5

    def profiles(atoms: np.ndarray) -> ck.vibrations.ColumnProfiles:
        obj = as_object(np.array([[bells(atoms, slice_) for slice_ in state] for state in heights]))
        return ck.column_profiles(obj, atoms[inner], PIXEL, 4.0, radius=0.6)

    plain, turned = profiles(HONEYCOMB), profiles(motion.points(HONEYCOMB))
    # rings and discs are of whole pixels; the mean is over a rectangle, whose share of atoms differs
    excess = [p.phase - p.phase.mean(axis=0) for p in (plain, turned)]
    np.testing.assert_allclose(excess[1], excess[0], atol=0.01)
    maps = [p.depth_map - p.depth_map[:, :1] for p in (plain, turned)]
    np.testing.assert_allclose(maps[1], maps[0], atol=0.02)
    np.testing.assert_array_equal(turned.depth_angstrom, plain.depth_angstrom)


@few
@given(motion=motions(0.5))
def test_peaks_of_the_spectra_turn_with_the_crystal(motion: Motion):
    wide = st.patch("honeycomb", 20.0) + CENTRE  # beyond the image on all sides
    halves = 0.1 * np.array([[1.0, 1.0, 0.5, 0.5]])

    def peaks(atoms: np.ndarray) -> tuple[np.ndarray, ck.vibrations.DepthSpectrum]:
        noise = np.random.default_rng(0).normal(0, 0.003, (1, 4, *SHAPE))  # above the window's tails
        obj = as_object(halves[..., None, None] * bells(atoms) + noise)
        found = ck.information_limit(obj, PIXEL)
        strong = found.peaks[np.linalg.norm(found.peaks, axis=1) < 0.86]
        return strong, ck.depth_spectrum(obj, PIXEL, 3.0)

    (plain, depth), (turned, other) = peaks(wide), peaks(motion.points(wide))
    step = 1 / (PIXEL * np.array(SHAPE))
    assert len(plain) == 12  # 1/(2.17 Å) and √3 of it
    assert cdist(turned, motion.vectors(plain)).min(axis=1).max() < np.hypot(*step)
    assert cdist(motion.vectors(plain), turned).min(axis=1).max() < np.hypot(*step)
    assert other.limit == depth.limit


@few
@given(
    quarters=some.integers(0, 3), mirror=some.booleans(), offset=some.floats(-2, 2), seed=some.integers(0, 99)
)
def test_spectra_and_ring_correlation_turn_with_the_image(quarters, mirror, offset, seed):
    phases = np.random.default_rng(seed).normal(0, 0.1, (2, 3, 40, 32))
    turned = flips(quarters, mirror, phases)
    sizes = np.array([0.2, 0.25])
    other_sizes = sizes[::-1] if quarters % 2 else sizes
    plain = ck.power_spectrum(as_object(phases), sizes)
    other = ck.power_spectrum(as_object(turned + offset), other_sizes)
    radial = [spectrum.radial_mean() for spectrum in (plain, other)]
    np.testing.assert_allclose(radial[1], radial[0], rtol=1e-6, atol=1e-15)
    # zero frequency stands at N // 2: for even N the first row and column have no partner
    inner = flips(quarters, mirror, plain.power[1:, 1:])
    np.testing.assert_allclose(other.power[1:, 1:], inner, rtol=1e-6, atol=1e-15)
    deep = [ck.depth_spectrum(as_object(p), s, 3.0) for p, s in ((phases, sizes), (turned, other_sizes))]
    np.testing.assert_allclose(
        deep[1].power[:, 1:, 1:], flips(quarters, mirror, deep[0].power[:, 1:, 1:]), rtol=1e-6, atol=1e-12
    )
    first, second = phases[0, 0] + phases[0, 1], phases[0, 0] + phases[1, 1]
    ring = ck.fourier_ring_correlation(first, second, sizes)
    same = ck.fourier_ring_correlation(
        flips(quarters, mirror, first) + offset, flips(quarters, mirror, second), other_sizes
    )
    for name in ("frequency", "correlation", "threshold"):
        np.testing.assert_allclose(getattr(same, name), getattr(ring, name), atol=1e-9)


@few
@given(shift=some.floats(-5, 5), flip=some.booleans(), seed=some.integers(0, 99))
def test_depth_edge_moves_and_mirrors(shift: float, flip: bool, seed: int):
    depth = np.arange(20) * 4.0
    noise = np.random.default_rng(seed).normal(0, 0.02, 20)
    profile = np.tanh((depth - 33) / 9) + noise
    plain = ck.fit_depth_edge(depth, profile)
    other = ck.fit_depth_edge(depth + shift, profile[::-1] if flip else profile)
    expected = depth[-1] - plain.depth_angstrom if flip else plain.depth_angstrom
    assert other.depth_angstrom == pytest.approx(expected + shift, abs=1e-3)
    assert other.fwhm_angstrom == pytest.approx(plain.fwhm_angstrom, rel=1e-3)
    ends = (plain.after, plain.before) if flip else (plain.before, plain.after)
    assert (other.before, other.after) == pytest.approx(ends, abs=1e-3)
