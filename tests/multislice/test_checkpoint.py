"""A fit that was interrupted, and goes on from a file as if nothing had happened."""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np
import pytest

from caviar_kit.multislice import AmplitudeLoss, Checkpoint, FitSettings, PoissonLoss, load_checkpoint, run
from tests.multislice.problems import aperture, evaluator, model

LBFGS = FitSettings(num_states=2, one_state_iter=2, thinned_iter=2, max_iter=3, history=2, seed=3)
FITS = {
    "lbfgs": LBFGS,
    "adam": replace(LBFGS, optimizer="adam", batch_size=5),
    "stochastic start": replace(LBFGS, stochastic_iter=2, batch_size=5, warp_slices_together=False),
    "complex": replace(LBFGS, object_type="complex"),
    "probe and positions": replace(LBFGS, refine=("probe", "positions")),
    "aberrations first": replace(LBFGS, refine_first="aberrations"),
    "instrument": replace(LBFGS, refine=("tilt", "thickness", "beam", "background")),
    "held out": replace(LBFGS, held_out_fraction=0.3),
    "patience": replace(LBFGS, held_out_fraction=0.3, patience=1, max_iter=14, thermal_rms_angstrom=0.07),
    "adam, patience": replace(
        LBFGS, optimizer="adam", step_size=0.3, batch_size=5, held_out_fraction=0.3, patience=1
    ),
}
PROBE = aperture((12, 15), 2, np.complex64)
SCAN = np.array([[y, x] for y in (6.0, 7.3, 8.9, 10.2) for x in (7.0, 8.5, 9.7, 11.1)])


def geometry(**changes):
    return model(positions=SCAN, **changes)


def engine(**changes):
    return evaluator(geometry(), dtype=np.float32, **changes)


def outcome(snapshots):
    return [
        (s.stage, s.iteration, s.loss, s.held_out_loss, s.object.tobytes(), s.probe.tobytes())
        for s in snapshots
    ]


@pytest.mark.parametrize("settings", FITS.values(), ids=FITS)
def test_a_fit_resumed_after_any_iteration_is_the_undisturbed_one_bit_for_bit(settings, tmp_path):
    undisturbed = []
    for n, snapshot in enumerate(run(engine(), PROBE, settings)):
        snapshot.checkpoint().save(tmp_path / f"{n}.npz")
        undisturbed.append(snapshot)
    assert len({s.stage for s in undisturbed}) >= 3
    expected, last = outcome(undisturbed), undisturbed[-1]
    for n in range(len(undisturbed)):
        resumed = list(run(engine(), PROBE, settings, resume=load_checkpoint(tmp_path / f"{n}.npz")))
        assert outcome(resumed) == expected[n:]
        assert resumed[-1].losses == last.losses
        for name in ("positions", "slopes", "thicknesses", "beam"):
            found, true = getattr(resumed[-1].instrument, name), getattr(last.instrument, name)
            np.testing.assert_array_equal(found, true)


def test_patience_ends_early_in_these_tests():
    """Else the test above would not see the checkpoint of a stage that went back to its best."""
    for name in ("patience", "adam, patience"):
        iterations = [s.iteration for s in run(engine(), PROBE, FITS[name])]
        assert len(set(iterations)) < len(iterations)


@pytest.mark.parametrize("name", ["lbfgs", "adam"])
def test_a_checkpoint_keeps_what_it_held_while_the_fit_goes_on(name):
    steps = run(engine(), PROBE, FITS[name])
    next(steps)
    checkpoint = next(steps).checkpoint()
    rest = outcome(steps)
    assert outcome(run(engine(), PROBE, FITS[name], resume=checkpoint))[1:] == rest


def test_a_snapshot_of_the_past_has_no_checkpoint():
    steps = run(engine(), PROBE, LBFGS)
    first = next(steps)
    assert isinstance(first.checkpoint(), Checkpoint)
    next(steps)
    with pytest.raises(RuntimeError, match="gone on after iteration 1"):
        first.checkpoint()
    assert first.object.shape[0] == 1  # its result stays


def test_a_generator_that_was_closed_still_has_its_checkpoint():
    steps = run(engine(), PROBE, LBFGS)
    next(steps)
    latest = next(steps)
    rest = outcome(run(engine(), PROBE, LBFGS))[2:]
    steps.close()
    assert outcome(run(engine(), PROBE, LBFGS, resume=latest.checkpoint()))[1:] == rest


@dataclass(frozen=True)
class Shrink:
    """A penalty, with an array inside: representations of arrays are cut short."""

    weights: np.ndarray

    def value_and_gradient(self, field):
        return float((self.weights * field**2).sum()), 2 * self.weights * field


def shrink(last):
    weights = np.full((18, 22), 1e-6, np.float32)
    weights[7, 7] = last
    return Shrink(weights)


WEIGHTS = np.ones((12, 15), np.float32)
WEIGHTS[3, 4] = 0
OTHERS = {
    "seed": {"settings": replace(LBFGS, seed=4)},
    "iterations": {"settings": replace(LBFGS, max_iter=4)},
    "penalty": {"settings": replace(LBFGS, constraints=(shrink(1e-6),))},
    "data": {"evaluator": engine(seed=5)},
    "loss": {"evaluator": engine(loss=PoissonLoss())},
    "weights": {"evaluator": engine(weights=WEIGHTS)},
    "precision": {"evaluator": evaluator(geometry(), dtype=float), "probe": PROBE.astype(complex)},
    "thickness": {"evaluator": evaluator(geometry(thicknesses=(3.0, 4.5, 2.5)), dtype=np.float32)},
    "scan": {"evaluator": evaluator(model(positions=SCAN + 0.01), dtype=np.float32)},
    "probe": {"probe": np.roll(PROBE, 1, axis=-1)},
    "object": {"initial_object": np.full((1, 4, 18, 22), 1j, np.complex64)},
}


@pytest.mark.parametrize("change", OTHERS.values(), ids=OTHERS)
def test_a_checkpoint_of_another_fit_is_refused(change):
    checkpoint = next(run(engine(), PROBE, LBFGS)).checkpoint()
    arguments = {"evaluator": engine(), "probe": PROBE, "settings": LBFGS} | change
    with pytest.raises(ValueError, match="belongs to a fit of other data, or with other settings"):
        run(**arguments, resume=checkpoint)


def test_constraints_are_told_apart_by_what_they_hold():
    fit = replace(LBFGS, constraints=(shrink(1e-6),))
    checkpoint = next(run(engine(), PROBE, fit)).checkpoint()
    assert next(run(engine(), PROBE, replace(fit, constraints=(shrink(1e-6),)), resume=checkpoint))
    with pytest.raises(ValueError, match="other settings"):
        run(engine(), PROBE, replace(fit, constraints=(shrink(2e-6),)), resume=checkpoint)


@pytest.fixture
def file(tmp_path):
    path = tmp_path / "fit.npz"
    next(run(engine(), PROBE, LBFGS)).checkpoint().save(path)
    return path


def changed(path, **arrays):
    with np.load(path) as old:
        kept = {name: old[name] for name in old.files}
    np.savez(path, **(kept | arrays))


def test_a_missing_file_is_named(tmp_path):
    with pytest.raises(FileNotFoundError, match="none.npz"):
        load_checkpoint(tmp_path / "none.npz")


@pytest.mark.parametrize("keep", [0, 10, 0.3, 0.9, 0.999])
def test_a_truncated_file_is_refused(file, keep):
    whole = file.read_bytes()
    file.write_bytes(whole[: keep if isinstance(keep, int) else int(keep * len(whole))])
    with pytest.raises(ValueError, match="fit.npz is damaged or of another kind"):
        load_checkpoint(file)


def test_a_flipped_bit_is_noticed(file):
    data = bytearray(file.read_bytes())
    data[data.index(PROBE.tobytes()[:64]) + 20] ^= 1
    file.write_bytes(data)
    with pytest.raises(ValueError, match="damaged"):
        load_checkpoint(file)


@pytest.mark.parametrize(
    ("arrays", "message"),
    [
        ({"version": np.array(99)}, "checkpoint version 99, this release reads up to 1"),
        ({"version": np.array("one")}, "damaged or no checkpoint"),
        ({"progress": np.array("{")}, "damaged or no checkpoint"),
        ({"instrument/colour": np.zeros(3)}, "damaged or no checkpoint"),
    ],
)
def test_other_versions_and_nonsense_are_refused(file, arrays, message):
    changed(file, **arrays)
    with pytest.raises(ValueError, match=message):
        load_checkpoint(file)


def test_a_foreign_file_is_refused(tmp_path):
    np.savez(tmp_path / "foreign.npz", object=np.ones(3))
    with pytest.raises(ValueError, match="foreign.npz is damaged or of another kind"):
        load_checkpoint(tmp_path / "foreign.npz")


def test_a_failed_write_leaves_the_old_file(file, monkeypatch):
    old = file.read_bytes()

    def full(*args, **kwargs):
        args[0].write(b"half")
        raise OSError("no space left on device")

    monkeypatch.setattr(np, "savez", full)
    with pytest.raises(OSError, match="no space"):
        next(run(engine(), PROBE, LBFGS)).checkpoint().save(file)
    assert file.read_bytes() == old
    assert [p.name for p in file.parent.iterdir()] == ["fit.npz"]


def test_the_loss_of_the_objective_is_part_of_the_fingerprint_as_a_value():
    """Two instances of the same loss are the same fit."""
    checkpoint = next(run(engine(loss=AmplitudeLoss()), PROBE, LBFGS)).checkpoint()
    assert next(run(engine(loss=AmplitudeLoss()), PROBE, LBFGS, resume=checkpoint)).iteration == 1
