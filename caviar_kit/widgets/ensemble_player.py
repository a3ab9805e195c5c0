"""Look through the states of an ensemble, animate them, keep the animation."""

from __future__ import annotations

import base64
import io
import os
from collections.abc import Callable
from html import escape
from pathlib import Path
from threading import Thread
from typing import Any

import ipywidgets as ipw
from matplotlib.figure import Figure
from numpy.typing import ArrayLike

from caviar_kit.ensemble_view import view_ensemble
from caviar_kit.plotting.movie import MOVIE_SUFFIXES, save_movie, why_no_mp4
from caviar_kit.widgets._player_frame import Look, caption, draw, provenance
from caviar_kit.widgets.one_thread import one_thread

__all__ = ["EnsemblePlayer"]

_SHOWN = {"phase": "phase", "difference from the mean state": "difference", "probe mode": "probe"}
_PROJECTED = "all (projected)"
_PICTURES_KEPT = 64


class EnsemblePlayer(ipw.VBox):
    """Panel that steps through states, slices and probe modes with one contrast, and writes movies.

    Arrow keys move the sliders. The same from a script: ``player.state.value = 3``,
    ``player.slice.value = 0`` (or ``"all (projected)"``, their sum), ``player.show.value = "difference"``;
    ``player.figure()`` returns the picture and ``player.export("states.gif")`` writes the movie.

    Parameters
    ----------
    source : MixedObjectMultislicePtychography, ObjectEnsemble or EnsembleResult
        After ``reconstruct``.
    tracked : (states, atoms, 2), optional
        Columns in every state, y then x [Å], in the frame of the object; an EnsembleResult has its own.

    Attributes
    ----------
    show, state, slice, mode
        The controls: "phase", "difference" or "probe", and which one.
    held
        One contrast for all states and slices: sums over all slices have one, single slices another, as
        the sums are that much stronger. Released, each picture has its own.
    columns, magnify
        Arrows from the columns' mean positions, and how many times longer than the displacement.
    frames_per_second, file
        Speed of animation and movie; name of the movie's file.

    Raises
    ------
    TypeError, ValueError
        If ``source`` is something else or was not reconstructed, or ``tracked`` does not fit.
    """

    def __init__(self, source: Any, *, tracked: ArrayLike | None = None) -> None:
        self._view = view_ensemble(source, tracked)
        self._pictures: dict[Look, bytes] = {}
        self._writing: Thread | None = None
        self._setting_clock = False
        self._make_controls()
        self._make_export()
        self._picture = ipw.HTML(layout={"flex": "1 1 0%", "min_width": "0"})  # shrinks to the page
        animated = ipw.HBox([self.play, self._animation])
        export = ipw.HBox([self.export_gif, self.export_mp4])
        chosen = [self.show, self.state, self.slice, self.mode, self.held, self.columns, self.magnify]
        controls = ipw.VBox([*chosen, self.frames_per_second, animated, self.file, export, self._status])
        super().__init__([ipw.HBox([controls, self._picture])], layout={"max_width": "1280px"})
        for control in chosen:
            control.observe(self._draw, names="value")
        self._draw()

    def _make_controls(self) -> None:
        view = self._view
        states, slices = view.phases.shape[:2]
        modes = 0 if view.probe is None else len(view.probe)
        wide: dict[str, Any] = {
            "style": {"description_width": "8em"},
            "layout": {"width": "26em"},
            "continuous_update": False,  # one drawing when the slider rests, not one per step
        }
        plain = {"style": wide["style"]}
        shown = [(title, kind) for title, kind in _SHOWN.items() if modes or kind != "probe"]
        self.show = ipw.Dropdown(
            options=shown, description="show", style=wide["style"], layout={"width": "26em"}
        )
        self.state = ipw.IntSlider(max=states - 1, description="state", **wide)
        single = [(str(number), number) for number in range(slices)] if slices > 1 else []
        options = [("projected", _PROJECTED), *single]
        self.slice = ipw.SelectionSlider(options=options, description="slice", **wide)
        self.mode = ipw.IntSlider(max=max(modes - 1, 0), description="probe mode", **wide)
        self.held = ipw.Checkbox(True, description="hold contrast", **plain)
        self.held.tooltip = "The same colours for all states and slices"
        self.columns = ipw.Checkbox(False, description="show columns", **plain)
        self.columns.tooltip = "Arrows: how far each column is from its mean position"
        self.magnify = ipw.IntSlider(10, 1, 50, description="arrows ×", **wide)
        self.frames_per_second = ipw.IntSlider(4, 1, 20, description="frames/s", **wide)
        for control, useful in ((self.slice, slices > 1), (self.mode, modes > 0)):
            control.layout.display = None if useful else "none"
        for control in (self.columns, self.magnify):
            control.layout.display = None if view.tracked is not None else "none"
        self._make_animation()

    def _make_animation(self) -> None:
        """A clock in the browser, without buttons of its own, which have no names for a screen reader."""
        self._animation = ipw.Play(repeat=True, layout={"display": "none"})
        self.play = ipw.Button(
            description="Play", icon="play", tooltip="Run through the states, or probe modes"
        )
        self.play.on_click(self._toggle)
        self._animation.observe(self._label_play, names="playing")
        self._animation.observe(self._step, names="value")
        self.frames_per_second.observe(self._pace, names="value")
        self._pace()

    def _make_export(self) -> None:
        origin = self._view.origin
        named = origin["source"] != "MixedObjectMultislicePtychography"  # whose usual name is the method's
        self.file = ipw.Text(
            origin["name"] if named else "ensemble",
            description="file name",
            tooltip="Written beside the notebook unless a folder is given",
            style={"description_width": "8em"},
            layout={"width": "26em"},
        )
        self._status = ipw.HTML(layout={"max_width": "26em"})
        self._no_mp4 = why_no_mp4()
        self.export_gif = ipw.Button(description="Export GIF", icon="film")
        self.export_mp4 = ipw.Button(description="Export MP4", icon="film", disabled=bool(self._no_mp4))
        self.export_mp4.tooltip = self._no_mp4
        self.export_gif.on_click(lambda _: self._start_export(".gif"))
        self.export_mp4.on_click(lambda _: self._start_export(".mp4"))
        self._say(self._no_mp4)

    # The picture ---------------------------------------------------------------------------

    @property
    def look(self) -> Look:
        """The present setting of the controls."""
        chosen = self.slice.value
        return Look(
            show=self.show.value,
            state=self.state.value,
            slice_index=None if chosen == _PROJECTED else chosen,
            mode=self.mode.value,
            held=self.held.value,
            columns=self.columns.value,
            magnify=self.magnify.value,
        )

    @one_thread
    def figure(self) -> Figure:
        """The picture of the present choice."""
        return draw(self._view, self.look)

    @one_thread
    def _png(self, look: Look) -> bytes:
        """A picture, kept for the next round of the animation."""
        if look not in self._pictures:
            while len(self._pictures) >= _PICTURES_KEPT:
                del self._pictures[next(iter(self._pictures))]
            buffer = io.BytesIO()
            draw(self._view, look).savefig(buffer, format="png")  # a control may have changed meanwhile
            self._pictures[look] = buffer.getvalue()
        return self._pictures[look]

    @one_thread
    def _draw(self, change: Any = None) -> None:
        probe = self.show.value == "probe"
        for control in (self.state, self.slice, self.columns, self.magnify):
            control.disabled = probe
        self.mode.disabled = not probe
        turning = self.mode if probe else self.state
        self._setting_clock = True
        self._animation.max = max(self._animation.max, turning.max)  # or the clock would clip the value
        self._animation.value = turning.value
        self._animation.max = turning.max
        self._setting_clock = False
        self.play.disabled = turning.max == 0
        look = self.look
        data = base64.b64encode(self._png(look)).decode()
        alt = escape(caption(self._view, look))
        self._picture.value = f'<img alt="{alt}" style="max-width:100%" src="data:image/png;base64,{data}">'

    # Animation -----------------------------------------------------------------------------

    def _toggle(self, button: Any) -> None:
        self._animation.playing = not self._animation.playing

    def _label_play(self, change: Any) -> None:
        playing = self._animation.playing
        self.play.description, self.play.icon = ("Pause", "pause") if playing else ("Play", "play")

    @one_thread
    def _step(self, change: Any) -> None:
        if self._setting_clock:  # by what another thread may have changed again
            return
        turning = self.mode if self.show.value == "probe" else self.state
        turning.value = self._animation.value

    def _pace(self, change: Any = None) -> None:
        self._animation.interval = round(1000 / self.frames_per_second.value)

    # Export --------------------------------------------------------------------------------

    def export(self, path: str | os.PathLike[str]) -> Path:
        """Write the movie of all states, or probe modes, as they are shown now.

        Parameters
        ----------
        path : path
            Ends in .gif, or in .mp4 where ffmpeg is installed. What is shown, where it comes from, versions,
            date, units and contrast limits go into the file and into ``<path>.json``.

        Returns
        -------
        Path
            The file.

        Raises
        ------
        FileNotFoundError, RuntimeError, TypeError, ValueError
            As `caviar_kit.plotting.save_movie`.
        """
        written = self._prepare()(path)
        self._say(f"written: {written.resolve()}")
        return written

    def wait(self, timeout: float | None = None) -> bool:
        """Wait until a movie started with a button is written [s]; False if it is not by then."""
        if self._writing is not None:
            self._writing.join(timeout)
            return not self._writing.is_alive()
        return True

    def _prepare(self) -> Callable[[str | os.PathLike[str]], Path]:
        """The writing of what is shown now, whatever becomes of the controls."""
        view, look, speed = self._view, self.look, float(self.frames_per_second.value)

        def write(path: str | os.PathLike[str]) -> Path:
            frames = (one_thread(draw)(view, frame) for frame in look.frames(view))
            record = provenance(view, look, speed)
            return save_movie(path, frames, frames_per_second=speed, provenance=record)

        return write

    def _start_export(self, suffix: str) -> None:
        name = self.file.value.strip()
        if not name:
            self._say("Give the movie a file name.")
            return
        try:
            path = _movie_file(name, suffix)
        except (OSError, RuntimeError, ValueError) as error:
            self._say(f"{name} cannot be the movie's file name: {error}")
            return
        self._say(f"writing {path} …")
        self.export_gif.disabled = self.export_mp4.disabled = True
        self._writing = Thread(target=self._export_aside, args=(self._prepare(), path), daemon=True)
        self._writing.start()

    def _export_aside(self, write: Callable[[str | os.PathLike[str]], Path], path: Path) -> None:
        try:
            self._say(f"written: {write(path).resolve()}")
        except Exception as error:  # in a thread nobody else would tell
            self._say(f"{path} was not written: {error}")
        finally:
            self.export_gif.disabled = False
            self.export_mp4.disabled = bool(self._no_mp4)

    def _say(self, sentence: str) -> None:
        self._status.value = f'<div role="status" style="line-height:1.4">{escape(sentence)}</div>'

    def _repr_mimebundle_(self, **kwargs: Any) -> Any:
        """The live panel; beside it a still picture for pages without a kernel."""
        bundle = super()._repr_mimebundle_(**kwargs)
        if isinstance(bundle, dict):
            bundle["image/png"] = self._png(self.look)
        return bundle


def _movie_file(name: str, suffix: str) -> Path:
    """The file that a name means, its suffix put right; RuntimeError if ~user is nobody's folder."""
    stem = name[: -len(suffix)] if name.lower().endswith(MOVIE_SUFFIXES) else name
    if not stem or stem.endswith(("/", os.sep)) or Path(stem).name in ("", "..", "~"):
        raise ValueError("it must end in the name of a file, not of a folder")
    path = Path(stem).expanduser()
    return path.with_name(path.name + suffix)
