"""The benchmark of Dask workers: what travels, and that its parts make up the pass."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from benchmarks.bench_workers import measure, megabytes_per_pass
from benchmarks.fixed_problem import Problem


def test_the_table_of_what_travels_is_that_of_the_shards():
    text = (Path(__file__).parents[2] / "docs" / "many_devices.md").read_text(encoding="utf-8")
    rows = re.findall(r"^\| (\d) \| \d+ × 245 \| [\d.]+ \| ([\d.]+) \|$", text, flags=re.MULTILINE)
    assert [int(workers) for workers, _ in rows] == [1, 2, 4, 8]
    for workers, megabytes in rows:
        assert megabytes_per_pass(Problem.paper(), int(workers)) == pytest.approx(float(megabytes), abs=0.06)


def test_a_pass_is_sending_computing_and_receiving():
    found = measure(Problem(3, 16, 2, 2, 1), (2,), repeats=1, direct=False)
    assert set(found["one_process"]) == {"1_threads", "2_threads"}
    parts = found["dask"]["2_workers"]
    names = ("sending", "computing", "receiving_and_adding")
    assert sum(parts[name] for name in names) == pytest.approx(parts["pass_seconds"], abs=2e-4)
