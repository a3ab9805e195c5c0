"""Fits that are killed, interrupted or left, and what remains of them."""

from __future__ import annotations

import os
import subprocess
import sys
import time

import numpy as np
import pytest

from caviar_kit.checkpointing import run_with_checkpoints
from caviar_kit.multislice import FitSettings, load_checkpoint, run
from caviar_kit.npz import write_npz
from tests.multislice.problems import aperture, evaluator, model
from tests.processes import ROOT

SETTINGS = FitSettings(num_states=2, one_state_iter=3, max_iter=4, history=3, refine="probe", seed=2)
PROBE = aperture((12, 15), 1, np.complex64)


def engine():
    return evaluator(model(), dtype=np.float32)


def fit(path, **changes):
    return run_with_checkpoints(
        **{"evaluator": engine(), "probe": PROBE, "settings": SETTINGS, "path": path, "every_seconds": 0}
        | changes
    )


def files(folder):
    return sorted(p.name for p in folder.iterdir())


def test_a_fit_left_and_taken_up_again_is_the_undisturbed_one(tmp_path):
    path = tmp_path / "fit.npz"
    expected = list(run(engine(), PROBE, SETTINGS))
    for iteration in (2, 5):
        for snapshot in fit(path):
            if snapshot.iteration == iteration:
                break
        assert files(tmp_path) == ["fit.npz"]
    first, *_, last = fit(path)
    assert first.iteration == 5
    assert last.losses == expected[-1].losses
    np.testing.assert_array_equal(last.object, expected[-1].object)
    assert files(tmp_path) == []  # a finished fit has nothing to go on from


def test_time_decides_how_often_it_is_written_and_leaving_writes_it_too(tmp_path):
    path = tmp_path / "fit.npz"
    steps = fit(path, every_seconds=3600.0)
    next(steps), next(steps)
    assert files(tmp_path) == []
    steps.close()
    assert next(fit(path)).iteration == 2


def test_an_exception_inside_an_iteration_leaves_the_last_file(tmp_path):
    class Fails(type(engine())):
        calls = 0

        def loss_and_gradient(self, *args, **kwargs):
            self.calls += 1
            if self.calls == 5:
                raise KeyboardInterrupt
            return super().loss_and_gradient(*args, **kwargs)

    broken = engine()
    broken.__class__ = Fails
    seen = []
    with pytest.raises(KeyboardInterrupt):
        for snapshot in fit(tmp_path / "fit.npz", evaluator=broken):
            seen.append(snapshot)
    assert len(seen) >= 2
    resumed = next(fit(tmp_path / "fit.npz"))
    assert resumed.iteration == seen[-1].iteration
    np.testing.assert_array_equal(resumed.object, seen[-1].object)


def test_files_of_another_fit_and_useless_paths_are_refused(tmp_path):
    path = tmp_path / "fit.npz"
    next(fit(path)), None
    with pytest.raises(ValueError, match=r"fit.npz'.*other settings.*remove the file to start"):
        fit(path, settings=FitSettings(num_states=2, one_state_iter=3, max_iter=5))
    np.savez(path, something=np.ones(2))
    with pytest.raises(ValueError, match=r"fit.npz'.*of another kind.*remove the file"):
        fit(path)
    with pytest.raises(ValueError, match="there is no folder"):
        fit(tmp_path / "none" / "fit.npz")
    with pytest.raises(ValueError, match="must name a file"):
        fit(tmp_path)
    with pytest.raises(TypeError, match="checkpoint must be a text or a Path, got 3"):
        fit(3)
    with pytest.raises(TypeError, match="path must be a text or a Path, got 3"):
        load_checkpoint(3)
    with pytest.raises(ValueError, match="checkpoint_every"):
        fit(path, every_seconds=-1)


def test_partial_files_of_dead_processes_are_removed_and_others_left(tmp_path):
    import platform

    dead = subprocess.Popen([sys.executable, "-c", ""])
    dead.wait()
    rubbish = tmp_path / f".fit.npz.{platform.node()}-{dead.pid}.part"
    alive = tmp_path / f".fit.npz.{platform.node()}-{os.getppid()}.part"
    elsewhere = tmp_path / f".fit.npz.another-host-{dead.pid}.part"
    other_file = tmp_path / f".other.npz.{platform.node()}-{dead.pid}.part"
    for file in (rubbish, alive, elsewhere, other_file):
        file.write_bytes(b"half")
    write_npz(tmp_path / "fit.npz", {"a": np.ones(2)}, compress=False)
    assert files(tmp_path) == sorted(["fit.npz", alive.name, elsewhere.name, other_file.name])


CHILD = """
import sys
import numpy as np
from caviar_kit.checkpointing import run_with_checkpoints
from caviar_kit.multislice import FitSettings
from tests.multislice.problems import aperture, evaluator, model
folder, optimizer = sys.argv[1:]
settings = FitSettings(num_states=3, one_state_iter=12, max_iter=28, history=4, seed=5, optimizer=optimizer,
                       batch_size=2, held_out_fraction=0.2, refine=("probe", "positions"))
steps = run_with_checkpoints(evaluator(model(), dtype=np.float32), aperture((12, 15), 1, np.complex64),
                             settings, folder + "/fit.npz", every_seconds=0)
print("start", flush=True)
for snapshot in steps:
    pass
np.savez(folder + "/result.npz", object=snapshot.object, probe=snapshot.probe, losses=snapshot.losses,
         positions=snapshot.instrument.positions)
"""


class Child:
    """A fit in a process of its own."""

    def __init__(self, folder, optimizer):
        self.process = subprocess.Popen(
            [sys.executable, "-c", CHILD, str(folder), optimizer],
            env={**os.environ, "PYTHONPATH": str(ROOT), "OMP_NUM_THREADS": "1", "CAVIAR_KIT_THREADS": "1"},
            stdout=subprocess.PIPE,
        )
        assert self.process.stdout is not None
        self.process.stdout.readline()  # imports are over
        self.begin = time.perf_counter()

    def wait(self):
        self.process.communicate(timeout=60)
        assert self.process.returncode == 0
        return time.perf_counter() - self.begin

    def kill_after(self, seconds):
        """Whether it was killed while it ran."""
        try:
            self.process.wait(timeout=seconds)
        except subprocess.TimeoutExpired:
            self.process.kill()
        self.process.communicate(timeout=60)
        return self.process.returncode != 0


def result(folder):
    with np.load(folder / "result.npz") as found:
        return {name: found[name] for name in found.files}


@pytest.mark.slow
@pytest.mark.skipif(os.name != "posix", reason="kills with SIGKILL")
@pytest.mark.parametrize(("optimizer", "kills"), [("lbfgs", 14), ("adam", 6)])
def test_a_fit_killed_again_and_again_ends_with_the_bits_of_the_undisturbed_one(optimizer, kills, tmp_path):
    undisturbed, killed = tmp_path / "undisturbed", tmp_path / "killed"
    undisturbed.mkdir(), killed.mkdir()
    Child(undisturbed, optimizer).wait()  # compiles and plans
    seconds = Child(undisturbed, optimizer).wait()
    delays = np.random.default_rng(0).uniform(0, seconds / 4, kills)
    done = sum(Child(killed, optimizer).kill_after(delay) for delay in delays)
    assert done >= kills // 2  # they hit while it ran
    Child(killed, optimizer).wait()
    expected, found = result(undisturbed), result(killed)
    for name, array in expected.items():
        np.testing.assert_array_equal(found[name], array, err_msg=name)
    assert files(killed) == ["result.npz"]
