import numpy as np
import pytest

from caviar_kit.field import scanned_window


def test_holds_all_positions_and_the_margin():
    positions = np.array([[3.0, 4.1], [5.0, 8.05]])
    rows, columns = scanned_window(positions, (0.5, 0.2), margin_angstrom=1.0)
    assert (rows, columns) == (slice(4, 13), slice(15, 47))


def test_begins_with_the_object_at_the_earliest():
    assert scanned_window([[0.2, 0.4]], (0.1, 0.1))[0] == slice(0, 13)


@pytest.mark.parametrize(
    "wrong", [{"positions_angstrom": [1.0, 2.0]}, {"sampling": 0.1}, {"margin_angstrom": -1}]
)
def test_refuses_other_shapes(wrong):
    with pytest.raises(ValueError, match=next(iter(wrong))):
        scanned_window(**{"positions_angstrom": [[1.0, 2.0]], "sampling": (0.1, 0.1), **wrong})
