"""Soft constraints: exact gradients, analytic values, invariances, refusals."""

from __future__ import annotations

import math

import numpy as np
import pytest

from caviar_kit.multislice.penalties import (
    Atomicity,
    Departure,
    Positivity,
    StateVariance,
    TotalVariation,
    total_penalty,
)
from caviar_kit.multislice.projections import Chain, IdenticalSlices, LowPass, MissingWedge
from tests.multislice.problems import random_complex

SAMPLING = (0.21, 0.18)
SHAPE = (3, 4, 15, 18)  # states, slices, y, x
ATOMS = np.array([[1.05, 0.9], [1.7, 1.9], [1.2, 2.1]])  # discs and rings overlap
WEIGHT = 0.7

REAL_ONLY = {
    "positivity": Positivity(WEIGHT),
    "atomicity": Atomicity(WEIGHT, ATOMS, SAMPLING, 0.6),
    "atomicity with target": Atomicity(WEIGHT, ATOMS, SAMPLING, 0.6, target_angstrom2=0.0075, floor=0.1),
}
BOTH = {
    "total variation": TotalVariation(WEIGHT, 0.3, SAMPLING),
    "total variation in z": TotalVariation(WEIGHT, 0.3, SAMPLING, z_weight=0.4),
    "state variance": StateVariance(WEIGHT, 1.3, SAMPLING),
    "wedge": Departure(WEIGHT, MissingWedge(SHAPE[1:], SAMPLING, 3.0, 5.0)),
    "chain": Departure(WEIGHT, Chain((MissingWedge(SHAPE[1:], SAMPLING, 3.0, 5.0), IdenticalSlices()))),
}
CASES = [(name, False) for name in (*REAL_ONLY, *BOTH)] + [(name, True) for name in BOTH]


def penalty_called(name):
    return {**REAL_ONLY, **BOTH}[name]


def some_field(is_complex=False, seed=0):
    """Random, with atoms in it so that every atom has phase."""
    y, x = (d * i for d, i in zip(SAMPLING, np.indices(SHAPE[2:]), strict=True))
    atoms = sum(np.exp(-((y - a) ** 2 + (x - b) ** 2) / 0.1) for a, b in ATOMS)
    noise = random_complex(SHAPE, seed)
    return 0.4 * atoms + 0.05 * (noise if is_complex else noise.real)


@pytest.mark.parametrize(("name", "is_complex"), CASES)
def test_gradients_agree_with_finite_differences(name, is_complex):
    penalty, field = penalty_called(name), some_field(is_complex)
    _, gradient = penalty.value_and_gradient(field)
    assert gradient.dtype == field.dtype and gradient.shape == field.shape
    for seed in range(1, 4):
        step = random_complex(SHAPE, seed) if is_complex else random_complex(SHAPE, seed).real

        def at(t, step=step):
            return penalty.value_and_gradient(field + t * step)[0]

        h = 3e-5
        slope = (8 * (at(h) - at(-h)) - (at(2 * h) - at(-2 * h))) / (12 * h)
        if name == "positivity":  # its second derivative jumps where a pixel changes its sign
            slope = (at(1e-6) - at(-1e-6)) / 2e-6
        expected = np.vdot(gradient, step).real
        assert slope == pytest.approx(expected, rel=1e-7, abs=1e-9 * np.linalg.norm(gradient))


@pytest.mark.parametrize(("name", "is_complex"), CASES)
def test_single_precision_stays_single_and_the_input_untouched(name, is_complex):
    field = some_field(is_complex).astype(np.complex64 if is_complex else np.float32)
    before = field.copy()
    value, gradient = penalty_called(name).value_and_gradient(field)
    exact, slope = penalty_called(name).value_and_gradient(field.astype(complex if is_complex else float))
    assert type(value) is float and gradient.dtype == field.dtype
    assert value == pytest.approx(exact, rel=1e-5)
    np.testing.assert_allclose(gradient, slope, atol=1e-5 * abs(slope).max())
    np.testing.assert_array_equal(field, before)


@pytest.mark.parametrize(("name", "is_complex"), CASES)
def test_order_of_states_does_not_matter_and_copies_change_nothing(name, is_complex):
    penalty, field = penalty_called(name), some_field(is_complex)
    value, gradient = penalty.value_and_gradient(field)
    assert value > 0
    turned, turned_gradient = penalty.value_and_gradient(field[::-1])
    assert turned == pytest.approx(value, rel=1e-13)
    np.testing.assert_allclose(turned_gradient[::-1], gradient, atol=1e-14)
    twice, half = penalty.value_and_gradient(np.concatenate([field, field]))
    assert twice == pytest.approx(value, rel=1e-13)  # a mean over the states
    np.testing.assert_allclose(half[: SHAPE[0]], gradient / 2, atol=1e-14)


@pytest.mark.parametrize("name", [*REAL_ONLY, *BOTH])
def test_value_is_proportional_to_the_weight(name):
    penalty = penalty_called(name)
    others = {k: v for k, v in vars(penalty).items() if not k.startswith("_") and k != "weight"}
    stronger = type(penalty)(weight=3 * WEIGHT, **others)
    value, gradient = penalty.value_and_gradient(some_field())
    triple, slope = stronger.value_and_gradient(some_field())
    assert triple == pytest.approx(3 * value, rel=1e-13)
    np.testing.assert_allclose(slope, 3 * gradient, rtol=1e-12)


@pytest.mark.parametrize("name", ["atomicity", "total variation in z", "state variance"])
def test_a_constant_phase_changes_nothing(name):
    value, gradient = penalty_called(name).value_and_gradient(some_field())
    moved, slope = penalty_called(name).value_and_gradient(some_field() + 5.0)
    assert moved == pytest.approx(value, rel=1e-11)
    np.testing.assert_allclose(slope, gradient, atol=1e-12)
    assert abs(gradient.sum()) < 1e-12 * abs(gradient).sum()


def test_the_total_is_the_sum():
    field, parts = some_field(), [*REAL_ONLY.values(), *BOTH.values()]
    value, gradient = total_penalty(parts, field)
    assert value == pytest.approx(sum(p.value_and_gradient(field)[0] for p in parts))
    np.testing.assert_allclose(gradient, sum(p.value_and_gradient(field)[1] for p in parts), atol=1e-15)
    nothing, zero = total_penalty([], field)
    assert nothing == 0.0 and (zero == 0).all() and zero.shape == SHAPE


# Analytic values --------------------------------------------------------------------------


def test_positivity_is_the_mean_square_of_what_is_negative():
    field = np.array([-2.0, 0.0, 3.0, -1.0]).reshape(1, 1, 2, 2)
    value, gradient = Positivity(4.0).value_and_gradient(field)
    assert value == 4.0 * 5 / 4
    np.testing.assert_array_equal(gradient.ravel(), [-4.0, 0.0, 0.0, -2.0])


@pytest.mark.parametrize("pixels", [20, 40])
@pytest.mark.parametrize("axis", ["y", "x"])
def test_a_step_edge_has_the_total_variation_of_its_height_per_length(pixels, axis):
    length, height = 8.0, 0.3
    field = np.zeros((2, 3, pixels, pixels))
    field[:, :, pixels // 2 :] = height
    if axis == "x":
        field = field.swapaxes(2, 3)
    pixel = length / pixels
    value, _ = TotalVariation(1.0, 1e-9, (pixel, pixel)).value_and_gradient(field)
    assert value == pytest.approx(height / length, rel=1e-6)


def test_total_variation_of_a_slope_is_its_modulus_with_unequal_pixels():
    y, x = np.indices((400, 500))
    plane = (0.3 * SAMPLING[0] * y + 0.4 * SAMPLING[1] * x)[None, None]
    value, _ = TotalVariation(1.0, 1e-9, SAMPLING).value_and_gradient(plane)
    assert value == pytest.approx(0.5, rel=4e-3)  # two borders have one difference only


def test_total_variation_is_quadratic_below_epsilon():
    field = some_field() * 1e-6
    value, _ = TotalVariation(1.0, 0.3, SAMPLING).value_and_gradient(field)
    dy, dx = np.diff(field, axis=2) / SAMPLING[0], np.diff(field, axis=3) / SAMPLING[1]
    assert value == pytest.approx(((dy**2).sum() + (dx**2).sum()) / (2 * 0.3) / field.size, rel=1e-6)


def test_total_variation_in_z_sees_steps_between_slices_only():
    field = np.zeros((2, 4, 5, 6))
    field[:, 2:] = 0.6
    penalty = TotalVariation(1.0, 1e-9, SAMPLING, z_weight=0.5)
    assert penalty.value_and_gradient(field)[0] == pytest.approx(0.5 * 0.6 / 4, rel=1e-6)
    assert TotalVariation(1.0, 1e-9, SAMPLING).value_and_gradient(field)[0] == 0


def test_state_variance_is_the_variance_above_the_cutoff():
    y, x = np.indices(SHAPE[2:])
    coarse = np.cos(2 * np.pi * 2 * y / SHAPE[2])  # 2 / 3.15 Å = 0.635 / Å
    fine = np.cos(2 * np.pi * 5 * x / SHAPE[3])  # 5 / 3.24 Å = 1.543 / Å
    signs = np.array([1.0, 1.0, -2.0])[:, None, None, None]  # mean 0, variance 2
    field = 7 + y * x + signs * (0.1 * coarse + 0.03 * fine) + np.zeros(SHAPE)
    for cutoff, expected in ((1.3, 0.03**2), (0.4, 0.1**2 + 0.03**2), (0.0, 0.1**2 + 0.03**2), (1.6, 0.0)):
        value, _ = StateVariance(1.0, cutoff, SAMPLING).value_and_gradient(field)
        assert value == pytest.approx(2 * expected / 2, rel=1e-10, abs=1e-24)  # ⟨cos²⟩ = 1/2
    value, gradient = StateVariance(1.0, 0.0, SAMPLING).value_and_gradient(field[:1])
    assert value == 0 and (gradient == 0).all()


def test_departure_is_zero_inside_the_range_of_a_projection():
    low = LowPass(SHAPE[2:], SAMPLING, 1.5)
    field = some_field()
    value, gradient = Departure(1.0, low).value_and_gradient(low.forward(field))
    assert value < 1e-28 and abs(gradient).max() < 1e-14
    value, _ = Departure(1.0, low).value_and_gradient(field)
    assert value == pytest.approx(((field - low.forward(field)) ** 2).mean())


def test_every_atom_can_have_its_own_target():
    field = some_field()
    at_rest = Atomicity(1.0, ATOMS, SAMPLING, 0.6).variances(field).max(axis=0) + 2e-3
    assert Atomicity(1.0, ATOMS, SAMPLING, 0.6, target_angstrom2=at_rest).value_and_gradient(field)[0] == 0
    at_rest[0] = 0
    one = Atomicity(1.0, ATOMS, SAMPLING, 0.6, target_angstrom2=at_rest).value_and_gradient(field)[0]
    alone = Atomicity(1.0, ATOMS[:1], SAMPLING, 0.6).value_and_gradient(field)[0]
    assert one == pytest.approx(alone / 3, rel=1e-12)  # a mean over the atoms


# Refusals ---------------------------------------------------------------------------------


@pytest.mark.parametrize("name", REAL_ONLY)
def test_complex_objects_are_refused_where_only_phases_make_sense(name):
    with pytest.raises(TypeError, match="real phases"):
        penalty_called(name).value_and_gradient(some_field(True))


@pytest.mark.parametrize("name", [*REAL_ONLY, *BOTH])
@pytest.mark.parametrize(
    ("field", "error"),
    [(np.zeros(SHAPE, int), TypeError), (np.zeros(SHAPE[2:]), ValueError), ([[1.0]], TypeError)],
)
def test_bad_fields_are_refused(name, field, error):
    with pytest.raises(error, match="field"):
        penalty_called(name).value_and_gradient(field)


@pytest.mark.parametrize(
    ("make", "error", "name"),
    [
        (lambda: Positivity(-1.0), ValueError, "weight"),
        (lambda: Positivity("strong"), TypeError, "weight"),
        (lambda: TotalVariation(math.inf, 0.1, SAMPLING), ValueError, "weight"),
        (lambda: TotalVariation(1.0, 0.0, SAMPLING), ValueError, "epsilon"),
        (lambda: TotalVariation(1.0, 0.1, SAMPLING, z_weight=-1.0), ValueError, "z_weight"),
        (lambda: StateVariance(1.0, -0.5, SAMPLING), ValueError, "cutoff"),
        (lambda: StateVariance(1.0, 0.5, (0.0, 0.2)), ValueError, "sampling"),
        (lambda: Departure(1.0, 3), TypeError, "projection"),
        (lambda: Atomicity(-1.0, ATOMS, SAMPLING), ValueError, "weight"),
        (lambda: Atomicity(1.0, ATOMS[0], SAMPLING), ValueError, "positions_angstrom"),
        (lambda: Atomicity(1.0, ATOMS * math.nan, SAMPLING), ValueError, "positions_angstrom"),
        (lambda: Atomicity(1.0, ATOMS, SAMPLING, 0.2), ValueError, "radius_angstrom"),
        (lambda: Atomicity(1.0, ATOMS, SAMPLING, target_angstrom2=-0.1), ValueError, "target_angstrom2"),
        (lambda: Atomicity(1.0, ATOMS, SAMPLING, target_angstrom2=[0.1] * 2), ValueError, "target_angstrom2"),
        (lambda: Atomicity(1.0, ATOMS, SAMPLING, floor=0.0), ValueError, "floor"),
    ],
)
def test_bad_parameters_are_refused(make, error, name):
    with pytest.raises(error, match=name):
        make()


def test_atoms_at_the_border_are_named():
    at = np.array([[1.5, 1.5], [0.6, 1.5], [1.5, 2.5]])
    with pytest.raises(ValueError, match=r"positions_angstrom.*atoms \[1, 2\]"):
        Atomicity(1.0, at, SAMPLING, 0.5).value_and_gradient(some_field())


@pytest.mark.parametrize("name", [*REAL_ONLY, *BOTH])
def test_gpu_agrees_with_cpu(name):
    cupy = pytest.importorskip("cupy", reason="CuPy is not installed")
    field = some_field().astype(np.float32)
    value, gradient = penalty_called(name).value_and_gradient(field)
    found, slope = penalty_called(name).value_and_gradient(cupy.asarray(field))
    assert found == pytest.approx(value, rel=1e-5)
    np.testing.assert_allclose(slope.get(), gradient, atol=1e-5 * abs(gradient).max())
