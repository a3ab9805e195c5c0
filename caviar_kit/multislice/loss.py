"""Misfit between a modelled intensity I and a measured one D, and its derivative in I.

Both losses are per detector pixel, vanish where I = D, and are non-negative.
A ``weight`` of 0 (dead pixel, outside the detector) removes a pixel.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Protocol

from caviar_kit import validation
from caviar_kit.backend import array_module

__all__ = ["AmplitudeLoss", "Loss", "PoissonLoss", "make_loss"]

Array = Any


class Loss(Protocol):
    """What the engine asks of a loss."""

    def value(self, model: Array, data: Array) -> Array:
        """Loss per pixel, same shape as ``model``."""
        ...

    def derivative(self, model: Array, data: Array) -> Array:
        """∂loss/∂model per pixel."""
        ...


@dataclass(frozen=True)
class AmplitudeLoss:
    """(√(I + ε) - √(D + ε))²: for noise-free data and high dose.

    Variance-stabilising for Poisson counts well above one per pixel; biased below
    [Godard *et al.* (2012), doi:10.1364/OE.20.025914].

    Parameters
    ----------
    epsilon : float
        Softens the square root near zero, same unit as the data (fraction of the beam).
    """

    epsilon: float = 1e-10

    def __post_init__(self) -> None:
        validation.number("epsilon", self.epsilon, minimum=0, open_minimum=True)

    def value(self, model: Array, data: Array) -> Array:
        """Loss per pixel."""
        return self._difference(model, data) ** 2

    def derivative(self, model: Array, data: Array) -> Array:
        """∂loss/∂model per pixel."""
        return self._difference(model, data) / array_module(model).sqrt(model + self.epsilon)

    def _difference(self, model: Array, data: Array) -> Array:
        """Of the roots, in a form that does not cancel where they are nearly equal."""
        xp = array_module(model)
        return (model - data) / (xp.sqrt(model + self.epsilon) + xp.sqrt(data + self.epsilon))


@dataclass(frozen=True)
class PoissonLoss:
    """I - D - (D + ε) ln((I + ε)/(D + ε)): the likelihood for counted electrons.

    Negative log-likelihood of Poisson counts, minus its value at I = D, divided by the
    electrons per pattern [Thibault & Guizar-Sicairos (2012), doi:10.1088/1367-2630/14/6/063004].

    Parameters
    ----------
    epsilon : float
        Background that keeps the logarithm finite, same unit as the data (fraction of the beam).
    """

    epsilon: float = 1e-9

    def __post_init__(self) -> None:
        validation.number("epsilon", self.epsilon, minimum=0, open_minimum=True)

    def value(self, model: Array, data: Array) -> Array:
        """Loss per pixel."""
        xp = array_module(model)
        counted, excess = data + self.epsilon, model - data
        ratio = (model + self.epsilon) / counted
        # log1p does not cancel near I = D; log stays finite where I / D is below the precision
        near = xp.log1p(xp.maximum(excess / counted, -0.5))
        return excess - counted * xp.where(ratio < 0.5, xp.log(ratio), near)

    def derivative(self, model: Array, data: Array) -> Array:
        """∂loss/∂model per pixel."""
        return (model - data) / (model + self.epsilon)


def make_loss(name: str) -> Loss:
    """Return the loss called "amplitude" or "poisson"."""
    validation.choice("loss", name, ("amplitude", "poisson"))
    return AmplitudeLoss() if name == "amplitude" else PoissonLoss()
