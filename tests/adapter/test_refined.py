"""What users get of a refined instrument: places, tilt, beam; going on, saving, held-out losses."""

from __future__ import annotations

import matplotlib

matplotlib.use("Agg")

import numpy as np
import pytest
from matplotlib import pyplot as plt

import caviar_kit as ck
from caviar_kit.multislice import Evaluator, Instrument
from tests.adapter.problems import SAME_FRAME, SCAN, WINDOW, build, geometry, planted_object

ONE = {"num_object_states": 1}
QUIET = {"progress_bar": False}
rng = np.random.default_rng(0)
SHIFTS = rng.normal(scale=0.3, size=(SCAN[0] * SCAN[1], 2))
SHIFTS -= SHIFTS.mean(axis=0)
BEAM = np.exp(0.04 * np.sin(np.arange(len(SHIFTS)) * 1.3))


@pytest.fixture(scope="module")
def patterns():
    """Of a scan whose positions are off by 0.3 pixel and whose beam flickers by 3 %."""
    blank = geometry(**ONE)
    obj = planted_object(blank, 1)
    nominal = Instrument.nominal(blank._model)
    real = Instrument(nominal.positions + SHIFTS, nominal.slopes, nominal.thicknesses, BEAM)
    modelled = blank._evaluator("amplitude").intensities(obj, blank._unit_probe, instrument=real)
    return np.fft.fftshift(modelled, axes=(-2, -1)).reshape(*SCAN, WINDOW, WINDOW)


def prepared(patterns, **changes):
    return build(patterns, **{**ONE, **changes}).preprocess(**SAME_FRAME)


@pytest.fixture(scope="module")
def refined(patterns):
    return prepared(patterns).reconstruct(40, refine=("positions", "beam"), **QUIET)


def test_positions_are_the_refined_ones(patterns, refined):
    nominal = prepared(patterns)
    moved = (refined.scan_positions_angstrom - nominal.scan_positions_angstrom) / nominal.sampling
    assert np.sqrt(((moved - SHIFTS) ** 2).mean()) < 0.3 * np.sqrt((SHIFTS**2).mean())
    np.testing.assert_allclose(
        refined.instrument.positions * refined.sampling, refined.scan_positions_angstrom, atol=1e-4
    )


def test_beam_is_the_refined_one(refined):
    assert abs(refined.instrument.beam / BEAM / np.mean(refined.instrument.beam / BEAM) - 1).max() < 0.02


def test_without_refinement_the_instrument_is_the_nominal_one(patterns):
    plain = prepared(patterns)
    before = plain.scan_positions_angstrom
    plain.reconstruct(3, **QUIET)
    np.testing.assert_array_equal(plain.scan_positions_angstrom, before)
    np.testing.assert_array_equal(plain.instrument.beam, 1)


def test_instrument_before_preprocess_is_refused(patterns):
    with pytest.raises(ValueError, match="run preprocess"):
        _ = build(patterns, **ONE).instrument


def test_going_on_begins_with_the_refined_instrument(patterns):
    fit = prepared(patterns).reconstruct(30, refine="positions", **QUIET)
    places, losses = fit.instrument.positions, list(fit.error_iterations)
    fit.reconstruct(5, reset=False, **QUIET)
    np.testing.assert_array_equal(fit.instrument.positions, places)  # kept, as they are not refined now
    assert fit.error_iterations[len(losses)] < 1.01 * losses[-1]
    fit.reconstruct(5, reset=False, refine="positions", **QUIET)
    assert abs(fit.instrument.positions - places).max() > 0


def test_reset_begins_with_the_nominal_instrument(patterns):
    fit = prepared(patterns).reconstruct(8, refine=("positions", "beam"), **QUIET)
    first = fit.error_iterations
    fit.reconstruct(8, refine=("positions", "beam"), **QUIET)
    assert fit.error_iterations == first
    fit.preprocess(**SAME_FRAME)
    np.testing.assert_array_equal(fit.instrument.beam, 1)


def interrupted(self, *args, **kwargs):
    raise KeyboardInterrupt


@pytest.mark.parametrize("ending", ["interrupted", "refused", "never begun"])
def test_a_reset_that_comes_to_nothing_keeps_the_refined_instrument(patterns, tmp_path, monkeypatch, ending):
    fit = prepared(patterns).reconstruct(8, refine=("positions", "beam"), **QUIET)
    found, places = fit.instrument, fit.scan_positions_angstrom
    loss = fit._evaluator("amplitude").loss(fit.object, fit._unit_probe, instrument=found)
    if ending == "interrupted":
        with monkeypatch.context() as patch, pytest.raises(KeyboardInterrupt):
            patch.setattr(Evaluator, "loss_and_gradient", interrupted)
            fit.reconstruct(8, **QUIET)
    elif ending == "refused":
        (tmp_path / "fit.npz").write_bytes(b"no checkpoint")
        with pytest.raises(ValueError, match="fit.npz"):
            fit.reconstruct(8, checkpoint=tmp_path / "fit.npz", **QUIET)
    else:
        fit.iterate(8)
    assert fit.instrument is found
    np.testing.assert_array_equal(fit.scan_positions_angstrom, places)
    assert fit._evaluator("amplitude").loss(fit.object, fit._unit_probe, instrument=fit.instrument) == loss
    next(fit.iterate(8))  # and one that begins starts from the nominal scan
    np.testing.assert_array_equal(fit.scan_positions_angstrom, prepared(patterns).scan_positions_angstrom)
    np.testing.assert_array_equal(fit.instrument.beam, 1)


def test_a_saved_fit_goes_on_with_the_refined_instrument(patterns, tmp_path):
    """The same bits as if it had not been saved."""
    fit = prepared(patterns).reconstruct(
        12, refine=("positions", "tilt", "thickness", "beam", "background"), held_out_fraction=0.2, **QUIET
    )
    fit.save(tmp_path / "fit.h5")
    read = ck.read(tmp_path / "fit.h5")
    np.testing.assert_array_equal(read.scan_positions_angstrom, fit.scan_positions_angstrom)
    for name, value in vars(fit.instrument).items():
        np.testing.assert_array_equal(getattr(read.instrument, name), value)
    assert read.held_out_iterations == fit.held_out_iterations
    read.save(tmp_path / "again.h5")
    again = ck.read(tmp_path / "again.h5").attach_datacube(fit._datacube).preprocess(**SAME_FRAME)
    np.testing.assert_array_equal(again.instrument.positions, fit.instrument.positions)
    for one in (fit, again):
        one.reconstruct(4, reset=False, refine=("positions", "beam"), **QUIET)
    assert again.error_iterations == fit.error_iterations
    np.testing.assert_array_equal(again.object, fit.object)


def test_held_out_losses_are_kept_and_shown(patterns):
    fit = prepared(patterns).reconstruct(5, held_out_fraction=0.2, **QUIET)
    assert len(fit.held_out_iterations) == len(fit.error_iterations)
    assert np.isfinite(fit.held_out_iterations).all()
    fit.reconstruct(2, reset=False, **QUIET)
    assert np.isnan(fit.held_out_iterations).tolist() == [False] * 5 + [True] * 2
    fit.visualize()
    labels = [text.get_text() for ax in plt.gcf().axes if ax.get_legend() for text in ax.get_legend().texts]
    assert any("held-out" in label for label in labels)
    plt.close("all")


def test_gradient_descent_of_py4dstem_starts_afresh(patterns):
    fit = prepared(patterns).reconstruct(6, refine=("positions", "beam"), held_out_fraction=0.2, **QUIET)
    fit.reconstruct(2, method="gd", **QUIET)
    assert np.isnan(fit.held_out_iterations).all()
    assert len(fit.held_out_iterations) == len(fit.error_iterations)
    np.testing.assert_array_equal(fit.instrument.beam, 1)
