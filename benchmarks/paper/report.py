"""What came out, beside the paper: Markdown tables and figures 2, 3 and 4, from finished cases alone."""

from __future__ import annotations

import json
from collections.abc import Iterable
from pathlib import Path
from typing import Any

import numpy as np

from benchmarks.paper.cases import SIZES, Case
from benchmarks.paper.figures import figure2, figure3, figure4

__all__ = ["report"]

NOT_RUN = "not run"
SILICON = {
    "si-md": "MD",
    "si-md-psc": "MD, source of 0.47 Å, 9 modes",
    "si-md-focus": "MD, in focus",
    "si-einstein": "Einstein",
    "si-coherent": "coherent",
}
HBN = {"hbn": "point source", "hbn-psc": "source of 0.3 Å, 5 modes"}
SHELLS = ("self", "nearest", "next", "all")
LATTICES = ("lower", "upper")
Found = dict[tuple[str, str], dict[str, Any]]


def report(cases: Iterable[Case], folder: Path) -> None:
    """Write ``report.md``, ``figure2.png``, ``figure3.png`` and ``figure4.png`` to ``folder``.

    Every case of both sizes counts that has been finished there; of the others the tables say "not run". The
    figures are of the size of ``cases``.
    """
    found = collected(folder)
    text = "\n\n".join((runs(found), beside_the_paper(found), shells(found), dispersion(found)))
    (folder / "report.md").write_text(text + "\n")
    print(text)
    size = next(iter(cases)).size
    for number, draw in ((2, figure2), (3, figure3), (4, figure4)):
        if (figure := draw(folder, size)) is not None:
            figure.savefig(folder / f"figure{number}.png", dpi=110)


def collected(folder: Path) -> Found:
    """Figures of every finished case, by name and size."""
    out: Found = {}
    for name in (*SILICON, *HBN):
        for size in SIZES:
            path = folder / f"{name}-{size}.json"
            if path.exists():
                out[name, size] = json.loads(path.read_text())
    return out


def runs(found: Found) -> str:
    """How each case was run."""
    head = ["case", "size", "device", "positions", "states, slices, modes", "iterations"]
    head += ["seconds", "memory", "loss", "seed"]
    rows = []
    for name in (*SILICON, *HBN):
        for size in SIZES:
            if (case := found.get((name, size))) is None:
                rows.append([name, size, NOT_RUN, *[""] * (len(head) - 3)])
                continue
            rows.append(
                [
                    name,
                    size,
                    case["device"],
                    str(int(np.prod(case["scan_shape"]))),
                    f"{case['states']}, {case['slices']}, {case['probe_modes']}",
                    str(case["iterations"]),
                    f"{case['seconds']:.0f}",
                    f"{case['peak_memory_mb'] / 1000:.1f} GB",
                    f"{case['loss']:.1e}",
                    str(case["seed"]),
                ]
            )
    return table(head, rows)


def beside_the_paper(found: Found) -> str:
    """Every number of the paper, ours at its size, and ours at the reduced one."""
    lines: list[tuple[str, str, str, Any]] = [
        ("Si MD: CSM", "0.98", "si-md", lambda case: _shells(case, "csm", ".3f")),
        ("Si MD + source: CSM", "0.96", "si-md-psc", lambda case: _shells(case, "csm", ".3f")),
        (
            "Si MD: length against the truth (LSM)",
            "about 0.75",
            "si-md",
            lambda case: _shells(case, "lsm", ".2f"),
        ),
        ("Si coherent: rms displacement [pm]", "none", "si-coherent", _rms),
        ("Si Einstein: nearest over self", "none", "si-einstein", _share),
        ("hBN: information limit [pm]", "47.6", "hbn", lambda case: f"{case['limit_pm']['all']:.1f}"),
        ("hBN: d / λ", "9.78", "hbn", lambda case: f"{case['d_over_lambda']['all']:.2f}"),
        (
            "hBN: finest modulation in depth [Å]",
            "about 20",
            "hbn",
            lambda case: f"{case['depth_resolution_angstrom']:.0f}",
        ),
        ("hBN: twist [deg]", "about 11", "hbn", lambda case: f"{case['twist_deg']:.2f} (true 10.99)"),
        ("hBN: B of columns, lower; upper [pm²]", "3.0e3; 3.5e3", "hbn", _debye_waller),
    ]
    rows = []
    for what, paper, name, value in lines:
        cells = [value(found[name, size]) if (name, size) in found else NOT_RUN for size in SIZES]
        rows.append([what, paper, *cells])
    return table(["", "the paper", "ours, paper's size", "ours, reduced"], rows)


def shells(found: Found) -> str:
    """CSM / LSM of each shell."""
    rows = []
    for (name, size), case in found.items():
        for lattice, values in case["lattices"].items():
            label = {**SILICON, **{k: f"hBN, {v}" for k, v in HBN.items()}}[name]
            cells = [_pair(values["shells"][shell]) for shell in SHELLS]
            rows.append(
                [f"{label}{'' if lattice == 'all' else ', ' + lattice}", size, str(values["columns"]), *cells]
            )
    head = ["data", "size", "columns", *(f"{shell}: CSM / LSM" for shell in SHELLS)]
    return table(head, rows)


def dispersion(found: Found) -> str:
    """Path means TA, LA, TO, LO [THz] of both lattices, by three formulas."""
    rows = [
        ["the paper, lower", "10.7, 14.1, 17.7, 24.0", "", ""],
        ["the paper, upper", "10.8, 13.0, 18.2, 27.0", "", ""],
        ["theory in the paper", "", "", "14.3, 22.9, 39.5, 39.6"],
    ]
    for (name, size), case in found.items():
        for lattice in LATTICES if name in HBN else ():
            values = case["lattices"][lattice]
            for kind, label in (("measured", "reconstructed"), ("snapshots", "its snapshots")):
                formulas = (values[f"{kind}_{way}_thz"] for way in ("eq6", "classical", "quantum"))
                rows.append(
                    [f"{HBN[name]}, {size}, {lattice}: {label}"]
                    + [", ".join(f"{v:.1f}" for v in way) for way in formulas]
                )
    return table(["TA, LA, TO, LO [THz]", "eq. 6", "force fit, classical", "force fit, quantum"], rows)


def table(head: list[str], rows: list[list[str]]) -> str:
    """Markdown."""
    lines = [head, ["---"] * len(head), *rows]
    return "\n".join("| " + " | ".join(line) + " |" for line in lines)


def _pair(shell: dict[str, Any]) -> str:
    if shell["csm"] is None:
        return "–"
    return f"{shell['csm']:.3f} / {shell['lsm']:.2f}"


def _shells(case: dict[str, Any], figure: str, form: str) -> str:
    values = case["lattices"]["all"]
    texts = []
    for shell in ("nearest", "next"):
        value = values["shells"][shell][figure]
        texts.append(f"{shell} {'–' if value is None else format(value, form)}")
    low, high = values["nearest_intervals"][figure]
    if low is not None:
        texts[0] += f" (95 %: {low:.2f}–{high:.2f})"
    return ", ".join(texts)


def _rms(case: dict[str, Any]) -> str:
    return f"{case['lattices']['all']['rms_displacement_pm']:.2f}"


def _share(case: dict[str, Any]) -> str:
    values = case["lattices"]["all"]
    return f"{values['nearest_to_self']:.0%} (truth {values['true_nearest_to_self']:.0%})"


def _depth(case: dict[str, Any]) -> str:
    return f"{case['depth_resolution_angstrom']:.0f}"


def _debye_waller(case: dict[str, Any]) -> str:
    values = case["lattices"]
    return "; ".join(
        f"{values[lattice]['measured_b_pm2']:.0f} (truth {values[lattice]['snapshots_b_pm2']:.0f})"
        for lattice in LATTICES
    )
