"""Hard constraints: adjoint, what passes and what does not, states apart, py4DSTEM's form."""

from __future__ import annotations

import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as some

from caviar_kit._py4dstem import import_py4dstem
from caviar_kit.multislice.operators import BandLimit, frequency_grid
from caviar_kit.multislice.projections import Chain, IdenticalSlices, LowPass, MissingWedge
from tests.multislice.problems import dot_test, random_complex

SAMPLING = (0.21, 0.18)
SHAPE = (3, 4, 13, 16)  # states, slices, y, x: all different, odd and even

PROJECTIONS = {
    "hard low pass": LowPass(SHAPE[2:], SAMPLING, 1.6),
    "soft low pass": LowPass(SHAPE[2:], SAMPLING, 2.0, 0.8),
    "wedge": MissingWedge(SHAPE[1:], SAMPLING, 3.0, 5.0),
    "periodic wedge": MissingWedge(SHAPE[1:], SAMPLING, 3.0, 5.0, z_padding=0),
    "identical": IdenticalSlices(),
}
CHAIN = Chain(tuple(PROJECTIONS.values()))


def random_field(dtype=np.float64, seed=0, shape=SHAPE):
    field = random_complex(shape, seed)
    return (field if np.dtype(dtype).kind == "c" else field.real).astype(dtype)


@pytest.fixture(params=[*PROJECTIONS, "chain"])
def projection(request):
    return PROJECTIONS.get(request.param, CHAIN)


@pytest.mark.parametrize("dtype", [np.float64, np.complex128])
def test_adjoints_pass_the_dot_test(projection, dtype):
    assert dot_test(projection, random_field(dtype), random_field(dtype, 1)) <= 1e-12


@given(
    shape=some.tuples(some.integers(1, 6), some.integers(1, 12), some.integers(1, 12)),
    cutoff=some.floats(0.3, 5),
    share=some.floats(0, 1),
    beta=some.floats(0, 50),
    padding=some.integers(0, 3),
)
def test_adjoints_pass_the_dot_test_for_all_shapes(shape, cutoff, share, beta, padding):
    for link in (
        LowPass(shape[1:], SAMPLING, cutoff, share * cutoff),
        MissingWedge(shape, SAMPLING, 2.0, beta, padding),
    ):
        a, b = (random_field(seed=seed, shape=(2, *shape)) for seed in (0, 1))
        error = np.vdot(link.forward(a), b) - np.vdot(a, link.adjoint(b))
        assert abs(error) <= 1e-12 * np.linalg.norm(a) * np.linalg.norm(b)
        assert np.linalg.norm(link.forward(a)) <= np.linalg.norm(a) * (1 + 1e-12)


@pytest.mark.parametrize("dtype", [np.float32, np.complex64])
def test_single_precision_stays_single_and_the_input_untouched(projection, dtype):
    field = random_field(dtype)
    before = field.copy()
    for apply in (projection.forward, projection.adjoint):
        result = apply(field)
        assert result.dtype == dtype and result.flags.c_contiguous and result.flags.writeable
        exact = apply(field.astype(np.result_type(dtype, np.float64)))
        np.testing.assert_allclose(result, exact, atol=1e-5)
    np.testing.assert_array_equal(field, before)


def test_real_and_imaginary_part_are_treated_alike(projection):
    field = random_field(complex)
    apart = projection.forward(field.real.copy()) + 1j * projection.forward(field.imag.copy())
    np.testing.assert_allclose(projection.forward(field), apart, atol=1e-13)


def test_states_do_not_leak(projection):
    field = random_field()
    field[1:] = 0
    assert (projection.forward(field)[1:] == 0).all()
    assert abs(projection.forward(field)[0]).max() > 0.1


@pytest.mark.parametrize("name", ["hard low pass", "identical"])
def test_orthogonal_projections_are_idempotent(name):
    once = PROJECTIONS[name].forward(random_field())
    np.testing.assert_allclose(PROJECTIONS[name].forward(once), once, atol=1e-13)


def test_vacuum_passes_unchanged(projection):
    np.testing.assert_allclose(projection.forward(np.ones(SHAPE, complex)), 1, atol=1e-13)


def wave(index, axis_shape=SHAPE[2:]):
    """Plane wave of integer frequencies ``index`` (real), and its k [1/Å]."""
    y, x = np.indices(axis_shape)
    phase = 2 * np.pi * (index[0] * y / axis_shape[0] + index[1] * x / axis_shape[1])
    k = math.hypot(index[0] / (axis_shape[0] * SAMPLING[0]), index[1] / (axis_shape[1] * SAMPLING[1]))
    return np.cos(phase), k


def test_low_pass_cuts_exactly_at_the_cutoff():
    image, k = wave((3, 2))
    np.testing.assert_allclose(LowPass(SHAPE[2:], SAMPLING, k * (1 + 1e-9)).forward(image), image, atol=1e-13)
    np.testing.assert_allclose(LowPass(SHAPE[2:], SAMPLING, k * (1 - 1e-9)).forward(image), 0, atol=1e-13)


def test_soft_edge_halves_in_its_middle():
    image, k = wave((3, 2))
    soft = LowPass(SHAPE[2:], SAMPLING, k + 0.2, 0.4)
    np.testing.assert_allclose(soft.forward(image), image / 2, atol=1e-13)
    ky, kx = frequency_grid(SHAPE[2:], SAMPLING)
    radius = np.hypot(ky, kx)
    np.testing.assert_array_equal(soft.transfer[radius >= k + 0.2], 0)
    np.testing.assert_array_equal(soft.transfer[radius <= k - 0.2], 1)
    assert (np.diff(soft.transfer.ravel()[np.argsort(radius.ravel())]) <= 1e-12).all()


def test_hard_low_pass_is_the_band_limit_of_the_waves():
    field = random_field(complex)
    ours = LowPass(SHAPE[2:], SAMPLING, 1.6).forward(field)
    np.testing.assert_allclose(ours, BandLimit(SHAPE[2:], SAMPLING, 1.6).forward(field), atol=1e-13)


@pytest.mark.parametrize("dtype", [np.float64, np.complex128])
@pytest.mark.parametrize("padding", [1, 2])
def test_wedge_is_that_of_py4dstem_but_for_the_slice_means(dtype, padding):
    constraints = import_py4dstem().process.phase.ptychographic_constraints
    thickness, gamma = 3.0, 0.7

    class Host(constraints.Object2p5DConstraintsMixin):
        _xp, _slice_thicknesses, sampling = np, (thickness,), SAMPLING
        _object_type = "potential" if np.dtype(dtype).kind == "f" else "complex"

    wedge = MissingWedge(SHAPE[1:], SAMPLING, thickness, gamma * thickness / SAMPLING[0], padding)
    field = random_field(dtype)
    ours = wedge.forward(field)
    for state, filtered in zip(field, ours, strict=True):
        theirs = Host()._object_kz_regularization_constraint(state.copy(), gamma, padding)
        theirs = theirs - theirs.mean(axis=(1, 2), keepdims=True)
        mean = filtered.mean(axis=(1, 2), keepdims=True)
        np.testing.assert_allclose(filtered - mean, theirs, atol=5e-6)  # their frequencies are float32
        np.testing.assert_allclose(mean, state.mean(axis=(1, 2), keepdims=True), atol=1e-13)
    assert abs(ours - field).max() > 0.1


def test_wedge_weakens_by_the_formula():
    slices, thickness, beta = 6, 2.5, 4.0
    image, k = wave((3, 2))
    along_z = np.cos(2 * np.pi * 2 * np.arange(slices) / slices)  # k_z = 2 / 15 Å
    field = (along_z[:, None, None] * image)[None]
    wedge = MissingWedge((slices, *SHAPE[2:]), SAMPLING, thickness, beta, z_padding=0)
    kz = 2 / (slices * thickness)
    factor = 1 - 2 / np.pi * math.atan(beta**2 * kz**2 / k**2)
    assert 0.1 < factor < 0.9
    np.testing.assert_allclose(wedge.forward(field), factor * field, atol=1e-13)


def test_wedge_without_padding_keeps_identical_slices():
    field = IdenticalSlices().forward(random_field())
    np.testing.assert_allclose(PROJECTIONS["periodic wedge"].forward(field), field, atol=1e-13)


def test_wedge_of_strength_zero_is_the_identity():
    field = random_field()
    np.testing.assert_allclose(MissingWedge(SHAPE[1:], SAMPLING, 3.0, 0.0).forward(field), field, atol=1e-13)


def test_unequal_slices_count_with_their_mean():
    same = MissingWedge(SHAPE[1:], SAMPLING, 3.0, 5.0)
    assert MissingWedge(SHAPE[1:], SAMPLING, (2.0, 3.0, 4.0), 5.0) == same


def test_identical_slices_are_the_mean():
    field = random_field()
    expected = np.broadcast_to(field.mean(axis=1)[:, None], SHAPE)
    np.testing.assert_allclose(IdenticalSlices().forward(field), expected, atol=1e-15)


def test_chain_goes_forth_and_back_in_order():
    class Named:
        def __init__(self, name):
            self.name = name

        def forward(self, field):
            return [*field, self.name]

        adjoint = forward

    chain = Chain([Named("first"), Named("second")])
    assert chain.forward([]) == ["first", "second"]
    assert chain.adjoint([]) == ["second", "first"]
    field = random_field()
    assert Chain().forward(field) is field


@pytest.mark.parametrize(
    ("make", "error", "name"),
    [
        (lambda: LowPass((13,), SAMPLING, 1.0), ValueError, "shape"),
        (lambda: LowPass((13, 0), SAMPLING, 1.0), ValueError, "shape"),
        (lambda: LowPass((13, 2.5), SAMPLING, 1.0), TypeError, "shape"),
        (lambda: LowPass((13, 16), (0.2, -0.2), 1.0), ValueError, "sampling"),
        (lambda: LowPass((13, 16), 0.2, 1.0), ValueError, "sampling"),
        (lambda: LowPass((13, 16), SAMPLING, 0.0), ValueError, "cutoff"),
        (lambda: LowPass((13, 16), SAMPLING, math.nan), ValueError, "cutoff"),
        (lambda: LowPass((13, 16), SAMPLING, 1.0, 1.1), ValueError, "width"),
        (lambda: MissingWedge((13, 16), SAMPLING, 2.0, 1.0), ValueError, "shape"),
        (lambda: MissingWedge((4, 13, 16), SAMPLING, 0.0, 1.0), ValueError, "slice_thickness"),
        (lambda: MissingWedge((4, 13, 16), SAMPLING, (2.0, -1.0), 1.0), ValueError, "slice_thickness"),
        (lambda: MissingWedge((4, 13, 16), SAMPLING, 2.0, -1.0), ValueError, "beta"),
        (lambda: MissingWedge((4, 13, 16), SAMPLING, 2.0, 1.0, z_padding=-1), ValueError, "z_padding"),
        (lambda: Chain((IdenticalSlices(), 3)), TypeError, r"projections\[1\]"),
    ],
)
def test_bad_parameters_are_refused(make, error, name):
    with pytest.raises(error, match=name):
        make()


@pytest.mark.parametrize("name", PROJECTIONS)
@pytest.mark.parametrize(
    ("field", "error"),
    [
        (np.zeros(SHAPE, int), TypeError),
        (np.zeros(SHAPE, np.float16), TypeError),
        ([[1.0]], TypeError),
        (np.zeros(13), ValueError),
        (np.zeros((0, *SHAPE[1:])), ValueError),
    ],
)
def test_bad_fields_are_refused(name, field, error):
    with pytest.raises(error, match="field"):
        PROJECTIONS[name].forward(field)


@pytest.mark.parametrize("name", ["hard low pass", "wedge"])
def test_a_field_of_another_size_is_refused(name):
    with pytest.raises(ValueError, match="field must have shape"):
        PROJECTIONS[name].forward(np.zeros((3, 4, 13, 15)))


def test_gpu_agrees_with_cpu(projection):
    cupy = pytest.importorskip("cupy", reason="CuPy is not installed")
    field = random_field(np.float32)
    found = projection.forward(cupy.asarray(field))
    assert found.dtype == np.float32
    np.testing.assert_allclose(found.get(), projection.forward(field), atol=1e-5)
