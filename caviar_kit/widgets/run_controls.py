"""Buttons, progress and messages of a job: what may be pressed when, and errors as sentences."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterable, Mapping
from html import escape
from typing import Any

import ipywidgets as ipw

from caviar_kit.widgets.job import Job

__all__ = ["RunControls", "alert", "sentence"]

_ENABLED = {"Pause": ("running",), "Resume": ("paused",), "Stop": ("running", "paused")}
_TITLES = {
    "ready": "Ready.",
    "running": "Running:",
    "paused": "Paused:",
    "stopping": "Stopping:",
    "done": "Done:",
    "stopped": "Stopped:",
    "failed": "Failed.",
}


class RunControls(ipw.VBox):
    """Buttons for a job; may be told of its progress from any thread.

    Buttons other than "Pause", "Resume" and "Stop" can be pressed when no run is on, and only then other
    controls can be changed.

    Parameters
    ----------
    job : Job
        Whose state decides.
    actions : mapping of text to (function, tooltip)
        The buttons. What a function raises is shown; what it returns, if a text, too.
    others : widgets
        The other controls.

    Attributes
    ----------
    buttons : dict of text → Button
    """

    def __init__(
        self, job: Job, actions: Mapping[str, tuple[Callable[[], Any], str]], others: Iterable[Any] = ()
    ) -> None:
        self._job, self._others, self._progress = job, list(others), ""
        self._lock = threading.Lock()  # what is shown belongs to one state
        width = ipw.Layout(width="9em")
        self.buttons = {
            text: ipw.Button(description=text, tooltip=tooltip, layout=width)
            for text, (_, tooltip) in actions.items()
        }
        for text, (action, _) in actions.items():
            self.buttons[text].on_click(self._guarded(action))
        self.bar = ipw.FloatProgress(min=0, max=1, description="progress", layout=ipw.Layout(width="30em"))
        self._status, self._message = ipw.HTML(), ipw.HTML()
        row = ipw.HBox(list(self.buttons.values()), layout=ipw.Layout(flex_flow="row wrap"))
        super().__init__([row, self.bar, self._status, self._message])
        self.refresh()

    def refresh(self, progress: str | None = None) -> None:
        """Show the job's state, and where it stands, if given."""
        with self._lock:
            self._progress = self._progress if progress is None else progress
            state = self._job.state
            rest = state not in ("running", "paused", "stopping")
            for text, button in self.buttons.items():
                button.disabled = not (state in _ENABLED[text] if text in _ENABLED else rest)
            for control in self._others:
                control.disabled = not rest
            self._status.value = f'<p role="status"><b>{_TITLES[state]}</b> {escape(self._progress)}</p>'

    def say(self, message: str | BaseException) -> None:
        """Show a message, or an error as a sentence; nothing for an empty text."""
        if isinstance(message, BaseException):
            self._message.value = alert(message)
        else:
            self._message.value = f'<p role="status">{escape(message)}</p>' if message else ""

    def _guarded(self, action: Callable[[], Any]) -> Callable[[Any], None]:
        def clicked(button: Any) -> None:
            self.say("")
            try:
                result = action()
            except Exception as error:
                self.say(error)
            else:
                if isinstance(result, str):
                    self.say(result)

        return clicked


def alert(error: BaseException) -> str:
    """HTML of an error."""
    return f'<p role="alert" style="color:#a03000"><b>⚠ {escape(sentence(error))}</b></p>'


def sentence(error: BaseException) -> str:
    """What an error says, in one line."""
    return " ".join(str(error).split()) or type(error).__name__
