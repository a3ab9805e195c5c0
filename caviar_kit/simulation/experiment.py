"""A simulated 4D-STEM experiment: every number the microscope and the grids need."""

from __future__ import annotations

import math
import warnings
from dataclasses import dataclass
from typing import Any

import numpy as np

from caviar_kit import validation
from caviar_kit.physics import electron_wavelength
from caviar_kit.simulation.advice import advice

__all__ = ["Experiment"]

_BOUNDARY_CENTRE = (32.59, 18.03)  # y, x [Å]: between the five- and seven-membered rings of a Si Σ9 boundary


@dataclass(frozen=True)
class Experiment:
    """Optics, scan and grids of a simulated 4D-STEM experiment.

    The specimen is cut to a square window, which is at once the periodic simulation cell and the real-space
    window of the detector: one detector pixel is λ / ``window_angstrom``, unbinned. All probes must
    therefore fit into it. Pairs are (y, x): rows, then columns.

    Parameters
    ----------
    energy_ev : float
        Kinetic energy of the electrons [eV].
    semiangle_mrad : float
        Convergence semi-angle [mrad].
    defocus_angstrom : float
        Defocus [Å] with abTEM's and py4DSTEM's sign: the probe's spectrum is A(k) exp(+iπλ·defocus·k²), so
        that a positive value puts the crossover that far below the entrance surface (underfocus).
    scan_step_angstrom : float
        Distance between neighbouring positions [Å].
    scan_shape : (int, int)
        Positions along y and x.
    centre_angstrom : (float, float)
        Middle of the scan and of the window, in the specimen cell [Å].
    window_angstrom : float
        Side of the square window [Å].
    grid_points : int
        Points of the wave along that side.
    detector_pixels : int
        Side of the central square of the diffraction pattern that is kept [pixels]. Above 2/3 of
        ``grid_points`` it reaches beyond the simulated band, see ``antialias_mrad``: the outer pixels are
        empty, but a reconstruction on the detector's grid gains the room that keeps products of wave
        and transmission from aliasing.
    num_slices : int
        Slices through the thickness of the specimen cell.
    source_fwhm_angstrom : float
        Full width at half maximum of the electron source's Gaussian image in the specimen [Å]; 0 is a point
        source, fully coherent. See ``source_size``.

    Raises
    ------
    TypeError, ValueError
        If a value is out of range (with a hint where the unit looks wrong), the detector has more pixels
        than the grid, the simulated band cuts the aperture, or the geometric probe leaves the window
        somewhere on the scan.

    Warns
    -----
    UserWarning
        For each line of ``advice()``.
    """

    energy_ev: float
    semiangle_mrad: float
    defocus_angstrom: float
    scan_step_angstrom: float
    scan_shape: tuple[int, int]
    centre_angstrom: tuple[float, float]
    window_angstrom: float
    grid_points: int
    detector_pixels: int
    num_slices: int = 4
    source_fwhm_angstrom: float = 0.0

    def __post_init__(self) -> None:
        for name, value in self._checked().items():
            object.__setattr__(self, name, value)
        if self.margin_angstrom < 0:
            raise ValueError(
                f"window_angstrom={self.window_angstrom:g} is too small: scan and geometric probe "
                f"need {self.window_angstrom - 2 * self.margin_angstrom:.1f} Å; "
                "enlarge the window (with grid_points), or reduce the scan or defocus_angstrom"
            )
        if self.semiangle_mrad > self.antialias_mrad:
            raise ValueError(
                f"grid_points={self.grid_points} is too small: the simulated band ends at "
                f"{self.antialias_mrad:.1f} mrad and cuts the aperture of {self.semiangle_mrad:g} mrad; take "
                f"{math.ceil(self.grid_points * 2 * self.semiangle_mrad / self.antialias_mrad)} or more"
            )
        if self.source_fwhm_angstrom > self.window_angstrom / 4:
            raise ValueError(
                f"source_fwhm_angstrom must be at most {self.window_angstrom / 4:g}, a quarter of the window "
                f"[Å], got {self.source_fwhm_angstrom:g}; was it given in picometres?"
            )
        for line in self.advice():
            warnings.warn(line, UserWarning, stacklevel=3)

    def _checked(self) -> dict[str, Any]:
        electron_wavelength(self.energy_ev)  # refuses keV
        number, integer = validation.number, validation.integer
        metres = "was it given in metres?"
        defocus = number("defocus_angstrom", self.defocus_angstrom, minimum=-1e6, maximum=1e6, unit="Å")
        if 0 < abs(defocus) < 1e-3:
            raise ValueError(f"defocus_angstrom must be 0 or at least 0.001 [Å], got {defocus:g}; {metres}")
        grid_points = integer("grid_points", self.grid_points, minimum=8)
        return {
            "energy_ev": float(self.energy_ev),
            "semiangle_mrad": number(
                "semiangle_mrad",
                self.semiangle_mrad,
                minimum=0.5,
                maximum=200,
                unit="mrad",
                hint="was it given in radians?",
            ),
            "defocus_angstrom": defocus,
            "scan_step_angstrom": number(
                "scan_step_angstrom",
                self.scan_step_angstrom,
                minimum=1e-3,
                maximum=1e3,
                unit="Å",
                hint=metres,
            ),
            "scan_shape": tuple(integer("scan_shape", n) for n in _pair("scan_shape", self.scan_shape)),
            "centre_angstrom": tuple(
                number("centre_angstrom", x, unit="Å") for x in _pair("centre_angstrom", self.centre_angstrom)
            ),
            "window_angstrom": number(
                "window_angstrom", self.window_angstrom, minimum=1, maximum=1e4, unit="Å", hint=metres
            ),
            "grid_points": grid_points,
            "detector_pixels": integer(
                "detector_pixels", self.detector_pixels, minimum=4, maximum=grid_points
            ),
            "num_slices": integer("num_slices", self.num_slices),
            "source_fwhm_angstrom": source_width(self.source_fwhm_angstrom),
        }

    @property
    def wavelength_angstrom(self) -> float:
        """Wavelength of the electrons [Å]."""
        return electron_wavelength(self.energy_ev)

    @property
    def detector_pixel_inverse_angstrom(self) -> float:
        """Side of a detector pixel, 1 / window [1/Å]."""
        return 1 / self.window_angstrom

    @property
    def detector_pixel_mrad(self) -> float:
        """Side of a detector pixel, λ / window [mrad]."""
        return 1e3 * self.wavelength_angstrom / self.window_angstrom

    @property
    def detector_max_mrad(self) -> float:
        """Angle at the middle of the detector's edge [mrad]; its corners reach √2 times as far."""
        return self.detector_pixels / 2 * self.detector_pixel_mrad

    @property
    def antialias_mrad(self) -> float:
        """Radius of the simulated band, 2/3 of Nyquist = λ / (3 dx) [mrad]; nothing is scattered beyond."""
        return 1e3 * self.wavelength_angstrom * self.grid_points / (3 * self.window_angstrom)

    @property
    def object_sampling_angstrom(self) -> float:
        """Real-space pixel that the detector's extent gives a reconstruction, window / pixels [Å]."""
        return self.window_angstrom / self.detector_pixels

    @property
    def scan_origin_angstrom(self) -> tuple[float, float]:
        """First scan position (y, x) in the specimen cell [Å]."""
        y, x = (
            centre - (count - 1) / 2 * self.scan_step_angstrom
            for centre, count in zip(self.centre_angstrom, self.scan_shape, strict=True)
        )
        return y, x

    @property
    def scan_positions_angstrom(self) -> np.ndarray:
        """Scan positions from the first one, row by row: (positions, 2) y, x [Å]."""
        rows, cols = np.indices(self.scan_shape)
        return np.stack([rows.ravel(), cols.ravel()], axis=1) * self.scan_step_angstrom

    @property
    def first_position_in_window_angstrom(self) -> np.ndarray:
        """First nominal scan position (y, x) from the window's corner [Å]."""
        half_scan = (np.array(self.scan_shape) - 1) / 2 * self.scan_step_angstrom
        return self.window_angstrom / 2 - half_scan

    @property
    def probe_radius_angstrom(self) -> float:
        """Geometric radius |defocus|·α [Å]."""
        return abs(self.defocus_angstrom) * 1e-3 * self.semiangle_mrad

    @property
    def resolution_angstrom(self) -> float:
        """Abbe's λ / (2α) [Å]."""
        return self.wavelength_angstrom / (2e-3 * self.semiangle_mrad)

    @property
    def margin_angstrom(self) -> float:
        """What the window leaves between the outermost geometric probe and its edge [Å]."""
        half_scan = (max(self.scan_shape) - 1) / 2 * self.scan_step_angstrom
        return self.window_angstrom / 2 - half_scan - self.probe_radius_angstrom

    def advice(self) -> list[str]:
        """What is allowed but may be regretted, one sentence each; empty if all is well.

        Tails of the outermost probes that wrap around the window; a detector smaller than the bright-field
        disc; a band below 2α; probes that hardly overlap; a source wider than the probe. ``scan`` adds what
        depends on the specimen.
        """
        return advice(self)

    @classmethod
    def tutorial(cls) -> Experiment:
        """The notebooks' data: one Si Σ9 boundary, 8 × 8 Å, seconds to simulate."""
        return cls(
            energy_ev=200e3,
            semiangle_mrad=30,
            defocus_angstrom=150,
            scan_step_angstrom=0.62,
            scan_shape=(14, 14),
            centre_angstrom=_BOUNDARY_CENTRE,
            window_angstrom=18,
            grid_points=160,
            detector_pixels=64,
        )

    @classmethod
    def quick(cls) -> Experiment:
        """The smallest data worth reconstructing: 6 × 6 Å of the same boundary."""
        return cls(
            energy_ev=200e3,
            semiangle_mrad=30,
            defocus_angstrom=150,
            scan_step_angstrom=0.6,
            scan_shape=(11, 11),
            centre_angstrom=_BOUNDARY_CENTRE,
            window_angstrom=16,
            grid_points=144,
            detector_pixels=64,
        )

    @classmethod
    def paper(cls) -> Experiment:
        """As in CAVIAR (arXiv:2309.12017): in focus, step 0.5 Å, 20 × 20 Å; the grids are ours."""
        return cls(
            energy_ev=200e3,
            semiangle_mrad=30,
            defocus_angstrom=0,
            scan_step_angstrom=0.5,
            scan_shape=(40, 40),
            centre_angstrom=_BOUNDARY_CENTRE,
            window_angstrom=26,
            grid_points=192,
            detector_pixels=128,
        )


def source_width(fwhm_angstrom: Any) -> float:
    """Return ``fwhm_angstrom`` [Å] if it can be the width of a source, 0 or from 0.001 to 100.

    Raises
    ------
    TypeError, ValueError
        Otherwise.
    """
    fwhm = validation.number("source_fwhm_angstrom", fwhm_angstrom, minimum=0.0, maximum=100.0, unit="Å")
    if 0 < fwhm < 1e-3:
        raise ValueError(
            f"source_fwhm_angstrom must be 0 or at least 0.001 [Å], got {fwhm:g}; was it given in metres?"
        )
    return fwhm


def _pair(name: str, value: Any) -> tuple[Any, Any]:
    if isinstance(value, str) or not hasattr(value, "__len__") or len(value) != 2:
        raise TypeError(f"{name} must be a pair (y, x), got {value!r}")
    return value[0], value[1]
