"""CUDA kernels against NumPy: on the host everywhere, on a GPU where one answers."""

from __future__ import annotations

import numpy as np
import pytest

from caviar_kit import backend
from caviar_kit.multislice import cuda, cuda_launch
from caviar_kit.multislice.loss import AmplitudeLoss, PoissonLoss
from tests.multislice.cuda_on_host import Host
from tests.multislice.problems import random_complex

POSITIONS, MODES, STATES, SLICES = 5, 3, 4, 6
WINDOW, OBJECT = (19, 29), (41, 47)  # three blocks of threads, the last one partly idle
WAVES = (POSITIONS, MODES, STATES, *WINDOW)
Z = 2
TOLERANCE = {"float32": 1e-5, "float64": 1e-12}


@pytest.fixture(scope="module")
def host(tmp_path_factory):
    return Host(tmp_path_factory.mktemp("kernels"))


class Gpu:
    """Run a kernel on copies of NumPy arrays on the GPU, then copy all back."""

    def __init__(self) -> None:
        self.cupy = pytest.importorskip("cupy", reason="CuPy is not installed")
        if backend.resolve_device("auto") is np:
            pytest.skip("CuPy finds no GPU")

    def __call__(self, kernel, *args, **kwargs):
        copies = {id(a): self.cupy.asarray(a) for a in args if isinstance(a, np.ndarray)}
        kernel(*(copies.get(id(a), a) for a in args), **kwargs)
        for array in (a for a in args if isinstance(a, np.ndarray)):
            array[...] = copies[id(array)].get()


@pytest.fixture(params=["host", "gpu"])
def run(request):
    return request.getfixturevalue("host") if request.param == "host" else Gpu()


@pytest.fixture(params=["float32", "float64"])
def real(request):
    return np.dtype(request.param)


@pytest.fixture(params=[65535, 2], ids=["whole grid", "short grid"])
def grid(request, monkeypatch):
    """A grid as long as the axes, and one that the kernels must stride over."""
    monkeypatch.setattr(cuda_launch, "LARGEST_GRID", request.param)


def waves(real, shape=WAVES, seed=0):
    return random_complex(shape, seed, np.result_type(real, np.complex64))


def corners():
    """First and last corner, and others in between whose windows overlap."""
    rows, columns = OBJECT[0] - WINDOW[0], OBJECT[1] - WINDOW[1]
    return np.array([[0, 0], [rows, columns], [5, 7], [6, 3], [5, 8]], np.int32)


def windows(field):
    """(positions, 1, states, y, x) of a slice (states, y, x), as views."""
    return [field[:, y : y + WINDOW[0], x : x + WINDOW[1]] for y, x in corners()]


def assert_close(found, expected):
    assert found.shape == expected.shape
    scale = abs(expected).max()
    np.testing.assert_allclose(found, expected, rtol=0, atol=scale * TOLERANCE[found.real.dtype.name])


@pytest.mark.parametrize("shared", [True, False])
def test_transmit(run, real, grid, shared):
    transmission = waves(real, (STATES, SLICES, *OBJECT), 1)
    incident = waves(real, (POSITIONS, MODES, 1 if shared else STATES, *WINDOW), 2)
    out = np.full(WAVES, np.nan, incident.dtype)
    run(cuda.transmit, incident, transmission, corners(), Z, out)
    assert_close(out, incident.astype(complex) * np.stack(windows(transmission[:, Z]))[:, None])


@pytest.mark.parametrize("shared", [True, False])
def test_adjoint_transmit(run, real, grid, shared):
    """Sums over overlapping windows, onto what is there; other slices stay as they are."""
    transmission = waves(real, (STATES, SLICES, *OBJECT), 1)
    incident = waves(real, (POSITIONS, MODES, 1 if shared else STATES, *WINDOW), 2)
    wave, gradient = waves(real), waves(real, transmission.shape, 3)
    expected = gradient.astype(complex)
    terms = (wave.astype(complex) * incident.conj()).sum(axis=1)
    for target, term in zip(windows(expected[:, Z]), terms, strict=True):
        target += term
    pulled_back = wave.astype(complex) * np.stack(windows(transmission[:, Z]))[:, None].conj()
    run(cuda.adjoint_transmit, wave, transmission, corners(), Z, incident, gradient)
    assert_close(wave, pulled_back)
    assert_close(gradient, expected)


@pytest.mark.parametrize("transfers", [1, POSITIONS])
@pytest.mark.parametrize("conjugate", [False, True])
@pytest.mark.parametrize("in_place", [False, True])
def test_propagate(run, real, grid, transfers, conjugate, in_place):
    wave, transfer = waves(real), waves(real, (transfers, *WINDOW), 1)
    factor = transfer.conj() if conjugate else transfer
    expected = wave.astype(complex) * factor[:, None, None]
    out = wave if in_place else np.full_like(wave, np.nan)
    run(cuda.propagate, wave, transfer, out, conjugate=conjugate)
    assert_close(out, expected)


def test_intensity_is_added(run, real, grid):
    far, out = waves(real), waves(real, (POSITIONS, *WINDOW), 1).real.copy()
    expected = out + (abs(far.astype(complex)) ** 2).sum(axis=(1, 2))
    run(cuda.add_intensity, far, out)
    assert_close(out, expected)


@pytest.mark.parametrize("in_place", [False, True])
def test_residual_wave(run, real, grid, in_place):
    far, residual = waves(real), waves(real, (POSITIONS, *WINDOW), 1).real.copy()
    expected = far.astype(complex) * residual[:, None, None]
    out = far if in_place else np.full_like(far, np.nan)
    run(cuda.residual_wave, far, residual, out)
    assert_close(out, expected)


def test_sum_of_states(run, real, grid):
    wave = waves(real)
    out = np.full((POSITIONS, MODES, *WINDOW), np.nan, wave.dtype)
    run(cuda.sum_states, wave, out)
    assert_close(out, wave.astype(complex).sum(axis=2))


LOSSES = [(cuda.amplitude_loss, AmplitudeLoss()), (cuda.poisson_loss, PoissonLoss())]


@pytest.mark.parametrize(("kernel", "loss"), LOSSES)
@pytest.mark.parametrize("weighted", [False, True])
def test_losses(run, real, kernel, loss, weighted):
    """Near and far from the data, and where a pixel counted nothing or is expected to."""
    rng = np.random.default_rng(0)
    data = rng.exponential(1e-3, (POSITIONS, *WINDOW)).astype(real)
    model = (data * rng.uniform(0.1, 3, data.shape)).astype(real)
    model[1] = data[1] * (1 + 1e-3 * rng.normal(size=WINDOW))
    data[2, 3], model[3, 4] = 0, 0
    weights = rng.uniform(0, 2, WINDOW).astype(real) if weighted else None
    factor = 1 if weights is None else weights.astype(float)
    exact = model.astype(float), data.astype(float)
    losses, residual = np.full(POSITIONS, np.nan), np.full_like(model, np.nan)
    run(kernel, model, data, weights, loss.epsilon, losses, residual)
    np.testing.assert_allclose(
        losses, (loss.value(*exact) * factor).sum(axis=(1, 2)), rtol=2 * TOLERANCE[real.name]
    )
    expected = loss.derivative(*exact) * factor
    np.testing.assert_allclose(residual, expected, rtol=TOLERANCE[real.name], atol=1e-15)


@pytest.mark.parametrize(("kernel", "loss"), LOSSES)
def test_perfect_fit_has_no_loss(run, real, kernel, loss):
    data = abs(waves(real, (POSITIONS, *WINDOW)))
    losses, residual = np.full(POSITIONS, np.nan), np.full_like(data, np.nan)
    run(kernel, data, data.copy(), None, loss.epsilon, losses, residual)
    np.testing.assert_array_equal(losses, 0)
    np.testing.assert_array_equal(residual, 0)


def sparse(path, shape):
    """Zeros that take up no space until they are written to."""
    try:
        return np.memmap(path, np.complex64, "w+", shape=shape)
    except OSError as error:
        pytest.skip(f"no room for a sparse file of {np.prod(shape) * 8 / 1e9:.0f} GB: {error}")


def test_objects_beyond_32_bit_indices(host, tmp_path):
    shape = (2, 2, 23200, 23200)
    assert np.prod(shape) > 2**31
    place = np.array([[23200 - WINDOW[0], 23200 - WINDOW[1]]], np.int32)
    transmission, gradient = (sparse(tmp_path / name, shape) for name in ("object", "gradient"))
    last = (1, 1, slice(-WINDOW[0], None), slice(-WINDOW[1], None))
    transmission[last] = waves(np.float32, WINDOW)
    incident, out = np.ones((1, 1, 1, *WINDOW), np.complex64), np.ones((1, 1, 2, *WINDOW), np.complex64)
    host(cuda.transmit, incident, transmission, place, 1, out)
    np.testing.assert_array_equal(out[0, 0, 1], transmission[last])
    host(cuda.adjoint_transmit, out, transmission, place, 1, incident, gradient)
    np.testing.assert_array_equal(gradient[last], transmission[last])


def test_grids_stay_within_the_limits_of_a_gpu():
    many = np.broadcast_to(np.complex64(0), (70000, 3, 40000, 1, 1))
    launch = cuda_launch.over_waves("propagate", many.shape, 3 * 40000, (many,))
    assert launch.grid == (1, 65535, 65535) and launch.block == (256, 1, 1)
    assert cuda_launch.over_waves("propagate", (2, 3, 4, 16, 16), 12, (many,)).grid == (1, 12, 2)
    assert cuda_launch.over_waves("propagate", (2, 3, 4, 16, 17), 12, (many,)).grid == (2, 12, 2)
