"""Is the planner right? Counts drawn from its own model are fitted, and errors compared with the prediction.

A parametric bootstrap: patterns of a known ensemble of columns get Poisson noise and are fitted, and what
the correlations of the fit deviate from the truth is held against the errors predicted::

    python benchmarks/planner_check.py --electrons 1e6 --draws 4 --iterations 20 40 80 --start white

One JSON line for each number of iterations. "free" is the standard error of elements on their own,
"states" what is left of it in a fit of states, which keeps G positive. A fit that starts at the truth and
stops early has moved less than the noise would move it; "white" starts from independent motion instead.
"""

from __future__ import annotations

import argparse
import json
import time
import warnings
from collections.abc import Iterator
from dataclasses import replace
from typing import Any

import numpy as np

import caviar_kit as ck
from caviar_kit.atomistic import (
    AtomicObject,
    AtomisticSettings,
    MeasuredScene,
    correlation_information,
    planned_scene,
    run_atomistic,
)
from caviar_kit.multislice import Evaluator, PoissonLoss
from caviar_kit.simulation import Experiment, silicon_sigma9_snapshots
from caviar_kit.vibrations.shells import neighbour_shells


def experiment(defocus: float, positions: int) -> Experiment:
    """A small scan of the boundary, with the tutorial's optics."""
    return Experiment(
        energy_ev=200e3,
        semiangle_mrad=30,
        defocus_angstrom=defocus,
        scan_step_angstrom=0.62,
        scan_shape=(positions, positions),
        centre_angstrom=(32.59, 18.03),
        window_angstrom=14,
        grid_points=126,
        detector_pixels=50,
    )


def known_states(scene: MeasuredScene, states: int) -> np.ndarray:
    """Displacements (states, sites, 2) with the leading motions of the scene's tensor, and no mean."""
    size = 2 * len(scene.sites)
    values, vectors = np.linalg.eigh(scene.greens_tensor.reshape(size, size))
    values, vectors = values[::-1][: states - 1], vectors[:, ::-1][:, : states - 1]
    mixing = np.random.default_rng(0).normal(size=(states, states))
    mixing[:, 0] = 1
    mixing = np.linalg.qr(mixing)[0][:, 1:]  # orthonormal, without a mean
    moved = np.sqrt(states) * (mixing * np.sqrt(np.maximum(values, 0))) @ vectors.T
    return moved.reshape(states, -1, 2)


def patterns_of(scene: MeasuredScene) -> np.ndarray:
    """Noise-free patterns of the states in ``scene.atoms``."""
    model = scene.model
    blank = np.ones((len(model.positions), *model.window), np.float32)
    evaluator = Evaluator(model, blank, PoissonLoss())
    atomic = AtomicObject(scene.sites, scene.form_factors, model.object_shape, model.sampling)
    transmission = np.exp(1j * atomic.phases(scene.atoms)).astype(np.complex64)
    return evaluator.intensities(transmission, scene.probe, instrument=scene.instrument)


def fits(
    scene: MeasuredScene, counts: np.ndarray, iterations: list[int], start: str
) -> Iterator[tuple[int, np.ndarray]]:
    """Tensors of the fit after some numbers of iterations."""
    evaluator = Evaluator(scene.model, counts, PoissonLoss(), weights=scene.measured.astype(np.float32))
    states = len(scene.atoms.positions)
    settings = AtomisticSettings(num_states=states, max_iter=max(iterations))
    still = replace(scene.sites, positions=scene.places)
    for snapshot in run_atomistic(
        evaluator,
        scene.probe,
        still,
        scene.form_factors,
        settings,
        occupancies=scene.atoms.occupancies,
        refine_occupancies=True,
        start=scene.atoms if start == "truth" else None,
    ):
        if snapshot.iteration in iterations:
            moved = ck.displacements(snapshot.scene.atoms.positions)
            yield snapshot.iteration, ck.greens_tensor(moved)


class Prediction:
    """What the planner expects in the field, to be held against tensors of fits."""

    def __init__(self, scene: MeasuredScene, field: np.ndarray, electrons: float, states: int) -> None:
        self._places, self._true = scene.places[field], scene.greens_tensor[field][:, :, field]
        planned = correlation_information(scene, electrons)
        self._deviation = planned.standard_error[field][:, :, field]
        self._drawn = planned.draw_tensors(self._true, self._places, states=states)
        self._shells = neighbour_shells(self._places)

    def against(self, found: list[np.ndarray]) -> dict[str, Any]:
        """Errors of fits and of both predictions, root mean squares over draws and elements, by shell."""
        return {shell: self._of_shell(shell, found) for shell in ("self", "nearest", "next")}

    def _of_shell(self, shell: str, found: list[np.ndarray]) -> dict[str, float]:
        free = self._rms(self._deviation, shell)
        states = self._rms(self._drawn - self._true, shell)
        error = self._rms(np.stack(found) - self._true, shell)
        return {
            "correlation_pm2": self._rms(self._true, shell),
            "predicted_free_pm2": free,
            "predicted_states_pm2": states,
            "error_pm2": error,
            "error_over_free": error / free,
            "error_over_states": error / states,
            "csm": self._csm(found, shell),
            "csm_predicted": self._csm(self._drawn, shell),
        }

    def _rms(self, tensors: np.ndarray, shell: str) -> float:
        pairs = np.moveaxis(tensors, -3, -2)[..., self._shells.mask(shell), :, :]  # (..., i, j, y, x)
        return 1e4 * float(np.sqrt((pairs**2).mean()))

    def _csm(self, tensors: Any, shell: str) -> float:
        compared = [ck.compare_correlations(self._true, np.nan_to_num(t), self._places) for t in tensors]
        return float(np.mean([c[shell].csm for c in compared]))


def main() -> None:
    """Predict, draw, fit, compare."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--defocus", type=float, default=100.0, help="[Å]")
    parser.add_argument("--electrons", type=float, default=1e7, help="per pattern")
    parser.add_argument("--positions", type=int, default=8, help="along each side of the scan")
    parser.add_argument("--states", type=int, default=20)
    parser.add_argument("--draws", type=int, default=6)
    parser.add_argument("--start", choices=("truth", "white"), default="truth")
    parser.add_argument("--iterations", type=int, nargs="+", default=[40])
    options = parser.parse_args()
    warnings.simplefilter("ignore")
    scene = planned_scene(silicon_sigma9_snapshots(), experiment(options.defocus, options.positions))
    moved = known_states(scene, options.states)
    true = ck.greens_tensor(moved)
    scene = replace(scene, atoms=replace(scene.atoms, positions=scene.places + moved), greens_tensor=true)
    scan = scene.model.positions * np.array(scene.model.sampling)
    field = ((scene.places >= scan.min(axis=0)) & (scene.places <= scan.max(axis=0))).all(axis=1)
    predicted = Prediction(scene, field, options.electrons, options.states)
    exact, rng = patterns_of(scene), np.random.default_rng(1)
    found: dict[int, list[np.ndarray]] = {n: [] for n in options.iterations}
    begin = time.perf_counter()
    for draw in range(1, options.draws + 1):
        counts = rng.poisson(options.electrons * exact.astype(float)) / options.electrons
        for iteration, tensor in fits(scene, counts.astype(np.float32), options.iterations, options.start):
            found[iteration].append(tensor[field][:, :, field])
            line = {**vars(options), "iterations": iteration, "draws": draw}
            line["seconds"] = round(time.perf_counter() - begin, 1)
            print(json.dumps(line | predicted.against(found[iteration])), flush=True)


if __name__ == "__main__":
    main()
