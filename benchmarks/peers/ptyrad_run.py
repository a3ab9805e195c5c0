"""Run PtyRAD's own solver on a parameter file and print one JSON line; needs PtyRAD, not caviar_kit.

``python ptyrad_run.py params.json --threads 2 --window 64``: seconds of each iteration as PtyRAD takes them,
and the two-dimensional Fourier transforms of the first one, which is not counted among the seconds.
"""

from __future__ import annotations

import argparse
import contextlib
import io
import json
import logging
import math
import os
from typing import Any


def main() -> None:
    """Reconstruct in silence, then print."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("params")
    parser.add_argument("--threads", type=int, required=True)
    parser.add_argument("--window", type=int, required=True)
    options = parser.parse_args()
    os.environ["OMP_NUM_THREADS"] = str(options.threads)  # read when PyTorch is imported
    silence = io.StringIO()
    with contextlib.redirect_stdout(silence), contextlib.redirect_stderr(silence):
        result = reconstruct(options.params, options.threads, options.window**2)
    print(json.dumps(result))


def reconstruct(path: str, threads: int, pixels: int) -> dict[str, Any]:
    """What PtyRAD says of its iterations."""
    import torch
    from ptyrad import __version__
    from ptyrad.params import load_params
    from ptyrad.solver import PtyRADSolver

    torch.set_num_threads(threads)
    logging.disable(logging.CRITICAL)
    params = load_params(path)
    for constraint in params["constraint_params"].values():  # forward, backward and Adam's step alone
        constraint["start_iter"] = None
    ffts = count_first_iteration(pixels)
    solver = PtyRADSolver(params, device="cpu", seed=0)
    solver.run()
    model = solver.reconstruct_results
    return {
        "ptyrad": __version__,
        "torch": torch.__version__,
        "torch_threads": torch.get_num_threads(),
        "iteration_seconds": model.iter_times[1:],
        "losses": [float(loss) for _, loss in model.loss_iters],
        "ffts": ffts[0],
        "object_shape": list(model.opt_objp.shape),
        "probe_shape": list(model.opt_probe.shape)[:3],
    }


def count_first_iteration(pixels: int) -> list[int]:
    """A list that receives the number of transforms of the first iteration, backward ones included."""
    import torch
    from ptyrad.solver import reconstruction
    from torch.utils._python_dispatch import TorchDispatchMode

    class Counter(TorchDispatchMode):
        ffts = 0

        def __torch_dispatch__(self, function: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
            result = function(*args, **(kwargs or {}))
            if function is torch.ops.aten._fft_c2c.default:
                self.ffts += math.prod(result.shape) // pixels
            return result

    step, counts = reconstruction.recon_step, []

    def first_counted(*args: Any, **kwargs: Any) -> Any:
        if counts:
            return step(*args, **kwargs)
        with Counter() as counter:
            result = step(*args, **kwargs)
        counts.append(counter.ffts)
        return result

    reconstruction.recon_step = first_counted
    return counts


if __name__ == "__main__":
    main()
