"""Compiled kernels against their plain forms, and those against the formulas."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as some

from caviar_kit.multislice import kernels
from tests.multislice.problems import random_complex

COUNTS = some.integers(1, 4)
SIDES = some.integers(1, 9)
DTYPES = some.sampled_from([np.complex64, np.complex128])


def tolerance(dtype) -> float:
    return 1e-5 if dtype == np.complex64 else 1e-13


def plain():
    """A context in which Numba is not installed."""
    patch = pytest.MonkeyPatch()
    patch.setattr(kernels, "numba", None)
    return patch


@given(COUNTS, COUNTS, SIDES, SIDES, DTYPES)
def test_intensity_sums_over_modes_and_states(modes, states, y, x, dtype):
    wave = random_complex((modes, states, y, x), dtype=dtype)
    results = []
    for compiled in (True, False):
        total = np.ones((y, x), wave.real.dtype)
        patch = pytest.MonkeyPatch() if compiled else plain()
        kernels.add_intensity(wave, total)
        patch.undo()
        results.append(total)
    expected = 1 + (abs(wave.astype(complex)) ** 2).sum(axis=(0, 1))
    for result in results:
        np.testing.assert_allclose(result, expected, rtol=tolerance(dtype))


@given(COUNTS, COUNTS, SIDES, SIDES, DTYPES, some.booleans())
def test_adjoint_of_transmission(modes, states, y, x, dtype, shared):
    """Also on views into larger arrays, and with one incident wave shared by all states."""
    larger = random_complex((states, 3, y + 2, x + 1), 1, dtype)
    incident = random_complex((modes, 1 if shared else states, y, x), 2, dtype)
    start = random_complex((modes, states, y, x), 3, dtype)
    patch_view = larger[:, 1, 1:-1, 1:]
    for compiled in (True, False):
        wave, sums = start.copy(), np.ones_like(larger)
        patch = pytest.MonkeyPatch() if compiled else plain()
        kernels.adjoint_transmit(wave, patch_view, incident, sums[:, 1, 1:-1, 1:])
        patch.undo()
        size = 20 * modes * tolerance(dtype)
        np.testing.assert_allclose(wave, start * patch_view.conj(), atol=size)
        expected = 1 + (start * incident.conj()).sum(axis=0)
        np.testing.assert_allclose(sums[:, 1, 1:-1, 1:], expected, atol=size)
        untouched = sums.copy()
        untouched[:, 1, 1:-1, 1:] = 1
        np.testing.assert_array_equal(untouched, 1)
