"""How long a run still takes, and how to say so on a terminal or in a log."""

from __future__ import annotations

import re
import shutil
import sys
import time
from collections.abc import Sequence
from dataclasses import dataclass
from typing import TextIO

from caviar_kit import validation

__all__ = ["Bar", "Console", "TimeLeft", "clock", "parse_bar"]

_TQDM = re.compile(
    r"(?:(?P<what>[^|\r\n]*?): +)?\d+%\|.*?\| *(?P<done>\d+)/(?P<total>\d+) \[[\d:]+<(?P<left>[\d:]+|\?)"
)
_COUNT = re.compile(r"(?P<what>[^\r\n]*?) (?P<done>\d+) of (?P<total>\d+)")
_PRIOR_SECONDS = 3.0  # trust in the expected times before anything was measured
_SHORT_SECONDS = 1.0  # steps expected to be shorter say nothing about the machine
_CACHED = 0.35  # a step this much faster than expected found its work done: no news about the machine


@dataclass(frozen=True)
class Bar:
    """A progress bar that a notebook cell printed."""

    text: str
    """What and how much of it, for people."""
    fraction: float
    """Done, 0 to 1."""
    seconds_left: float | None
    """The bar's own opinion, if it has one."""


def parse_bar(text: str) -> Bar | None:
    """The last progress in a cell's output: a tqdm bar, or "something 3 of 30"; None if there is none."""
    for part in reversed(re.split(r"[\r\n]", text)):
        found = _TQDM.search(part) or _COUNT.search(part)
        if not found:
            continue
        done, total = int(found["done"]), int(found["total"])
        if total < 1 or done > total:
            continue
        what = (found["what"] or "").strip()
        left = found.groupdict().get("left")
        seconds = None if left in (None, "?") else _seconds(str(left))
        return Bar(f"{what} {done}/{total}".strip(), done / total, seconds)
    return None


def _seconds(text: str) -> float:
    """Seconds of "12:03" or "1:12:03"."""
    return float(sum(int(part) * 60**power for power, part in enumerate(reversed(text.split(":")))))


def clock(seconds: float) -> str:
    """Seconds as m:ss, or h:mm:ss from one hour."""
    whole = round(max(seconds, 0))
    hours, minutes = divmod(whole // 60, 60)
    return f"{hours}:{minutes:02d}:{whole % 60:02d}" if hours else f"{minutes}:{whole % 60:02d}"


class TimeLeft:
    """Time left of steps with expected durations, corrected by how the finished ones came out.

    Parameters
    ----------
    expected : sequence of float
        Expected seconds of each step, in order.
    """

    def __init__(self, expected: Sequence[float]) -> None:
        self._expected = [validation.number("expected", float(e), minimum=0, unit="s") for e in expected]
        self._measured = self._foreseen = _PRIOR_SECONDS
        self._next = 0

    @property
    def slowness(self) -> float:
        """Measured over expected seconds so far: 2 on a machine half as fast as the expected one."""
        return self._measured / self._foreseen

    def finish(self, seconds: float) -> None:
        """Note that the current step took this long; the next one begins."""
        expected = self._expected[self._next]
        if expected >= _SHORT_SECONDS and seconds > _CACHED * expected:
            self._measured += seconds
            self._foreseen += expected
        self._next += 1

    def left(self, elapsed: float, bar: Bar | None = None) -> float:
        """Seconds left, ``elapsed`` seconds into the current step.

        A ``bar`` that knows its own time left is trusted the more, the further it has come.
        """
        if self._next >= len(self._expected):
            return 0.0
        planned = self.slowness * self._expected[self._next]
        current, later = max(planned - elapsed, 0.0), self.slowness * sum(self._expected[self._next + 1 :])
        if bar is not None and bar.seconds_left is not None:
            current += bar.fraction * (bar.seconds_left - current)
            if planned >= _SHORT_SECONDS:  # as slow as this one will the later ones be
                later *= 1 + bar.fraction * ((elapsed + current) / planned - 1)
        return current + later


class Console:
    """One line that says what runs, how far it is, and how long all of it still takes.

    On a terminal the line is rewritten; in a log a new one comes every ten seconds.
    """

    def __init__(self, time_left: TimeLeft, stream: TextIO | None = None) -> None:
        self.time_left = time_left
        self._stream = sys.stdout if stream is None else stream
        self._live = self._stream.isatty()
        self._began = self._shown = time.monotonic()
        self._open = False

    def say(self, line: str) -> None:
        """Print a line that stays."""
        self.end_line()
        print(line, file=self._stream, flush=True)

    def end_line(self) -> None:
        """Clear the rewritten line, if there is one."""
        if self._open:
            print("\r\x1b[K", end="", file=self._stream, flush=True)
            self._open = False

    def update(self, where: str, elapsed: float, bar: Bar | None, *, now: bool = False) -> None:
        """Show the state, ``elapsed`` seconds into the current step; ``now`` forces a line into a log."""
        moment = time.monotonic()
        if not now and moment - self._shown < (0.2 if self._live else 10):
            return
        self._shown = moment
        spent, left = moment - self._began, self.time_left.left(elapsed, bar)
        percent = 100 * spent / max(spent + left, 1e-9)
        head = f"[{percent:3.0f} %] {clock(spent)} gone, {clock(left)} left"
        line = " | ".join([head, where, *([bar.text] if bar else [])])
        if self._live:
            width = shutil.get_terminal_size().columns - 1
            print(f"\r\x1b[K{line[:width]}", end="", file=self._stream, flush=True)
            self._open = True
        else:
            print(line, file=self._stream, flush=True)
