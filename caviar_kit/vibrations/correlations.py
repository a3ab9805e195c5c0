"""Displacements and their equal-time correlations (eq. 1 and 2 of arXiv:2309.12017)."""

from __future__ import annotations

import numpy as np
from numpy.typing import ArrayLike

from caviar_kit import validation

__all__ = ["displacements", "greens_tensor"]

_LARGEST_MEAN_ANGSTROM = 0.5


def displacements(tracked: ArrayLike) -> np.ndarray:
    """Displacement of each atom from its mean over the states, u = R − ⟨R⟩ (eq. 1).

    Parameters
    ----------
    tracked : array, (states, atoms, 2) or (states, slices, atoms, 2), Å
        From `caviar_kit.track_atoms`.

    Returns
    -------
    array, float64, same shape, Å
        An atom that was lost (NaN) in one state is NaN in all: its mean is unknown.

    Raises
    ------
    TypeError, ValueError
        If the shape is wrong, there are fewer than 2 states, or a value is infinite.
    """
    array = _states_first("tracked", tracked)
    return array - array.mean(axis=0)


def greens_tensor(u: ArrayLike) -> np.ndarray:
    """Displacement Green's tensor, G[i, α, j, β] = (1/N) Σ_n u[n, i, α] u[n, j, β] (eq. 2).

    The mean over the N states has weight 1/N, as printed in the paper. Because the mean
    position comes from the same N states, G is on average (N−1)/N of the true covariance; that
    cancels when two tensors from the same number of states are compared.

    Parameters
    ----------
    u : array, (states, atoms, 2) or (states, slices, atoms, 2), Å
        From `displacements`. With a slice axis the tensor of each slice is averaged.

    Returns
    -------
    array, float64, (atoms, 2, atoms, 2), Å²
        Symmetric: G[i, α, j, β] = G[j, β, i, α].

    Raises
    ------
    TypeError, ValueError
        If the shape is wrong, there are fewer than 2 states, atoms are NaN (the message names
        them), or ``u`` looks like positions rather than displacements.
    """
    array = _states_first("u", u)
    lost = np.flatnonzero(np.isnan(array).any(axis=(*range(array.ndim - 2), array.ndim - 1)))
    if lost.size:
        raise ValueError(
            f"u is NaN for {lost.size} of {array.shape[-2]} atoms: {lost[:20].tolist()}"
            f"{' …' if lost.size > 20 else ''}; leave these atoms out, for example "
            "keep = ~np.isnan(u).any(axis=(0, 2)); u[:, keep]"
        )
    if np.abs(array.mean(axis=0)).max() > _LARGEST_MEAN_ANGSTROM:
        raise ValueError(
            f"u has a mean over the states of up to {np.abs(array.mean(axis=0)).max():.3g} Å, so these are "
            "positions; subtract their mean first with displacements(tracked)"
        )
    states, atoms = array.shape[0], array.shape[-2]
    rows = array.reshape(-1, 2 * atoms)  # (states × slices, 2 × atoms)
    slices = len(rows) // states
    return (rows.T @ rows / (states * slices)).reshape(atoms, 2, atoms, 2)


def _states_first(name: str, value: ArrayLike) -> np.ndarray:
    array = np.asarray(value)
    # NaN marks a lost atom and is allowed to pass here; infinity is not
    validation.as_array(name, np.where(np.isnan(array), 0, array) if array.dtype.kind == "f" else array)
    if array.ndim not in (3, 4) or array.shape[-1] != 2:
        raise ValueError(
            f"{name} must have shape (states, atoms, 2) or (states, slices, atoms, 2), got {array.shape}"
        )
    if len(array) < 2:
        raise ValueError(f"{name} must hold at least 2 states to have displacements, got {len(array)}")
    return array.astype(np.float64)
