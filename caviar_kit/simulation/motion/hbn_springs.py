"""Force constants of flat hBN layers, twisted or not, from an energy that is a sum of squares."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, fields
from typing import TYPE_CHECKING, Any

import numpy as np

from caviar_kit import validation
from caviar_kit.simulation.motion import hbn_distortions as distortions
from caviar_kit.simulation.motion.hbn_distortions import Distortions
from caviar_kit.simulation.motion.hbn_neighbours import hbn_neighbours

if TYPE_CHECKING:
    from ase import Atoms

__all__ = ["HbnSprings", "hbn_force_constants"]

_REACH = 3.5  # of springs between layers, in units of their spread; there they have 0.2 % of their strength


@dataclass(frozen=True)
class HbnSprings:
    """Stiffness of each kind of distortion of an hBN stack [eV/Å²].

    ``benchmarks/hbn_springs.py`` makes the defaults and names what they are fitted to. Angles count as
    lengths: their change times the bond length.

    Parameters
    ----------
    bond, second_boron, second_nitrogen, third : float
        Change of the distance B-N, B-B, N-N, and B-N across a hexagon.
    angle : float
        Change of the angle between two bonds, in the plane.
    umbrella_boron, umbrella_nitrogen : float
        Height of an atom above the mean of its three neighbours.
    torsion : float
        Twist of a bond: difference of the neighbours' heights at one end minus that at the other.
    interlayer : float
        Change of the distance to the atom straight above or below in the next layer.
    interlayer_spread_angstrom : float
        Springs to other atoms of the next layer are weaker, a Gaussian of the lateral distance; its rms [Å].

    Raises
    ------
    TypeError, ValueError
        If a stiffness is negative, or the spread not 0.1 to 1.5 Å.
    """

    bond: float = 22.03
    second_boron: float = 3.308
    second_nitrogen: float = 3.565
    third: float = 0.4473
    angle: float = 0.9295
    umbrella_boron: float = 8.072
    umbrella_nitrogen: float = 7.892
    torsion: float = 0.02806
    interlayer: float = 0.05766
    interlayer_spread_angstrom: float = 1.44

    def __post_init__(self) -> None:
        for name in (field.name for field in fields(self)):
            value = getattr(self, name)
            if name == "interlayer_spread_angstrom":
                number = validation.number(name, value, minimum=0.1, maximum=1.5, unit="Å")
            else:
                number = validation.number(name, value, minimum=0.0, maximum=1e3, unit="eV/Å²")
            object.__setattr__(self, name, number)


def hbn_force_constants(atoms: Atoms, springs: HbnSprings | None = None) -> Any:
    """Force constants ∂²E/∂u∂u' of a stack of flat hBN layers.

    E = ½ Σ k (b·u)² over the distortions of ``HbnSprings``. None of them changes when the stack is moved or
    turned as a whole, so that the force constants are positive semi-definite and obey the acoustic and
    rotational sum rules in any stacking.

    Layers slide more easily over each other where they are twisted than where they are in register; the
    springs between layers, fitted to AA' stacking, do not know this.

    Parameters
    ----------
    atoms : ase.Atoms
        n atoms in flat layers normal to z, each with three neighbours of the other element, as
        ``twisted_hbn`` makes them. Periodic in the plane, and along z if ``atoms.pbc`` says so.
    springs : HbnSprings, optional
        Stiffnesses, by default ``HbnSprings()``.

    Returns
    -------
    scipy.sparse.csr_array of float64, shape (3 n, 3 n)
        [eV/Å²]; row 3 i + a belongs to axis a of atom i.

    Raises
    ------
    TypeError, ValueError
        If the atoms are not flat layers of hBN.
    """
    from scipy.sparse import csr_array, vstack

    springs = HbnSprings() if springs is None else springs
    if not isinstance(springs, HbnSprings):
        raise TypeError(f"springs must be HbnSprings, got {type(springs).__name__}")
    rows = vstack(
        [
            _rows(distortion, np.sqrt(stiffness), 3 * len(atoms))
            for stiffness, distortion in _energy(atoms, springs)
            if np.any(stiffness)
        ]
        or [csr_array((1, 3 * len(atoms)))],
        format="csr",
    )
    return csr_array(rows.T @ rows)


def _energy(atoms: Atoms, springs: HbnSprings) -> Iterator[tuple[Any, Distortions]]:
    """Stiffness, one or one per row, and distortions."""
    spread = springs.interlayer_spread_angstrom
    near = hbn_neighbours(atoms, _REACH * spread)
    stretches, umbrellas = distortions.stretches, distortions.umbrellas
    boron, nitrogen = np.flatnonzero(near.boron), np.flatnonzero(~near.boron)
    like_boron = near.boron[near.second.first]
    lateral = np.linalg.norm(near.next_layer.vectors[:, :2], axis=1)
    yield springs.bond, stretches(near.bonds)
    yield springs.second_boron, stretches(near.second.where(like_boron))
    yield springs.second_nitrogen, stretches(near.second.where(~like_boron))
    yield springs.third, stretches(near.third)
    yield springs.angle, distortions.bends(near)
    yield springs.umbrella_boron, umbrellas(near, boron)
    yield springs.umbrella_nitrogen, umbrellas(near, nitrogen)
    yield springs.torsion, distortions.torsions(near)
    yield springs.interlayer * np.exp(-0.5 * (lateral / spread) ** 2), stretches(near.next_layer)


def _rows(distortion: Distortions, scale: Any, size: int) -> Any:
    """The distortions as a sparse matrix (rows, ``size``), each row times its ``scale``."""
    from scipy.sparse import coo_array

    count, members = distortion.atoms.shape
    weights = distortion.weights * np.reshape(scale, (-1, 1, 1))
    columns = 3 * distortion.atoms[..., None] + np.arange(3)
    row = np.broadcast_to(np.arange(count)[:, None, None], columns.shape)
    return coo_array((weights.ravel(), (row.ravel(), columns.ravel())), shape=(count, size)).tocsr()
