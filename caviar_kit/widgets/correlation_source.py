"""What the correlation explorer shows of a result, whatever its class."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from functools import cached_property
from typing import TYPE_CHECKING, Any, TypeAlias, Union

import numpy as np

from caviar_kit.atomistic.result import AtomisticResult
from caviar_kit.results import EnsembleResult
from caviar_kit.vibrations import displacements, greens_tensor, neighbour_shells, rotate_axes
from caviar_kit.vibrations.shells import NeighbourShells

if TYPE_CHECKING:
    from caviar_kit.datasets import AtomicDisplacements, DisplacementCorrelations

__all__ = ["CorrelationSource", "Explorable", "sources_of"]

Explorable: TypeAlias = Union[
    EnsembleResult, AtomisticResult, "AtomicDisplacements", "DisplacementCorrelations"
]

_ONE_COLUMN = 0.5  # Å: nearer sites lie above each other


@dataclass(frozen=True, eq=False)
class CorrelationSource:
    """Atoms, their correlations, and what else is known of them."""

    positions: np.ndarray
    """(atoms, 2), y, x, Å."""
    tensor: np.ndarray
    """G, (atoms, 2, atoms, 2), Å²; NaN between atoms never seen together."""
    displacements: np.ndarray | None = None
    """(states, atoms, 2) or (states, slices, atoms, 2), Å; None where only G is known: no intervals."""
    image: np.ndarray | None = None
    """Mean phase, (y, x)."""
    sampling: np.ndarray | None = None
    """Of the image, (y, x), Å."""
    true_positions: np.ndarray | None = None
    """(atoms, 2), Å; None where the truth is not known."""
    true_tensor: np.ndarray | None = None
    """(atoms, 2, atoms, 2), Å²."""
    agreement: str = ""
    """Comparison with the truth as text."""
    origin: Mapping[str, Any] | None = None
    """What a file should say about where the data come from."""
    result: Any = None
    """What it was made of."""

    @property
    def atoms(self) -> int:
        """How many."""
        return len(self.positions)

    @property
    def slices(self) -> int:
        """Slices followed one by one; 0 if only the projection was."""
        return (
            0 if self.displacements is None or self.displacements.ndim == 3 else self.displacements.shape[1]
        )

    @property
    def states(self) -> int:
        """How many; 0 if unknown."""
        return 0 if self.displacements is None else len(self.displacements)

    @cached_property
    def shells(self) -> NeighbourShells:
        """Shells of neighbours around the mean positions."""
        return neighbour_shells(self.positions)

    @cached_property
    def extent(self) -> tuple[float, float]:
        """Shortest distance between columns and longest between atoms [Å]."""
        apart = np.linalg.norm(self.positions[:, None] - self.positions, axis=-1)
        if apart.max() == 0:
            return 1.0, 2.0
        columns = apart[apart > _ONE_COLUMN]
        return float((columns if columns.size else apart[apart > 0]).min()), float(apart.max())

    @property
    def central(self) -> int:
        """The atom nearest to the middle."""
        return self.nearest(*self.positions.mean(axis=0))

    def nearest(self, y: float, x: float) -> int:
        """The atom nearest to a place [Å]."""
        return int(np.linalg.norm(self.positions - [y, x], axis=1).argmin())

    def of_slices(self, first: int, last: int) -> CorrelationSource:
        """The same of slices ``first`` to ``last``, both included."""
        if self.displacements is None or not self.slices or (first, last) == (0, self.slices - 1):
            return self
        u = self.displacements[:, first : last + 1]
        return replace(self, displacements=u, tensor=greens_tensor(u, missing="pairwise"))

    def along(self, axes: np.ndarray) -> CorrelationSource:
        """Correlations and displacements in other axes; positions stay."""
        return replace(
            self,
            tensor=rotate_axes(self.tensor, axes),
            displacements=None if self.displacements is None else self.displacements @ axes.T,
            true_tensor=None if self.true_tensor is None else rotate_axes(self.true_tensor, axes),
        )


def sources_of(results: Any) -> dict[str, CorrelationSource]:
    """One source for each title.

    Raises
    ------
    TypeError, ValueError
        If ``results`` is neither an `Explorable` nor a mapping of titles to them, or empty, or atoms were
        seen in no state.
    """
    if not isinstance(results, Mapping) and _explorable(results):
        results = {str(getattr(results, "name", "atoms")): results}
    if not isinstance(results, Mapping) or not all(map(_explorable, results.values())):
        raise TypeError(
            "results must be an EnsembleResult, AtomisticResult, AtomicDisplacements or "
            f"DisplacementCorrelations, or map titles to them, got {type(results).__name__}; "
            "make one with measure(ptychography, example) or AtomicDisplacements(track_atoms(...))"
        )
    if not results:
        raise ValueError("results is empty: nothing to explore")
    return {str(title): replace(_source(one), result=one) for title, one in results.items()}


def _explorable(result: Any) -> bool:
    if isinstance(result, EnsembleResult | AtomisticResult):
        return True
    # loads py4DSTEM, which takes seconds
    from caviar_kit.datasets import AtomicDisplacements, DisplacementCorrelations

    return isinstance(result, AtomicDisplacements | DisplacementCorrelations)


def _source(result: Explorable) -> CorrelationSource:
    if isinstance(result, EnsembleResult):
        return CorrelationSource(
            positions=result.positions,
            tensor=result.greens_tensor,
            displacements=result.displacements,
            image=result.phases.mean(axis=0),
            sampling=result.sampling,
            true_positions=result.true_positions,
            true_tensor=result.true_greens_tensor,
            agreement=str(result.comparison),
            origin={"example": result.name, "preset": result.preset},
        )
    if isinstance(result, AtomisticResult):
        return _of_tracked(result.tracked, {"fit": "atomistic", "loss": result.loss_name})
    from caviar_kit.datasets import DisplacementCorrelations

    if isinstance(result, DisplacementCorrelations):
        return CorrelationSource(result.positions, result.greens_tensor, origin={"name": result.name})
    return _of_tracked(result.positions, {"name": result.name})


def _of_tracked(tracked: np.ndarray, origin: dict[str, Any]) -> CorrelationSource:
    """Of positions (states, atoms, 2) or (states, slices, atoms, 2) [Å], NaN where an atom was lost."""
    before = tuple(range(tracked.ndim - 2))
    seen = ~np.isnan(tracked).any(axis=-1)
    lost = np.flatnonzero(~seen.any(axis=before))
    if lost.size:
        raise ValueError(
            f"results: atoms {lost[:8].tolist()} were seen in no state; leave them out, for example "
            "positions[..., seen, :]"
        )
    u = displacements(tracked, missing="state")
    return CorrelationSource(
        positions=np.nanmean(tracked, axis=before),
        tensor=greens_tensor(u, missing="pairwise"),
        displacements=u,
        origin=origin,
    )
