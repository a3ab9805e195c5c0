"""How well a measured Green's tensor agrees with a reference (eq. 3 and 4 of arXiv:2309.12017)."""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np
from numpy.typing import ArrayLike

from caviar_kit import validation
from caviar_kit.vibrations.shells import SHELLS, neighbour_shells

__all__ = ["CorrelationComparison", "ShellSimilarity", "compare_correlations"]


@dataclass(frozen=True)
class ShellSimilarity:
    """Agreement within one shell; NaN where the reference has nothing to compare with."""

    csm: float
    """Mean cosine between reference and measured vectors, 1 = same directions."""
    lsm: float
    """Mean of |V_measured| / |V_reference|, 1 = same lengths."""
    lsm_global: float
    """√(Σ V_measured² / Σ V_reference²) over all vectors of the shell."""
    lsm_median: float
    """Median of |V_measured| / |V_reference|."""
    pairs: int
    """Ordered pairs of atoms in the shell."""
    vectors: int
    """Vectors compared: two per pair, less those excluded."""
    excluded: int
    """Vectors whose reference is shorter than the floor."""


class CorrelationComparison(Mapping[str, ShellSimilarity]):
    """One `ShellSimilarity` per shell: ``result["nearest"].csm``, iteration, ``print(result)``."""

    def __init__(
        self,
        shells: Mapping[str, ShellSimilarity],
        edges_angstrom: tuple[float, float],
        floor_angstrom2: float,
    ) -> None:
        self._shells = dict(shells)
        self.edges_angstrom = edges_angstrom
        """Where "nearest" and where "next" end, Å."""
        self.floor_angstrom2 = floor_angstrom2
        """Reference vectors no longer than this are excluded, Å²."""

    def __getitem__(self, name: str) -> ShellSimilarity:
        return self._shells[name]

    def __iter__(self) -> Iterator[str]:
        return iter(self._shells)

    def __len__(self) -> int:
        return len(self._shells)

    def __repr__(self) -> str:
        return f"<CorrelationComparison\n{self}\n>"

    def __str__(self) -> str:
        first, second = self.edges_angstrom
        reach = {"nearest": f"< {first:.2f} Å", "next": f"{first:.2f}–{second:.2f} Å", "all": "all but self"}
        columns = " ".join(f"{title:>7}" for title in ("CSM", "LSM", "global", "median"))
        lines = [f"{'shell':<8} {'distance':<14} {columns} {'vectors':>8}"]
        for name, shell in self.items():
            values = (shell.csm, shell.lsm, shell.lsm_global, shell.lsm_median)
            figures = " ".join(f"{value:7.3f}" for value in values)
            note = f" ({shell.excluded} below the floor)" if shell.excluded else ""
            lines.append(f"{name:<8} {reach.get(name, ''):<14} {figures} {shell.vectors:>8}{note}")
        return "\n".join(lines)

    def as_dict(self) -> dict[str, Any]:
        """Plain numbers for ``json.dumps``; what is undefined (NaN) becomes None."""

        def plain(value: float) -> float | None:
            return None if isinstance(value, float) and math.isnan(value) else value

        return {
            "edges_angstrom": list(self.edges_angstrom),
            "floor_angstrom2": self.floor_angstrom2,
            "shells": {n: {k: plain(v) for k, v in asdict(s).items()} for n, s in self.items()},
        }


def compare_correlations(
    reference: ArrayLike,
    measured: ArrayLike,
    positions: ArrayLike,
    *,
    shell_edges: Sequence[float] | None = None,
    floor: float = 0.01,
) -> CorrelationComparison:
    """Compare two displacement Green's tensors shell by shell.

    The vectors are V = G[i, α, j, :], one for each ordered pair (i, j) and each direction α of
    atom i's displacement. CSM (eq. 3) is the mean cosine between reference and measured
    vectors. LSM (eq. 4) is the mean ratio of their lengths; as printed in the paper it lacks
    the 1/N that makes 1 mean equality. Self terms are kept apart, also from "all": they are
    easy to get right and hide failure of the rest.

    The rows of a block depend on the axes, so CSM, LSM and median change a little when image and
    tensors are turned, except by quarter turns and mirrors; the global ratio does not.

    Parameters
    ----------
    reference, measured : array, (atoms, 2, atoms, 2), Å²
        From `caviar_kit.greens_tensor`. Compare tensors from equally many states.
    positions : array, (atoms, 2), Å
        Mean positions of the same atoms, for the shells.
    shell_edges : pair of float, optional, Å
        Where "nearest" and where "next" end; found from the structure by default, see
        `caviar_kit.vibrations.neighbour_shells`.
    floor : float
        Vectors whose reference is no longer than this fraction of the mean reference self
        vector are left out of CSM, LSM and median (and counted): their directions are noise.

    See Also
    --------
    caviar_kit.similarity_intervals : the same figures with error bars.

    Returns
    -------
    CorrelationComparison
        Keys "self", "nearest", "next", "all". Where no reference vector is above the floor
        (for example all-zero G of coherent data, or an empty shell) every figure is NaN. A
        measured vector of length 0 has no direction and counts as cosine 0.

    Raises
    ------
    TypeError, ValueError
        If shapes disagree, values are not finite, or an argument is out of range.
    """
    shells = neighbour_shells(positions, shell_edges)
    atoms = len(shells.distances)
    true = tensor_as_vectors("reference", reference, atoms)
    found = tensor_as_vectors("measured", measured, atoms)
    shortest = shortest_vector(true, validation.number("floor", floor, minimum=0, maximum=1))
    result = {name: _shell(true, found, shells.mask(name), shortest) for name in SHELLS}
    return CorrelationComparison(result, shells.edges_angstrom, shortest)


def _shell(true: np.ndarray, found: np.ndarray, mask: np.ndarray, shortest: float) -> ShellSimilarity:
    kept = np.linalg.norm(true[mask], axis=-1) > shortest
    csm, lsm, lsm_global, lsm_median = figures_of(true, found, mask, shortest)
    vectors = int(kept.sum())
    return ShellSimilarity(
        csm,
        lsm,
        lsm_global,
        lsm_median,
        pairs=int(mask.sum()),
        vectors=vectors,
        excluded=kept.size - vectors,
    )


def tensor_as_vectors(name: str, value: ArrayLike, atoms: int) -> np.ndarray:
    """Return G as vectors, float64 (i, j, α, 2)."""
    array = validation.as_array(name, value).astype(np.float64)
    if array.shape != (atoms, 2, atoms, 2):
        raise ValueError(
            f"{name} must have shape ({atoms}, 2, {atoms}, 2) for {atoms} positions, got {array.shape}"
        )
    return array.transpose(0, 2, 1, 3)


def shortest_vector(true: np.ndarray, floor: float) -> float:
    """Length [Å²] up to which reference vectors (i, j, α, 2) are left out."""
    own = true[np.eye(len(true), dtype=bool)]
    return floor * float(np.linalg.norm(own, axis=-1).mean())


def figures_of(
    true: np.ndarray, found: np.ndarray, mask: np.ndarray, shortest: float
) -> tuple[float, float, float, float]:
    """CSM, LSM, global and median ratio of the pairs in ``mask``; all NaN if no vector is left."""
    v_true, v_found = true[mask].reshape(-1, 2), found[mask].reshape(-1, 2)
    length_true, length_found = np.linalg.norm(v_true, axis=1), np.linalg.norm(v_found, axis=1)
    kept = length_true > shortest
    if not kept.any():
        return math.nan, math.nan, math.nan, math.nan
    ratio = length_found[kept] / length_true[kept]
    unit_true = v_true[kept] / length_true[kept, None]
    unit_found = v_found[kept] / np.where(length_found[kept] > 0, length_found[kept], 1)[:, None]
    return (
        float((unit_true * unit_found).sum(axis=1).mean()),
        float(ratio.mean()),
        float(np.linalg.norm(length_found) / np.linalg.norm(length_true)),
        float(np.median(ratio)),
    )
