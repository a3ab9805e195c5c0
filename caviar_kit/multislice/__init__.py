"""Mixed-object multislice ptychography: operators, exact gradients, optimisers, engine.

Needs NumPy and SciPy, and uses pyFFTW, Numba or CuPy where they are installed; nothing here
knows of py4DSTEM or abTEM.
"""

from caviar_kit.multislice.checkpoint import Checkpoint, load_checkpoint
from caviar_kit.multislice.distributed import DistributedEvaluator
from caviar_kit.multislice.engine import Snapshot, run
from caviar_kit.multislice.gradient import Evaluation, Evaluator
from caviar_kit.multislice.instrument import Instrument
from caviar_kit.multislice.loss import AmplitudeLoss, PoissonLoss
from caviar_kit.multislice.model import MultisliceModel
from caviar_kit.multislice.partial_coherence import CoherentModes, partially_coherent_modes
from caviar_kit.multislice.patterns import StreamedPatterns
from caviar_kit.multislice.penalties import (
    Atomicity,
    Departure,
    Positivity,
    StateVariance,
    TotalVariation,
)
from caviar_kit.multislice.probe_modes import hermite_modes, occupations, orthogonalise
from caviar_kit.multislice.projections import Chain, IdenticalSlices, LowPass, MissingWedge
from caviar_kit.multislice.settings import FitSettings
from caviar_kit.multislice.timing import TimeEstimate

__all__ = [
    "AmplitudeLoss",
    "Atomicity",
    "Chain",
    "Checkpoint",
    "CoherentModes",
    "Departure",
    "DistributedEvaluator",
    "Evaluation",
    "Evaluator",
    "FitSettings",
    "IdenticalSlices",
    "Instrument",
    "LowPass",
    "MissingWedge",
    "MultisliceModel",
    "PoissonLoss",
    "Positivity",
    "Snapshot",
    "StateVariance",
    "StreamedPatterns",
    "TimeEstimate",
    "TotalVariation",
    "hermite_modes",
    "load_checkpoint",
    "occupations",
    "orthogonalise",
    "partially_coherent_modes",
    "run",
]
