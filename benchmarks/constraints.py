"""What each constraint of the object does to tracked displacements: one JSON line each.

    python -m benchmarks.constraints none atomicity atomicity=1e-3
    python -m benchmarks.constraints --specimen rest none atomicity
    python -m benchmarks.constraints --dose 1e6 none state-variance

Patterns of known states are computed with the kit's own model, so there is no error but the
one of the fit: silicon [110], 8 states, 2 slices, 121 positions, rigid columns that move like
those of a crystal ("md"), each on its own ("einstein") or not at all ("rest"). The fit starts
from thermal warps of the mean object and takes 60 iterations of L-BFGS. A name may be followed
by ``=weight`` (a soft constraint) or ``=value`` (a hard one: cutoff [1/Å] or beta).
"""

from __future__ import annotations

import argparse
import json
from dataclasses import dataclass
from typing import Any

import numpy as np

import caviar_kit as ck
from caviar_kit.multislice import (
    AmplitudeLoss,
    Evaluator,
    FitSettings,
    MultisliceModel,
    PoissonLoss,
    run,
)
from caviar_kit.multislice import penalties as soft
from caviar_kit.multislice import projections as hard
from caviar_kit.multislice.ensemble import thermal_states
from caviar_kit.multislice.operators import frequency_grid
from caviar_kit.physics import electron_wavelength
from tests.vibrations import structures as st

STATES, SLICES, GAP, PIXEL = 8, 2, 3.84, 0.2
WAVELENGTH = electron_wavelength(200e3)
SEMIANGLE, DEFOCUS, RADIUS = 30e-3, 100.0, 0.6


@dataclass(frozen=True)
class Problem:
    """Data, and the truth behind them."""

    evaluator: Evaluator
    probe: np.ndarray
    phases: np.ndarray  # (states, slices, y, x)
    at_rest: np.ndarray  # (1, slices, y, x)
    sampling: tuple[float, float]
    columns: np.ndarray  # in the scanned field, (atoms, 2) Å
    moved: np.ndarray  # (states, atoms, 2) Å


@dataclass(frozen=True)
class StateLowPass:
    """Where an infinite weight of `StateVariance` leads: only the mean has frequencies above the cutoff."""

    low_pass: hard.LowPass

    def forward(self, phases: np.ndarray) -> np.ndarray:
        mean = phases.mean(axis=0)
        return mean + self.low_pass.forward(phases - mean)

    adjoint = forward


def make_problem(specimen: str, dose: float) -> Problem:
    """Patterns of silicon [110], noise-free or with ``dose`` electrons each."""
    rng = np.random.default_rng(0)
    columns, cell = st.silicon_110(4, 5)
    together = st.covariance(columns, cell)
    covariance = {"md": together, "einstein": np.diag(np.diag(together)), "rest": 1e-30 * together}
    u = st.draw(covariance[specimen], STATES, rng)
    images, size = st.phase_images(columns + u, cell, PIXEL)
    still, _ = st.phase_images(columns[None], cell, PIXEL)
    phases, at_rest = (
        np.repeat(i[:, None] / SLICES, SLICES, axis=1).astype(np.float32) for i in (images, still)
    )
    grid = np.stack(np.meshgrid(np.arange(11), np.arange(11), indexing="ij"), axis=-1).reshape(-1, 2)
    positions = (cell / 2 + 0.55 * (grid - 5)) / size
    sampling = (float(size[0]), float(size[1]))
    model = MultisliceModel((64, 64), sampling, WAVELENGTH, (GAP,), positions, images.shape[1:])
    probe = make_probe((64, 64), sampling)
    empty = np.zeros((len(positions), 64, 64), np.float32)
    patterns = simulate(Evaluator(model, empty, AmplitudeLoss()), np.exp(1j * phases), probe)
    if dose:
        patterns = rng.poisson(patterns * dose).astype(np.float32) / np.float32(dose)
    loss = PoissonLoss() if dose else AmplitudeLoss()
    seen = (abs(columns - cell / 2) < 3.4).all(axis=1)
    evaluator, moved = Evaluator(model, patterns, loss), (columns + u)[:, seen]
    return Problem(evaluator, probe, phases, at_rest, sampling, columns[seen], moved)


def make_probe(window: tuple[int, int], sampling: tuple[float, float]) -> np.ndarray:
    """A defocused aperture, centred in its window, (1, y, x) complex64."""
    ky, kx = frequency_grid(window, sampling)
    k2 = ky**2 + kx**2
    spectrum = (WAVELENGTH**2 * k2 < SEMIANGLE**2) * np.exp(1j * np.pi * WAVELENGTH * DEFOCUS * k2)
    probe = np.fft.fftshift(np.fft.ifft2(spectrum))
    return (probe / np.linalg.norm(probe))[None].astype(np.complex64)


def simulate(evaluator: Evaluator, transmission: np.ndarray, probe: np.ndarray) -> np.ndarray:
    """Patterns of the given states."""
    return evaluator.intensities(transmission.astype(np.complex64), probe)


def make_constraint(name: str, value: float | None, problem: Problem) -> list[Any]:
    """Return the constraint called ``name`` with its usual value, or with ``value``; none for "none"."""
    shape, pixel = problem.phases.shape, problem.sampling
    wedge = hard.MissingWedge(shape[1:], pixel, GAP, value or 33.0)

    def atomicity(weight: float, target: Any = 0.0) -> Any:
        return soft.Atomicity(weight, problem.columns, pixel, RADIUS, target_angstrom2=target)

    make = {
        "none": lambda: [],
        "low-pass": lambda: [hard.LowPass(shape[2:], pixel, value or 2.0)],
        "state-low-pass": lambda: [StateLowPass(hard.LowPass(shape[2:], pixel, value or 1.5))],
        "wedge": lambda: [wedge],
        "identical-slices": lambda: [hard.IdenticalSlices()],
        "positivity": lambda: [soft.Positivity(value or 1e-2)],
        "total-variation": lambda: [soft.TotalVariation(value or 1e-6, 0.05, pixel)],
        "state-variance": lambda: [soft.StateVariance(value or 1e-3, 1.5, pixel)],
        "state-variance-all": lambda: [soft.StateVariance(value or 1e-3, 0.0, pixel)],
        "soft-wedge": lambda: [soft.Departure(value or 1e-3, hard.MissingWedge(shape[1:], pixel, GAP, 33.0))],
        "atomicity": lambda: [atomicity(value or 1e-5)],
        "atomicity-target": lambda: [atomicity(value or 1e-5, widths(problem, problem.at_rest))],
    }
    return make[name]()


def widths(problem: Problem, phases: np.ndarray) -> np.ndarray:
    """V of every column [Å²], the mean over the states."""
    return soft.Atomicity(0.0, problem.columns, problem.sampling, RADIUS).variances(phases).mean(axis=0)


def fit(problem: Problem, constraints: list[Any], iterations: int) -> tuple[np.ndarray, float]:
    """Phases and misfit of a fit from thermal warps of the mean object."""
    mean = problem.phases.mean(axis=0, keepdims=True)
    start = thermal_states(mean, STATES, problem.sampling, rms_angstrom=0.07, rng=np.random.default_rng(1))
    settings = FitSettings(
        num_states=STATES, one_state_iter=0, max_iter=iterations, state_gain=1.0, constraints=constraints
    )
    *_, last = run(problem.evaluator, problem.probe, settings, initial_object=np.exp(1j * start))
    return np.angle(last.object), problem.evaluator.loss(last.object, problem.probe)


def measure(problem: Problem, phases: np.ndarray) -> dict[str, float]:
    """Displacements of the columns of ``phases`` against the truth."""
    tracked = ck.track_atoms(phases.sum(axis=1), problem.columns, problem.sampling)
    u = ck.displacements(tracked)
    excess = (widths(problem, phases) - widths(problem, problem.phases)).mean()
    figures = {
        "rms_pm": 100 * float(np.sqrt(np.nanmean(u**2))),
        "excess_width_pm2": 1e4 * float(excess),
    }
    true = ck.displacements(problem.moved)
    if abs(true).max() > 1e-9:
        kept = ~np.isnan(u).any(axis=(0, 2))
        tensors = (ck.greens_tensor(v[:, kept]) for v in (true, u))
        similar = ck.compare_correlations(*tensors, problem.columns[kept])
        for shell in ("self", "nearest", "next"):
            figures[f"{shell}_csm"], figures[f"{shell}_lsm"] = similar[shell].csm, similar[shell].lsm
    return figures


def main() -> None:
    """Fit with each constraint and print."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("constraint", nargs="+", help="name or name=value")
    parser.add_argument("--specimen", choices=("md", "einstein", "rest"), default="md")
    parser.add_argument("--dose", type=float, default=0.0, help="electrons per pattern; 0: noise-free")
    parser.add_argument("--iterations", type=int, default=60)
    parser.add_argument("--apply-only", action="store_true", help="filter the true states, do not fit")
    options = parser.parse_args()
    problem = make_problem(options.specimen, options.dose)
    for request in options.constraint:
        name, _, value = request.partition("=")
        constraints = make_constraint(name, float(value) if value else None, problem)
        figures: dict[str, Any] = {"constraint": request, "specimen": options.specimen, "dose": options.dose}
        if options.apply_only:
            phases = hard.Chain(tuple(c for c in constraints if hasattr(c, "forward"))).forward(
                problem.phases
            )
        else:
            phases, figures["misfit"] = fit(problem, constraints, options.iterations)
            penalties = [c for c in constraints if hasattr(c, "value_and_gradient")]
            figures["penalty"], _ = soft.total_penalty(penalties, phases)
        figures |= measure(problem, phases)
        print(
            json.dumps({k: float(f"{v:.4g}") if type(v) is float else v for k, v in figures.items()}),
            flush=True,
        )


if __name__ == "__main__":
    main()
