"""Mixed-object multislice ptychography: operators, exact gradients, optimisers, engine.

Needs NumPy and SciPy, and uses pyFFTW, Numba or CuPy where they are installed; nothing here
knows of py4DSTEM or abTEM.
"""

from caviar_kit.multislice.checkpoint import Checkpoint, load_checkpoint
from caviar_kit.multislice.engine import Snapshot, run
from caviar_kit.multislice.gradient import Evaluation, Evaluator
from caviar_kit.multislice.instrument import Instrument
from caviar_kit.multislice.loss import AmplitudeLoss, PoissonLoss
from caviar_kit.multislice.model import MultisliceModel
from caviar_kit.multislice.patterns import StreamedPatterns
from caviar_kit.multislice.settings import FitSettings

__all__ = [
    "AmplitudeLoss",
    "Checkpoint",
    "Evaluation",
    "Evaluator",
    "FitSettings",
    "Instrument",
    "MultisliceModel",
    "PoissonLoss",
    "Snapshot",
    "StreamedPatterns",
    "load_checkpoint",
    "run",
]
