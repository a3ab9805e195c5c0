"""Whether a bootstrap of an atomistic fit may begin where the fit ended: JSON lines.

Six columns and four states, counted patterns. The scatter of G over fits to independent counts, each with a
start of its own, is the truth that bootstraps of one such fit are held against::

    python -m benchmarks.atomistic_bootstrap --electrons 1e6 --iterations 40 --repeats 6
"""

from __future__ import annotations

import argparse
import json

import numpy as np

import caviar_kit as ck
from caviar_kit.atomistic import bootstrap_correlations
from tests.atomistic.small_crystal import assumed_fit, finished, patterns_of, shared_motion


def main() -> None:
    """Fit, repeat, print."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--electrons", type=float, default=1e6)
    parser.add_argument("--iterations", type=int, default=40)
    parser.add_argument("--repeats", type=int, default=6)
    options = parser.parse_args()
    electrons, settings = options.electrons, {"loss": "poisson", "max_iter": options.iterations}
    motion = shared_motion(sway=0.08, own=0.05)
    truth, patterns = ck.greens_tensor(motion), patterns_of(assumed_fit(**settings), motion)
    own = float(np.einsum("iaia->ia", truth).mean())
    fits = []
    for number in range(options.repeats):
        counted = np.random.default_rng(100 + number).poisson(patterns * electrons) / electrons
        fits.append(finished(assumed_fit(**settings, seed=number), counted))
    tensors = np.array([fit.result.greens_tensor for fit in fits])
    print(json.dumps({"start": "independent counts", **figures(tensors - truth, own)}), flush=True)
    for warm in (False, True):
        found = bootstrap_correlations(fits[0], electrons, repeats=options.repeats, warm=warm, seed=9)
        line = {"start": "warm" if warm else "fresh", **figures(found.draws - found.greens_tensor, own)}
        line["error_fit"] = round(float(np.sqrt(((found.greens_tensor - truth) ** 2).mean())) / own, 3)
        print(json.dumps(line), flush=True)


def figures(errors: np.ndarray, own: float) -> dict[str, float]:
    """Bias and scatter of self terms and of pairs, xx and yy, in units of the mean self term."""
    blocks = np.einsum("niaja->nija", errors) / own
    self_terms = np.eye(blocks.shape[1], dtype=bool)
    found = {}
    for name, chosen in (("self", self_terms), ("pairs", ~self_terms)):
        values = blocks[:, chosen]
        found[f"bias_{name}"] = round(float(values.mean()), 3)
        found[f"scatter_{name}"] = round(float(np.sqrt(values.var(axis=0, ddof=1).mean())), 3)
    return found


if __name__ == "__main__":
    main()
