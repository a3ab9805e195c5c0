"""Displacements and their equal-time correlations (eq. 1 and 2 of arXiv:2309.12017)."""

from __future__ import annotations

import numpy as np
from numpy.typing import ArrayLike

from caviar_kit import validation

__all__ = ["displacements", "greens_tensor", "rotate_axes"]

_LARGEST_MEAN_ANGSTROM = 0.5


def displacements(tracked: ArrayLike, *, missing: str = "atom") -> np.ndarray:
    """Displacement of each atom from its mean over the states, u = R − ⟨R⟩ (eq. 1).

    Parameters
    ----------
    tracked : array, (states, atoms, 2) or (states, slices, atoms, 2), Å
        From `caviar_kit.track_atoms`.
    missing : {"atom", "state"}
        What an atom that was lost (NaN) in some states loses. "atom": it is NaN in all states of that
        slice, because its mean is not that of the same states as the others'. "state": only those
        states; its mean is over the rest, if there are at least two.

    Returns
    -------
    array, float64, same shape, Å

    Raises
    ------
    TypeError, ValueError
        If the shape is wrong, there are fewer than 2 states, or a value is infinite.
    """
    array = states_first("tracked", tracked)
    validation.choice("missing", missing, ("atom", "state"))
    if missing == "atom":
        return array - array.mean(axis=0)
    there = ~np.isnan(array).any(axis=-1, keepdims=True)
    number = there.sum(axis=0)
    mean = np.where(there, array, 0).sum(axis=0) / np.where(number > 1, number, np.nan)
    return np.where(there, array, np.nan) - mean


def greens_tensor(u: ArrayLike, *, missing: str = "refuse") -> np.ndarray:
    """Displacement Green's tensor, G[i, α, j, β] = (1/N) Σ_n u[n, i, α] u[n, j, β] (eq. 2).

    The mean over the N states has weight 1/N, as printed in the paper. Because the mean
    position comes from the same N states, G is on average (N−1)/N of the true covariance; that
    cancels when two tensors from the same number of states are compared.

    Parameters
    ----------
    u : array, (states, atoms, 2) or (states, slices, atoms, 2), Å
        From `displacements`. With a slice axis the tensor of each slice is averaged.
    missing : {"refuse", "pairwise"}
        "pairwise": each pair of atoms is averaged over the states and slices in which both are there
        (use ``displacements(tracked, missing="state")``). Such a tensor need not be positive
        semi-definite; a pair never seen together is NaN.

    Returns
    -------
    array, float64, (atoms, 2, atoms, 2), Å²
        Symmetric: G[i, α, j, β] = G[j, β, i, α].

    Raises
    ------
    TypeError, ValueError
        If the shape is wrong, there are fewer than 2 states, atoms are NaN and ``missing`` is "refuse"
        (the message names them), or ``u`` looks like positions rather than displacements.
    """
    array = states_first("u", u)
    validation.choice("missing", missing, ("refuse", "pairwise"))
    lost = np.flatnonzero(np.isnan(array).any(axis=(*range(array.ndim - 2), array.ndim - 1)))
    if lost.size and missing == "refuse":
        raise ValueError(
            f"u is NaN for {lost.size} of {array.shape[-2]} atoms: {lost[:20].tolist()}"
            f"{' …' if lost.size > 20 else ''}; leave these atoms out, for example "
            "keep = ~np.isnan(u).any(axis=(0, 2)); u[:, keep], or pass missing='pairwise'"
        )
    there = ~np.isnan(array).any(axis=-1, keepdims=True)
    filled = np.where(there, array, 0.0)
    mean = np.abs(filled.sum(axis=0) / np.maximum(there.sum(axis=0), 1)).max()
    if mean > _LARGEST_MEAN_ANGSTROM:
        raise ValueError(
            f"u has a mean over the states of up to {mean:.3g} Å, so these are "
            "positions; subtract their mean first with displacements(tracked)"
        )
    atoms = array.shape[-2]
    rows = filled.reshape(-1, 2 * atoms)  # (states × slices, 2 × atoms)
    if lost.size == 0:
        return (rows.T @ rows / len(rows)).reshape(atoms, 2, atoms, 2)
    seen = there.reshape(-1, atoms).astype(np.float64)
    number = (seen.T @ seen)[:, None, :, None]
    total = (rows.T @ rows).reshape(atoms, 2, atoms, 2)
    return np.where(number > 0, total / np.maximum(number, 1), np.nan)


def rotate_axes(G: ArrayLike, axes: ArrayLike) -> np.ndarray:
    """Green's tensor in other axes, for example a lattice's own (``lattice.axes``).

    Vectors need no function: ``u @ axes.T``.

    Parameters
    ----------
    G : array, (atoms, 2, atoms, 2), Å²
        NaN stay NaN.
    axes : array, (2, 2)
        Rows are the new unit vectors y', x' in components y, x.

    Returns
    -------
    array, float64, same shape, Å²
        axes G[i, :, j, :] axesᵀ for every pair.

    Raises
    ------
    TypeError, ValueError
        If the shape is wrong, or ``axes`` are not orthonormal.
    """
    rows = validation.as_array("axes", axes, shape=(2, 2)).astype(np.float64)
    if np.abs(rows @ rows.T - np.eye(2)).max() > 1e-6:
        raise ValueError(f"axes must be two orthogonal unit vectors, got {rows.tolist()}")
    return np.einsum("ab,ibjc,dc->iajd", rows, tensor_with_gaps("G", G), rows)


def tensor_with_gaps(name: str, value: ArrayLike) -> np.ndarray:
    """Return ``value`` as float64 (atoms, 2, atoms, 2), NaN allowed."""
    array = np.asarray(value)
    filled = np.where(np.isnan(array), 0, array) if array.dtype.kind == "f" else array
    validation.as_array(name, filled, shape=(None, 2, None, 2))
    if array.shape[0] != array.shape[2]:
        raise ValueError(f"{name} must have shape (atoms, 2, atoms, 2), got {array.shape}")
    return array.astype(np.float64)


def states_first(name: str, value: ArrayLike) -> np.ndarray:
    """Return ``value`` as float64 (states, atoms, 2) or (states, slices, atoms, 2), NaN allowed."""
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
