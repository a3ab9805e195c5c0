"""The controls of the dispersion explorer."""

from __future__ import annotations

from collections.abc import Mapping
from itertools import permutations
from typing import Any

import ipywidgets as ipw
import numpy as np
from numpy.typing import ArrayLike

from caviar_kit import validation
from caviar_kit.vibrations import Lattice, special_points

__all__ = ["DispersionControls"]

_PATHS_AT_MOST = 12
_WARMEST = 1000.0  # K, where the slider ends if the first temperature is no higher


class DispersionControls(ipw.VBox):
    """Path, temperature, masses, statistics, method, symmetry, and what is drawn.

    Parameters
    ----------
    lattice : Lattice
        Whose special points are offered.
    path, temperature_k, masses, statistics, method, symmetry
        The first choice, as for `DispersionExplorer`; known to be good.
    theory : bool
        Whether there is one.
    """

    def __init__(
        self,
        lattice: Lattice,
        path: str,
        temperature_k: float,
        masses: float | ArrayLike,
        statistics: str,
        method: str,
        symmetry: bool,
        *,
        theory: bool,
    ) -> None:
        named = special_points(lattice.vectors)
        self.path = ipw.Combobox(
            value=path,
            options=_paths(path, list(named)),
            description="path",
            tooltip=f"Names of special points, G is Γ: {', '.join(named)}; a comma is a jump",
            continuous_update=False,
            **_wide(),
        )
        self.temperature = ipw.FloatSlider(
            value=temperature_k,
            min=0,
            max=max(_WARMEST, 2 * temperature_k),
            step=1,
            readout_format=".0f",
            description="temperature (K)",
            continuous_update=False,
            **_wide(),
        )
        self._one_mass = np.ndim(masses) == 0
        values = np.ravel(np.asarray(masses, dtype=float)).tolist()
        labels = ["mean mass (u)"] if self._one_mass else [f"mass {k + 1} (u)" for k in range(len(values))]
        self.masses = tuple(
            ipw.BoundedFloatText(
                value=value,
                min=min(0.1, value / 10),
                max=max(1000, 10 * value),
                step=0.1,
                description=label,
                tooltip=tip,
                **_wide(),
            )
            for value, label, tip in zip(values, labels, _places(lattice, len(values)), strict=True)
        )
        self.statistics = ipw.Dropdown(
            options=["quantum", "classical"],
            value=statistics,
            description="statistics",
            tooltip="classical: for classical molecular dynamics, and the formula of the paper",
            **_wide(),
        )
        self.method = ipw.Dropdown(
            options=[("likelihood: fitted forces", "likelihood"), ("direct: eq. 6, q by q", "direct")],
            value=method,
            description="method",
            **_wide(),
        )
        self.symmetry = ipw.Checkbox(value=bool(symmetry), description="symmetry of the lattice", **_wide())
        self.uncorrected = ipw.Checkbox(
            value=False,
            description="before correction",
            tooltip="Thin lines: branches before the correction for few states",
            **_wide(),
        )
        self.theory = ipw.Checkbox(value=theory, description="theory (black)", **_wide())
        self.theory.layout.display = None if theory else "none"
        computed = [self.path, self.temperature, *self.masses, self.statistics, self.method, self.symmetry]
        self.all: tuple[Any, ...] = (*computed, self.uncorrected, self.theory)
        super().__init__(list(self.all))
        self.show_use()

    def choice(self) -> tuple[Any, ...]:
        """Path, temperature [K], mass or masses [u], statistics, method, symmetry."""
        masses = tuple(control.value for control in self.masses)
        mass = masses[0] if self._one_mass else masses
        way = self.statistics.value, self.method.value, self.symmetry.value
        return self.path.value.strip(), self.temperature.value, mass, *way

    def choose(self, values: Mapping[str, Any]) -> None:
        """Set controls by name; all names are looked at before any is set."""
        names = ("path", "temperature", "masses", "statistics", "method", "symmetry", "uncorrected", "theory")
        for name in values:
            validation.choice("control", name, names)
        if "masses" in values:
            masses = np.ravel(validation.as_array("masses", values["masses"])).tolist()
            if len(masses) != len(self.masses):
                raise ValueError(f"masses must hold {len(self.masses)} values, got {len(masses)}")
        for name, value in values.items():
            if name == "masses":
                for control, mass in zip(self.masses, masses, strict=True):
                    control.value = mass
            else:
                try:
                    getattr(self, name).value = value
                except Exception as error:  # traitlets has an error of its own
                    raise ValueError(f"{name} cannot be {value!r}") from error

    def show_use(self) -> None:
        """Switch off what the present choice does not use."""
        self.symmetry.disabled = self.method.value != "likelihood"


def _paths(first: str, names: list[str]) -> list[str]:
    """The first one, and closed paths over two special points."""
    others = [name for name in names if name != "G"]
    closed = [f"G{a}{b}G" for a, b in permutations(others, 2)]
    return list(dict.fromkeys([first, *closed]))[:_PATHS_AT_MOST]


def _places(lattice: Lattice, masses: int) -> list[str]:
    """Which atoms a mass is for."""
    if masses != len(lattice.basis):
        return ["Mean of the atoms of a cell"] * masses
    return [
        f"{int((lattice.sites == k).sum())} atoms: site {k}, at {y:.2f}, {x:.2f} Å (y, x) in a cell"
        for k, (y, x) in enumerate(lattice.basis)
    ]


def _wide() -> dict[str, Any]:
    return {"style": {"description_width": "9em"}, "layout": {"width": "26em"}}
