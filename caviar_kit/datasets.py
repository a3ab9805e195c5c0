"""Results as py4DSTEM data: object states, atoms followed through them, their correlations.

Each is an emdfile node: it saves itself, can hang in the tree of a data cube, and is read by
``caviar_kit.read`` or ``py4DSTEM.read``.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any, Self

import numpy as np
from numpy.typing import ArrayLike

from caviar_kit import validation
from caviar_kit._arrays import images, vectors
from caviar_kit._dataset import Dataset, lengths
from caviar_kit.vibrations.correlations import displacements, greens_tensor

if TYPE_CHECKING:
    from caviar_kit.ptychography import MixedObjectMultislicePtychography

__all__ = ["AtomicDisplacements", "DisplacementCorrelations", "ObjectEnsemble"]


class ObjectEnsemble(Dataset):
    """States of the object, slice by slice.

    Parameters
    ----------
    object : (states, slices, y, x) complex
        Transmission functions; kept as complex64.
    sampling : (y, x)
        Pixel size [Å].
    slice_thicknesses : (slices - 1,)
        Distance between successive slices [Å].
    name : str
        Name in files and trees.
    parameters, seed, loss
        Origin; see :class:`Dataset`.

    Raises
    ------
    TypeError, ValueError
        If shapes do not fit together, or numbers are not finite or not positive lengths.
    """

    def __init__(
        self,
        object: ArrayLike,  # the word of the field
        sampling: ArrayLike,
        slice_thicknesses: ArrayLike,
        *,
        name: str = "object_ensemble",
        parameters: Mapping[str, Any] | None = None,
        seed: int | None = None,
        loss: ArrayLike | None = None,
    ) -> None:
        super().__init__(name, parameters, seed, loss)
        states = validation.as_array("object", object, shape=(None,) * 4, complex_allowed=True)
        self.object = states.astype(np.complex64, copy=False)
        self.sampling = lengths("sampling", sampling, 2)
        self.slice_thicknesses = lengths("slice_thicknesses", slice_thicknesses, states.shape[1] - 1)

    @classmethod
    def from_ptychography(
        cls, ptychography: MixedObjectMultislicePtychography, *, name: str = "object_ensemble"
    ) -> Self:
        """The states of a reconstruction, with its parameters, seed and losses.

        Raises
        ------
        ValueError
            If ``reconstruct`` was not run.
        """
        if not getattr(ptychography, "error_iterations", None):
            raise ValueError("run reconstruct() first")
        known = ptychography.constructor_parameters()
        parameters = {key: value for key, value in known.items() if np.ndim(value) < 2}
        return cls(
            ptychography.object,
            ptychography.sampling,
            ptychography._slice_thicknesses,
            name=name,
            parameters=parameters,
            seed=parameters["seed"],
            loss=ptychography.error_iterations,
        )

    def _stored_arrays(self) -> dict[str, Any]:
        return {"object": images(self.object, ["state", "slice"], self.sampling)}

    def _stored_record(self) -> dict[str, Any]:
        return {**self._origin, "sampling": self.sampling, "slice_thicknesses": self.slice_thicknesses}

    @classmethod
    def _arguments(cls, arrays: dict[str, np.ndarray], record: dict[str, Any]) -> dict[str, Any]:
        return {"object": arrays["object"], **{k: record[k] for k in ("sampling", "slice_thicknesses")}}


class AtomicDisplacements(Dataset):
    """Atoms, or columns of atoms, followed through the states.

    Parameters
    ----------
    positions : (states, atoms, 2) or (states, slices, atoms, 2)
        y, x [Å] in every state, as :func:`caviar_kit.track_atoms` returns them; NaN for an atom that
        was lost there.
    name : str
        Name in files and trees.
    parameters, seed, loss
        Origin; see :class:`Dataset`.

    Raises
    ------
    TypeError, ValueError
        If the shape is another one, nothing is in it, or a value is infinite.
    """

    def __init__(
        self,
        positions: ArrayLike,
        *,
        name: str = "atomic_displacements",
        parameters: Mapping[str, Any] | None = None,
        seed: int | None = None,
        loss: ArrayLike | None = None,
    ) -> None:
        super().__init__(name, parameters, seed, loss)
        array = np.array(positions)
        known = validation.as_array("positions", np.nan_to_num(array, posinf=np.inf, neginf=-np.inf))
        if known.ndim not in (3, 4) or known.shape[-1] != 2:
            raise ValueError(
                "positions must have shape (states, atoms, 2) or (states, slices, atoms, 2), "
                f"got {known.shape}"
            )
        self.positions = array.astype(float)

    @property
    def mean_positions(self) -> np.ndarray:
        """Mean over the states, and slices, (atoms, 2), y then x [Å]."""
        return np.asarray(self.positions.mean(axis=tuple(range(self.positions.ndim - 2))))

    @property
    def displacements(self) -> np.ndarray:
        """Eq. 1 of CAVIAR (arXiv:2309.12017), shape of ``positions`` [Å]."""
        return displacements(self.positions)

    def correlations(self, *, name: str = "displacement_correlations") -> DisplacementCorrelations:
        """Eq. 2 of CAVIAR (arXiv:2309.12017), of the same origin."""
        return DisplacementCorrelations(
            greens_tensor(self.displacements), self.mean_positions, name=name, **self._origin
        )

    def _stored_arrays(self) -> dict[str, Any]:
        slices = ["slice"] * (self.positions.ndim - 3)
        return {
            "positions": vectors(self.positions, ["state", *slices, "atom", "axis (y, x)"]),
            "mean_positions": vectors(self.mean_positions, ["atom", "axis (y, x)"]),
        }

    @classmethod
    def _arguments(cls, arrays: dict[str, np.ndarray], record: dict[str, Any]) -> dict[str, Any]:
        return {"positions": arrays["positions"]}


class DisplacementCorrelations(Dataset):
    """Covariance of the displacements of all pairs of atoms, or columns of atoms.

    Parameters
    ----------
    greens_tensor : (atoms, 2, atoms, 2)
        G [Å²] (eq. 2 of CAVIAR, arXiv:2309.12017), as :func:`caviar_kit.greens_tensor` returns it.
    positions : (atoms, 2)
        Mean positions y, x [Å].
    name : str
        Name in files and trees.
    parameters, seed, loss
        Origin; see :class:`Dataset`.

    Raises
    ------
    TypeError, ValueError
        If shapes do not fit together, numbers are not finite or the tensor is not symmetric.
    """

    def __init__(
        self,
        greens_tensor: ArrayLike,
        positions: ArrayLike,
        *,
        name: str = "displacement_correlations",
        parameters: Mapping[str, Any] | None = None,
        seed: int | None = None,
        loss: ArrayLike | None = None,
    ) -> None:
        super().__init__(name, parameters, seed, loss)
        self.positions = validation.as_array("positions", positions, shape=(None, 2)).astype(float)
        atoms = len(self.positions)
        tensor = validation.as_array("greens_tensor", greens_tensor, shape=(atoms, 2, atoms, 2)).astype(float)
        asymmetry = abs(tensor - tensor.transpose(2, 3, 0, 1)).max()
        if asymmetry > 1e-4 * abs(tensor).max():
            raise ValueError(
                "greens_tensor must be symmetric, G[i, a, j, b] = G[j, b, i, a], "
                f"got differences up to {asymmetry:.3g} Å²"
            )
        self.greens_tensor = tensor

    def _stored_arrays(self) -> dict[str, Any]:
        pair = ["atom", "axis (y, x)"]
        return {
            "greens_tensor": vectors(self.greens_tensor, pair * 2, "A^2"),
            "positions": vectors(self.positions, pair),
        }

    @classmethod
    def _arguments(cls, arrays: dict[str, np.ndarray], record: dict[str, Any]) -> dict[str, Any]:
        return {"greens_tensor": arrays["greens_tensor"], "positions": arrays["positions"]}
