"""Found atoms paired with known ones: one to one, whatever their order."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

import caviar_kit as ck

KNOWN = 2.0 * np.stack(np.indices((3, 4)), axis=-1).reshape(-1, 2)


@given(st.integers(0, 2**32 - 1))
def test_a_shuffled_jittered_lattice_is_recognised(seed):
    rng = np.random.default_rng(seed)
    order = rng.permutation(len(KNOWN))
    found = KNOWN[order] + rng.uniform(-0.1, 0.1, KNOWN.shape)
    found_index, known_index = ck.match_atoms(found, KNOWN)
    np.testing.assert_array_equal(known_index, np.arange(len(KNOWN)))
    np.testing.assert_array_equal(order[found_index], known_index)


def test_strays_and_missing_atoms_are_left_out():
    found = np.vstack([KNOWN[1:] + 0.05, [[1.0, 1.0]], [[50.0, 50.0]]])
    found_index, known_index = ck.match_atoms(found, KNOWN)
    np.testing.assert_array_equal(known_index, np.arange(1, len(KNOWN)))
    np.testing.assert_array_equal(found_index, np.arange(len(KNOWN) - 1))


@pytest.mark.parametrize(
    ("found", "options", "error", "message"),
    [
        (KNOWN + 1.0, {}, ValueError, "same frame"),
        (KNOWN[:, :1], {}, ValueError, "found must have shape"),
        (KNOWN * np.nan, {}, ValueError, "found must be finite"),
        ([["a", "b"]], {}, TypeError, "found must hold real numbers"),
        (KNOWN, {"max_distance": 0}, ValueError, "max_distance"),
    ],
)
def test_bad_input_is_refused(found, options, error, message):
    with pytest.raises(error, match=message):
        ck.match_atoms(found, KNOWN, **options)
