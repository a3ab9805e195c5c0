"""PtyRAD and this kit on the fixed problem, in the same run: one JSON line.

    python benchmarks/bench_peers.py --modes 1

PtyRAD comes from PyPI into an environment of its own (``--environment``), once; PyTorch with the CUDA
libraries that its Linux wheels ask for takes about 6 GB there. Where that fails, one sentence says so, and
the exit status is 0. PtyRAD's seconds are those that it reports itself for an iteration (forward, backward
and Adam's step; its constraints are off) with the best of the given batch sizes, ours are those of loss and
gradient; medians. Turns are taken: we, PtyRAD, we, PtyRAD …, as often as ``--rounds`` and batches say.

Only a quiet machine is fair: PyTorch's threads wait for each other after every operation, so other work slows
them far more than ours. ``ptyrad_fastest_seconds``, its fastest iteration of all, and ``load`` tell.
"""

from __future__ import annotations

import argparse
import json
import os
import shutil
import statistics
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import Any

import numpy as np

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))  # from a checkout, installed or not

from benchmarks.fixed_problem import DEFOCUS, ENERGY, GAP, PIXEL, SEMIANGLE, STEP, Problem
from benchmarks.measuring import interleaved, machine
from caviar_kit.backend import default_threads
from caviar_kit.multislice import AmplitudeLoss, Evaluator

PEER = "ptyrad"
ELECTRONS = 1e5  # per pattern: PtyRAD expects counts
CHILD = Path(__file__).parent / "peers" / "ptyrad_run.py"


class Unavailable(Exception):
    """The peer cannot be had here; says why."""


def environment(folder: Path, base: str | None) -> Path:
    """Python of the peer's environment, made and filled if it is not there yet."""
    python = folder / ("Scripts/python.exe" if os.name == "nt" else "bin/python")
    if works(python):
        return python
    make = [base or find_python(), "-m", "venv", "--clear", folder]
    install = [python, "-m", "pip", "install", "--quiet", PEER]
    print(f"installing {PEER} into {folder}, about 6 GB", file=sys.stderr)
    try:
        for command in (make, install):
            subprocess.run(command, check=True, stdout=sys.stderr)
    except (OSError, subprocess.CalledProcessError) as error:
        raise Unavailable(f"{PEER} cannot be installed in {folder} ({error})") from error
    if not works(python):
        raise Unavailable(f"{PEER} is installed in {folder}, but cannot be imported")
    return python


def works(python: Path) -> bool:
    """Whether PtyRAD can be imported there."""
    return python.exists() and not quiet([python, "-c", "from ptyrad.solver import PtyRADSolver"])


def find_python() -> str:
    """A Python that is new enough for PtyRAD 1.0.0, whose sources 3.11 cannot parse."""
    for name in (sys.executable, "python3.12", "python3.13", "python3"):
        if shutil.which(name) and not quiet([name, "-c", "import sys; sys.exit(sys.version_info < (3, 12))"]):
            return name
    raise Unavailable(f"{PEER} needs Python 3.12, and none was found: name one with --python")


def quiet(command: list[Any]) -> int:
    """Exit status of a command whose words do not matter."""
    return subprocess.run(command, capture_output=True).returncode


def ptyrad_parameters(problem: Problem, path: Path, iterations: int, batch: int) -> dict[str, Any]:
    """The same experiment in PtyRAD's words."""
    fixed = {"start_iter": None, "lr": 0.0}
    slow, fast = ({"start_iter": 1, "lr": rate} for rate in (1e-4, 5e-4))
    return {
        "init_params": {
            "probe_kv": ENERGY / 1e3,
            "probe_conv_angle": SEMIANGLE * 1e3,
            "probe_aberrations": {"C10": -DEFOCUS},
            "probe_pmode_max": problem.modes,
            "obj_omode_max": problem.states,
            "obj_Nlayer": problem.slices,
            "obj_slice_thickness": GAP,
            "pos_N_scan_slow": problem.positions_per_side,
            "pos_N_scan_fast": problem.positions_per_side,
            "pos_scan_step_size": STEP * PIXEL,
            "meas_Npix": problem.window,
            "meas_calibration": {"mode": "dx", "value": PIXEL},
            "meas_params": {"path": str(path)},
            "random_seed": 0,
        },
        "model_params": {
            "update_params": {"obja": fast, "objp": fast, "probe": slow, "probe_pos_shifts": fixed},
            "optimizer_params": {"name": "Adam", "configs": {}},
        },
        "loss_params": {
            "loss_single": {"state": True, "weight": 1.0, "dp_pow": 0.5},
            "loss_sparse": {"state": False},
        },
        "recon_params": {
            "NITER": iterations,
            "BATCH_SIZE": {"size": batch, "grad_accumulation": 1},
            "SAVE_ITERS": None,
            "output_dir": str(path.parent / "output") + "/",
        },
    }  # fmt: skip


def run_ptyrad(
    python: Path, problem: Problem, patterns: np.ndarray, batch: int, options: Any
) -> dict[str, Any]:
    """One reconstruction in a process of its own."""
    with tempfile.TemporaryDirectory() as name:
        data, params = Path(name) / "patterns.npy", Path(name) / "params.json"
        np.save(data, np.fft.fftshift(patterns * np.float32(ELECTRONS), axes=(-2, -1)))
        params.write_text(json.dumps(ptyrad_parameters(problem, data, options.repeats + 1, batch)))
        command = [python, CHILD, params, "--threads", str(options.threads), "--window", str(problem.window)]
        # a shared PYTHONPATH would mix the two environments
        variables = {k: v for k, v in os.environ.items() if not k.startswith("PYTHON")}
        variables |= {"CUDA_VISIBLE_DEVICES": "", "OMP_NUM_THREADS": str(options.threads)}
        done = subprocess.run(command, capture_output=True, text=True, env=variables, cwd=name)
    if done.returncode:
        raise RuntimeError(f"PtyRAD failed:\n{done.stderr[-2000:]}")
    return json.loads(done.stdout)


def measure(python: Path, problem: Problem, options: Any) -> dict[str, Any]:
    """Take turns; medians over all turns."""
    patterns, transmission, probe = problem.patterns(), problem.guess(), problem.probe()
    evaluator = Evaluator(problem.model(), patterns, AmplitudeLoss(), threads=options.threads)
    work = {"ours": lambda: evaluator.loss_and_gradient(transmission, probe)}

    def ours() -> float:
        return interleaved(work, options.repeats)["ours"]

    here, there = [ours()], {batch: [] for batch in options.batch}
    for _ in range(options.rounds):
        for batch, runs in there.items():
            runs.append(run_ptyrad(python, problem, patterns, batch, options))
            here.append(ours())
    theirs = {
        batch: statistics.median(s for run in runs for s in run["iteration_seconds"])
        for batch, runs in there.items()
    }
    best = min(theirs, key=theirs.__getitem__)
    fastest = min(s for runs in there.values() for run in runs for s in run["iteration_seconds"])
    mine, run = statistics.median(here), there[best][0]
    return {
        "pass_seconds": round(mine, 4),
        "ptyrad_iteration_seconds": round(theirs[best], 4),
        "times_faster": round(theirs[best] / mine, 2),
        "ptyrad_fastest_seconds": round(fastest, 4),
        "ptyrad_batch": best,
        "ptyrad_by_batch": {batch: round(seconds, 4) for batch, seconds in theirs.items()},
        "ffts": problem.ffts,
        "ptyrad_ffts": run["ffts"],
        "ptyrad_losses": [float(f"{loss:.4g}") for loss in run["losses"]],
        "ptyrad_shapes": [run["object_shape"], run["probe_shape"]],
        "peer_versions": {name: run[name] for name in ("ptyrad", "torch")},
        "peer_threads": run["torch_threads"],
    }


def parse() -> argparse.Namespace:
    """Read the command line."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    cache = Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache")
    parser.add_argument("--environment", type=Path, default=cache / "caviar_kit" / "peers" / PEER)
    parser.add_argument("--python", help="what to make it with, 3.12 or newer; found by itself if it can be")
    parser.add_argument("--modes", type=int, default=1)
    parser.add_argument("--threads", type=int, default=default_threads())
    parser.add_argument(
        "--batch", type=int, nargs="+", default=[8, 16, 32], help="patterns per step of PtyRAD"
    )
    parser.add_argument("--repeats", type=int, default=4, help="passes and iterations in each turn")
    parser.add_argument("--rounds", type=int, default=2)
    options = parser.parse_args()
    if min(options.modes, options.threads, *options.batch, options.repeats, options.rounds) < 1:
        parser.error("all numbers must be at least 1")
    return options


def main() -> int:
    """Measure and print; the exit status."""
    options = parse()
    try:
        python = environment(options.environment.expanduser().absolute(), options.python)
    except Unavailable as reason:
        print(f"skipped: {reason}")
        return 0
    problem = Problem(modes=options.modes)
    result = {
        "benchmark": "peers",
        "modes": options.modes,
        "threads": options.threads,
        **measure(python, problem, options),
    }
    print(json.dumps(result | machine("numpy", "pyFFTW", "numba")), flush=True)
    return 0


if __name__ == "__main__":
    sys.exit(main())
