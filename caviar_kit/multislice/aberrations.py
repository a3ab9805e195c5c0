"""Probe modes that share a few aberrations of the lens, the only unknowns of the probe."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np

from caviar_kit import validation
from caviar_kit.backend import array_module, to_numpy
from caviar_kit.multislice.operators import FarField, frequency_grid
from caviar_kit.multislice.probe_masks import beam, check_modes, check_optics

__all__ = ["AberratedModes"]

Array = Any

# Power of the angle, n + 1, and azimuthal order m of each C_nm.
_ORDERS = {
    "C10": (2, 0),
    "C12": (2, 2),
    "C21": (3, 1),
    "C23": (3, 3),
    "C30": (4, 0),
    "C32": (4, 2),
    "C34": (4, 4),
}


@dataclass(frozen=True, eq=False)
class AberratedModes:
    """Modes P = F⁻¹[exp(-iχ(k)) F P_start] with the aberrations in χ as unknowns.

    χ = (2π/λ) Σ C_nm α^(n+1) / (n+1) · cos(m (φ - φ_nm)) with the angle α = λ|k| and the azimuth φ
    counted from +y (rows) towards +x (columns): py4DSTEM's convention, in which C10 is minus the
    defocus [Krivanek *et al.* (1999), doi:10.1016/S0304-3991(99)00013-3, in polar form]. A pair
    (C_nm, φ_nm) is fitted as C_nm cos(m φ_nm) and C_nm sin(m φ_nm), smooth where C_nm = 0. The
    unknowns are a real vector of the phases [rad] that these make at the rim of the aperture.

    Parameters
    ----------
    start_modes : (modes, y, x) complex
        Modes to which the aberrations are added; NumPy or CuPy.
    sampling : (y, x)
        Pixel size [Å].
    wavelength : float
        [Å].
    names : tuple of str
        Aberrations to fit, from C10, C12, C21, C23, C30, C32, C34.
    semiangle_mrad : float, optional
        Angle of the rim [mrad]; it only scales the unknowns. By default √2 times the rms angle of
        the start modes, which is the rim of a filled disc.

    Raises
    ------
    TypeError, ValueError
        If an argument is of the wrong kind or out of range, or a name unknown or given twice.
    """

    start_modes: Array
    sampling: tuple[float, float]
    wavelength: float
    names: tuple[str, ...] = ("C10", "C12")
    semiangle_mrad: float | None = None

    def __post_init__(self) -> None:
        check_modes("start_modes", self.start_modes)
        check_optics(self.sampling, self.wavelength)
        if isinstance(self.names, str) or not len(self.names):
            raise TypeError(f"names must be a tuple of at least one aberration, got {self.names!r}")
        for name in self.names:
            validation.choice("names", name, tuple(_ORDERS))
        if len(set(self.names)) < len(self.names):
            raise ValueError(f"names must not repeat an aberration, got {self.names}")
        if self.semiangle_mrad is not None:
            validation.number(
                "semiangle_mrad", self.semiangle_mrad, minimum=0, open_minimum=True, unit="mrad"
            )

    @property
    def components(self) -> tuple[str, ...]:
        """Name of each unknown: "C10"; "C12a" and "C12b" for the cosine and sine part; and so on."""
        parts = ((name, ("a", "b") if _ORDERS[name][1] else ("",)) for name in self.names)
        return tuple(name + part for name, pair in parts for part in pair)

    @cached_property
    def rim_radian(self) -> float:
        """Angle of the aperture's rim [rad], at which the unknowns are phases."""
        if self.semiangle_mrad is not None:
            return 1e-3 * self.semiangle_mrad
        ky, kx = frequency_grid(self.start_modes.shape[1:], self.sampling)
        intensity = (abs(to_numpy(self._spectra).astype(complex)) ** 2).sum(axis=0)
        return self.wavelength * math.sqrt(2 * float(np.average(ky**2 + kx**2, weights=intensity)))

    def start(self, probe: Array) -> Array:
        """Zeros; ``probe`` must be the start modes.

        Raises
        ------
        ValueError
            If it is not.
        """
        if probe.shape != self.start_modes.shape or beam(probe - self.start_modes) > 1e-8 * beam(probe):
            raise ValueError("probe must equal start_modes, to which the aberrations are added")
        return array_module(probe).zeros(len(self.components), self._basis.dtype)

    def unit(self, unknowns: Array) -> float:
        """1 rad at the rim."""
        return 1.0

    def modes(self, unknowns: Array) -> Array:
        """The start modes with the aberrations added; their beam and orthogonality stay."""
        return FarField().adjoint(self._aberrated(unknowns))

    def gradient(self, unknowns: Array, gradient: Array) -> Array:
        """dL/dc_j = Σ_k χ_j Im Σ_modes conj(F G) F P, with unitary F and χ_j = ∂χ/∂c_j."""
        product = FarField().forward(gradient).conj() * self._aberrated(unknowns)
        return (self._basis * product.imag.sum(axis=0)).sum(axis=(1, 2))

    def coefficients(self, unknowns: Array) -> dict[str, float]:
        """What the unknowns add to the start modes, as py4DSTEM's polar parameters.

        Returns
        -------
        dict
            "C10", "C12" … [Å] and, for those with an azimuth, "phi12" … [rad] from -π/m to π/m.
            They suit ``py4DSTEM``'s ``ComplexProbe(parameters=…)``.
        """
        values = dict(zip(self.components, to_numpy(unknowns).tolist(), strict=True))
        result = {}
        for name in self.names:
            order = _ORDERS[name][1]
            if order:
                cosine, sine = values[name + "a"], values[name + "b"]
                result[name] = math.hypot(cosine, sine) / self._phase_per_angstrom(name)
                result["phi" + name[1:]] = math.atan2(sine, cosine) / order
            else:
                result[name] = values[name] / self._phase_per_angstrom(name)
        return result

    def unknowns(self, coefficients: Mapping[str, float]) -> Array:
        """Unknowns that make these ``coefficients`` [Å, rad]; what is not named is zero.

        Raises
        ------
        TypeError, ValueError
            If a coefficient is not among ``names``, or not a finite number.
        """
        allowed = [*self.names, *("phi" + name[1:] for name in self.names if _ORDERS[name][1])]
        for key, value in coefficients.items():
            validation.choice("coefficients", key, allowed)
            validation.number(f"coefficients[{key!r}]", value)
        result: list[float] = []
        for name in self.names:
            phase = coefficients.get(name, 0.0) * self._phase_per_angstrom(name)
            order = _ORDERS[name][1]
            azimuth = order * coefficients.get("phi" + name[1:], 0.0)
            result += [phase * math.cos(azimuth), phase * math.sin(azimuth)] if order else [phase]
        return array_module(self.start_modes).asarray(result, dtype=self._basis.dtype)

    def _phase_per_angstrom(self, name: str) -> float:
        power = _ORDERS[name][0]
        return 2 * math.pi / self.wavelength * self.rim_radian**power / power

    def _aberrated(self, unknowns: Array) -> Array:
        """Spectra of the modes."""
        xp = array_module(unknowns)
        return self._spectra * xp.exp(-1j * xp.tensordot(unknowns, self._basis, axes=1))

    @cached_property
    def _spectra(self) -> Array:
        return FarField().forward(self.start_modes)

    @cached_property
    def _basis(self) -> Array:
        """χ_j(k), 1 rad at the rim, real (components, y, x)."""
        ky, kx = frequency_grid(self.start_modes.shape[1:], self.sampling)
        radius, azimuth = self.wavelength * np.hypot(ky, kx) / self.rim_radian, np.arctan2(kx, ky)
        layers = []
        for component in self.components:
            power, order = _ORDERS[component[:3]]
            part = np.sin if component.endswith("b") else np.cos
            layers.append(radius**power * part(order * azimuth))
        return array_module(self.start_modes).asarray(np.stack(layers), dtype=self.start_modes.real.dtype)
