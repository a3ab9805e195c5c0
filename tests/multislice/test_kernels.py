"""The plain kernels against the formulas."""

from __future__ import annotations

import numpy as np
from hypothesis import given
from hypothesis import strategies as some

from caviar_kit.multislice import kernels
from tests.multislice.problems import random_complex

COUNTS = some.integers(1, 4)
SIDES = some.integers(1, 9)


def scene(positions, modes, states, shared, y, x, seed):
    """Waves, their incident waves, an object of three slices, and where the windows are."""
    rng = np.random.default_rng(seed)
    wave = random_complex((positions, modes, states, y, x), 1)
    incident = random_complex((positions, modes, 1 if shared else states, y, x), 2)
    field = random_complex((states, 3, y + 4, x + 2), 3)
    corners = np.stack([rng.integers(0, 5, positions), rng.integers(0, 3, positions)], axis=1)
    windows = np.stack([field[:, 1, b : b + y, a : a + x] for b, a in corners])  # positions, states, y, x
    return wave, incident, field, corners, windows


SCENE = {
    "positions": COUNTS, "modes": COUNTS, "states": COUNTS, "shared": some.booleans(), "y": SIDES, "x": SIDES,
    "seed": some.integers(0, 9),
}  # fmt: skip


@given(**SCENE)
def test_transmission(**sizes):
    out, incident, field, corners, windows = scene(**sizes)
    kernels.transmit(incident, field, corners, 1, out)
    np.testing.assert_allclose(out, incident * windows[:, None], atol=1e-13)


@given(**SCENE)
def test_adjoint_of_transmission(**sizes):
    """Windows overlap: their gradients add up; what is outside of them stays."""
    start, incident, field, corners, windows = scene(**sizes)
    wave, total = start.copy(), np.ones_like(field)
    kernels.adjoint_transmit(wave, field, corners, 1, incident, total)
    np.testing.assert_allclose(wave, start * windows[:, None].conj(), atol=1e-13)
    expected = np.ones_like(field)
    for (b, a), each in zip(corners, (start * incident.conj()).sum(axis=1), strict=True):
        expected[:, 1, b : b + sizes["y"], a : a + sizes["x"]] += each
    np.testing.assert_allclose(total, expected, atol=1e-12)


@given(**SCENE)
def test_sums_and_products(**sizes):
    wave, *_ = scene(**sizes)
    shape = wave.shape[-2:]
    intensity = np.ones((len(wave), *shape))
    kernels.add_intensity(wave, intensity)
    np.testing.assert_allclose(intensity, 1 + (abs(wave) ** 2).sum(axis=(1, 2)), rtol=1e-13)
    out = np.empty_like(wave)
    kernels.residual_wave(wave, intensity, out)
    np.testing.assert_allclose(out, wave * intensity[:, None, None], rtol=1e-13)
    states = np.empty((*wave.shape[:2], *shape), complex)
    kernels.sum_states(wave, states)
    np.testing.assert_allclose(states, wave.sum(axis=2), atol=1e-13)


@given(**SCENE, one=some.booleans(), conjugate=some.booleans())
def test_propagation_in_place(one, conjugate, **sizes):
    wave, *_ = scene(**sizes)
    transfer = random_complex((1 if one else len(wave), *wave.shape[-2:]), 4)
    expected = wave * (transfer.conj() if conjugate else transfer)[:, None, None]
    kernels.propagate(wave, transfer, wave, conjugate=conjugate)
    np.testing.assert_allclose(wave, expected, atol=1e-13)
