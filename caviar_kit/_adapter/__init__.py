"""The adapter: the only place that touches py4DSTEM's private state.

What the parent class prepares is checked and handed to :mod:`caviar_kit.multislice`; what the
engine finds is written back to where py4DSTEM keeps its own results; what py4DSTEM shows and
computes learns the axis of states.
"""

from __future__ import annotations

from caviar_kit._adapter.corrections import Corrections
from caviar_kit._adapter.fitting import Fitting
from caviar_kit._adapter.from_arrays import FromArrays
from caviar_kit._adapter.gradient_descent import GradientDescent
from caviar_kit._adapter.preparation import Preparation
from caviar_kit._adapter.refined import Refined
from caviar_kit._adapter.refusals import Refusals
from caviar_kit._adapter.timing import Timing
from caviar_kit._adapter.views import PARENT_VIEW, Views

__all__ = ["PARENT_VIEW", "Py4DSTEMAdapter"]


class Py4DSTEMAdapter(
    FromArrays, Refusals, Views, GradientDescent, Timing, Fitting, Refined, Preparation, Corrections
):
    """py4DSTEM's multislice class, generalised to several states of the object."""
