"""From unknowns to transmission functions."""

from __future__ import annotations

import numpy as np

from caviar_kit.multislice.object_model import ComplexObject, PhaseObject
from tests.multislice.problems import states


def test_object_models_start_where_they_are_told():
    transmission = states((2, 3, 6, 7), absorption=0)
    for kind in (PhaseObject(), ComplexObject()):
        unknowns = kind.start(transmission)
        np.testing.assert_allclose(kind.transmission(unknowns), transmission, atol=1e-15)
        assert not np.shares_memory(unknowns, transmission)


def test_phase_object_needs_single_precision_only():
    phase = np.zeros((1, 1, 4, 4), np.float32)
    assert PhaseObject().transmission(phase).dtype == np.complex64
