"""All the work of a scan position, compiled by Numba, with FFTW called from inside.

One call without Python in it per direction: threads run side by side, and a wave stays in the
processor's cache from the probe to the detector. Waves of a position are (states, modes, ...), so
that a state's patch of the object serves all its modes while it is near.
"""

from __future__ import annotations

import math

import numpy as np
from llvmlite import ir
from numba.core import types
from numba.extending import intrinsic

from caviar_kit.multislice.jit import compiled

__all__ = ["backward", "forward"]


@intrinsic
def _call_fftw(context, execute, plan, wave):  # type: ignore[no-untyped-def]
    """``execute(plan, wave, wave)`` of the C function at address ``execute``."""

    def codegen(context, builder, signature, arguments):  # type: ignore[no-untyped-def]
        pointer = ir.IntType(8).as_pointer()
        function = ir.FunctionType(ir.VoidType(), [pointer, pointer, pointer]).as_pointer()
        address, plan, wave = arguments
        plan, wave = (builder.inttoptr(value, pointer) for value in (plan, wave))
        builder.call(builder.inttoptr(address, function), [plan, wave, wave])
        return context.get_dummy_value()

    return types.void(types.intp, types.intp, types.intp), codegen


@compiled
def forward(  # type: ignore[no-untyped-def]
    fftw,
    spectrum,
    fractions,
    frequencies_y,
    frequencies_x,
    ramp_y,
    ramp_x,
    transmission,
    corners,
    transfers,
    probe,
    inner,
    far,
    intensity,
):
    """Probe to detector.

    Parameters
    ----------
    fftw : (3,) int
        :class:`caviar_kit.fftw.Address`.
    spectrum : (modes, y, x) complex
        Of the probe, divided by pixels.
    fractions : (positions, 2) float64
        What the probe is moved by [pixel] inside the window.
    frequencies_y, frequencies_x : (y,), (x,) float64
        [1/pixel].
    ramp_y, ramp_x : (positions, y), (positions, x) complex
        Receive the factors that do it.
    transmission : (states, slices, Y, X) complex
    corners : (positions, 2) int
        Of the windows.
    transfers : (gaps, 1 or positions, y, x) complex
    probe : (positions, modes, y, x) complex
        Receives the shifted probe.
    inner : (positions, states, modes, gaps, y, x) complex
        Receives the waves that enter slices 1, 2, ...
    far : (positions, states, modes, y, x) complex
        Receives the waves at the detector.
    intensity : (positions, y, x) real
        Receives the sum of their squares.
    """
    execute, to_reciprocal, to_real = fftw[0], fftw[1], fftw[2]
    last = transmission.shape[1] - 1
    for p in range(corners.shape[0]):
        tilt = p if transfers.shape[1] > 1 else 0
        _ramp(frequencies_y, fractions[p, 0], ramp_y[p])
        _ramp(frequencies_x, fractions[p, 1], ramp_x[p])
        for m in range(spectrum.shape[0]):
            _shift(spectrum[m], ramp_y[p], ramp_x[p], probe[p, m])
            _call_fftw(execute, to_real, probe[p, m].ctypes.data)
        intensity[p] = 0
        for s in range(transmission.shape[0]):
            for m in range(spectrum.shape[0]):
                wave = probe[p, m]
                for z in range(last):
                    _transmit(wave, transmission[s, z], corners[p], inner[p, s, m, z])
                    wave = inner[p, s, m, z]
                    _call_fftw(execute, to_reciprocal, wave.ctypes.data)
                    _multiply(wave, transfers[z, tilt])
                    _call_fftw(execute, to_real, wave.ctypes.data)
                _transmit(wave, transmission[s, last], corners[p], far[p, s, m])
                _call_fftw(execute, to_reciprocal, far[p, s, m].ctypes.data)
                _add_square(far[p, s, m], intensity[p])


@compiled
def backward(  # type: ignore[no-untyped-def]
    fftw,
    residual,
    ramp_y,
    ramp_x,
    transmission,
    corners,
    transfers,
    probe,
    inner,
    far,
    object_gradient,
    phase_gradients,
    shifted,
    spectrum_gradient,
):
    """Detector to probe, through the waves that :func:`forward` left, which are used up.

    Parameters as there, and

    Parameters
    ----------
    residual : (positions, y, x) real
        What ``far`` is multiplied by: twice the derivative in the intensity.
    object_gradient : (states, slices, Y, X) complex
        Receives, in addition, the gradient in the transmission functions.
    phase_gradients : (positions, gaps, y, x) real
        Receives, if not empty, the gradient in the phase of each transfer function, times pixels.
    shifted : (positions, modes, y, x) complex
        Receives the gradient in the shifted probe's spectrum, times pixels.
    spectrum_gradient : (modes, y, x) complex
        Receives, in addition, that in the probe's, times pixels.
    """
    execute, to_reciprocal, to_real = fftw[0], fftw[1], fftw[2]
    for p in range(corners.shape[0]):
        tilt = p if transfers.shape[1] > 1 else 0
        shifted[p] = 0
        for s in range(transmission.shape[0]):
            for m in range(probe.shape[1]):
                wave = far[p, s, m]
                _scale(wave, residual[p])
                for z in range(transmission.shape[1] - 1, 0, -1):
                    incident = inner[p, s, m, z - 1]
                    _call_fftw(execute, to_real, wave.ctypes.data)
                    _pull(wave, transmission[s, z], corners[p], incident, object_gradient[s, z])
                    _call_fftw(execute, to_reciprocal, wave.ctypes.data)
                    if phase_gradients.size:
                        _call_fftw(execute, to_reciprocal, incident.ctypes.data)
                        _add_overlap(wave, incident, phase_gradients[p, z - 1])
                    _multiply_conjugate(wave, transfers[z - 1, tilt])
                _call_fftw(execute, to_real, wave.ctypes.data)
                _pull(wave, transmission[s, 0], corners[p], probe[p, m], object_gradient[s, 0])
                _add(wave, shifted[p, m])
        for m in range(probe.shape[1]):
            _call_fftw(execute, to_reciprocal, shifted[p, m].ctypes.data)
            _unshift(shifted[p, m], ramp_y[p], ramp_x[p], spectrum_gradient[m])


# Point-wise work on (y, x) arrays: rows first, so that the innermost loop is contiguous ------


@compiled
def _ramp(frequencies, fraction, out):  # type: ignore[no-untyped-def]
    """exp(-2πi k · fraction)."""
    for n in range(out.size):
        angle = 2 * math.pi * frequencies[n] * fraction
        out[n] = complex(math.cos(angle), -math.sin(angle))


@compiled
def _shift(spectrum, ramp_y, ramp_x, out):  # type: ignore[no-untyped-def]
    for y in range(out.shape[0]):
        source, target, factor = spectrum[y], out[y], ramp_y[y]
        for x in range(target.size):
            target[x] = source[x] * (factor * ramp_x[x])


@compiled
def _unshift(shifted, ramp_y, ramp_x, out):  # type: ignore[no-untyped-def]
    for y in range(out.shape[0]):
        source, target, factor = shifted[y], out[y], ramp_y[y]
        for x in range(target.size):
            target[x] += source[x] * np.conj(factor * ramp_x[x])


@compiled
def _transmit(incident, slice_, corner, out):  # type: ignore[no-untyped-def]
    for y in range(out.shape[0]):
        source, target = incident[y], out[y]
        patch = slice_[corner[0] + y, corner[1] : corner[1] + target.size]
        for x in range(target.size):
            target[x] = source[x] * patch[x]


@compiled
def _pull(wave, slice_, corner, incident, gradient):  # type: ignore[no-untyped-def]
    """Gradient in the slice, and from the exit to the incident wave."""
    for y in range(wave.shape[0]):
        row, source = wave[y], incident[y]
        patch = slice_[corner[0] + y, corner[1] : corner[1] + row.size]
        total = gradient[corner[0] + y, corner[1] : corner[1] + row.size]
        for x in range(row.size):
            value = row[x]
            total[x] += value * np.conj(source[x])
            row[x] = value * np.conj(patch[x])


@compiled
def _multiply(wave, factor):  # type: ignore[no-untyped-def]
    for y in range(wave.shape[0]):
        row, by = wave[y], factor[y]
        for x in range(row.size):
            row[x] *= by[x]


@compiled
def _multiply_conjugate(wave, factor):  # type: ignore[no-untyped-def]
    for y in range(wave.shape[0]):
        row, by = wave[y], factor[y]
        for x in range(row.size):
            row[x] *= np.conj(by[x])


@compiled
def _scale(wave, factor):  # type: ignore[no-untyped-def]
    for y in range(wave.shape[0]):
        row, by = wave[y], factor[y]
        for x in range(row.size):
            row[x] = row[x] * by[x]


@compiled
def _add(wave, out):  # type: ignore[no-untyped-def]
    for y in range(wave.shape[0]):
        row, total = wave[y], out[y]
        for x in range(row.size):
            total[x] += row[x]


@compiled
def _add_square(wave, out):  # type: ignore[no-untyped-def]
    for y in range(wave.shape[0]):
        row, total = wave[y], out[y]
        for x in range(row.size):
            total[x] += row[x].real * row[x].real + row[x].imag * row[x].imag


@compiled
def _add_overlap(gradient, incident, out):  # type: ignore[no-untyped-def]
    """-Im conj(gradient) · incident."""
    for y in range(gradient.shape[0]):
        row, other, total = gradient[y], incident[y], out[y]
        for x in range(row.size):
            total[x] += row[x].imag * other[x].real - row[x].real * other[x].imag
