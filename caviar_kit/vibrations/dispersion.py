"""Phonon dispersion from the displacements of a patch of crystal, with intervals.

The paper's way (eq. 5 and 6 of arXiv:2309.12017) sums plane waves over the patch and inverts G(q) at each q
on its own. ``method="direct"`` does that. It has two faults.

*Few states.* N states of L cells give N samples of a matrix with one row per mode. The eigenvalues of a
sample covariance spread: for four modes of equal frequency 1, ten states show 0.77, 1.00, 1.35 and 2.08. All
cells enter each q, but through one number each: more cells do not help.

*A patch is not periodic.* The plane-wave sum has leakage: q mixes with its neighbours, and the acoustic
vibrations, whose G grows as 1/q², leak into all others. Averaging u u' over equivalent pairs and transforming
instead needs a window to stay positive, which blurs as much.

``method="likelihood"`` turns the question round: which crystal makes these displacements most likely? The
dynamical matrix is a short Fourier series (`caviar_kit.vibrations.force_model`), so a few force constants
describe all q and are fitted to all data at once: neighbouring q are pooled by the short range, equivalent
cells by the model itself, and equivalent directions if ``symmetry`` is on. What the fit compares with the
data is the covariance of the very atoms seen (`caviar_kit.vibrations.likelihood`): irregular rims, holes and
missing slices cost data but make no bias.

*Rigid shift.* Some reconstructions shift as a whole from state to state, and many users subtract the mean
displacement of each state. That lowers all of G by about the variance of the patch's mean displacement: 1/L
of the self terms if L cells moved independently, much more for acoustic vibrations, whose long waves shift
the patch as a whole. Here the mean over atoms is projected out of the data and, exactly, out of the model;
nothing is lost but the shift itself, about which a crystal says nothing: it costs no force.

*Near Γ.* Waves longer than the patch are not seen. Acoustic branches start at 0 by the sum rule and are
continued from shorter waves; these points are flagged "unresolved".

*Few states, again.* What bias remains, some percent where eq. 6 has some ten, is measured and removed
(`caviar_kit.vibrations.bands`). Both values are reported.

*Slices* of one state see the same phonons, so they are samples, but not independent ones. Their likelihoods
are added, which makes no bias; intervals come from the scatter between states.

*Range.* Forces beyond ``reach`` are taken as none. Those of boron nitride reach further than the default:
left out, they bias a path mean by up to 3 %, which ten states hide and hundreds show. ``reach="auto"`` takes
more shells as the data allow (`caviar_kit.vibrations.force_range`). For G of a slab's slices the effective
dynamical matrix, k_B T G⁻¹ in the plane, has a somewhat longer range than that of one layer.
"""

from __future__ import annotations

import warnings
from collections.abc import Mapping

import numpy as np
from numpy.typing import ArrayLike

from caviar_kit import validation
from caviar_kit.vibrations.bands import Bands, fitted_bands
from caviar_kit.vibrations.brillouin import BrillouinPath, brillouin_path
from caviar_kit.vibrations.crystal_model import crystal_model, no_model
from caviar_kit.vibrations.direct_bands import direct_bands
from caviar_kit.vibrations.dispersion_result import PhononDispersion
from caviar_kit.vibrations.dynamical_matrix import fourier_displacements, site_masses
from caviar_kit.vibrations.force_fit import fit_force_constants, leave_out_groups
from caviar_kit.vibrations.force_range import fit_of_best_reach
from caviar_kit.vibrations.lattice import Lattice
from caviar_kit.vibrations.likelihood import likelihood_of
from caviar_kit.vibrations.occupation import temperature
from caviar_kit.vibrations.patch import patches_of
from caviar_kit.vibrations.patch_input import patch_displacements
from caviar_kit.vibrations.polarisation import branch_names, longitudinal_share, nearest_equivalent

__all__ = ["phonon_dispersion"]

METHODS = ("likelihood", "direct")
_UNSETTLED = (
    "the most likely crystal lies at the edge of stability, or the fit has not converged; "
    "try a shorter reach or symmetry=True"
)


def phonon_dispersion(
    u: ArrayLike,
    lattice: Lattice,
    masses: float | ArrayLike,
    temperature_k: float,
    path: str | ArrayLike = "GKMG",
    statistics: str = "quantum",
    *,
    method: str = "likelihood",
    symmetry: bool = True,
    reach: float | str | None = None,
    points: int = 91,
    special_points: Mapping[str, ArrayLike] | None = None,
    draws: int = 200,
    seed: int = 0,
) -> PhononDispersion:
    """In-plane phonon frequencies along a path, from displacements of a patch of crystal.

    Parameters
    ----------
    u : array, (states, atoms, 2) or (states, slices, atoms, 2), Å
        From `caviar_kit.displacements`. NaN marks what is missing; at least 3 states.
    lattice : Lattice
        From `caviar_kit.fit_lattice`, for the same atoms.
    masses : float or array (sites,), u
        One mean mass, or one per site of the basis.
    temperature_k : float, K
    path : str or array (points, 2)
        Special points, or wave vectors [rad/Å]; see `brillouin_path`.
    statistics : {"quantum", "classical"}
        How the vibrations are occupied: "quantum" for measurements and path-integral or Bose–Einstein
        snapshots, "classical" for classical molecular dynamics and the paper's own numbers.
    method : {"likelihood", "direct"}
        See the module; "direct" is eq. 6 as printed, biased with few states.
    symmetry : bool
        Hold force constants equal that a rotation or mirror of lattice and basis makes equal; see
        `lattice_operations`. Sites of equal mass count as alike; with one mean mass no two sites do. For
        "likelihood" only.
    reach : float or "auto", optional, Å
        Longest bond with a force constant; by default three shells of a honeycomb, see
        `caviar_kit.vibrations.force_model.default_reach`. "auto": further shells, as long as they predict
        left-out states better; takes several times longer. For "likelihood" only.
    points : int
        About how many along the path.
    special_points : mapping of name to (2,), optional
        Points of your own, as fractions of the reciprocal vectors.
    draws : int
        Bootstrap draws.
    seed : int
        Of the bootstrap.

    Returns
    -------
    PhononDispersion

    Raises
    ------
    TypeError, ValueError
        If an argument cannot be used, displacements and lattice disagree, nothing moves, or there are too few
        data for the force constants (the message says how many).

    Warns
    -----
    UserWarning
        If the fit has not converged, as happens when the data ask for an unstable crystal.
    """
    frames = patch_displacements(u, lattice)
    mass = site_masses(masses, len(lattice.basis))
    kelvin = temperature(temperature_k, statistics)
    validation.choice("method", method, METHODS)
    if not isinstance(symmetry, (bool, np.bool_)):
        raise TypeError(f"symmetry must be True or False, got {symmetry!r}")
    validation.integer("draws", draws, minimum=20)
    rng = np.random.default_rng(validation.integer("seed", seed, minimum=0))
    way = brillouin_path(lattice.vectors, path, points=points, special_points=special_points)
    model = no_model(mass)
    if method == "direct":
        fourier = fourier_displacements(frames, lattice, way.q)
        bands = direct_bands(fourier, mass, kelvin, statistics, way.weights, draws, rng)
    else:
        patches = patches_of(frames, lattice)
        kinds = mass if np.ndim(masses) else np.arange(len(mass))
        crystal = (patches, lattice, mass, kinds if symmetry else None)
        if isinstance(reach, str):
            validation.choice("reach", reach, ("auto",))
            model, fit = fit_of_best_reach(*crystal, len(frames), kelvin, statistics)
        else:
            model = crystal_model(*crystal, reach, len(frames))
            likelihood = likelihood_of(patches, model.forces, kelvin, statistics)
            fit = fit_force_constants(likelihood, leave_out_groups(len(frames)))
        if not fit.converged:
            warnings.warn(_UNSETTLED, UserWarning, stacklevel=2)
        matrices = model.forces.matrices(way.fractions)
        bands = fitted_bands(fit, matrices, way.weights, len(frames), draws, rng)
    used = (lattice.sites >= 0) & ~np.isnan(frames).any(axis=(0, 3)).all(axis=0)
    share = longitudinal_share(bands.vectors, way.q, 2 * np.pi * np.linalg.inv(lattice.vectors).T)
    return PhononDispersion(
        q=way.q,
        fractions=way.fractions,
        distance=way.distance,
        labels=way.labels,
        frequencies_thz=bands.corrected,
        uncorrected_thz=bands.uncorrected,
        band_interval_thz=bands.interval,
        path_mean_thz=_mean(way, bands.corrected),
        uncorrected_path_mean_thz=_mean(way, bands.uncorrected),
        interval_thz=bands.mean_interval,
        flags=_flags(bands, way, lattice, used, method),
        branches=branch_names(share),
        longitudinal=share,
        statistics=statistics,
        method=method,
        states=len(frames),
        cells=len(np.unique(lattice.cells[used], axis=0)),
        parameters=model.forces.parameters,
        operations=model.operations,
        reach_angstrom=model.reach_angstrom,
    )


def _mean(way: BrillouinPath, frequencies: np.ndarray) -> np.ndarray:
    counted = way.weights > 0  # an infinite frequency of no weight would make NaN
    return way.weights[counted] @ frequencies[counted]


def _flags(bands: Bands, way: BrillouinPath, lattice: Lattice, used: np.ndarray, method: str) -> np.ndarray:
    flags = np.full(bands.corrected.shape, "", dtype="<U12")
    positions = lattice.cells[used] @ lattice.vectors + lattice.basis[lattice.sites[used]]
    width = np.linalg.norm(positions[:, None] - positions, axis=-1).max()
    reciprocal = 2 * np.pi * np.linalg.inv(lattice.vectors).T
    length = np.linalg.norm(nearest_equivalent(way.q, reciprocal), axis=1)
    flags[length < 2 * np.pi / width, :2] = "unresolved"
    if method == "likelihood":
        flags[length < 1e-6, :2] = "sum rule"
    flags[bands.unstable] = "unstable"
    narrow = np.ptp(lattice.cells[used], axis=0) == 0
    across = np.abs(way.fractions - np.round(way.fractions)) > 1e-9
    flags[np.isinf(bands.corrected) | (across & narrow).any(axis=1)[:, None]] = "undetermined"
    return flags
