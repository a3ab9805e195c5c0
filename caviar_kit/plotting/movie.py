"""Figures as a movie that says where it comes from."""

from __future__ import annotations

import json
import os
import subprocess
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping
from itertools import chain
from pathlib import Path
from typing import Any

import numpy as np
from matplotlib.animation import FFMpegWriter, PillowWriter
from matplotlib.figure import Figure
from scipy.spatial import cKDTree

from caviar_kit import validation
from caviar_kit._replacing import replacing

__all__ = ["MOVIE_SUFFIXES", "save_movie", "why_no_mp4"]

MOVIE_SUFFIXES = (".gif", ".mp4")
_MEDIAN_CUT = 0  # Pillow's number


def save_movie(
    path: str | os.PathLike[str],
    frames: Iterable[Figure],
    *,
    frames_per_second: float = 5.0,
    provenance: Mapping[str, Any] | None = None,
) -> Path:
    """Write figures as an animated GIF or an MP4, complete or not at all.

    All frames of a GIF share one palette without dithering: equal colours stay equal from frame to frame.

    Parameters
    ----------
    path : path
        Ends in .gif, or in .mp4, which needs the program ffmpeg.
    frames : iterable of matplotlib Figure
        All of the same size; a generator is drawn one at a time.
    frames_per_second : float
        0.1 to 50; a GIF counts in hundredths of a second.
    provenance : mapping, optional
        JSON-ready. Written into the file (comment of the GIF, metadata of the MP4) and into
        ``<path>.json`` beside it.

    Returns
    -------
    Path
        The file.

    Raises
    ------
    FileNotFoundError
        If there is no such folder.
    RuntimeError
        If ffmpeg is missing or fails.
    TypeError, ValueError
        If the path ends otherwise, a frame is no Figure or of another size, or there is none.
    """
    target = validation.path_like("path", path)
    if target.suffix.lower() not in MOVIE_SUFFIXES:
        raise ValueError(f"path must end in {' or '.join(MOVIE_SUFFIXES)}, got {os.fspath(path)!r}")
    speed = validation.number("frames_per_second", frames_per_second, minimum=0.1, maximum=50)
    if not target.parent.is_dir():
        raise FileNotFoundError(f"there is no folder {target.parent}")
    if target.is_dir():
        raise ValueError(f"path must be a file, {target} is a folder")
    text = json.dumps(dict(provenance or {}), default=_jsonable, ensure_ascii=False)
    writer = _writer(target, speed, text)
    figures = _of_one_size(frames)
    first = next(figures, None)
    if first is None:
        raise ValueError("frames is empty: no figure to write")
    with replacing(target) as partial:
        _write(writer, partial, first, figures)
    if provenance is not None:
        indented = json.dumps(json.loads(text), indent=1, ensure_ascii=False)
        with replacing(target.with_name(target.name + ".json")) as partial:
            partial.write_text(indented + "\n", encoding="utf-8")
    return target


def why_no_mp4() -> str:
    """One sentence why MP4 cannot be written here; empty if it can."""
    if FFMpegWriter.isAvailable():
        return ""
    return "MP4 needs the program ffmpeg, which is not installed here; GIF needs nothing more."


class _GifWriter(PillowWriter):
    """matplotlib's writer with one palette for all frames, and the metadata as the GIF's comment."""

    _frames: list[Any]

    def finish(self) -> None:
        first, *others = _with_one_palette([image.convert("RGB") for image in self._frames])
        first.save(
            self.outfile,
            format="GIF",
            save_all=True,
            append_images=others,
            duration=10 * round(100 / self.fps),
            loop=0,
            comment=self.metadata["comment"].encode(),
        )


def _with_one_palette(images: list[Any]) -> list[Any]:
    """Pillow's RGB images with 256 colours, the same in all; a colour becomes the nearest of them."""
    counts: Counter[int] = Counter()
    for image in images:
        numbers, pixels = np.unique(_numbered(image), return_counts=True)
        counts.update(dict(zip(numbers.tolist(), pixels.tolist(), strict=True)))
    numbers = np.array(sorted(counts), dtype=np.uint32)
    pixels = np.array([counts[number] for number in numbers.tolist()])
    colours = np.stack([numbers & 255, numbers >> 8 & 255, numbers >> 16], axis=-1).astype(np.uint8)
    palette, patch = _palette(images[0], colours, pixels)
    nearest = cKDTree(palette).query(colours)[1].astype(np.uint8)
    indexed = []
    for image in images:
        picture = patch.resize(image.size)
        picture.putpalette(palette.ravel().tolist())
        picture.frombytes(nearest[np.searchsorted(numbers, _numbered(image))].tobytes())
        indexed.append(picture)
    return indexed


def _palette(image: Any, colours: np.ndarray, pixels: np.ndarray) -> tuple[np.ndarray, Any]:
    """Up to 256 of the colours (n, 3), and an image in palette mode.

    Median cut, in which colours count by the cube root of their pixels: the few bright pixels of atoms get
    shades of their own. Of each box the commonest colour is taken, so that white stays white.
    """
    sample = np.repeat(colours, np.ceil(np.cbrt(pixels)).astype(int), axis=0)
    patch = image.resize((len(sample), 1))
    patch.frombytes(sample.tobytes())
    patch = patch.quantize(colors=256, method=_MEDIAN_CUT)
    boxes = np.unique(np.reshape(patch.getpalette(), (-1, 3)), axis=0)
    box = cKDTree(boxes).query(colours)[1]
    order = np.lexsort((pixels, box))  # the commonest of each box comes last
    last = np.flatnonzero(np.diff(box[order], append=-1))
    return colours[order[last]], patch


def _numbered(image: Any) -> np.ndarray:
    """One number per colour (y, x)."""
    return np.asarray(image, dtype=np.uint32) @ np.array([1, 256, 65536], dtype=np.uint32)


def _writer(target: Path, speed: Any, text: str) -> Any:
    if target.suffix.lower() == ".gif":
        return _GifWriter(fps=speed, metadata={"comment": text})
    if reason := why_no_mp4():
        raise RuntimeError(reason)
    return FFMpegWriter(fps=speed, codec="h264", metadata={"title": target.stem, "comment": text})


def _write(writer: Any, path: Path, first: Figure, others: Iterator[Figure]) -> None:
    try:
        with writer.saving(first, os.fspath(path), first.dpi):
            for figure in chain([first], others):
                writer.fig = figure
                writer.grab_frame()
    except subprocess.CalledProcessError as error:
        said = str(error.stderr or error).strip().splitlines()
        raise RuntimeError(f"ffmpeg failed: {said[-1]}") from error


def _of_one_size(frames: Iterable[Figure]) -> Iterator[Figure]:
    """The frames, an even number of pixels wide and high, as h264 needs them."""
    size: tuple[float, float] | None = None
    for figure in frames:
        if not isinstance(figure, Figure):
            raise TypeError(f"frames must be matplotlib Figures, got {type(figure).__name__}")
        given = tuple(figure.get_size_inches() * figure.dpi)
        if size is not None and given != size:
            raise ValueError(f"frames must all have the same size, got {given} after {size} pixels")
        size = given
        width, height = (2 * int(pixels / 2 + 1e-6) / figure.dpi for pixels in given)
        figure.set_size_inches(width, height)
        yield figure


def _jsonable(value: Any) -> Any:
    return value.tolist() if hasattr(value, "tolist") else str(value)
