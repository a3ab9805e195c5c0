"""Run a lesson cell by cell, listening to the progress it prints."""

from __future__ import annotations

import asyncio
import base64
import contextlib
import os
import re
import time
from collections.abc import Mapping
from dataclasses import dataclass, field
from html import escape
from pathlib import Path
from typing import Any

import nbformat
from nbclient import NotebookClient
from nbclient.exceptions import CellExecutionError, DeadKernelError

from caviar_kit.demo.progress import Bar, Console, clock, parse_bar

__all__ = [
    "Lesson",
    "LessonCell",
    "NotebookFailure",
    "read_lesson",
    "run_lesson",
    "save_pictures",
    "write_html",
]

_UNMEASURED_SECONDS = 0.3
_ANSI = re.compile(r"\x1b\[[0-9;]*m")
_PICTURE = "image/png"
_WIDGET = "application/vnd.jupyter.widget-view+json"
_NO_ALT = "No description has been provided for this image"  # nbconvert's words


class NotebookFailure(RuntimeError):
    """A cell failed; the message shows it."""


@dataclass
class LessonCell:
    """A code cell, where it stands, and how long it takes."""

    index: int
    """In the notebook, markdown included."""
    number: int
    """Among the code cells, from 1."""
    title: str
    """The heading above it."""
    node: Any
    seconds: float = 0.0

    def expected(self, preset: str) -> float:
        """Seconds that this cell is expected to take, from its metadata."""
        known = self.node.metadata.get("caviar_kit", {}).get("seconds", {})
        return float(known.get(preset, known.get("tutorial", _UNMEASURED_SECONDS)))


@dataclass
class Lesson:
    """A notebook with its code cells."""

    path: Path
    node: Any
    cells: list[LessonCell] = field(default_factory=list)

    @property
    def name(self) -> str:
        """File name without its ending."""
        return self.path.stem

    def record_seconds(self, preset: str) -> None:
        """Write the measured seconds into the notebook on disk, and nothing else."""
        kept = nbformat.read(self.path, as_version=4)
        for cell in self.cells:
            metadata = kept.cells[cell.index].metadata
            seconds = metadata.setdefault("caviar_kit", {}).setdefault("seconds", {})
            seconds[preset] = round(cell.seconds, 1)
        nbformat.write(kept, self.path)


def read_lesson(path: Path) -> Lesson:
    """Read a notebook.

    Raises
    ------
    ValueError
        If the file is no notebook.
    """
    try:
        node = nbformat.read(path, as_version=4)
    except Exception as error:
        raise ValueError(f"{path} is not a notebook: {error}") from error
    lesson, title = Lesson(path, node), path.stem
    for index, cell in enumerate(node.cells):
        if cell.cell_type == "markdown" and (heading := re.search(r"^#+ +(.+)$", cell.source, re.M)):
            title = heading[1].strip()
        elif cell.cell_type == "code" and cell.source.strip():
            lesson.cells.append(LessonCell(index, len(lesson.cells) + 1, title, cell))
    return lesson


class _Client(NotebookClient):
    """Follows the cells of a lesson and what they print."""

    def __init__(self, lesson: Lesson, console: Console, **settings: Any) -> None:
        super().__init__(lesson.node, **settings)
        self._lesson, self._console = lesson, console
        self._cells = {cell.index: cell for cell in lesson.cells}
        self._current: LessonCell | None = None
        self._began = self._section_began = time.monotonic()
        self._printed = ""
        self.on_cell_start = self._start
        self.on_cell_executed = self._finish

    def _start(self, cell: Any, cell_index: int) -> None:
        if cell_index in self._cells:
            previous, self._current = self._current, self._cells[cell_index]
            if previous is not None and previous.title != self._current.title:
                self.close_section(previous)
            self._printed = ""
            self.show()

    def _finish(self, cell: Any, cell_index: int, execute_reply: Any) -> None:
        moment = time.monotonic()
        if self._current is not None:
            self._current.seconds = moment - self._began  # the first includes the kernel's start
            self._console.time_left.finish(self._current.seconds)
        self._began = moment

    def close_section(self, cell: LessonCell | None) -> None:
        """Say that the section of ``cell`` is done."""
        moment = time.monotonic()
        if cell is not None:
            self._console.say(f"  {clock(moment - self._section_began):>5}  {cell.title}")
        self._section_began = moment

    def show(self) -> None:
        """Bring the console up to date."""
        if self._current is not None:
            here = self._current
            where = f"{self._lesson.name[:2]} cell {here.number}/{len(self._cells)} {here.title}"
            self._console.update(where, time.monotonic() - self._began, self._bar)

    @property
    def _bar(self) -> Bar | None:
        return parse_bar(self._printed)

    def process_message(self, msg: dict[str, Any], cell: Any, cell_index: int) -> Any:
        if msg["msg_type"] == "stream":
            self._printed = (self._printed + msg["content"]["text"])[-2000:]
            self.show()
        return super().process_message(msg, cell, cell_index)


async def run_lesson(lesson: Lesson, console: Console, environment: Mapping[str, str]) -> None:
    """Run all cells in a new kernel of this interpreter, beside the notebook.

    Raises
    ------
    NotebookFailure
        If a cell raises, or the kernel dies; ``lesson`` then holds the outputs so far.
    KeyboardInterrupt
        If the user stops it.
    """
    client = _Client(
        lesson,
        console,
        kernel_name="python3",
        timeout=None,
        shutdown_kernel="immediate",
        extra_arguments=["--log-level=ERROR"],  # no warning that the kernel listens on this machine
        store_widget_state=False,
        resources={"metadata": {"path": str(lesson.path.parent)}},
    )
    kernel: Any = client.create_kernel_manager()
    # no kernel that the user installed under the same name: this interpreter has the package
    kernel.kernel_spec_manager.kernel_dirs = []
    console.say(lesson.path.name)
    ticker = asyncio.create_task(_tick(client))
    try:
        await client.async_execute(env=dict(environment), cleanup_kc=False)
        client.close_section(client._current)
    except CellExecutionError as error:
        raise NotebookFailure(
            _explain(lesson, client._current, _traceback(client._current, error))
        ) from error
    except DeadKernelError as error:
        if getattr(client, "_async_cleanup_kernel_future", None) is not None:
            raise KeyboardInterrupt from None  # nbclient takes the signal and stops the kernel
        text = "its Python died (stopped, or out of memory)"
        raise NotebookFailure(_explain(lesson, client._current, text)) from error
    finally:
        ticker.cancel()
        with contextlib.suppress(asyncio.CancelledError):
            await ticker
        if kernel.has_kernel:
            await kernel.shutdown_kernel(now=True)  # its memory is free for the next lesson
        for cell in lesson.cells:
            cell.node.outputs = _tidy(cell.node.outputs)


async def _tick(client: _Client) -> None:
    while True:
        await asyncio.sleep(0.5)
        client.show()


def _traceback(cell: LessonCell | None, error: CellExecutionError) -> str:
    """What the kernel said, without the cell and its output, which nbclient puts before it."""
    outputs = [] if cell is None else cell.node.outputs
    said = ["\n".join(output.traceback) for output in outputs if output.output_type == "error"]
    return said[-1] if said else str(error)


def _explain(lesson: Lesson, cell: LessonCell | None, error: str) -> str:
    if cell is None:
        return f"{lesson.path.name} could not be started: {error}"
    source = "\n".join(f"    {line}" for line in cell.node.source.splitlines())
    return (
        f"{lesson.path.name}, code cell {cell.number} ({cell.title}) failed:\n\n{source}\n\n"
        f"{_ANSI.sub('', error).strip()}"
    )


def _tidy(outputs: list[Any]) -> list[Any]:
    """Join text, keep the last state of progress bars as plain text, and pictures in place of widgets."""
    joined: list[Any] = []
    for output in outputs:
        if output.output_type == "stream":
            if joined and joined[-1].output_type == "stream" and joined[-1].name == output.name:
                joined[-1].text += output.text
                continue
        joined.append(output)
    for output in joined:
        if _shows_picture(output):
            output.data.pop(_WIDGET, None)  # a page without a kernel shows the picture instead
        if output.output_type == "stream":
            lines = [re.split(r"\r(?=.)", line)[-1].strip("\r") for line in output.text.split("\n")]
            output.text = "\n".join(lines)
            if parse_bar(output.text) and all(parse_bar(line) for line in lines if line.strip()):
                output.name = "stdout"
    return joined


def write_html(lesson: Lesson, path: Path) -> None:
    """Write the notebook with its outputs as a page that needs no network."""
    from nbconvert import HTMLExporter

    exporter = HTMLExporter()
    exporter.require_js_url = exporter.mathjax_url = ""  # formulas are plain text, widgets pictures
    page, _ = exporter.from_notebook_node(lesson.node, resources={"metadata": {"name": lesson.name}})
    page = re.sub(r'<script src="">\s*</script>', "", page)
    page = re.sub(r'href="(\w+)\.ipynb"', r'href="\1.html"', page)  # the other lessons' pages lie beside it
    shown = (cell.title for cell in lesson.cells for output in cell.node.outputs if _shows_picture(output))
    alt = (f'alt="Picture: {escape(title)}"' for title in shown)  # for those who cannot see it
    page = re.sub(rf'alt="{_NO_ALT}"', lambda found: next(alt, found[0]), page)
    partial = path.with_name(f".{path.name}.{os.getpid()}.part")
    try:
        partial.write_text(page, encoding="utf-8")
        partial.replace(path)
    finally:
        partial.unlink(missing_ok=True)


def _shows_picture(output: Any) -> bool:
    return _PICTURE in output.get("data", {})


def save_pictures(lesson: Lesson, folder: Path) -> list[Path]:
    """Write each picture in the outputs as ``<notebook>_<cell>_<picture>.png``; returns the paths."""
    paths = []
    for cell in lesson.cells:
        pictures = [output.data[_PICTURE] for output in cell.node.outputs if _shows_picture(output)]
        for number, picture in enumerate(pictures, start=1):
            slug = re.sub(r"[^a-z0-9]+", "-", cell.title.lower()).strip("-")
            paths.append(folder / f"{lesson.name}_{cell.number:02d}_{slug}_{number}.png")
            paths[-1].write_bytes(base64.b64decode(picture))
    return paths
