"""Look at a data set before the fit, and choose what to tell it."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from html import escape
from typing import Any

import ipywidgets as ipw
import numpy as np
from matplotlib.figure import Figure, FigureBase

from caviar_kit import calibration, plotting, validation
from caviar_kit.calibration import Recommendation, RotationFit
from caviar_kit.physics import electron_wavelength
from caviar_kit.widgets.detector_canvas import DetectorCanvas
from caviar_kit.widgets.one_thread import PANELS, heard, one_thread
from caviar_kit.widgets.tuner_parts import number_box, picture, png, said, slider

__all__ = ["CalibrationTuner"]

_PROBE_PIXELS = 192


class CalibrationTuner(ipw.VBox):
    """Panel with virtual detector, probe, rotation, and recommended settings.

    Move the detector with the mouse (drag its middle or a ring) or its sliders with the arrow keys. From a
    script: ``tuner.outer.value = 12``, ``tuner.figure()``, ``tuner.settings()``. Everything shown comes
    from `caviar_kit.calibration`.

    >>> chosen = tuner.settings()
    >>> ptycho = ck.MixedObjectMultislicePtychography(datacube=cube, **chosen["ptychography"])
    >>> ptycho.preprocess(**chosen["preprocess"]).reconstruct(**chosen["reconstruct"])

    Parameters
    ----------
    datacube : py4DSTEM.DataCube
        Calibrated in A and A^-1, at least 3 × 3 positions; not changed.
    energy : float
        Kinetic energy of the electrons [eV].
    semiangle_cutoff : float, optional
        Convergence semi-angle [mrad]; by default measured from the bright-field disc.
    defocus : float
        [Å], positive as everywhere in the kit.

    Attributes
    ----------
    centre_y, centre_x, inner, outer
        Sliders of the virtual detector [pixel].
    semiangle, defocus, thickness
        Controls of aperture [mrad], defocus and specimen thickness [Å].
    rotation, transpose
        Controls of ``force_com_rotation`` [degree] and ``force_com_transpose``; they start from the data
        cube's calibration if it says, else from the least curl.
    measure_disc, least_curl
        Buttons: centre, radius and semi-angle from the mean pattern; rotation from the centre of mass.
    survey
        What was measured of the data.

    Raises
    ------
    TypeError, ValueError
        If the data cube or a number is not usable.
    """

    def __init__(
        self, datacube: Any, *, energy: float, semiangle_cutoff: float | None = None, defocus: float = 0.0
    ) -> None:
        electron_wavelength(energy)  # refuses keV
        self._energy = float(energy)
        defocus = validation.number("defocus", defocus, minimum=-1e5, maximum=1e5, unit="Å")
        if semiangle_cutoff is not None:
            validation.number("semiangle_cutoff", semiangle_cutoff, minimum=0.5, maximum=200, unit="mrad")
        with heard() as self._noticed:
            self.survey = calibration.survey(datacube, energy=self._energy)
        self._quiet = False
        self._make_controls(semiangle_cutoff or self.measured_semiangle, defocus)
        known = datacube.calibration.get_QR_rotation_degrees(), datacube.calibration.get_QR_flip()
        self._set_rotation(known[0], known[1])
        self._canvas = DetectorCanvas(self.survey.mean, self._moved)
        self._beside, self._below, self._message, self._advice = (ipw.HTML() for _ in range(4))
        super().__init__(self._children())
        self._observe()
        self._draw()

    # What a script asks ----------------------------------------------------------------------

    @property
    def measured_semiangle(self) -> float:
        """Radius of the bright-field disc, by the detector's calibration [mrad]."""
        return self.survey.radius * self.survey.mrad_per_pixel(self._energy)

    @property
    def rotation_fit(self) -> RotationFit:
        """Least curl, for the present defocus."""
        return self.survey.rotation(self._energy, self.defocus.value)

    @property
    def virtual_image(self) -> np.ndarray:
        """The live image (Ry, Rx)."""
        centre = (self.centre_y.value, self.centre_x.value)
        return calibration.virtual_image(self.survey.patterns, centre, self.inner.value, self.outer.value)

    @property
    def recommendations(self) -> dict[str, Recommendation]:
        """Slices, window, step and likelihood for the present optics, each with its reason."""
        return calibration.recommend(
            self.survey,
            energy=self._energy,
            semiangle_cutoff=self.semiangle.value,
            defocus=self.defocus.value,
            thickness=self.thickness.value,
        )

    def settings(self) -> dict[str, dict[str, Any]]:
        """Keyword arguments by whom they are for: "ptychography", "preprocess", "reconstruct".

        Pixels that look hot or dead are masked.
        """
        advice, name = self.recommendations, "padded_diffraction_intensities_shape"
        return {
            "ptychography": {
                "energy": self._energy,
                "semiangle_cutoff": self.semiangle.value,
                "defocus": self.defocus.value,
                **advice["slices"].values,
            },
            "preprocess": {
                "force_com_rotation": self.rotation.value,
                "force_com_transpose": self.transpose.value,
                name: advice["window"].values[name],
                **({"dp_mask": ~self.survey.bad} if self.survey.bad.any() else {}),
            },
            "reconstruct": dict(advice["likelihood"].values),
        }

    @one_thread
    def figure(self) -> Figure:
        """All pictures of the panel in one."""
        figure = Figure(figsize=(12.6, 8.0), layout="constrained")
        upper, lower = figure.subfigures(2, 1, squeeze=False)[:, 0]
        left, right = upper.subfigures(1, 2, width_ratios=(1, 2))
        ax = plotting.mean_pattern(self.survey.mean, ax=left.add_subplot())
        plotting.detector_rings(ax, *self._detector(), beam=self.survey.centre, aperture=self._rim())
        self._draw_beside(right)
        self._draw_below(lower)
        return figure

    # Controls --------------------------------------------------------------------------------

    def _make_controls(self, semiangle: float, defocus: float) -> None:
        height, width = self.survey.detector
        (y, x), radius = self.survey.centre, self.survey.radius
        far = round(0.75 * max(height, width))
        self.centre_y = slider("centre y (pixel)", y, 0, height - 1, 0.1)
        self.centre_x = slider("centre x (pixel)", x, 0, width - 1, 0.1)
        self.inner = slider("inner radius (pixel)", 0, 0, far, 0.25)
        self.outer = slider("outer radius (pixel)", radius, 0.5, far, 0.25)
        self.semiangle = number_box("semi-angle (mrad)", semiangle, 0.5, 200, 0.1)
        self.defocus = number_box("defocus (Å)", defocus, -1e5, 1e5, 5)
        self.defocus.tooltip = "Positive: the crossover lies below the entrance surface (underfocus)"
        self.thickness = number_box("specimen thickness (Å)", 50, 0.1, 1e5, 1)
        self.rotation = slider("rotation (°)", 0, -180, 180, 0.5)
        self.transpose = ipw.Checkbox(description="swap the detector's axes (transpose)", indent=False)
        self.measure_disc = ipw.Button(
            description="Measure disc", tooltip="Centre, radius and semi-angle from the mean pattern"
        )
        self.least_curl = ipw.Button(
            description="Least curl", tooltip="Rotation and transposition from the centre of mass"
        )

    def _children(self) -> list[ipw.Widget]:
        groups = (
            ("Virtual detector", self.centre_y, self.centre_x, self.inner, self.outer),
            ("Aperture and focus", self.semiangle, self.defocus, self.thickness, self.measure_disc),
            ("Scan against detector", self.rotation, self.transpose, self.least_curl),
        )
        boxes = [ipw.VBox([ipw.HTML(f"<b>{title}</b>"), *controls]) for title, *controls in groups]
        row = ipw.Layout(flex_flow="row wrap", max_width="1240px")
        self._beside.layout = ipw.Layout(flex="1 1 0", min_width="0")  # shrinks rather than wraps
        pattern = ipw.Box([self._canvas.widget], layout={"flex": "0 0 386px", "overflow": "hidden"})
        pictures = ipw.HBox([pattern, self._beside], layout=ipw.Layout(max_width="1240px"))
        return [ipw.HBox(boxes, layout=row), self._message, pictures, self._below, self._advice]

    def _observe(self) -> None:
        for control in (self.centre_y, self.centre_x, self.inner, self.outer):
            control.observe(lambda _: self._draw("detector"), names="value")
        for control in (self.semiangle, self.defocus, self.thickness):
            control.observe(lambda _: self._draw("optics"), names="value")
        for control in (self.rotation, self.transpose):
            control.observe(lambda _: self._draw("rotation"), names="value")
        self.measure_disc.on_click(lambda _: self._to_disc())
        self.least_curl.on_click(lambda _: self._to_least_curl())

    @contextmanager
    def _together(self, part: str) -> Iterator[None]:
        """Change several controls, draw once."""
        with PANELS:  # or drawings that other threads ask for meanwhile would be lost
            self._quiet = True
            try:
                yield
            finally:
                self._quiet = False
            self._draw(part)

    def _to_disc(self) -> None:
        with self._together("all"):
            self.centre_y.value, self.centre_x.value = self.survey.centre
            self.inner.value, self.outer.value = 0, self.survey.radius
            self.semiangle.value = round(self.measured_semiangle, 2)

    def _to_least_curl(self) -> None:
        with self._together("rotation"):
            self._set_rotation(None, None)

    def _set_rotation(self, degrees: float | None, flip: bool | None) -> None:
        """The calibrated values, and the found ones where these are missing.

        A new DataCube says that nothing is swapped before anybody has looked: without a rotation that does
        not count.
        """
        if degrees is None and not flip:
            flip = None
        fit = self.survey.rotation(self._energy, self.defocus.value, transpose=flip)
        self.rotation.value = fit.degrees if degrees is None else (float(degrees) + 180) % 360 - 180
        self.transpose.value = bool(fit.transpose if flip is None else flip)

    def _moved(self, centre: tuple[float, float], inner: float, outer: float) -> None:
        with self._together("detector"):
            self.centre_y.value, self.centre_x.value = centre
            self.inner.value, self.outer.value = inner, outer

    # Pictures --------------------------------------------------------------------------------

    @one_thread
    def _draw(self, part: str = "all") -> None:
        if self._quiet:
            return
        try:
            if part != "rotation":
                self._canvas.show(*self._detector(), self.survey.centre, self._rim())
                self._beside.value = picture(self._draw_beside, (7.8, 3.9), "Virtual image, and probe")
            if part != "detector":
                words = "Centre of mass, and curl and divergence against the rotation"
                self._below.value = picture(self._draw_below, (12.6, 3.9), words)
                self._advice.value = self._table()
            self._message.value = said(self._remarks())
        except (TypeError, ValueError) as error:
            self._message.value = said([str(error)])

    def _detector(self) -> tuple[tuple[float, float], float, float]:
        return (self.centre_y.value, self.centre_x.value), self.inner.value, self.outer.value

    def _rim(self) -> float:
        return self.semiangle.value / self.survey.mrad_per_pixel(self._energy)

    def _draw_beside(self, figure: FigureBase) -> None:
        (left, right), step = figure.subplots(1, 2), self.survey.scan_step
        plotting.scan_image(self.virtual_image, step, ax=left)
        optics = (self._energy, self.semiangle.value, self.defocus.value)
        diameter = calibration.probe_diameter(*optics)
        pixel = 2.2 * (diameter + step) / _PROBE_PIXELS
        probe = calibration.ideal_probe((_PROBE_PIXELS, _PROBE_PIXELS), pixel, *optics)
        plotting.probe_overlap(probe, pixel, step, diameter, ax=right)

    def _draw_below(self, figure: FigureBase) -> None:
        left, right = figure.subplots(1, 2, width_ratios=(1, 1.5))
        degrees, transpose = self.rotation.value, self.transpose.value
        turned = calibration.turn_centre_of_mass(self.survey.com, degrees, transpose)
        plotting.centre_of_mass(turned, self.survey.scan_step, ax=left)
        plotting.rotation_curves(self.rotation_fit, degrees, transpose, ax=right)

    # Words -----------------------------------------------------------------------------------

    def _remarks(self) -> list[str]:
        """What the user should know before believing the panel."""
        optics = {"semiangle_cutoff": self.semiangle.value, "defocus": self.defocus.value}
        return [*self._noticed, *calibration.doubts(self.survey, energy=self._energy, **optics)]

    def _table(self) -> str:
        rim = f"{self._rim():.1f} pixels ({self.survey.mrad_per_pixel(self._energy):.3g} mrad each)"
        rows = "".join(
            f'<tr><th scope="row" style="text-align:left;padding-right:1em">{escape(name)}</th>'
            f"<td>{'✓' if one.good else '⚠'}</td><td>{escape(one.reason)}</td></tr>"
            for name, one in self.recommendations.items()
        )
        return (
            f"<p>Semi-angle {self.semiangle.value:.2f} mrad: {rim}. Recommended:</p>"
            f'<table style="max-width:1240px">{rows}</table>'
        )

    def _repr_mimebundle_(self, **kwargs: Any) -> Any:
        """The live panel; beside it a still picture for pages without a kernel."""
        bundle = super()._repr_mimebundle_(**kwargs)
        if isinstance(bundle, dict):
            bundle["image/png"] = png(self.figure())
        return bundle
