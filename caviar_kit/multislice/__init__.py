"""Mixed-object multislice ptychography: operators, exact gradients, optimisers, engine.

Needs NumPy and SciPy, and uses pyFFTW, Numba or CuPy where they are installed; nothing here
knows of py4DSTEM or abTEM.
"""

from caviar_kit.multislice.engine import FitSettings, Snapshot, run
from caviar_kit.multislice.gradient import Evaluator
from caviar_kit.multislice.loss import AmplitudeLoss, PoissonLoss
from caviar_kit.multislice.model import MultisliceModel

__all__ = ["AmplitudeLoss", "Evaluator", "FitSettings", "MultisliceModel", "PoissonLoss", "Snapshot", "run"]
