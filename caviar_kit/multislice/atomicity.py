"""Atoms have no width of their own: a penalty on the spread of every atom inside every state.

A mixed-object fit can store thermal motion in two places, as displacements between the states
or as wider atoms inside each of them, and a fit from pixels leaves part of it in the width:
amplitudes come out low. The data fix the sum of both variances nearly, so a smaller width
hands the rest to the displacements.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np

from caviar_kit import validation
from caviar_kit.backend import array_module
from caviar_kit.multislice.projections import check_field, check_sampling

__all__ = ["Atomicity"]

Array = Any

_NAMED_AT_MOST = 8
_REACH = 1.4  # radii: where the ring for the background ends


@dataclass(frozen=True, eq=False)
class Atomicity:
    """Mean variance of the atoms inside the states; phase objects only.

    For state s and atom i, φ summed over the slices, in a Gaussian disc w(r) around the atom's
    mean position (standard deviation a third of the radius, let down to 0 at the radius):

        ψ = φ - Σ v φ / Σ v,  m = Σ w ψ dA,  c = Σ w ψ r dA / m,  V_si = Σ w ψ |r - c|² dA / m

        penalty = weight · mean_si g(m) h(V_si - target)

    The background is the mean over a ring v at 0.9 radii, up to 1.4: a constant phase is not
    observable and must not be a way to a small V. c minimises Σ w ψ |r - c|², so its derivative
    drops out. A disc with a flat top and an edge would reward displacement for its own sake, as it
    cuts into the tail of an atom that moves. The product of two Gaussians keeps its width wherever
    they are, so little of this reward is left: a Gaussian atom of variance σ² per axis has
    1/V = 1/(2 σ²) + 1/(2 s²), s = radius / 3, displaced or not. V holds both axes.
    Two guards keep the penalty smooth and never negative: g = m⁴ / (m² + floor²)², 0 for m ≤ 0,
    lets an atom without phase go; h(x) = x above 1e-3 Å², a parabola to 0 at -1e-3 Å².

    Parameters
    ----------
    weight : float
        Fraction of the beam per Å², 0 or more. V is about 0.03 Å² in a disc of 0.6 Å, the hidden part
        of it, thermal variance that is missing from the displacements, a tenth of that; begin with
        1e-5 and compare the misfit with the one without.
    positions_angstrom : (atoms, 2) array
        Mean positions, y then x [Å], pixel (0, 0) is the origin (as from `caviar_kit.find_atoms`).
    sampling : (y, x)
        Pixel size [Å].
    radius_angstrom : float
        Radius of the disc [Å], below half the shortest distance: a neighbour in the disc would
        be pulled towards its middle.
    target_angstrom2 : float or (atoms,) array
        V of an atom at rest [Å²], for all or for each; nothing is gained below it. 0 pulls without
        end, though atoms have a width from their potential and from the resolution. See `variances`.
    floor : float
        Phase of an atom that counts as none [rad Å²].

    Raises
    ------
    TypeError, ValueError
        If an argument is out of range.
    """

    weight: float
    positions_angstrom: np.ndarray
    sampling: tuple[float, float]
    radius_angstrom: float = 0.6
    target_angstrom2: float | np.ndarray = 0.0
    floor: float = 2e-3

    def __post_init__(self) -> None:
        validation.number("weight", self.weight, minimum=0)
        positions = validation.as_array("positions_angstrom", self.positions_angstrom, shape=(None, 2))
        object.__setattr__(self, "positions_angstrom", positions.astype(np.float64))
        object.__setattr__(self, "sampling", check_sampling(self.sampling))
        validation.number(
            "radius_angstrom",
            self.radius_angstrom,
            minimum=2 * max(self.sampling),
            unit="Å",
            hint="the disc must be two pixels wide on either side",
        )
        targets = () if np.ndim(self.target_angstrom2) == 0 else (len(positions),)
        target = validation.as_array("target_angstrom2", self.target_angstrom2, shape=targets)
        if (target < 0).any():
            raise ValueError(f"target_angstrom2 must be at least 0 [Å²], got {target.min():g}")
        object.__setattr__(self, "target_angstrom2", target.astype(np.float64))
        validation.number("floor", self.floor, minimum=0, open_minimum=True, unit="rad Å²")

    def variances(self, field: Array) -> Array:
        """V_si, float64 (states, atoms) [Å²]; infinite where the atom has no phase (m ≤ 0)."""
        check_field(field, (None, None, None, None), complex_allowed=False)
        mass, variance, _, _ = self._moments(field)
        return array_module(field).where(mass > 0, variance, math.inf)

    def value_and_gradient(self, field: Array) -> tuple[float, Array]:
        """Value and gradient; ``field`` (states, slices, y, x) real.

        Raises
        ------
        TypeError
            If ``field`` is complex.
        ValueError
            If its shape is wrong, or the ring of an atom leaves it (the message names those atoms).
        """
        check_field(field, (None, None, None, None), complex_allowed=False)
        xp = array_module(field)
        mass, variance, squared, weights = self._moments(field)
        gate, gate_slope = _gate(xp, mass, self.floor)
        hinge, hinge_slope = _hinge(xp, variance - xp.asarray(self.target_angstrom2))
        # ∂V/∂ψ = w (|r - c|² - V) dA / m and ∂m/∂ψ = w dA, then ψ = φ - background
        area = self.sampling[0] * self.sampling[1]
        by_variance = (gate * hinge_slope / xp.where(mass > 0, mass, 1))[..., None, None]
        spread = squared - variance[..., None, None]
        slope = area * weights * (by_variance * spread + (gate_slope * hinge)[..., None, None])
        slope -= xp.asarray(self._ring) * slope.sum(axis=(-2, -1), keepdims=True)
        scale = self.weight / mass.size
        gradient = self._scatter(scale * slope, field)
        return scale * float((gate * hinge).sum()), gradient

    def _moments(self, field: Array) -> tuple[Array, Array, Array, Array]:
        """Return m and V (states, atoms), |r - c|² (states, atoms, y, x) and w (atoms, y, x)."""
        xp = array_module(field)
        self._refuse_outside(field.shape[-2:])
        window, y, x = (xp.asarray(part) for part in self._windows)
        cut = self._gather(field.sum(axis=1, dtype=np.float64))
        cut = cut - (xp.asarray(self._ring) * cut).sum(axis=(-2, -1), keepdims=True)
        weighted = window * cut * (self.sampling[0] * self.sampling[1])
        mass = weighted.sum(axis=(-2, -1))
        safe = xp.where(mass > 0, mass, 1)
        centre_y, centre_x = ((weighted * r).sum(axis=(-2, -1)) / safe for r in (y, x))
        squared = (y - centre_y[..., None, None]) ** 2 + (x - centre_x[..., None, None]) ** 2
        return mass, (weighted * squared).sum(axis=(-2, -1)) / safe, squared, window

    @cached_property
    def _corners(self) -> np.ndarray:
        """First pixel of each atom's window, int (atoms, 2)."""
        return np.rint(self.positions_angstrom / self.sampling).astype(int) - self._reach

    @cached_property
    def _reach(self) -> np.ndarray:
        """Pixels from the middle of a window to its edge, int (2,)."""
        return np.ceil(_REACH * self.radius_angstrom / np.array(self.sampling) + 0.5).astype(int)

    @cached_property
    def _windows(self) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        """Return w (atoms, y, x) and the coordinates from the atom, (atoms, y, 1) and (atoms, 1, x) [Å]."""
        sides = 2 * self._reach + 1
        axes = [
            (self._corners[:, [a]] + np.arange(sides[a])) * self.sampling[a] - self.positions_angstrom[:, [a]]
            for a in (0, 1)
        ]
        y, x = axes[0][:, :, None], axes[1][:, None, :]
        r = np.hypot(y, x) / self.radius_angstrom
        fall = np.clip((r - 0.7) / 0.3, 0, 1)
        return np.exp(-((3 * r) ** 2) / 2) * np.cos(math.pi / 2 * fall) ** 2, y, x

    @cached_property
    def _ring(self) -> np.ndarray:
        """Weights of the background, their sum 1, (atoms, y, x)."""
        _, y, x = self._windows
        r = np.hypot(y, x) / self.radius_angstrom
        ring = np.where(r < _REACH, np.exp(-(((r - 0.9) / 0.15) ** 2) / 2), 0)
        return ring / ring.sum(axis=(-2, -1), keepdims=True)

    def _gather(self, image: Array) -> Array:
        """Windows of ``image`` (states, y, x): (states, atoms, y, x)."""
        sides = 2 * self._reach + 1
        rows, columns = (self._corners[:, [a]] + np.arange(sides[a]) for a in (0, 1))
        xp = array_module(image)
        height, width = image.shape[-2:]
        # windows may hang over the edge by a pixel where w = v = 0: clip, what is read there is not used
        rows, columns = np.clip(rows, 0, height - 1), np.clip(columns, 0, width - 1)
        return image[:, xp.asarray(rows)[:, :, None], xp.asarray(columns)[:, None, :]]

    def _scatter(self, windows: Array, field: Array) -> Array:
        """Add windows (states, atoms, y, x) to zeros like ``field``, atom after atom, in every slice."""
        xp = array_module(field)
        pad = 2
        height, width = field.shape[-2:]
        total = xp.zeros((len(field), height + 2 * pad, width + 2 * pad))
        ny, nx = windows.shape[-2:]
        for index, (y, x) in enumerate((self._corners + pad).tolist()):
            total[:, y : y + ny, x : x + nx] += windows[:, index]
        inside = total[:, None, pad : pad + height, pad : pad + width].astype(field.dtype)
        return xp.repeat(inside, field.shape[1], axis=1)

    def _refuse_outside(self, shape: Sequence[int]) -> None:
        last = (np.array(shape) - 1) * self.sampling
        at, radius = self.positions_angstrom, _REACH * self.radius_angstrom
        outside = np.flatnonzero(((at - radius < -1e-9) | (at + radius > last + 1e-9)).any(axis=1))
        if outside.size:
            named = outside[:_NAMED_AT_MOST].tolist()
            more = f" and {outside.size - len(named)} more" if outside.size > len(named) else ""
            raise ValueError(
                f"positions_angstrom: the ring of radius {radius:.3g} Å leaves the field "
                f"of {tuple(shape)} pixels for atoms {named}{more}; "
                "leave these atoms out or use a smaller radius"
            )


_SOFT = 1e-3  # Å²


def _gate(xp: Any, mass: Array, floor: float) -> tuple[Array, Array]:
    """Return m⁴ / (m² + floor²)² for m > 0, else 0, and its derivative."""
    m = xp.maximum(mass, 0)
    below = m**2 + floor**2
    return (m**2 / below) ** 2, 4 * m**3 * floor**2 / below**3


def _hinge(xp: Any, x: Array) -> tuple[Array, Array]:
    """Return x above 1e-3, 0 below -1e-3, a parabola between, and its derivative."""
    clipped = xp.clip((x + _SOFT) / (2 * _SOFT), 0, 1)
    return xp.where(x > _SOFT, x, _SOFT * clipped**2), clipped
