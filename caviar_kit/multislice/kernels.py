"""The point-wise work of one pass, each kernel in a plain and, for NumPy arrays, a compiled form.

The plain forms run on NumPy and CuPy and define what the kernels do; the compiled ones
(Numba, if installed) do it in one sweep over memory and release the GIL.
All arrays are complex, shaped (..., y, x), and may be views into larger ones.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from caviar_kit.backend import array_module

__all__ = ["add_intensity", "adjoint_transmit"]

Array = Any

try:
    import numba
except ImportError:  # a bare GPU machine
    numba = None


def add_intensity(wave: Array, intensity: Array) -> None:
    """Add Σ |wave|² over the leading axes to the real ``intensity`` (y, x)."""
    if numba is not None and array_module(wave) is np:
        _add_intensity(wave.reshape(-1, *wave.shape[-2:]), intensity)
        return
    xp = array_module(wave)
    intensity += xp.sum((wave.real**2 + wave.imag**2).reshape(-1, *wave.shape[-2:]), axis=0)


def adjoint_transmit(wave: Array, patch: Array, incident: Array, gradient: Array) -> None:
    """Pull a gradient through ``exit = incident · patch``, both ways at once, in place.

    ``gradient += Σ_modes wave · conj(incident)`` and then ``wave *= conj(patch)``.

    Parameters
    ----------
    wave : (modes, states, y, x)
        Gradient with respect to the exit wave; overwritten by that of the incident wave.
    patch, gradient : (states, y, x)
    incident : (modes, states or 1, y, x)
    """
    if numba is not None and array_module(wave) is np:
        _adjoint_transmit(wave, patch, incident, gradient)
        return
    gradient += (wave * incident.conj()).sum(axis=0)
    wave *= patch.conj()


if numba is not None:
    _compile = numba.njit(
        nogil=True, fastmath={"contract", "reassoc", "nsz"}, error_model="numpy", cache=True
    )

    @_compile
    def _add_intensity(wave, intensity):  # type: ignore[no-untyped-def]
        for n in range(wave.shape[0]):
            for y in range(wave.shape[1]):
                row, total = wave[n, y], intensity[y]
                for x in range(row.size):
                    total[x] += row[x].real * row[x].real + row[x].imag * row[x].imag

    @_compile
    def _adjoint_transmit(wave, patch, incident, gradient):  # type: ignore[no-untyped-def]
        shared = incident.shape[1] == 1
        for m in range(wave.shape[0]):
            for s in range(wave.shape[1]):
                for y in range(wave.shape[2]):
                    inward = incident[m, 0 if shared else s, y]
                    row, obj, out = wave[m, s, y], patch[s, y], gradient[s, y]
                    for x in range(row.size):
                        value = row[x]
                        out[x] += value * np.conj(inward[x])
                        row[x] = value * np.conj(obj[x])
