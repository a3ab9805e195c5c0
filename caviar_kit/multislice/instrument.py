"""What the microscope did, as far as it is known only roughly: scan, tilt, thickness, beam, background."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from caviar_kit import validation
from caviar_kit.backend import array_module
from caviar_kit.multislice.model import MultisliceModel
from caviar_kit.multislice.operators import FourierFilter

__all__ = ["LARGEST_UNITS", "QUANTITIES", "Instrument", "InstrumentModel"]

Array = Any

QUANTITIES = ("positions", "tilt", "position tilt", "thickness", "beam", "background")
_ATTRIBUTES = dict(
    zip(QUANTITIES, ("positions", "slopes", "slopes", "thicknesses", "beam", "background"), strict=True)
)
# What an optimiser may take for a typical change: pixels, slopes, logarithms, roots of the background.
LARGEST_UNITS = dict(zip(QUANTITIES, (10.0, 0.1, 0.1, 1.0, 1.0, 30.0), strict=True))
_LEAST_BACKGROUND = 0.1  # a background that begins at zero could never grow
_SMOOTHNESS = 0.04  # of the background: standard deviation of a Gaussian, as a fraction of the pattern


@dataclass(frozen=True, eq=False)
class Instrument:
    """Everything besides object and probe that a pattern depends on.

    Attributes
    ----------
    positions : (positions, 2) float64
        Probe centres (y, x) [pixel of the object].
    slopes : (1 or positions, 2) float64
        tan of the beam tilt (y, x), one for all or one per position.
    thicknesses : (gaps,) float64
        Distances between successive slices [Å].
    beam : (positions,) float64
        Beam current at each position, 1 where it is that of the normalisation.
    background : (y, x) real or None
        Added to every pattern, FFT order [fraction of the beam per pixel].
    """

    positions: np.ndarray
    slopes: np.ndarray
    thicknesses: np.ndarray
    beam: np.ndarray
    background: Array | None = None

    @classmethod
    def nominal(cls, model: MultisliceModel) -> Instrument:
        """The one that the model states."""
        return cls(
            positions=model.positions,
            slopes=np.tan(1e-3 * np.array([model.tilt_mrad])),
            thicknesses=np.array(model.thicknesses),
            beam=np.ones(len(model.positions)),
        )

    def on(self, xp: Any, dtype: Any) -> Instrument:
        """The same with its background, if any, in array module ``xp`` and real ``dtype``."""
        if self.background is None:
            return self
        return replace(self, background=xp.asarray(self.background, dtype))

    @property
    def tilt_mrad(self) -> np.ndarray:
        """Beam tilt (y, x) [mrad], (1 or positions, 2)."""
        return 1e3 * np.arctan(self.slopes)


class InstrumentModel:
    """How a few real unknowns change an instrument, and gradients back.

    Parameters
    ----------
    start : Instrument
        Where to begin.
    quantities : sequence of str
        What is unknown, of :data:`QUANTITIES`:

        - "positions": a shift of every position [pixel], whose mean is zero (the object takes up
          a common one);
        - "tilt": a change of slope common to all positions; "position tilt": one for each, with mean
          zero beside "tilt";
        - "thickness": the logarithm of a factor common to all distances between slices;
        - "beam": the logarithm of a factor on the beam at each position, mean zero;
        - "background": u, with background = ``unit`` · (b + K u)², so never negative and, where ``start``
          is, smooth: K is a Gaussian blur. In the bright disc only a smooth one can be told from the
          interference of the object with itself.
    unit : float
        Scale of the background [fraction of the beam per pixel].

    Raises
    ------
    ValueError
        If a quantity is unknown or given twice.
    """

    def __init__(self, start: Instrument, quantities: Sequence[str], unit: float = 1.0) -> None:
        for name in quantities:
            validation.choice("refine", name, QUANTITIES)
        if len(set(quantities)) < len(quantities):
            raise ValueError(f"refine must not name a quantity twice, got {tuple(quantities)}")
        self.reference, self.quantities, self.unit = start, tuple(quantities), unit

    @property
    def attributes(self) -> frozenset[str]:
        """Attributes of :class:`Instrument` that depend on the unknowns."""
        return frozenset(_ATTRIBUTES[name] for name in self.quantities)

    def start(self, xp: Any, window: tuple[int, int]) -> dict[str, Array]:
        """Unknowns of each quantity that stand for the instrument itself (float64; background: ``xp``)."""
        count = len(self.reference.positions)
        unknowns = {
            "positions": np.zeros((count, 2)),
            "tilt": np.zeros((1, 2)),
            "position tilt": np.zeros((count, 2)),
            "thickness": np.zeros(1),
            "beam": np.zeros(count),
        }
        if "background" in self.quantities:
            unknowns["background"] = xp.zeros(window)
        return {name: unknowns[name] for name in self.quantities}

    def instrument(self, unknowns: dict[str, Array]) -> Instrument:
        """The instrument that ``unknowns`` (one entry per quantity) stand for."""
        was, changes = self.reference, {}
        if "positions" in unknowns:
            changes["positions"] = was.positions + _centred(unknowns["positions"])
        slopes = was.slopes
        if "tilt" in unknowns:
            slopes = slopes + unknowns["tilt"]
        if "position tilt" in unknowns:
            slopes = slopes + _centred(unknowns["position tilt"])
        if "thickness" in unknowns:
            changes["thicknesses"] = was.thicknesses * np.exp(unknowns["thickness"])
        if "beam" in unknowns:
            changes["beam"] = was.beam * np.exp(_centred(unknowns["beam"]))
        if "background" in unknowns:
            changes["background"] = self.unit * self._root(unknowns["background"]) ** 2
        return replace(was, slopes=slopes, **changes)

    def gradient(self, unknowns: dict[str, Array], gradient: Instrument) -> dict[str, Array]:
        """Gradient in the unknowns from that in the instrument's attributes."""
        now = self.instrument(unknowns)
        pulled = {
            "positions": lambda: _centred(gradient.positions),
            "tilt": lambda: gradient.slopes.sum(axis=0, keepdims=True),
            "position tilt": lambda: _centred(gradient.slopes),
            "thickness": lambda: np.sum(gradient.thicknesses * now.thicknesses, keepdims=True),
            "beam": lambda: _centred(gradient.beam * now.beam),
            "background": lambda: (
                2 * self.unit * _blurred(self._root(unknowns["background"]) * gradient.background)
            ),
        }
        return {name: pulled[name]() for name in self.quantities}

    def _root(self, unknowns: Array) -> Array:
        """√(background / unit), (y, x)."""
        level = self.reference.background
        root = _LEAST_BACKGROUND if level is None else array_module(level).sqrt(level / self.unit)
        return root + _blurred(unknowns)


def _blurred(image: Array) -> Array:
    """Convolved with the Gaussian of ``_SMOOTHNESS``, periodically; self-adjoint."""
    ky, kx = (np.exp(-2 * (np.pi * np.fft.fftfreq(n) * n * _SMOOTHNESS) ** 2) for n in image.shape)
    return FourierFilter(ky[:, None] * kx[None, :]).forward(image).real


def _centred(values: np.ndarray) -> np.ndarray:
    return values - values.mean(axis=0)
