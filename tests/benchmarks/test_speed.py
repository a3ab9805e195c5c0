"""What the speed benchmarks count and say; never how long anything takes."""

from __future__ import annotations

import json

import numpy as np
import pytest

from benchmarks import bench_engine, bench_roofline, fft_floor
from benchmarks.fixed_problem import Problem
from benchmarks.measuring import interleaved
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


def test_arithmetic_grows_with_the_waves():
    """Twice the waves, twice everything but patterns and object."""
    double = Problem(**{**SMALL.__dict__, "modes": 2})
    for count in (fft_floor.fft_flops, bench_roofline.pointwise_flops, bench_roofline.wave_bytes):
        assert count(double) == 2 * count(SMALL)
    assert bench_roofline.necessary_bytes(double, 2) == bench_roofline.necessary_bytes(SMALL, 2)


def test_lines_become_a_figure():
    line = bench_roofline.measure(SMALL, 1, 1)
    line |= {"benchmark": "roofline", "modes": 1, "fft_gflop": 1.0, "pointwise_gflop": 0.2}
    line |= {"wave_gb": 0.8, "necessary_gb": 0.01}
    point = {"benchmark": "scaling", "varied": "states", "work": 2.0, "deviation_from_linear": 0.05}
    above, below = figure([point, line]).axes
    (states,) = (drawn for drawn in above.lines if drawn.get_label() == "states")
    np.testing.assert_allclose(states.get_xydata(), [[2, 1.05]])
    assert any("Gflop/s" in text.get_text() for text in below.get_legend().get_texts())
