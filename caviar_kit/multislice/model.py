"""The frozen description of one experiment as the multislice model sees it."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

import numpy as np

from caviar_kit import validation
from caviar_kit.multislice.operators import BandLimit, FresnelPropagator, PatchSampler

__all__ = ["MultisliceModel"]


@dataclass(frozen=True)
class MultisliceModel:
    """Geometry and optics of a mixed-object multislice model.

    The intensity at scan position p is I(k) = 1/S Σ_states Σ_modes |F ψ|² with ψ the probe
    mode at p, multiplied by each slice's transmission and propagated in between [CAVIAR,
    arXiv:2309.12017, Methods].

    Parameters
    ----------
    window : (y, x)
        Pixels of a diffraction pattern and of the probe's real-space window.
    sampling : (y, x)
        Real-space pixel [Å].
    wavelength : float
        [Å].
    thicknesses : tuple of float
        Distances between successive slices [Å]; slices = len(thicknesses) + 1.
    positions : (positions, 2) float
        Probe centres (y, x) [pixel of the object]; the probe's centre in its window is
        pixel (y // 2, x // 2).
    object_shape : (y, x)
        Pixels of each object slice; all windows must lie inside.
    tilt_mrad : (y, x)
        Beam tilt [mrad].
    band_limit : float or None
        Waves and transmission functions keep spatial frequencies below this fraction of the
        Nyquist frequency; 2/3 makes the products alias-free, None keeps everything.

    Raises
    ------
    TypeError, ValueError
        If the numbers do not describe a possible experiment.
    """

    window: tuple[int, int]
    sampling: tuple[float, float]
    wavelength: float
    thicknesses: tuple[float, ...]
    positions: np.ndarray
    object_shape: tuple[int, int]
    tilt_mrad: tuple[float, float] = (0.0, 0.0)
    band_limit: float | None = None
    sampler: PatchSampler = field(init=False, repr=False)

    def __post_init__(self) -> None:
        number = validation.number

        def positive(name: str, value: Any) -> float:
            return number(name, value, minimum=0, open_minimum=True, unit="Å")

        for name in ("window", "object_shape"):
            self._set(name, [validation.integer(name, n, minimum=2) for n in self._pair(name)])
        self._set("sampling", [positive("sampling", d) for d in self._pair("sampling")])
        object.__setattr__(self, "wavelength", positive("wavelength", self.wavelength))
        if np.ndim(self.thicknesses) != 1:
            raise TypeError(f"thicknesses must be a sequence, one per gap [Å], got {self.thicknesses!r}")
        self._set("thicknesses", [positive("thicknesses", t) for t in self.thicknesses])
        self._set(
            "tilt_mrad",
            [number("tilt_mrad", t, minimum=-500, maximum=500, unit="mrad") for t in self._pair("tilt_mrad")],
        )
        if self.band_limit is not None:
            number("band_limit", self.band_limit, minimum=0, maximum=1, open_minimum=True)
        positions = validation.as_array("positions", self.positions, shape=(None, 2)).astype(float)
        object.__setattr__(self, "positions", positions)
        corners = np.rint(positions).astype(int) - np.array(self.window) // 2
        object.__setattr__(self, "sampler", PatchSampler(corners, self.window, self.object_shape))

    def _pair(self, name: str) -> Any:
        value = getattr(self, name)
        if np.shape(value) != (2,):
            raise TypeError(f"{name} must be a pair (y, x), got {value!r}")
        return value

    def _set(self, name: str, values: list[Any]) -> None:
        object.__setattr__(self, name, tuple(values))

    @property
    def num_slices(self) -> int:
        """Slices of the object."""
        return len(self.thicknesses) + 1

    def _cutoff(self) -> float:
        nyquist = min(0.5 / d for d in self.sampling)
        return (self.band_limit or 1.0) * nyquist

    def transfers(self) -> list[np.ndarray]:
        """Transfer function H(k) of each gap between slices, complex128 (y, x)."""
        limit = self.detector_limit()
        limit = np.ones(self.window) if limit is None else limit
        return [
            FresnelPropagator(self.window, self.sampling, self.wavelength, dz, self.tilt_mrad).transfer
            * limit
            for dz in self.thicknesses
        ]

    def detector_limit(self) -> np.ndarray | None:
        """1 where the model can scatter to, (y, x), or None without a band limit."""
        return (
            None
            if self.band_limit is None
            else BandLimit(self.window, self.sampling, self._cutoff()).transfer
        )

    def object_limit(self) -> BandLimit | None:
        """The band limit on transmission functions, or None."""
        return (
            None if self.band_limit is None else BandLimit(self.object_shape, self.sampling, self._cutoff())
        )
