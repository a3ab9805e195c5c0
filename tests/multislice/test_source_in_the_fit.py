"""A source of finite size: with one probe mode the states move together, with its own modes they rest."""

from __future__ import annotations

import numpy as np
import pytest

from caviar_kit.multislice.partial_coherence import partially_coherent_modes
from caviar_kit.vibrations.atoms import track_atoms
from caviar_kit.vibrations.correlations import displacements, greens_tensor
from caviar_kit.vibrations.offset import correlation_offset
from tests.multislice.specimen import (
    ATOMS,
    SAMPLING,
    SCAN,
    WAVELENGTH,
    Geometry,
    fit,
    patterns,
    phases,
    probe,
)

SOURCE = 0.3  # Å, FWHM
GEOMETRY = Geometry()
INSIDE = ATOMS[((ATOMS > SCAN[0]) & (ATOMS < SCAN[-1])).all(axis=1)]


def modes(count: int) -> np.ndarray:
    made = partially_coherent_modes(probe(), SAMPLING, WAVELENGTH, count, source_fwhm_angstrom=SOURCE)
    return made.modes.astype(np.complex64)


@pytest.fixture(scope="module")
def data():
    """Atoms at rest, seen with that source: 10 modes hold all of it."""
    return patterns(GEOMETRY, phases(), modes(10))


def tensor(data: np.ndarray, start: np.ndarray) -> np.ndarray:
    """Green's tensor [pm²] that a fit of three states to ``data`` finds."""
    end = fit(GEOMETRY, data, 50, start=start, num_states=3, one_state_iter=20)[-1]
    tracked = track_atoms(np.angle(end.object).sum(axis=1), INSIDE * SAMPLING, SAMPLING)
    return 1e4 * greens_tensor(displacements(tracked))


def test_one_mode_adds_an_offset_that_its_modes_remove(data):
    one, several = tensor(data, probe()), tensor(data, modes(6))
    assert len(INSIDE) >= 6
    variance = 1e4 * (SOURCE / 2.3548) ** 2  # of the source [pm²]
    offset = correlation_offset(one)
    assert (offset > 0.2 * variance).all()
    assert (offset < 1.2 * variance).all()
    crossed = one[:, 0, :, 1]
    assert abs(crossed.mean()) < 0.3 * offset.mean()  # nothing for xy
    assert abs(correlation_offset(several)).max() < 0.05 * offset.min()
    assert np.diagonal(several[:, 0, :, 0]).mean() < 0.1 * np.diagonal(one[:, 0, :, 0]).mean()
