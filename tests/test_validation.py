"""What the checks let through, and what they say about the rest."""

from __future__ import annotations

import math
import re

import numpy as np
import pytest

from caviar_kit.validation import as_array, choice, integer, number, path_like


@pytest.mark.parametrize("value", [2, 2.0, np.float32(2), np.int64(2), np.float64(2)])
def test_number_gives_a_float(value):
    result = number("x", value, minimum=2, maximum=2)
    assert type(result) is float and result == 2


@pytest.mark.parametrize("value", [3, np.int32(3), np.uint8(3)])
def test_integer_gives_an_int(value):
    result = integer("n", value, minimum=3, maximum=3)
    assert type(result) is int and result == 3


def test_choice_gives_the_value():
    assert choice("kind", "a", ("a", "b")) == "a"


def test_array_passes_unchanged():
    array = np.arange(6.0).reshape(2, 3)
    assert as_array("a", array, shape=(None, 3)) is array
    assert as_array("a", [[1, 2]], shape=(1, 2)).dtype.kind == "i"
    assert as_array("a", [1j], complex_allowed=True).dtype == complex
    assert as_array("a", [], nonempty=False).size == 0


@pytest.mark.parametrize(
    ("error", "message", "call"),
    [
        (TypeError, "x must be a number [Å], got 'one' (str)", lambda: number("x", "one", unit="Å")),
        (TypeError, "x must be a number, got True (bool)", lambda: number("x", True)),
        (TypeError, "x must be a number, got 1j (complex)", lambda: number("x", 1j)),
        (TypeError, "x must be a number, got ndarray", lambda: number("x", np.arange(100.0))),
        (ValueError, "x must be finite, got nan", lambda: number("x", math.nan)),
        (ValueError, "x must be at least 0 and finite, got inf", lambda: number("x", math.inf, minimum=0)),
        (
            ValueError,
            "x must be above 0 and finite [Å], got 0",
            lambda: number("x", 0, minimum=0, open_minimum=True, unit="Å"),
        ),
        (
            ValueError,
            "x must be at least 1 and at most 2 and finite, got 3; was it metres?",
            lambda: number("x", 3, minimum=1, maximum=2, hint="was it metres?"),
        ),
        (TypeError, "n must be an integer, got 2.0 (float)", lambda: integer("n", 2.0)),
        (TypeError, "n must be an integer, got False (bool)", lambda: integer("n", False)),
        (ValueError, "n must be at least 1, got 0", lambda: integer("n", 0)),
        (ValueError, "n must be at least 1 and at most 4, got 5", lambda: integer("n", 5, maximum=4)),
        (ValueError, "kind must be one of 'a', 'b', got 'c'", lambda: choice("kind", "c", ("a", "b"))),
        (ValueError, "kind must be one of 'a', 'b', got ['a']", lambda: choice("kind", ["a"], ("a", "b"))),
        (TypeError, "f must be a text or a Path, got 3 (int)", lambda: path_like("f", 3)),
        (TypeError, "f must be a text or a Path, got None (NoneType)", lambda: path_like("f", None)),
        (TypeError, "a must hold real numbers, got dtype complex128", lambda: as_array("a", [1j])),
        (TypeError, "a must hold real numbers, got dtype object", lambda: as_array("a", None)),
        (TypeError, "a must hold numbers, got dtype <U1", lambda: as_array("a", "b", complex_allowed=True)),
        (ValueError, "a must be a regular array: ", lambda: as_array("a", [[1, 2], [3]])),
        (
            ValueError,
            "a must have shape (any, 2), got (3,)",
            lambda: as_array("a", [1, 2, 3], shape=(None, 2)),
        ),
        (
            ValueError,
            "a must have shape (any, 2), got (1, 3)",
            lambda: as_array("a", [[1, 2, 3]], shape=(None, 2)),
        ),
        (ValueError, "a is empty, got shape (0,)", lambda: as_array("a", [])),
        (
            ValueError,
            "a must be finite, got 2 NaN or infinite of 3 values",
            lambda: as_array("a", [np.nan, np.inf, 0]),
        ),
    ],
)
def test_refusals_say_what_came_and_what_is_allowed(error, message, call):
    with pytest.raises(error, match=re.escape(message)):
        call()
