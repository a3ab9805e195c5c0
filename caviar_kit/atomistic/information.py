"""Fisher information of counted patterns on the correlations of displacements.

The mean pattern over displacements u ~ (0, G) has ∂I/∂G_ab = ½ ∂_a∂_b I for a = b, and ∂_a∂_b I for a pair
a ≠ b, which stands for G_ab and G_ba. With N electrons per pattern and Poisson counts,

    F_mn = N Σ_patterns Σ_pixels ∂_m I ∂_n I / (I + ε).
"""

from __future__ import annotations

from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass

import numpy as np
from scipy.spatial import KDTree

from caviar_kit import validation
from caviar_kit.atomistic.atomic_object import Atoms
from caviar_kit.atomistic.errors import CorrelationErrors
from caviar_kit.atomistic.site_phases import site_phases
from caviar_kit.atomistic.sites import Sites
from caviar_kit.atomistic.tangents import PatternDerivatives, Tangents
from caviar_kit.backend import default_threads
from caviar_kit.multislice.instrument import Instrument
from caviar_kit.multislice.model import MultisliceModel

__all__ = ["MeasuredScene", "correlation_information", "fisher_matrix"]

_UNLIT = 0.02  # of the most light that a pattern throws on a site; for two sites, of the product
_PRIOR_POSITION = 0.3  # Å
_PRIOR_STRENGTH = 0.3  # of the atoms of a site
_PRIOR_WIDTH = 0.01  # Å²


@dataclass(frozen=True, eq=False)
class MeasuredScene:
    """Atoms that move, and the experiment that looks at them.

    Attributes
    ----------
    model : MultisliceModel
        Geometry; without a band limit.
    probe : (modes, y, x) complex
        Σ|probe|² = 1, centred in the window.
    instrument : Instrument
        Positions, tilts, thicknesses, beam, background.
    sites : Sites
        What moves on its own.
    form_factors : callable
        From q² [1/Å²] to the phase of one atom [rad Å²], (species, *q².shape).
    atoms : Atoms
        Mean places (over the states), occupancies, scales and widths.
    greens_tensor : (sites, 2, sites, 2)
        Displacement correlations to expect [Å²]; NaN counts as 0.
    measured : bool (y, x)
        Pixels of the detector, FFT order.
    """

    model: MultisliceModel
    probe: np.ndarray
    instrument: Instrument
    sites: Sites
    form_factors: Callable[[np.ndarray], np.ndarray]
    atoms: Atoms
    greens_tensor: np.ndarray
    measured: np.ndarray

    def __post_init__(self) -> None:
        count = len(self.sites)
        shape = np.shape(self.greens_tensor)
        if shape != (count, 2, count, 2):
            raise ValueError(f"greens_tensor must have shape ({count}, 2, {count}, 2), got {shape}")
        own = np.einsum("iaia->ia", np.asarray(self.greens_tensor, float))
        if not (own >= 0).all():
            raise ValueError("greens_tensor must have variances of at least 0")
        if not np.any(self.measured):
            raise ValueError("measured must have pixels that are True, got none")

    @property
    def places(self) -> np.ndarray:
        """Mean positions (sites, 2) [Å]."""
        return np.asarray(self.atoms.positions.mean(axis=0))

    def tangents(self, dtype: np.dtype) -> Tangents:
        """Its patterns and their derivatives; the phase of each site is blurred by its own motion."""
        sites, model = np.arange(len(self.sites)), self.model
        blurs = np.nan_to_num(self.greens_tensor)[sites, :, sites, :]
        phases = site_phases(
            self.sites, self.atoms, blurs, self.form_factors, model.object_shape, model.sampling, dtype
        )
        return Tangents(model, self.probe, self.instrument, phases, self.measured)


def correlation_information(
    scene: MeasuredScene,
    electrons_per_pattern: float,
    *,
    reach_angstrom: float = 4.0,
    every: int = 1,
    prior_pm2: float = 100.0,
    epsilon: float = 1e-9,
    threads: int | None = None,
) -> CorrelationErrors:
    """Errors to expect of the correlations between neighbours, from counting statistics alone.

    Unknown besides are the mean positions, the atoms of every site and a width for each element.
    Gaussian priors keep the matrix regular where a scan says nothing: ``prior_pm2`` on each element of G,
    0.3 Å on positions, 30 % on the atoms of a site, 0.01 Å² on widths.

    Parameters
    ----------
    scene : MeasuredScene
        What is measured, and how.
    electrons_per_pattern : float
        Dose N.
    reach_angstrom : float
        Correlations between sites farther apart are taken as known [Å].
    every : int
        Use one pattern of every n, chosen at random, and count it n times: faster, and good enough for a
        dense scan.
    prior_pm2 : float
        Standard deviation of the prior on an element of G [pm²]; (10 pm)² = 100 pm² is weak.
    epsilon : float
        Background per pixel, as a fraction of the beam, ε of :class:`caviar_kit.multislice.PoissonLoss`.
    threads : int, optional
        CPU threads over positions.

    Returns
    -------
    CorrelationErrors

    Raises
    ------
    TypeError, ValueError
        If an argument is not usable, or the patterns feel no site.
    """
    electrons = validation.number(
        "electrons_per_pattern", electrons_per_pattern, minimum=0, open_minimum=True
    )
    prior = 1e-4 * validation.number("prior_pm2", prior_pm2, minimum=0, open_minimum=True, unit="pm²")
    matrix, pairs, lit = fisher_matrix(
        scene, reach_angstrom=reach_angstrom, every=every, epsilon=epsilon, threads=threads
    )
    priors = np.repeat(
        [prior, _PRIOR_POSITION, _PRIOR_STRENGTH, _PRIOR_WIDTH],
        [len(pairs), 2 * len(lit), len(lit), len(scene.sites.species)],
    )
    values, vectors = np.linalg.eigh(priors[:, None] * matrix * priors)
    modes = (priors[:, None] * vectors)[: len(pairs)]
    places = scene.places
    elements = 2 * lit[pairs // 2] + pairs % 2
    information = np.maximum(values, 0)
    return CorrelationErrors(
        places, elements, modes, information, electrons, float(reach_angstrom), scene.greens_tensor
    )


def fisher_matrix(
    scene: MeasuredScene,
    *,
    reach_angstrom: float = 4.0,
    every: int = 1,
    epsilon: float = 1e-9,
    threads: int | None = None,
    dtype: np.dtype | type = np.float32,
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Fisher information of one electron per pattern, without priors.

    Parameters as for :func:`correlation_information`, and

    Parameters
    ----------
    dtype : real dtype
        Precision of the waves; sums are in double precision.

    Returns
    -------
    matrix : float64 (unknowns, unknowns)
        Elements of G [1/Å⁴], then positions y, x of each lit site, strengths of each, widths of each element.
    pairs : int (elements, 2)
        Coordinates a ≤ b of each element of G: 2 · (index into ``lit``) + axis.
    lit : int (sites,)
        Sites that some pattern lights: the others have no unknowns.

    Raises
    ------
    TypeError, ValueError
        If an argument is not usable, or the patterns feel no site.
    """
    reach = validation.number("reach_angstrom", reach_angstrom, minimum=0, unit="Å")
    every = validation.integer("every", every, maximum=len(scene.model.positions))
    floor = validation.number("epsilon", epsilon, minimum=0, open_minimum=True)
    threads = default_threads() if threads is None else validation.integer("threads", threads)
    tangents = scene.tangents(np.dtype(dtype))
    positions = _one_of(len(scene.model.positions), every)
    light = np.array([tangents.light(position) for position in positions])
    if not light.max() > 0:
        raise ValueError("sites must be lit by the scan, got none that changes a pattern: check positions")
    relative = light / light.max(axis=1, keepdims=True)
    lit = np.flatnonzero((relative > _UNLIT).any(axis=0))
    pairs = _pairs_within(scene.places[lit], reach)
    sums = _Sums(scene, tangents, lit, pairs, floor)
    with ThreadPoolExecutor(threads) as pool:
        parts = pool.map(
            lambda block: sums.of(positions[block], relative[block][:, lit]),
            np.array_split(np.arange(len(positions)), threads),
        )
        matrix = np.sum(list(parts), axis=0)
    return matrix * (len(scene.model.positions) / len(positions)), pairs, lit


def _one_of(count: int, every: int) -> np.ndarray:
    """One index of every run of ``every``, at random: a fixed stride may leave out columns of a scan."""
    first = np.arange(0, count, every)
    steps = np.random.default_rng(0).integers(np.minimum(every, count - first))
    return np.asarray(first + steps)


class _Sums:
    """Information of one pattern after the other, added up."""

    def __init__(
        self, scene: MeasuredScene, tangents: Tangents, lit: np.ndarray, pairs: np.ndarray, floor: float
    ) -> None:
        self._tangents, self._lit, self._pairs, self._floor = tangents, lit, pairs, floor
        self._own = pairs[:, 0] // 2 == pairs[:, 1] // 2
        self._share = np.where(pairs[:, 0] == pairs[:, 1], 0.5, 1.0)
        coordinates = 2 * lit[pairs // 2] + pairs % 2
        flat = np.nan_to_num(scene.greens_tensor).reshape(2 * len(scene.sites), -1)
        self._expected = flat[coordinates[:, 0], coordinates[:, 1]]
        self._kinds, self._species = scene.sites.kinds[lit], len(scene.sites.species)
        self._size = len(pairs) + 3 * len(lit) + self._species

    def of(self, positions: np.ndarray, relative: np.ndarray) -> np.ndarray:
        """Of some patterns; ``relative`` is the light (positions, lit sites) they throw on sites."""
        total = np.zeros((self._size, self._size))
        for position, light in zip(positions, relative, strict=True):
            felt = np.flatnonzero(light > _UNLIT)
            of_site = self._pairs // 2
            strength = np.where(self._own, light[of_site[:, 0]], light[of_site].prod(axis=1))
            asked = np.flatnonzero((strength > _UNLIT) & (light[of_site] > _UNLIT).all(axis=1))
            local = 2 * np.searchsorted(felt, of_site[asked]) + self._pairs[asked] % 2
            found = self._tangents.at(position, self._lit[felt], local)
            jacobian, mean = self._jacobian(found, felt, asked)
            jacobian /= np.sqrt(np.maximum(mean, 0) + self._floor)
            rows = self._rows(felt, asked)
            total[np.ix_(rows, rows)] += jacobian @ jacobian.T
        return total

    def _rows(self, felt: np.ndarray, asked: np.ndarray) -> np.ndarray:
        """Where the unknowns that a pattern depends on stand in the matrix."""
        elements, sites = len(self._pairs), len(self._lit)
        places = elements + (2 * felt[:, None] + [0, 1]).ravel()
        widths = elements + 3 * sites + np.arange(self._species)
        return np.concatenate([asked, places, elements + 2 * sites + felt, widths])

    def _jacobian(
        self, found: PatternDerivatives, felt: np.ndarray, asked: np.ndarray
    ) -> tuple[np.ndarray, np.ndarray]:
        """Derivatives (unknowns, pixels) in the order of ``_rows``, and the mean pattern over the motion."""
        share = self._share[asked, None].astype(found.bent.dtype)
        expected = self._expected[asked].astype(found.bent.dtype)
        by_element = found.bent * share
        mean = found.intensity + expected @ by_element  # the blur of the phases has done the rest
        own = np.flatnonzero(self._own[asked])
        a, b = self._pairs[asked[own]].T
        site = np.searchsorted(felt, a // 2)
        by_element[own] += found.curved[site, a % 2 + b % 2] * share[own]
        blurred = 0.5 * (found.curved[:, 0] + found.curved[:, 2])
        widths = np.zeros((self._species, blurred.shape[1]), blurred.dtype)
        np.add.at(widths, self._kinds[felt], blurred)
        places = found.places.reshape(-1, blurred.shape[1])
        return np.concatenate([by_element, places, found.strengths, widths]), mean


def _pairs_within(places: np.ndarray, reach: float) -> np.ndarray:
    """Coordinates a ≤ b of sites not farther apart than ``reach``, (elements, 2)."""
    near = KDTree(places).query_pairs(reach, output_type="ndarray") if reach > 0 else np.empty((0, 2), int)
    near = near[np.lexsort(near.T[::-1])]
    own = 2 * np.arange(len(places))[:, None, None] + np.array([[0, 0], [0, 1], [1, 1]])
    axes = np.array([[0, 0], [0, 1], [1, 0], [1, 1]])
    return np.concatenate([own.reshape(-1, 2), (2 * near[:, None, :] + axes).reshape(-1, 2)])
