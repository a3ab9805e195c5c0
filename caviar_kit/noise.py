"""Is the misfit of a reconstruction that of counted electrons, or is something missing in the model."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from caviar_kit import validation
from caviar_kit.atomistic.counting_noise import expected_noise_loss
from caviar_kit.backend import to_numpy
from caviar_kit.multislice.loss import make_loss

if TYPE_CHECKING:
    from caviar_kit.ptychography import MixedObjectMultislicePtychography

__all__ = ["NoiseLevel", "noise_level"]

_BATCH = 64  # patterns at a time
_FEWEST_ELECTRONS = 10.0  # per pattern, below which the data can hardly be counts


@dataclass(frozen=True)
class NoiseLevel:
    """Misfit per pattern of a reconstruction, and of electrons counted where it is right.

    Attributes
    ----------
    loss : float
        Mean over the patterns.
    expected : float
        Mean that Poisson-distributed counts about the modelled patterns would have.
    deviation : float
        Standard deviation of ``expected`` by chance, if pixels are independent of each other.
    """

    loss: float
    expected: float
    deviation: float

    @property
    def ratio(self) -> float:
        """``loss`` / ``expected``: a reduced deviance. 1 is the noise, less is a fit of the noise."""
        return self.loss / self.expected

    def __str__(self) -> str:
        noise = f"{self.expected:.5f} ± {self.deviation:.5f}"
        return f"loss {self.loss:.5f}, of counting alone {noise}: ratio {self.ratio:.3f}"


def noise_level(
    ptychography: MixedObjectMultislicePtychography,
    *,
    loss: str = "poisson",
    electrons_per_pattern: float | None = None,
) -> NoiseLevel:
    """Compare the misfit of a reconstruction with that of counting noise.

    A detector that counts an electron in several pixels keeps each pixel's statistics, and so the expected
    mean; what is correlated is fitted more easily, by about as many times the unknowns per pattern.

    Parameters
    ----------
    ptychography : MixedObjectMultislicePtychography
        After ``reconstruct``.
    loss : {"poisson", "amplitude"}
        Misfit to compare.
    electrons_per_pattern : float, optional
        Electrons of the beam during one pattern; by default the data are taken as counts.

    Returns
    -------
    NoiseLevel

    Raises
    ------
    TypeError, ValueError
        If there is no reconstruction, an argument is out of range, or the data are no counts and
        ``electrons_per_pattern`` is missing.
    """
    if not getattr(ptychography, "error_iterations", None):
        raise ValueError("ptychography must have been reconstructed: run reconstruct() first")
    loss_function = make_loss(loss)
    if electrons_per_pattern is None:
        beam = ptychography._beam
        electrons = float(ptychography._mean_diffraction_intensity if beam is None else beam)
        if electrons < _FEWEST_ELECTRONS:
            raise ValueError(
                f"patterns sum to {electrons:g}, which are no counted electrons: give electrons_per_pattern"
            )
    else:
        electrons = validation.number(
            "electrons_per_pattern", electrons_per_pattern, minimum=0, open_minimum=True
        )
    evaluator = ptychography._evaluator(loss)
    xp, weights = evaluator.xp, ptychography._detector_weights
    known = (xp.asarray(ptychography._object), xp.asarray(ptychography._unit_probe))
    sums = np.zeros(3)
    for first in range(0, len(evaluator.patterns), _BATCH):
        chosen = np.arange(first, min(first + _BATCH, len(evaluator.patterns)))
        model = to_numpy(evaluator.intensities(*known, chosen, instrument=ptychography.instrument))
        data = np.stack([to_numpy(evaluator.patterns[int(n)]) for n in chosen])
        mean, variance = expected_noise_loss(loss_function, model, electrons, weights)
        sums += (loss_function.value(model, data) * weights).sum(), mean.sum(), variance.sum()
    count = len(evaluator.patterns)
    return NoiseLevel(sums[0] / count, sums[1] / count, float(np.sqrt(sums[2])) / count)
