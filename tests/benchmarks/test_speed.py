"""What the speed benchmarks count and say; never how long anything takes."""

from __future__ import annotations

import json
from types import SimpleNamespace

import numpy as np
import pytest
from matplotlib.collections import LineCollection

from benchmarks import bench_engine, bench_roofline, bench_scaling, fft_floor
from benchmarks.fixed_problem import Problem
from benchmarks.measuring import interleaved, machine
from benchmarks.plot_speed import figure
from caviar_kit.backend import resolve_device

SMALL = Problem(positions_per_side=3, window=16, states=2, slices=2, modes=1)


@pytest.mark.parametrize("threads", [1, 3])
@pytest.mark.parametrize("states", [1, 2, 7])
def test_the_floor_does_every_transform_once(monkeypatch, threads, states):
    problem, done = Problem(3, 64, states, 4, 1), []

    def counting(buffer):
        return [lambda way=way: done.append((way, len(buffer))) for way in (+1, -1)]

    monkeypatch.setattr(fft_floor, "plan_fft", counting)
    ways = fft_floor.floors(problem, np, threads)
    ways["small batches"]()
    assert sum(batch for _, batch in done) == problem.ffts
    assert abs(sum(way for way, _ in done)) <= threads  # as many there as back


def test_functions_take_turns_and_the_first_round_is_left_out():
    calls = []
    seconds = interleaved({name: lambda name=name: calls.append(name) for name in "ab"}, 2)
    assert "".join(calls) == "ababab"
    assert set(seconds) == {"a", "b"}


def test_one_line_of_json(capsys):
    options = "--positions-per-side 2 --window 16 --states 2 --slices 2 --threads 1 --repeats 1".split()
    assert bench_engine.main(options) == 0
    line = json.loads(capsys.readouterr().out)
    assert line["ffts"] == Problem(2, 16, 2, 2).ffts
    assert line["fft_floor_seconds"] == min(line["floors"].values())


def test_a_missing_gpu_is_said_in_one_sentence(capsys):
    if resolve_device("auto") is not np:
        pytest.skip("there is a GPU")
    assert bench_engine.main(["--device", "gpu"]) == 2
    said = capsys.readouterr()
    assert not said.out
    assert said.err.startswith("device='gpu' needs CuPy and a CUDA GPU")
    assert said.err.count("\n") == 1


def test_parity_of_the_cpu_with_itself_is_exact():
    assert set(bench_engine.compare(SMALL, np).values()) == {0.0}


def test_parity_compares_the_device_with_the_cpu():
    """Patterns four times as strong under twice the probe: loss and object gradient × 4, probe gradient × 2.

    The loss is (√I - √D)², so but for its softening at zero it grows with the patterns.
    """

    class Perturbed:
        fft = np.fft

        def asarray(self, array, **options):
            factor = {3: 2, 4: 1}[np.ndim(array)]
            if array.dtype == np.float32:
                factor = 4
            return np.asarray(array, **options) * array.dtype.type(factor)

        def __getattr__(self, name):
            return getattr(np, name)

    errors = bench_engine.compare(SMALL, Perturbed())
    expected = {"loss_error": 3, "object_error": 3, "probe_error": 1}
    assert errors == pytest.approx(expected, rel=0.01)


def test_arithmetic_grows_with_the_waves():
    """Twice the waves, twice everything but patterns and object."""
    double = Problem(**{**SMALL.__dict__, "modes": 2})
    for count in (fft_floor.fft_flops, bench_roofline.pointwise_flops, bench_roofline.wave_bytes):
        assert count(double) == 2 * count(SMALL)
    assert bench_roofline.necessary_bytes(double, 2) == bench_roofline.necessary_bytes(SMALL, 2)


def test_versions_of_a_gpu_need_no_distribution_of_a_certain_name():
    runtime = SimpleNamespace(runtimeGetVersion=lambda: 12040)
    cupy = SimpleNamespace(__version__="13.4.1", cuda=SimpleNamespace(runtime=runtime))
    assert bench_engine.versions(cupy) == {"cupy": "13.4.1", "cuda_runtime": "12.4"}
    line = machine("numpy", "no-such-distribution", **bench_engine.versions(cupy))
    assert line["versions"]["numpy"] == np.__version__
    assert line["versions"]["no-such-distribution"] is None
    assert line["versions"]["cupy"] == "13.4.1"


@pytest.mark.parametrize("threads", [1, 3])
def test_bandwidth_counts_what_is_moved(monkeypatch, threads):
    """Each element of every thread is updated in every pass; two numbers are read and one is written."""
    done = []
    monkeypatch.setattr(bench_roofline, "update", lambda a, b, s, passes: done.append((len(a), passes)))
    work, moved = bench_roofline.updates(4096, threads, 5)
    work()
    assert sum(length * passes for length, passes in done) * 3 * 4 == moved
    assert len(done) == threads


def test_an_update_is_done_as_often_as_asked():
    a, b = np.ones(9, np.float32), np.arange(9, dtype=np.float32)
    bench_roofline.update(a, b, np.float32(0.5), 4)
    np.testing.assert_array_equal(a, 1 + 2 * b)


def test_a_slow_repeat_is_not_taken_for_cost():
    """The machine halves its speed in some repeats, in one of them between the two passes."""
    slow = np.array([1.0, 2, 2, 1, 2])
    passes = {"here": 3 * slow * [1, 1, 2, 1, 1], "reference": 2 * slow}
    unit = {"here": np.full(5, 6), "reference": np.full(5, 4)}
    got = bench_scaling.relative(passes, unit)
    assert got == {"units": 1.5, "cost": 1, "cost_quartiles": [1, 1], "deviation_from_linear": 0}


def test_scatter_is_said():
    passes = {"here": np.array([1.0, 1.1, 1.2, 1.3, 1.4]), "reference": np.ones(5)}
    got = bench_scaling.relative(passes, {"here": np.ones(5), "reference": np.ones(5)})
    assert (got["cost"], got["cost_quartiles"]) == (1.2, [1.1, 1.3])


def test_the_exponent_of_a_cost_that_grows():
    points = [
        {"units": u, "work": u, "cost": c, "cost_quartiles": [c, c], "deviation_from_linear": c - 1}
        for u, c in ((0.25, 0.5), (1, 1), (4, 2))
    ]
    got = bench_scaling.fit("states", points)
    assert (got["exponent"], got["largest_deviation_from_linear"]) == (1.5, 1)
    assert got["reference_against_itself"] == 0


def test_lines_become_a_figure(monkeypatch):
    monkeypatch.setattr(bench_roofline, "UNCACHED", 2**22)
    line = bench_roofline.measure(SMALL, 1, 1)
    line |= {"benchmark": "roofline", "modes": 1, "fft_gflop": 1.0, "pointwise_gflop": 0.2}
    line |= {"wave_gb": 0.8, "necessary_gb": 0.01}
    point = {"benchmark": "scaling", "varied": "states", "work": 2.0, "deviation_from_linear": 0.05}
    point["cost_quartiles"] = [1.02, 1.11]
    above, below = figure([point, line]).axes
    (states,) = (drawn for drawn in above.lines if drawn.get_label() == "states")
    np.testing.assert_allclose(states.get_xydata(), [[2, 1.05]])
    (scatter,) = (drawn for drawn in above.collections if isinstance(drawn, LineCollection))
    np.testing.assert_allclose(scatter.get_segments(), [[[2, 1.02], [2, 1.11]]])
    assert any("Gflop/s" in text.get_text() for text in below.get_legend().get_texts())
