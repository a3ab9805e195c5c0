"""Free memory as the machine, a container and a GPU tell it."""

from __future__ import annotations

from types import SimpleNamespace

import numpy as np
import pytest

from caviar_kit.available_memory import available_memory

GIB = 2**30


def machine(root, free=8 * GIB, **groups):
    (root / "proc").mkdir()
    (root / "proc/meminfo").write_text(
        f"MemTotal:       16777216 kB\nMemFree:  1024 kB\nMemAvailable: {free // 1024} kB\n"
    )
    for name, text in groups.items():
        file = root / "sys/fs/cgroup" / name.replace("__", "/").replace("_dot_", ".")
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_text(f"{text}\n")
    return root


@pytest.mark.parametrize(
    ("groups", "expected"),
    [
        ({}, 8),
        ({"memory_dot_max": "max", "memory_dot_current": 3 * GIB}, 8),
        ({"memory_dot_max": 4 * GIB, "memory_dot_current": 3 * GIB}, 1),
        (
            {
                "memory_dot_max": 4 * GIB,
                "memory_dot_current": 3 * GIB,
                "memory_dot_stat": f"anon 5\ninactive_file {2 * GIB}",
            },
            3,
        ),
        ({"memory_dot_max": 64 * GIB, "memory_dot_current": 0}, 8),
        ({"memory_dot_max": 2 * GIB, "memory_dot_current": 3 * GIB}, 0),
        (
            {
                "memory__memory_dot_limit_in_bytes": 6 * GIB,
                "memory__memory_dot_usage_in_bytes": 4 * GIB,
                "memory__memory_dot_stat": f"inactive_file 0\ntotal_inactive_file {GIB}",
            },
            3,
        ),
    ],
)
def test_the_lowest_limit_counts(tmp_path, groups, expected):
    assert available_memory(np, machine(tmp_path, **groups)) == expected * GIB


def test_a_system_that_does_not_tell_has_what_is_built_in(tmp_path):
    found = available_memory(np, tmp_path)
    assert found is None or found > 2**20


def test_this_machine_has_something_left():
    assert (available_memory(np) or GIB) > 2**20


def test_a_gpu_has_what_the_driver_and_the_pool_have_free():
    gpu = SimpleNamespace(
        __name__="cupy",
        cuda=SimpleNamespace(runtime=SimpleNamespace(memGetInfo=lambda: (5 * GIB, 16 * GIB))),
        get_default_memory_pool=lambda: SimpleNamespace(free_bytes=lambda: GIB),
    )
    assert available_memory(gpu) == 6 * GIB
