"""Set up a reconstruction, run it in the background, watch it, keep it."""

from __future__ import annotations

import os
import threading
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from html import escape
from pathlib import Path
from typing import Any

import ipywidgets as ipw
from matplotlib.figure import Figure

from caviar_kit.multislice import Snapshot
from caviar_kit.multislice.timing import TimeEstimate
from caviar_kit.ptychography import MixedObjectMultislicePtychography
from caviar_kit.simulation import GroundTruth
from caviar_kit.widgets.fit_fields import checked
from caviar_kit.widgets.fit_form import FitForm
from caviar_kit.widgets.fit_needs import FitNeeds, duration, progress
from caviar_kit.widgets.job import Job
from caviar_kit.widgets.live_view import LiveView
from caviar_kit.widgets.preset_choice import PresetChoice
from caviar_kit.widgets.presets import checked_presets
from caviar_kit.widgets.run_controls import RunControls, alert, sentence
from caviar_kit.widgets.session import read_session, write_session

__all__ = ["ReconstructionPanel"]

_EVERY_SECONDS = 0.5  # the line of progress changes


class ReconstructionPanel(ipw.VBox):
    """Panel that runs a reconstruction.

    All that its buttons do, a script can do, too: ``panel.set(max_iter=50, refine=("probe",))``,
    ``panel.run()``, ``panel.wait()``, ``panel.figure()``.

    Parameters
    ----------
    ptychography : MixedObjectMultislicePtychography
        After ``preprocess``, or the panel says that this is missing. It holds the result.
    presets : mapping of title to settings or FitSettings, optional
        Settings by name as in ``settings``; those of the embedded examples by default.
    ground_truth : GroundTruth, optional
        Of simulated data: its columns are drawn as rings.

    Attributes
    ----------
    controls : dict of name → widget
        One for each setting.
    buttons : dict of text → Button
    preset : Dropdown
        ``panel.preset.value = title`` applies a preset.
    view : LiveView
        ``panel.view.shown.value = "state 2"`` chooses whose phase is drawn.
    job : Job
        The worker; ``panel.job.state`` and ``panel.job.error``.

    Raises
    ------
    TypeError, ValueError
        If an argument is something else, or a preset is not usable.
    """

    def __init__(
        self,
        ptychography: MixedObjectMultislicePtychography,
        *,
        presets: Mapping[str, Any] | None = None,
        ground_truth: GroundTruth | None = None,
    ) -> None:
        _check(ptychography, ground_truth)
        self.ptychography, presets = ptychography, checked_presets(presets)
        self._lock = threading.Lock()  # one at a time: start, session, estimate, last picture
        self._needs = FitNeeds(ptychography)
        self._pending: dict[str, Any] = {}
        self._estimate = TimeEstimate(())
        self._began, self._next_text, self._last = 0.0, 0.0, ""
        self.job = Job(self._start, on_step=self._step, on_end=self._end)
        self.view = LiveView(None if ground_truth is None else ground_truth.positions)
        self._make_controls(presets)
        super().__init__([self.preset, self._form, self._needed, self.path, self._buttons, self.view])
        self._form.set({"num_object_states": ptychography.num_object_states})
        self._form.on_change(self._show_needs)
        self._show_needs()
        self._show_result()

    # For scripts ---------------------------------------------------------------------------

    @property
    def settings(self) -> dict[str, Any]:
        """The settings as they stand, by name."""
        return self._form.values

    def set(self, **settings: Any) -> None:
        """Change settings; all of them or, if one is not usable, none.

        Raises
        ------
        TypeError, ValueError
            If a name is unknown or a value not usable.
        """
        self._form.set(settings)

    def run(self) -> None:
        """Start the fit, unless it runs already; an error is shown, and kept in ``job.error``."""
        with self._lock:
            if not self.job.active:
                self._pending = self.settings
                self.job.run()
        self._buttons.refresh()

    def pause(self) -> None:
        """Hold the fit at its next batch of patterns."""
        self.job.pause()
        self._buttons.refresh()

    def resume(self) -> None:
        """Go on where it was held."""
        self.job.resume()
        self._buttons.refresh()

    def stop(self) -> None:
        """End the fit at its next batch of patterns; the last whole iteration is the result."""
        self.job.stop()
        self._buttons.refresh()

    def wait(self, timeout: float | None = None) -> bool:
        """Wait until the fit is over, ``timeout`` seconds at most; returns whether it is.

        While a cell waits, the kernel may keep clicks on buttons until it ends.

        Raises
        ------
        RuntimeError
            If the fit is paused, and no ``timeout`` is given.
        """
        return self.job.wait(timeout)

    def estimate(self) -> TimeEstimate:
        """Measure on a few patterns what the fit would take, and show it.

        Raises
        ------
        TypeError, ValueError
            If a setting is not usable, preprocess was not run, or a fit is running.
        """
        with self._at_rest("estimate the time"):
            estimate = self._needs.time(self.settings)
            self._show_needs()
        return estimate

    def save_session(self, path: str | os.PathLike[str]) -> Path:
        """Write the settings to ``path`` (.json), the reconstruction, if any, to <stem>.reconstruction.h5.

        Raises
        ------
        FileNotFoundError, TypeError, ValueError
            If the path or a setting cannot be used, a file is in the way, or a fit is running.
        """
        with self._at_rest("save a session"):
            return write_session(path, checked(self.settings), self.ptychography)

    def load_session(self, path: str | os.PathLike[str]) -> None:
        """Take settings and reconstruction from what `save_session` wrote.

        Raises
        ------
        FileNotFoundError, TypeError, ValueError
            If it is missing, damaged or of other data, or a fit is running; nothing is changed then.
        """
        with self._at_rest("load a session"):
            settings, reconstruction = read_session(path)
            settings = checked(settings)
            if reconstruction is not None:
                self.ptychography.restore(reconstruction)
                self.view.clear()
            self._form.set(settings)
            self._show_result()

    def figure(self) -> Figure:
        """The picture: phase, probe, loss, difference of the states; a ValueError before the first."""
        return self.view.figure()

    def _repr_mimebundle_(self, **kwargs: Any) -> Any:
        """The live panel; beside it a still picture for pages without a kernel."""
        bundle = super()._repr_mimebundle_(**kwargs)
        if isinstance(bundle, dict) and (picture := self.view.png()) is not None:
            bundle["image/png"] = picture
        return bundle

    # Controls ------------------------------------------------------------------------------

    def _make_controls(self, presets: dict[str, dict[str, Any]]) -> None:
        self._form, self._needed = FitForm(), ipw.HTML()
        self.controls = self._form.controls
        self.preset = PresetChoice(presets, self._form)
        self.path = ipw.Text(
            value="session.json",
            description="session file",
            tooltip="Settings go to this file, the reconstruction beside it, ending in .reconstruction.h5",
            layout=ipw.Layout(width="28em"),
        )
        self._buttons = RunControls(
            self.job,
            {
                "Run": (self.run, "Start the fit"),
                "Pause": (self.pause, "Hold the fit; nothing is lost"),
                "Resume": (self.resume, "Go on"),
                "Stop": (self.stop, "End the fit and keep the last whole iteration"),
                "Estimate time": (self.estimate, "Measure it on a few patterns"),
                "Save session": (self._save, "Write settings and reconstruction to the session file"),
                "Load session": (self._load, "Read settings and reconstruction from the session file"),
            },
            others=[*self.controls.values(), self.preset, self.path],
        )
        self.buttons = self._buttons.buttons

    def _save(self) -> str:
        return f"Saved {self.save_session(self.path.value)}."

    def _load(self) -> str:
        self.load_session(self.path.value)
        return f"Loaded {self.path.value}."

    @contextmanager
    def _at_rest(self, what: str) -> Iterator[None]:
        with self._lock:
            if self.job.active:
                raise ValueError(f"stop the fit first, or let it end, to {what}")
            yield

    def _show_needs(self) -> None:
        try:
            self._needed.value = f"<p>{escape(self._needs.text(self.settings))}</p>"
        except (TypeError, ValueError) as error:
            self._needed.value = alert(error)

    def _show_result(self) -> None:
        """What the ptychography object holds already."""
        me: Any = self.ptychography
        if getattr(me, "error_iterations", None):
            self.view.show(me, me.object, me.probe)

    # The fit, in the worker ----------------------------------------------------------------

    def _start(self) -> Iterator[Snapshot]:
        """First measure the time, then begin."""
        settings = self._pending
        self._buttons.say("")
        self._buttons.bar.value = 0
        self._buttons.refresh("measuring the time of a few patterns")
        self._estimate = self._needs.time(settings, self.job.check)
        self._show_needs()
        self._buttons.refresh(f"about {duration(self._estimate.seconds)} to go")
        self.view.clear(keep_curves=not settings["reset"])
        self._began, self._next_text = self.job.seconds, 0.0
        chosen = self._needs.arguments(settings)
        return self.ptychography.iterate(between_batches=self.job.check, **chosen)

    def _step(self, snapshot: Snapshot) -> None:
        done, self._last = snapshot.iteration, progress(snapshot)
        spent = self.job.seconds - self._began
        if spent >= self._next_text:
            self._next_text = spent + _EVERY_SECONDS
            self._buttons.bar.value = done / snapshot.total_iterations
            self._buttons.refresh(f"{self._last}, about {duration(self._estimate.left(done, spent))} left")
        if self.view.due:
            self.view.show(self.ptychography, snapshot.object, snapshot.probe)

    def _end(self, state: str) -> None:
        last, self._last = self._last, ""  # of this run; the next waits for the end of this
        error: BaseException | None = self.job.ended_by
        if last:
            try:
                with self._lock:
                    self._show_result()
            except Exception as caught:
                error = error or ValueError(f"the picture cannot be drawn: {sentence(caught)}")
        if error is not None:
            self._buttons.say(error)
        if state == "done":
            self._buttons.bar.value = 1
        self._buttons.refresh(last or "before the first iteration; an earlier result is as it was")


def _check(ptychography: Any, ground_truth: Any) -> None:
    if not isinstance(ptychography, MixedObjectMultislicePtychography):
        raise TypeError(
            f"ptychography must be a MixedObjectMultislicePtychography, got {type(ptychography).__name__}"
        )
    if not (ground_truth is None or isinstance(ground_truth, GroundTruth)):
        raise TypeError(
            "ground_truth must be a GroundTruth such as example.ground_truth, "
            f"got {type(ground_truth).__name__}"
        )
