"""The study of dispersion as a Markdown table: path means in THz."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any

from benchmarks.studies.cases import Line
from benchmarks.studies.hbn_layer import BRANCHES
from benchmarks.studies.markdown import markdown

METHODS = ("eq. 6", "ours")
PERFECT = {
    "truth": "truth",
    "eq. 6": "perfect, eq. 6",
    "eq. 6, own masses": "perfect, eq. 6 with each site's own mass",
    "eq. 6, 59 cells": "perfect, eq. 6, plane waves over 59 cells",
    "quantum, one mass": "perfect, quantum inversion with one mean mass",
    "quantum": "perfect, quantum inversion",
}


def table(lines: Sequence[Line]) -> str:
    """Each row: what was inverted and how, path means, scatter of a sample, intervals that hold the truth."""
    head = ["correlations, inversion", *BRANCHES, "scatter (THz)", "truth in 95 % interval"]
    body = [row for line in lines for row in ROWS[line["case"]["part"]](line)]
    return markdown(head, body)


def _bands(line: Line) -> Iterator[list[str]]:
    means = line["result"]["path_mean_thz"]
    for key, name in PERFECT.items():
        yield [name, *_thz(means[key]), "–", "–"]


def _scale(line: Line) -> Iterator[list[str]]:
    result = line["result"]
    for key in ("eq. 6", "quantum"):
        for factor, means in zip(result["factor"], result[key], strict=True):
            if factor in (0.5, 0.75, 1.2):
                yield [f"perfect × {factor:g}, {key}", *_thz(means), "–", "–"]


def _temperature(line: Line) -> Iterator[list[str]]:
    result = line["result"]
    for kelvin, means in zip(result["kelvin"], result["eq. 6"], strict=True):
        yield [f"perfect at {kelvin} K, eq. 6", *_thz(means), "–", "–"]


def _states(line: Line) -> Iterator[list[str]]:
    for key in METHODS:
        found = line["result"][key]
        held = ", ".join(str(count) for count in found["inside"])
        yield [
            f"{line['case']['states']} states, {key}",
            *_thz(found["mean_thz"]),
            ", ".join(_thz(found["scatter_thz"])),
            f"{held} of {line['result']['trials']}",
        ]


def _thz(values: Sequence[float]) -> list[str]:
    return [f"{value:.1f}" for value in values]


ROWS: dict[str, Any] = {"bands": _bands, "scale": _scale, "temperature": _temperature, "states": _states}
