"""Hard constraints on the unknowns: linear operators P inside the parametrisation, field = P x.

A quasi-Newton step with a projection after it is no longer the step whose loss was searched.
Inside the parametrisation the same constraint is exact and the gradient in x is P† times the
gradient in the field. Fields are real or complex (states, slices, y, x), NumPy or CuPy; their
precision is kept, and states are never mixed. Every operator here is real and self-adjoint.

What P removes (factor 0) is gone. What it weakens (0 < factor < 1) comes back more slowly, by
the factor squared per gradient step, and is kept out only by stopping early; to hold it down
for good use `caviar_kit.multislice.penalties.Departure`.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from types import ModuleType
from typing import Any, Protocol

import numpy as np
from scipy import fft as scipy_fft

from caviar_kit import validation
from caviar_kit.backend import array_module
from caviar_kit.multislice.operators import frequency_grid

__all__ = [
    "Chain",
    "IdenticalSlices",
    "LowPass",
    "MissingWedge",
    "Projection",
    "check_field",
    "check_sampling",
    "fourier_multiply",
]

Array = Any


class Projection(Protocol):
    """A linear operator from fields to fields of the same shape and precision."""

    def forward(self, field: Array) -> Array:
        """Constrain ``field``."""
        ...

    def adjoint(self, field: Array) -> Array:
        """Pull a gradient back."""
        ...


@dataclass(frozen=True)
class LowPass:
    """In-plane band limit: F⁻¹ W F, W = 1 up to ``cutoff`` - ``width``, 0 from ``cutoff`` on.

    Between them W falls as cos². With ``width`` = 0 it is an orthogonal projection.

    Parameters
    ----------
    shape : (y, x)
        Pixels of the field.
    sampling : (y, x)
        Pixel size [Å].
    cutoff : float
        Spatial frequency [1/Å] from which on nothing passes.
    width : float
        Width of the soft edge [1/Å], between 0 and ``cutoff``; a hard edge rings.

    Raises
    ------
    TypeError, ValueError
        If an argument is out of range.
    """

    shape: tuple[int, int]
    sampling: tuple[float, float]
    cutoff: float
    width: float = 0.0

    def __post_init__(self) -> None:
        object.__setattr__(self, "shape", _check_shape(self.shape, ("y", "x")))
        object.__setattr__(self, "sampling", check_sampling(self.sampling))
        validation.number("cutoff", self.cutoff, minimum=0, open_minimum=True, unit="1/Å")
        validation.number("width", self.width, minimum=0, maximum=self.cutoff, unit="1/Å")

    @cached_property
    def transfer(self) -> np.ndarray:
        """W, float64 (y, x), FFT order."""
        ky, kx = frequency_grid(self.shape, self.sampling)
        k2 = ky**2 + kx**2
        inside = (k2 < self.cutoff**2).astype(float)
        if self.width == 0:
            return inside
        into_edge = np.clip(np.sqrt(k2) - (self.cutoff - self.width), 0, self.width)
        return inside * np.cos(math.pi / 2 * into_edge / self.width) ** 2

    def forward(self, field: Array) -> Array:
        """Filter every slice of ``field`` (..., y, x)."""
        check_field(field, self.shape)
        return fourier_multiply(field, self.transfer)

    adjoint = forward


@dataclass(frozen=True)
class MissingWedge:
    """Weaken what a small convergence angle cannot see in depth: high k_z at low in-plane k.

    W = 1 - (2/π) arctan(β² k_z² / (k_x² + k_y²)), the form of py4DSTEM 0.14 (its
    ``kz_regularization_gamma`` γ is β / (slice thickness / pixel)). The mean of every slice,
    k_x = k_y = 0, passes unchanged, where py4DSTEM removes its variation with depth: data do not
    determine a constant phase, and for transmission functions the mean is vacuum, near one.

    Parameters
    ----------
    shape : (slices, y, x)
        Pixels of one state.
    sampling : (y, x)
        Pixel size [Å].
    slice_thickness : float or sequence of float
        [Å]. The transform needs equidistant slices: the mean of unequal ones is used, so that
        k_z is right on average only (py4DSTEM takes the first).
    beta : float
        Strength, no unit; W = 1/2 where β k_z = k in the plane. A beam of semi-angle α transfers
        k_z up to about α k: β = 1/α [rad] halves what lies on the edge of the wedge.
    z_padding : int
        Empty slices added at the top and again at the bottom, so that these two are not
        neighbours in the periodic transform; they are cut off afterwards (py4DSTEM's default
        is 1). As they are empty, an object that is equal in all its slices is weakened too, at
        low in-plane k; with 0 the object is periodic in z and such an object passes unchanged.

    Raises
    ------
    TypeError, ValueError
        If an argument is out of range.
    """

    shape: tuple[int, int, int]
    sampling: tuple[float, float]
    slice_thickness: float | Sequence[float]
    beta: float
    z_padding: int = 1

    def __post_init__(self) -> None:
        object.__setattr__(self, "shape", _check_shape(self.shape, ("slices", "y", "x")))
        object.__setattr__(self, "sampling", check_sampling(self.sampling))
        thickness = self.slice_thickness
        mean = thickness if np.ndim(thickness) == 0 else _mean_thickness(thickness)
        mean = validation.number("slice_thickness", mean, minimum=0, open_minimum=True, unit="Å")
        object.__setattr__(self, "slice_thickness", mean)
        validation.number("beta", self.beta, minimum=0)
        validation.integer("z_padding", self.z_padding, minimum=0)

    @cached_property
    def transfer(self) -> np.ndarray:
        """W, float64 (slices + 2 z_padding, y, x), FFT order."""
        kz = np.fft.fftfreq(self.shape[0] + 2 * self.z_padding, self.slice_thickness)
        ky, kx = frequency_grid(self.shape[1:], self.sampling)
        transfer = 1 - 2 / math.pi * np.arctan2((self.beta * kz[:, None, None]) ** 2, ky**2 + kx**2)
        transfer[:, 0, 0] = 1
        return transfer

    def forward(self, field: Array) -> Array:
        """Filter every state of ``field`` (..., slices, y, x)."""
        check_field(field, self.shape)
        return fourier_multiply(field, self.transfer)

    adjoint = forward


@dataclass(frozen=True)
class IdenticalSlices:
    """All slices of a state equal to their mean: an orthogonal projection.

    Meant for slices of equal thickness. One unknown per column instead of one per slice.
    """

    def forward(self, field: Array) -> Array:
        """Mean over the slices of ``field`` (..., slices, y, x), in every slice."""
        check_field(field, (None, None, None))
        mean = field.mean(axis=-3, keepdims=True)
        return array_module(field).repeat(mean, field.shape[-3], axis=-3)

    adjoint = forward


@dataclass(frozen=True)
class Chain:
    """Several operators, the first one first; the adjoint goes through them in reverse.

    Fourier multipliers commute; others need not, so the chain is self-adjoint in general only
    if its links are the same read from either end. Without a link it is the identity.
    """

    projections: tuple[Projection, ...] = ()

    def __post_init__(self) -> None:
        object.__setattr__(self, "projections", tuple(self.projections))
        for index, link in enumerate(self.projections):
            if not (hasattr(link, "forward") and hasattr(link, "adjoint")):
                raise TypeError(f"projections[{index}] must have forward and adjoint, got {link!r}")

    def forward(self, field: Array) -> Array:
        """… P₂ P₁ ``field``."""
        for link in self.projections:
            field = link.forward(field)
        return field

    def adjoint(self, field: Array) -> Array:
        """P₁† P₂† … ``field``."""
        for link in reversed(self.projections):
            field = link.adjoint(field)
        return field


def fourier_multiply(field: Array, transfer: np.ndarray) -> Array:
    """F⁻¹ · transfer · F over the last axes, as many as ``transfer`` has, in the field's precision.

    ``transfer`` is real and even, so a real field stays real. Where it is longer than the field,
    the field is padded with zeros and cut again.
    """
    transforms, axes, real = _fft(field), tuple(range(-transfer.ndim, 0)), field.dtype.kind == "f"
    forward = transforms.rfftn if real else transforms.fftn
    backward = transforms.irfftn if real else transforms.ifftn
    spectrum = forward(field, s=transfer.shape, axes=axes)
    half = transfer[..., : spectrum.shape[-1]]
    spectrum *= array_module(field).asarray(half, dtype=spectrum.real.dtype)
    result = backward(spectrum, s=transfer.shape, axes=axes, overwrite_x=True)
    inside = tuple(slice(0, side) for side in field.shape[-transfer.ndim :])
    return array_module(field).ascontiguousarray(result[(..., *inside)])


def check_field(field: Array, trailing: tuple[int | None, ...], *, complex_allowed: bool = True) -> None:
    """Refuse a field that is not floating or whose last axes are not ``trailing`` (None: any length).

    Raises
    ------
    TypeError
        If it is no floating array, or complex where only real phases make sense.
    ValueError
        If its shape is wrong or it is empty.
    """
    dtype = getattr(field, "dtype", None)
    if dtype is None or dtype.char not in "fdFD":
        raise TypeError(
            "field must be an array of float32, float64, complex64 or complex128, "
            f"got {type(field).__name__ if dtype is None else dtype}"
        )
    if dtype.kind == "c" and not complex_allowed:
        raise TypeError(f"field must hold real phases (object_type='phase'), got {dtype}")
    last = field.shape[len(field.shape) - len(trailing) :]
    fits = len(last) == len(trailing) and all(w in (None, n) for w, n in zip(trailing, last, strict=True))
    if not fits or field.size == 0:
        wanted = ", ".join("any" if n is None else str(n) for n in trailing)
        raise ValueError(f"field must have shape (..., {wanted}) and values, got {field.shape}")


def check_sampling(sampling: Sequence[float]) -> tuple[float, float]:
    """Return ``sampling`` as two positive floats (y, x) [Å]."""
    pixel = validation.as_array("sampling", sampling, shape=(2,))
    if (pixel <= 0).any():
        raise ValueError(f"sampling must be above 0 [Å per pixel], got {pixel.tolist()}")
    return float(pixel[0]), float(pixel[1])


def _check_shape(shape: Sequence[int], axes: tuple[str, ...]) -> tuple[int, ...]:
    if not isinstance(shape, Sequence) or len(shape) != len(axes):
        raise ValueError(f"shape must be ({', '.join(axes)}), got {shape!r}")
    return tuple(validation.integer(f"shape ({axis})", side) for axis, side in zip(axes, shape, strict=True))


def _mean_thickness(thicknesses: Any) -> float:
    values = validation.as_array("slice_thickness", thicknesses, shape=(None,))
    if (values <= 0).any():
        raise ValueError(f"slice_thickness must be above 0 [Å], got {values.tolist()}")
    return float(values.mean())


def _fft(field: Array) -> ModuleType:
    if array_module(field) is np:
        return scipy_fft
    from cupyx.scipy import fft as cupy_fft

    return cupy_fft
