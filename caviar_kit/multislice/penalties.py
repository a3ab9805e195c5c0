"""Soft constraints: smooth penalties that are added to the misfit, with exact gradients.

A penalty takes the unknowns, real phases or complex transmission functions (states, slices,
y, x), and returns ``weight`` × a mean over states, slices and pixels (or atoms), so that one
weight serves all grids and ensembles. It is added to the mean misfit per pattern, a fraction
of the beam that ends between 1e-6 and 1e-4: a sensible penalty ends well below that misfit,
and each class says which weight this means. Gradients are G = 2 ∂L/∂conj(z), for real unknowns
∂L/∂φ. `Positivity` and `Atomicity` refuse complex unknowns; the others take both.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any, Protocol

import numpy as np

from caviar_kit import validation
from caviar_kit.backend import array_module
from caviar_kit.multislice.atomicity import Atomicity
from caviar_kit.multislice.operators import frequency_grid
from caviar_kit.multislice.projections import Projection, check_field, check_sampling, fourier_multiply

__all__ = [
    "Atomicity",
    "Departure",
    "Penalty",
    "Positivity",
    "StateVariance",
    "TotalVariation",
    "total_penalty",
]

Array = Any

_STACK = (None, None, None, None)


class Penalty(Protocol):
    """What is asked of a soft constraint."""

    def value_and_gradient(self, field: Array) -> tuple[float, Array]:
        """Value and gradient in the unknowns ``field`` (states, slices, y, x)."""
        ...


def total_penalty(penalties: Iterable[Penalty], field: Array) -> tuple[float, Array]:
    """Sum of all values and of all gradients; zero without penalties.

    Parameters
    ----------
    penalties : iterable of Penalty
    field : (states, slices, y, x) real or complex
        Unknowns of the object.

    Returns
    -------
    value : float
    gradient : array like ``field``
    """
    value, gradient = 0.0, array_module(field).zeros_like(field)
    for penalty in penalties:
        share, slope = penalty.value_and_gradient(field)
        value += share
        gradient += slope
    return value, gradient


@dataclass(frozen=True)
class Positivity:
    """Potentials are positive: weight · mean of min(φ, 0)² [rad²]; phase objects only.

    A constant phase is not observable, so this also fixes the zero of the phase. Where a tenth of
    the pixels is negative by a hundredth of a radian, the mean is 1e-5 rad²: begin with a
    weight of 1e-2.

    Parameters
    ----------
    weight : float
        Fraction of the beam per rad², 0 or more.
    """

    weight: float

    def __post_init__(self) -> None:
        validation.number("weight", self.weight, minimum=0)

    def value_and_gradient(self, field: Array) -> tuple[float, Array]:
        """Value and gradient; ``field`` (states, slices, y, x) real. TypeError if it is complex."""
        check_field(field, _STACK, complex_allowed=False)
        below = array_module(field).minimum(field, 0)
        return self.weight * _power(below) / field.size, (2 * self.weight / field.size) * below


@dataclass(frozen=True)
class TotalVariation:
    """Smoothed isotropic total variation in the plane of each slice, and along z.

    weight · { mean [√(|∂_y f|² + |∂_x f|² + ε²) - ε] + mean [√(|w_z Δ_z f|² + ε²) - ε] } with
    forward differences [Rudin, Osher & Fatemi (1992), doi:10.1016/0167-2789(92)90242-F; smoothed
    as by Vogel & Oman (1996), doi:10.1137/0917016]. Differences across the border are zero. It
    is the mean slope of the object, independent of the pixel for what is well sampled: a step
    of height h across a field of length L counts h / L. Complex fields use moduli.

    Parameters
    ----------
    weight : float
        Fraction of the beam per rad/Å, 0 or more. The mean slope of atoms is about 0.1 rad/Å:
        begin with 1e-5.
    epsilon : float
        Slopes below are smoothed quadratically, above nearly linearly [rad/Å], above 0. Small
        values make edges sharper and L-BFGS slower; 0.05 is a beginning.
    sampling : (y, x)
        Pixel size [Å].
    z_weight : float
        w_z [1/Å] turns the difference of consecutive slices into a slope: 1 / (slice thickness)
        treats z like y and x, 0 leaves z out.
    """

    weight: float
    epsilon: float
    sampling: tuple[float, float]
    z_weight: float = 0.0

    def __post_init__(self) -> None:
        validation.number("weight", self.weight, minimum=0)
        validation.number("epsilon", self.epsilon, minimum=0, open_minimum=True, unit="rad/Å")
        object.__setattr__(self, "sampling", check_sampling(self.sampling))
        validation.number("z_weight", self.z_weight, minimum=0, unit="1/Å")

    def value_and_gradient(self, field: Array) -> tuple[float, Array]:
        """Value and gradient; ``field`` (states, slices, y, x) real or complex."""
        check_field(field, _STACK)
        gradient = array_module(field).zeros_like(field)
        value = self._add(field, gradient, ((-2, 1 / self.sampling[0]), (-1, 1 / self.sampling[1])))
        if self.z_weight:
            value += self._add(field, gradient, ((-3, self.z_weight),))
        gradient *= self.weight / field.size
        return self.weight * value / field.size, gradient

    def _add(self, field: Array, gradient: Array, axes: tuple[tuple[int, float], ...]) -> float:
        """Sum of √(Σ over axes |scale · difference|² + ε²) - ε; its gradient is added."""
        xp = array_module(field)
        slopes = [scale * _difference(field, axis) for axis, scale in axes]
        squared = sum(abs(slope) ** 2 for slope in slopes)
        root = xp.sqrt(squared + self.epsilon**2)
        for (axis, scale), slope in zip(axes, slopes, strict=True):
            _add_difference_adjoint(gradient, scale * slope / root, axis)
        # r - ε = |slope|² / (r + ε): no cancellation where the field is flat
        return float((squared / (root + self.epsilon)).sum(dtype=np.float64))


@dataclass(frozen=True)
class StateVariance:
    """Prior on the variance between the states, above a spatial frequency.

    weight · mean over slices and pixels of (1/S) Σ_s |H (f_s - mean_s f)|², H = F⁻¹ [k ≥ cutoff] F.
    Zero for one state. It holds down what differs between the states at a scale finer than
    1 / cutoff, noise above all; what is common to all states is untouched. But a displacement u
    of an atom f shows as -u · ∇f, variance too: a low cutoff takes the vibration away, a high
    one its finest part, which makes atoms of displaced states look narrower and further out.
    docs/constraints.md has figures; correlations are nearly unchanged at 1.5 / Å in silicon.

    Parameters
    ----------
    weight : float
        Fraction of the beam per rad², 0 or more. Thermal differences of silicon columns are about
        2e-4 rad²: begin with 1e-3.
    cutoff : float
        [1/Å]; 0 takes the whole variance.
    sampling : (y, x)
        Pixel size [Å].
    """

    weight: float
    cutoff: float
    sampling: tuple[float, float]

    def __post_init__(self) -> None:
        validation.number("weight", self.weight, minimum=0)
        validation.number("cutoff", self.cutoff, minimum=0, unit="1/Å")
        object.__setattr__(self, "sampling", check_sampling(self.sampling))

    def value_and_gradient(self, field: Array) -> tuple[float, Array]:
        """Value and gradient; ``field`` (states, slices, y, x) real or complex."""
        check_field(field, _STACK)
        ky, kx = frequency_grid(field.shape[-2:], self.sampling)
        high = (ky**2 + kx**2 >= self.cutoff**2).astype(float)
        fine = fourier_multiply(field - field.mean(axis=0), high)
        return self.weight * _power(fine) / field.size, (2 * self.weight / field.size) * fine


@dataclass(frozen=True)
class Departure:
    """The soft form of a hard constraint P: weight · mean of |f - P f|².

    With `MissingWedge` it suppresses the wedge for good, with `IdenticalSlices` the variation
    with depth, with `LowPass` high frequencies of all states alike.

    Parameters
    ----------
    weight : float
        Fraction of the beam per rad², 0 or more; begin with 1e-3.
    projection : Projection
        From `caviar_kit.multislice.projections`, or a `Chain` of them.
    """

    weight: float
    projection: Projection

    def __post_init__(self) -> None:
        validation.number("weight", self.weight, minimum=0)
        if not (hasattr(self.projection, "forward") and hasattr(self.projection, "adjoint")):
            raise TypeError(f"projection must have forward and adjoint, got {self.projection!r}")

    def value_and_gradient(self, field: Array) -> tuple[float, Array]:
        """Value and gradient; ``field`` (states, slices, y, x) real or complex."""
        check_field(field, _STACK)
        rest = field - self.projection.forward(field)
        slope = rest - self.projection.adjoint(rest)
        return self.weight * _power(rest) / field.size, (2 * self.weight / field.size) * slope


def _power(field: Array) -> float:
    """Σ |field|², summed in float64."""
    return float((abs(field) ** 2).sum(dtype=np.float64))


def _difference(field: Array, axis: int) -> Array:
    """Forward difference, zero at the last element."""
    result = array_module(field).zeros_like(field)
    result[_part(field, axis, slice(None, -1))] = (
        field[_part(field, axis, slice(1, None))] - field[_part(field, axis, slice(None, -1))]
    )
    return result


def _add_difference_adjoint(total: Array, slope: Array, axis: int) -> None:
    """Add the adjoint of `_difference`, applied to ``slope``, to ``total``."""
    inner = slope[_part(slope, axis, slice(None, -1))]
    total[_part(total, axis, slice(1, None))] += inner
    total[_part(total, axis, slice(None, -1))] -= inner


def _part(field: Array, axis: int, which: slice) -> tuple[slice, ...]:
    index = [slice(None)] * field.ndim
    index[axis] = which
    return tuple(index)
