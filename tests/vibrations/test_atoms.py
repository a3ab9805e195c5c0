"""Finding atoms and following them: positions, amplitudes, refusals."""

from __future__ import annotations

import numpy as np
import pytest

import caviar_kit as ck
from caviar_kit.vibrations import projected_phase
from tests.vibrations import structures as st


@pytest.fixture(scope="module")
def silicon():
    columns, cell = st.silicon_110(4, 5)
    u = st.draw(st.covariance(columns, cell), 12, np.random.default_rng(0))
    return columns, cell, u


@pytest.mark.parametrize("method", ["com", "gaussian"])
@pytest.mark.parametrize("pixel", [0.15, 0.2, 0.25])
def test_tracker_keeps_amplitudes_and_directions(silicon, method, pixel):
    columns, cell, u = silicon
    images, size = st.phase_images(columns + u, cell, pixel)
    keep = st.interior(columns, cell)
    tracked = ck.track_atoms(images, columns[keep], size, method=method)
    measured = ck.greens_tensor(ck.displacements(tracked))
    result = ck.compare_correlations(ck.greens_tensor(u[:, keep]), measured, columns[keep])
    for shell in ("self", "nearest", "next"):
        assert 0.97 < result[shell].lsm < 1.03
        assert result[shell].csm > 0.999
    assert np.sqrt(((tracked - columns[keep] - u[:, keep]).mean(axis=0) ** 2).mean()) < 0.02


@pytest.mark.parametrize("method", ["com", "gaussian"])
def test_coherent_states_do_not_vibrate(silicon, method):
    columns, cell, _ = silicon
    images, size = st.phase_images(np.repeat(columns[None], 3, axis=0), cell, 0.2)
    tracked = ck.track_atoms(images, columns[st.interior(columns, cell)], size, method=method)
    assert np.abs(ck.displacements(tracked)).max() < 1e-6


@pytest.mark.parametrize("method", ["com", "gaussian"])
def test_background_gradient_and_scale_hardly_move_atoms(silicon, method):
    columns, cell, u = silicon
    images, size = st.phase_images(columns + u, cell, 0.2)
    start = columns[st.interior(columns, cell)]
    plain = ck.track_atoms(images, start, size, method=method)
    np.testing.assert_allclose(ck.track_atoms(3 * images - 7, start, size, method=method), plain, atol=1e-5)
    tilted = images + 0.005 * np.arange(images.shape[1])[:, None] * size[0]
    assert np.abs(ck.track_atoms(tilted, start, size, method=method) - plain).max() < 0.01


def test_non_square_pixels(silicon):
    columns, cell, u = silicon
    images, size = st.phase_images(columns + u, cell, 0.1)
    start = columns[st.interior(columns, cell)]
    coarse = ck.track_atoms(images[:, ::2], start, size * [2, 1])
    assert np.abs(coarse - ck.track_atoms(images, start, size)).max() < 0.02  # aliasing


def test_complex_object_slices_and_constants(silicon):
    columns, cell, u = silicon
    images, size = st.phase_images(columns + u[:2], cell, 0.2)
    start = columns[st.interior(columns, cell)]
    share = np.array([0.4, 0.3, 0.2, 0.1])[:, None, None]
    constant = np.array([0.3, 3.1, -3.0, 1.0])[:, None, None]  # near ±π the bare angle would be cut
    obj = np.exp(1j * (images[:, None] * share + constant)).astype(np.complex64)
    expected = ck.track_atoms(images, start, size)
    np.testing.assert_allclose(ck.track_atoms(obj, start, size), expected, atol=1e-4)
    each = ck.track_atoms(obj, start, size, per_slice=True, slices=[0, 2])
    assert each.shape == (2, 2, len(start), 2)
    np.testing.assert_allclose(each, np.repeat(expected[:, None], 2, axis=1), atol=1e-4)
    np.testing.assert_allclose(ck.track_atoms(obj, start, size, slices=slice(1, 3)), expected, atol=1e-4)


def test_lost_atoms_are_nan_and_counted(silicon):
    columns, cell, u = silicon
    images, size = st.phase_images(columns + u[:3], cell, 0.2)
    start = columns[st.interior(columns, cell)]
    images[1, : round(6 / size[0])] = 0  # vacuum in one state
    with pytest.warns(UserWarning, match=r"lost \d+ of \d+ atom positions \(atoms? 0"):
        tracked = ck.track_atoms(images, start, size)
    assert np.isnan(tracked[1, start[:, 0] < 5]).all()
    assert np.isfinite(tracked[[0, 2]]).all()
    with pytest.raises(ValueError, match="u is NaN"):
        ck.greens_tensor(ck.displacements(tracked))


def test_start_far_from_any_atom_is_lost(silicon):
    columns, cell, _ = silicon
    images, size = st.phase_images(columns[None], cell, 0.2)
    with pytest.warns(UserWarning, match="lost 1 of 1"):
        tracked = ck.track_atoms(images, columns[[25]] + [-0.62, 0.0], size, radius=0.3)
    assert np.isnan(tracked).all()


@pytest.mark.parametrize("pixel", [0.1, 0.15, 0.2, 0.25])
def test_find_parts_dumbbells(silicon, pixel):
    columns, cell, u = silicon
    images, size = st.phase_images(columns + u, cell, pixel)
    noise = np.random.default_rng(1).normal(0, 0.02, images.shape[1:])
    found = ck.find_atoms(images.mean(axis=0) + noise, size)
    inner = st.interior(columns, cell, 1.0)
    assert st.unmatched(found[st.interior(found, cell, 1.0)], columns[inner], 0.1) == 0
    np.testing.assert_array_equal(found, found[np.lexsort(found.T[::-1])])


def test_find_single_image_honeycomb():
    atoms, cell = st.honeycomb(5, 8)
    images, size = st.phase_images(atoms[None], cell, 0.18)
    found = ck.find_atoms(images[0], size)
    inner = st.interior(found, cell, 1.0)
    assert st.unmatched(found[inner], atoms[st.interior(atoms, cell, 1.0)], 0.03) == 0


def test_find_ignores_vacuum_slope_and_one_hot_pixel():
    columns, cell = st.silicon_110(5, 6)
    crystal = columns[columns[:, 0] > 0.5 * cell[0]]
    images, size = st.phase_images(crystal[None], cell, 0.2)
    rng = np.random.default_rng(2)
    image = images[0] + rng.normal(0, 0.02, images[0].shape) + 0.03 * np.arange(images.shape[2]) * size[1]
    found = ck.find_atoms(image, size)
    inner, wanted = st.interior(found, cell, 1.0), st.interior(crystal, cell, 1.0)
    assert st.unmatched(found[inner], crystal[wanted], 0.08) == 0
    image[30, 30] += 20
    assert len(ck.find_atoms(image, size)) - len(found) in (0, 1)


def test_found_atoms_can_be_tracked(silicon):
    columns, cell, u = silicon
    images, size = st.phase_images(columns + u, cell, 0.2)
    for shift in (0.0, 0.3, 0.6, 0.9):
        cut = images[:, round(shift / size[0]) :, round(shift / size[1]) :]
        found = ck.find_atoms(cut.mean(axis=0), size)
        assert np.isfinite(ck.track_atoms(cut, found, size)).all()


def test_projected_phase_shape_and_wrap():
    phase = np.random.default_rng(0).uniform(-0.5, 0.5, (2, 3, 8, 9))
    offset = np.array([0, 3.1, -3.1])[:, None, None]
    found = projected_phase(np.exp(1j * (phase + offset)))
    assert found.shape == (2, 8, 9)
    np.testing.assert_allclose(found, (phase + offset).sum(axis=1), atol=1e-12)


IMAGE = np.zeros((3, 40, 40))
OBJECT = np.ones((2, 3, 40, 40), complex)
CENTRE = [[4.0, 4.0]]


@pytest.mark.parametrize(
    ("error", "match", "call"),
    [
        (TypeError, "projected_phase", lambda: ck.find_atoms(OBJECT[0, 0], 0.2)),
        (ValueError, "projected_phase", lambda: ck.find_atoms(IMAGE, 0.2)),
        (ValueError, "no atom found", lambda: ck.find_atoms(IMAGE[0], 0.2)),
        (ValueError, "image must be finite", lambda: ck.find_atoms(IMAGE[0] + np.nan, 0.2)),
        (ValueError, "threshold", lambda: ck.find_atoms(IMAGE[0], 0.2, threshold=1.5)),
        (ValueError, "min_distance", lambda: ck.find_atoms(IMAGE[0], 0.2, min_distance=0)),
        (ValueError, "smoothing", lambda: ck.find_atoms(IMAGE[0], 0.2, smoothing=-1)),
        (ValueError, "border", lambda: ck.find_atoms(IMAGE[0], 0.2, border=0.1)),
        (ValueError, "sampling", lambda: ck.find_atoms(IMAGE[0], -0.2)),
        (ValueError, "sampling must have shape", lambda: ck.find_atoms(IMAGE[0], (0.2, 0.2, 0.2))),
        (TypeError, "sampling", lambda: ck.find_atoms(IMAGE[0], "0.2")),
        (ValueError, "obj must be complex", lambda: ck.track_atoms(OBJECT.real, CENTRE, 0.2)),
        (ValueError, "obj must have shape", lambda: ck.track_atoms(OBJECT[0], CENTRE, 0.2)),
        (ValueError, "obj must be finite", lambda: ck.track_atoms(OBJECT * np.nan, CENTRE, 0.2)),
        (ValueError, "slices and per_slice", lambda: ck.track_atoms(IMAGE, CENTRE, 0.2, per_slice=True)),
        (ValueError, "slices must select", lambda: ck.track_atoms(OBJECT, CENTRE, 0.2, slices=[3])),
        (ValueError, "slices must select", lambda: ck.track_atoms(OBJECT, CENTRE, 0.2, slices=slice(3, 9))),
        (ValueError, "slices must not name", lambda: ck.track_atoms(OBJECT, CENTRE, 0.2, slices=[0, -3])),
        (TypeError, "slices must be", lambda: ck.track_atoms(OBJECT, CENTRE, 0.2, slices=[0.5])),
        (TypeError, "per_slice", lambda: ck.track_atoms(OBJECT, CENTRE, 0.2, per_slice="yes")),
        (ValueError, "method", lambda: ck.track_atoms(IMAGE, CENTRE, 0.2, method="max")),
        (ValueError, "radius", lambda: ck.track_atoms(IMAGE, CENTRE, 0.2, radius=0.1)),
        (ValueError, "atom 1;", lambda: ck.track_atoms(IMAGE, [[4.0, 4.0], [0.3, 4.0]], 0.2)),
        (ValueError, "positions must have shape", lambda: ck.track_atoms(IMAGE, [4.0, 4.0], 0.2)),
        (ValueError, "positions must be finite", lambda: ck.track_atoms(IMAGE, [[4.0, np.nan]], 0.2)),
        (TypeError, "obj must be complex", lambda: projected_phase(IMAGE)),
    ],
)
def test_refusals(error, match, call):
    with pytest.raises(error, match=match):
        call()
