"""From a pixel-wise reconstruction to atoms that move: the second stage of a fit."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from functools import partial
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import ArrayLike

from caviar_kit import validation
from caviar_kit.atomistic.atomic_object import Atoms
from caviar_kit.atomistic.counting import count_atoms
from caviar_kit.atomistic.fit import AtomisticSnapshot, run_atomistic
from caviar_kit.atomistic.result import AtomisticResult
from caviar_kit.atomistic.scattering import phase_form_factors
from caviar_kit.atomistic.settings import AtomisticSettings
from caviar_kit.atomistic.sites import Sites
from caviar_kit.multislice.model import MultisliceModel
from caviar_kit.progress import run_to_the_end
from caviar_kit.vibrations.phase import projected_phase

if TYPE_CHECKING:
    from caviar_kit.ptychography import MixedObjectMultislicePtychography

__all__ = ["AtomisticFit", "refine_atomistic"]

_MARGIN_ANGSTROM = 1.0  # outside the object, which is periodic


def refine_atomistic(
    ptychography: MixedObjectMultislicePtychography,
    positions: ArrayLike,
    species: str | Sequence[str],
    *,
    slices: ArrayLike | None = None,
    occupancies: ArrayLike | None = None,
    rigid: bool = True,
    loss: str = "amplitude",
    progress_bar: bool = True,
    **settings: Any,
) -> AtomisticResult:
    """Fit atoms that move, instead of pixels, to the patterns of a reconstruction.

    Unknown are displacements of every column in every state, mean positions, how many atoms a column has in
    each slice, and a width for each element: hundreds of numbers instead of millions.

    >>> columns = ck.find_atoms(mean_phase, ptycho.sampling)
    >>> result = ck.refine_atomistic(ptycho, columns, "Si", num_states=20)
    >>> G = result.of(result.in_field).greens_tensor

    Parameters
    ----------
    ptychography : MixedObjectMultislicePtychography
        After ``reconstruct``; one state is enough. Its patterns, probe and instrument are used.
    positions : (sites, 2)
        y, x [Å] of columns, or of single atoms, in the frame of ``object``; to within about 0.3 Å. All that
        are lit should be there, those outside the scan as well: what is missing is misfit.
    species : str or sequence of str
        Chemical symbol of all sites, or one for each.
    slices : bool (sites, slices), optional
        Slices in which a site may have atoms; all by default.
    occupancies : (sites, slices), optional
        Atoms of each site in each slice, instead of ``slices``, where the structure is known: they are kept,
        and a factor on the potential of each element is refined in their place. By default they are
        unknown, and the first guess comes from the mean phase of the reconstruction.
    rigid : bool
        True moves a site as a whole, False its atoms in every slice on their own.
    loss : {"amplitude", "poisson"}
        "poisson" for counted electrons, "amplitude" for noise-free data.
    progress_bar : bool
        Show iterations, loss and time left.
    **settings
        Fields of :class:`caviar_kit.atomistic.AtomisticSettings`: ``num_states``, ``max_iter``, ``refine``,
        ``parametrization``, ``rank``, ``priors``, ``seed`` ...

    Returns
    -------
    AtomisticResult

    Raises
    ------
    TypeError, ValueError
        If an argument is not usable, preprocess was not run, or atoms cannot be counted because there is no
        reconstruction.
    """
    fit = AtomisticFit(
        ptychography,
        positions,
        species,
        slices=slices,
        occupancies=occupancies,
        rigid=rigid,
        loss=loss,
        **settings,
    )
    run_to_the_end(fit.iterate(), shown=progress_bar)
    return fit.result


class AtomisticFit:
    """An atomistic fit that can be watched: ask :meth:`iterate` for iterations, then for ``result``.

    Parameters as for :func:`refine_atomistic`.

    Attributes
    ----------
    sites : Sites
        Columns or atoms as given.
    movers : Sites
        What moves on its own: the same, or one for each slice.
    snapshot : AtomisticSnapshot or None
        The latest iteration.
    """

    def __init__(
        self,
        ptychography: MixedObjectMultislicePtychography,
        positions: ArrayLike,
        species: str | Sequence[str],
        *,
        slices: ArrayLike | None = None,
        occupancies: ArrayLike | None = None,
        rigid: bool = True,
        loss: str = "amplitude",
        **settings: Any,
    ) -> None:
        if not hasattr(ptychography, "_require_preprocess"):
            raise TypeError(
                f"ptychography must be a MixedObjectMultislicePtychography, got {type(ptychography).__name__}"
            )
        ptychography._require_preprocess()
        validation.choice("loss", loss, ("amplitude", "poisson"))
        if unknown := sorted(set(settings) - set(AtomisticSettings.__dataclass_fields__)):
            allowed = ", ".join(sorted(AtomisticSettings.__dataclass_fields__))
            raise TypeError(f"unknown setting {', '.join(unknown)}; allowed are {allowed}")
        self.settings, self.loss_name = AtomisticSettings(**settings), loss
        self.evaluator = ptychography._evaluator(loss)
        count = self.evaluator.model.num_slices
        places = _checked_positions(positions, self.evaluator.model)
        numbers = _checked_occupancies(occupancies, len(places), count)
        if slices is not None and numbers is not None:
            raise ValueError("slices must not be given beside occupancies, which say where atoms are")
        if slices is None:
            slices = np.ones((len(places), count), bool) if numbers is None else numbers > 0
        self.sites = Sites.of(places, species, slices)
        if self.sites.slices.shape[1] != count:
            raise ValueError(
                f"slices must have shape ({len(self.sites)}, {count}), got {self.sites.slices.shape}"
            )
        self.movers = self.sites if rigid else self.sites.one_per_slice()
        self.form_factors = partial(
            phase_form_factors,
            self.sites.species,
            energy_ev=ptychography._energy,
            parametrization=self.settings.parametrization,
        )
        self.known = numbers is not None
        self._scan = ptychography.scan_positions_angstrom
        self._probe, self._instrument = ptychography._unit_probe, ptychography.instrument
        if numbers is None:
            phase = projected_phase(ptychography._object).mean(axis=0)
            numbers = count_atoms(phase, self.sites, self.form_factors, self.evaluator.model, self._scan)
        self._occupancies = _of_movers(numbers, self.sites, self.movers)
        self.snapshot: AtomisticSnapshot | None = None

    def iterate(self, *, start: Atoms | None = None) -> Iterator[AtomisticSnapshot]:
        """Fit as a generator: one snapshot per iteration; stop asking whenever you like.

        Parameters
        ----------
        start : Atoms, optional
            Of ``movers``, to go on from; those of an earlier snapshot's scene.
        """
        for snapshot in run_atomistic(
            self.evaluator,
            self._probe,
            self.movers,
            self.form_factors,
            self.settings,
            occupancies=self._occupancies,
            refine_occupancies=not self.known,
            instrument=self._instrument,
            start=start,
        ):
            self.snapshot = snapshot
            yield snapshot

    @property
    def in_field(self) -> np.ndarray:
        """Sites inside the rectangle of the scan positions, bool (sites,)."""
        low, high = self._scan.min(axis=0), self._scan.max(axis=0)
        places = self.sites.positions
        return np.asarray(((places >= low) & (places <= high)).all(axis=1))

    @property
    def result(self) -> AtomisticResult:
        """What the latest iteration found.

        Raises
        ------
        ValueError
            If there was none.
        """
        if self.snapshot is None:
            raise ValueError("iterate first: there is no result yet")
        scene = self.snapshot.scene
        return AtomisticResult(
            tracked=self._by_site(scene.atoms.positions),
            symbols=np.array(self.sites.symbols),
            occupancies=_of_sites(scene.atoms.occupancies, self.sites, self.movers),
            scales=scene.atoms.scales,
            widths=scene.atoms.widths,
            in_field=self.in_field,
            misfit=self.snapshot.objective.misfit_per_pattern(scene),
            loss=np.array(self.snapshot.losses),
            loss_name=self.loss_name,
            seconds=self.snapshot.seconds,
        )

    def _by_site(self, positions: np.ndarray) -> np.ndarray:
        """(states, movers, 2) as (states, sites, 2), or (states, slices, sites, 2)."""
        if self.movers is self.sites:
            return positions
        site, level = np.nonzero(self.sites.slices)
        apart = np.full((len(positions), *self.sites.slices.shape[::-1], 2), np.nan)
        apart[:, level, site] = positions
        return apart


def _checked_positions(positions: ArrayLike, model: MultisliceModel) -> np.ndarray:
    places = validation.as_array("positions", positions, shape=(None, 2)).astype(float)
    size = np.multiply(model.object_shape, model.sampling)
    outside = ((places < -_MARGIN_ANGSTROM) | (places > size + _MARGIN_ANGSTROM)).any(axis=1)
    if outside.any():
        first = int(np.flatnonzero(outside)[0])
        raise ValueError(
            f"positions must be y, x in Å with pixel (0, 0) of object as the origin, within its "
            f"{size[0]:.1f} × {size[1]:.1f} Å; {outside.sum()} are not, such as number {first} at "
            f"{places[first].round(2).tolist()}"
        )
    return places


def _checked_occupancies(occupancies: ArrayLike | None, sites: int, slices: int) -> np.ndarray | None:
    if occupancies is None:
        return None
    numbers = validation.as_array("occupancies", occupancies, shape=(sites, slices)).astype(float)
    if numbers.min() < 0:
        raise ValueError(f"occupancies must not be negative, got {numbers.min():g}")
    return numbers


def _of_movers(numbers: np.ndarray, sites: Sites, movers: Sites) -> np.ndarray:
    if movers is sites:
        return np.where(sites.slices, numbers, 0.0)
    site, level = np.nonzero(sites.slices)
    alone = np.zeros((len(site), numbers.shape[1]))
    alone[np.arange(len(site)), level] = numbers[site, level]
    return alone


def _of_sites(numbers: np.ndarray, sites: Sites, movers: Sites) -> np.ndarray:
    if movers is sites:
        return numbers
    site, level = np.nonzero(sites.slices)
    together = np.zeros((len(sites), numbers.shape[1]))
    together[site, level] = numbers[np.arange(len(site)), level]
    return together
