"""What is reconstructed: the paper's four silicon data sets and its twisted hBN, at two sizes.

"paper" has the paper's step, states, slices and probe modes. "reduced" has the same specimens, optics
and slices over a smaller field, and half of silicon's states, for a CPU.
"""

from __future__ import annotations

from dataclasses import dataclass, replace

from caviar_kit.multislice import FitSettings

__all__ = ["CASES", "SIZES", "Case", "case"]

SIZES = ("paper", "reduced")
SOURCE_FWHM_ANGSTROM = 0.47  # CAVIAR's, of the silicon data with partial spatial coherence
HBN_SOURCE_FWHM_ANGSTROM = 0.3  # ours: the paper has none to quote for its experiment


@dataclass(frozen=True)
class Case:
    """One data set and its fit.

    Attributes
    ----------
    name, size : str
        "si-md", …; "paper" or "reduced".
    example : str
        The embedded example whose specimen and optics these are.
    num_slices : int
        Of the reconstruction.
    fit : FitSettings
        States and iterations.
    num_probes : int
        Probe modes; more than one hold the source.
    source_fwhm_angstrom : float
        Of the source in the data, and in the modes [Å].
    scan : dict
        What differs from the example's experiment at the paper's size.
    """

    name: str
    size: str
    example: str
    num_slices: int
    fit: FitSettings
    num_probes: int = 1
    source_fwhm_angstrom: float = 0.0
    scan: tuple[tuple[str, object], ...] = ()

    @property
    def stem(self) -> str:
        """Beginning of the names of its files."""
        return f"{self.name}-{self.size}"


# More states want more iterations (docs/studies.md).
SILICON = FitSettings(num_states=20, one_state_iter=20, max_iter=200)
SILICON_REDUCED = replace(SILICON, num_states=10, max_iter=100)
# The source blurs what vibration blurs, and what nine modes leave out is a model error: stop early.
SILICON_SOURCE = replace(SILICON, max_iter=20)
HBN = FitSettings(
    num_states=10,
    one_state_iter=0,
    stochastic_iter=20,
    batch_size=32,
    step_size=0.02,
    state_gain=3,
    warp_slices_together=False,
    max_iter=100,
)
# The paper's step and field, 45 mrad on the detector. In focus neighbouring columns are hardly lit together:
# at 150 Å patterns tell six times as much of correlations (benchmarks/defocus.py), and need a wider window.
WIDE = (
    ("defocus_angstrom", 150.0),
    ("window_angstrom", 30.0),
    ("grid_points", 264),
    ("detector_pixels", 106),
)
# The same over 10 instead of 20 Å.
SMALL = (
    ("defocus_angstrom", 150.0),
    ("scan_shape", (20, 20)),
    ("window_angstrom", 20.0),
    ("grid_points", 176),
    ("detector_pixels", 72),
)
SMALL_IN_FOCUS = (
    ("scan_shape", (20, 20)),
    ("window_angstrom", 16.0),
    ("grid_points", 120),
    ("detector_pixels", 80),
)
# 45 layers as in the paper, 8 × 8 Å at twice the step.
SMALL_HBN = (
    ("scan_shape", (14, 14)),
    ("scan_step_angstrom", 0.6),
    ("window_angstrom", 22.0),
    ("grid_points", 160),
    ("detector_pixels", 106),
)


def case(name: str, size: str) -> Case:
    """The case of that name and size.

    Raises
    ------
    ValueError
        If there is none; the message lists them.
    """
    for found in CASES:
        if (found.name, found.size) == (name, size):
            return found
    known = ", ".join(dict.fromkeys(each.name for each in CASES))
    raise ValueError(f"no case {name!r} of size {size!r}: there are {known}; {' and '.join(SIZES)}")


def _silicon(kind: str, size: str) -> Case:
    scan, fit = (SMALL, SILICON_REDUCED) if size == "reduced" else (WIDE, SILICON)
    if kind == "md-focus":
        in_focus = SMALL_IN_FOCUS if size == "reduced" else ()
        return Case("si-md-focus", size, "si-sigma9-md", 4, fit, scan=in_focus)
    if kind != "md-psc":
        return Case(f"si-{kind}", size, f"si-sigma9-{kind}", 4, fit, scan=scan)
    fit = SILICON_SOURCE if size == "paper" else replace(SILICON_SOURCE, num_states=10)
    return Case("si-md-psc", size, "si-sigma9-md", 4, fit, 9, SOURCE_FWHM_ANGSTROM, scan)


def _hbn(source: bool, size: str) -> Case:
    scan = SMALL_HBN if size == "reduced" else ()
    fit = HBN if size == "paper" else replace(HBN, batch_size=8, max_iter=40)
    if not source:
        return Case("hbn", size, "hbn-twisted", 30, fit, scan=scan)
    return Case("hbn-psc", size, "hbn-twisted", 30, fit, 5, HBN_SOURCE_FWHM_ANGSTROM, scan)


CASES = tuple(
    made
    for size in SIZES
    for made in (
        *(_silicon(kind, size) for kind in ("md", "einstein", "coherent", "md-psc", "md-focus")),
        _hbn(False, size),
        _hbn(True, size),
    )
)
