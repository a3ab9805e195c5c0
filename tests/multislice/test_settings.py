"""What a fit can be asked to do, and what is refused."""

from __future__ import annotations

import math

import pytest

from caviar_kit.multislice import FitSettings


def stages(**settings):
    return [(s.name, s.states, s.iterations) for s in FitSettings(**settings).stages]


def test_stages_follow_the_settings():
    assert stages(num_states=1, one_state_iter=9, max_iter=5) == [("one state", 1, 5)]
    assert stages(num_states=4, one_state_iter=0, max_iter=5) == [("states", 4, 5)]
    assert stages(num_states=4, one_state_iter=2, thinned_iter=3, max_iter=5) == [
        ("one state", 1, 2),
        ("thinned scan", 4, 3),
        ("states", 4, 5),
    ]


def test_a_stochastic_start_comes_first_with_one_state_and_the_object_alone():
    assert stages(num_states=1, stochastic_iter=4, max_iter=9, refine="tilt") == [
        ("stochastic start", 1, 4),
        ("object alone", 1, 5),
        ("one state", 1, 4),
    ]
    settings = FitSettings(num_states=3, stochastic_iter=4, one_state_iter=0, max_iter=5, refine="tilt")
    assert [(s.name, s.states, s.refine) for s in settings.stages] == [
        ("stochastic start", 1, ()),
        ("states", 3, ("tilt",)),
    ]
    assert settings.total_iterations == 9


def test_what_is_refined_first_is_kept_afterwards():
    settings = FitSettings(
        num_states=2, refine="positions", refine_first=("probe", "positions"), thinned_iter=1
    )
    assert [(s.refine, s.thinned) for s in settings.stages] == [
        ((), False),
        (("positions", "probe"), False),
        (("positions",), True),
        (("positions",), False),
    ]


def test_the_object_comes_before_other_unknowns():
    """The number of iterations stays what was asked for, and something is left for the others."""
    assert stages(num_states=1, max_iter=9, refine="positions") == [
        ("object alone", 1, 5),
        ("one state", 1, 4),
    ]
    assert stages(num_states=1, max_iter=3, refine="tilt") == [("object alone", 1, 2), ("one state", 1, 1)]
    assert stages(num_states=1, max_iter=9, refine="tilt", refine_after=0) == [("one state", 1, 9)]
    assert stages(num_states=3, one_state_iter=0, max_iter=9, refine="tilt") == [("states", 3, 9)]
    assert stages(num_states=3, one_state_iter=7, max_iter=9, refine_first="tilt") == [
        ("object alone", 1, 5),
        ("one state", 1, 2),
        ("states", 3, 9),
    ]


@pytest.mark.parametrize(
    ("changes", "error", "match"),
    [
        ({"num_states": 0}, ValueError, "num_states must be at least 1"),
        ({"num_states": 2.5}, TypeError, "num_states must be an integer"),
        ({"max_iter": -1}, ValueError, "max_iter must be at least 0"),
        ({"one_state_iter": None}, TypeError, "one_state_iter must be an integer"),
        ({"stochastic_iter": -1}, ValueError, "stochastic_iter must be at least 0"),
        ({"warp_slices_together": 1}, TypeError, "warp_slices_together must be True or False"),
        ({"object_type": "potential"}, ValueError, "object_type must be one of 'complex', 'phase'"),
        ({"optimizer": "sgd"}, ValueError, "optimizer must be one of 'adam', 'lbfgs'"),
        ({"batch_size": 0}, ValueError, "batch_size must be at least 1"),
        ({"step_size": 0}, ValueError, "step_size must be above 0"),
        ({"history": 0}, ValueError, "history must be at least 1"),
        ({"refine": 3}, TypeError, "refine must be a name or a sequence of names, got 3"),
        ({"constraints": 3}, TypeError, "constraints must be projections or penalties .* got int"),
        ({"refine": "lens"}, ValueError, "refine must be one of 'probe', 'aberrations', 'positions'"),
        ({"thermal_rms_angstrom": 7}, ValueError, r"thermal_rms_angstrom .* \[Å\].*atoms vibrate by"),
        ({"thermal_rms_angstrom": math.nan}, ValueError, "thermal_rms_angstrom"),
        ({"thermal_correlation_angstrom": 0}, ValueError, "thermal_correlation_angstrom must be above 0"),
        (
            {"thermal_correlation_angstrom": (0.5, 0)},
            ValueError,
            "thermal_correlation_angstrom must be above 0",
        ),
        ({"thermal_correlation_angstrom": ()}, ValueError, "thermal_correlation_angstrom must name"),
        ({"state_gain": 0}, ValueError, "state_gain must be above 0"),
        ({"refine": ("probe", "probe")}, ValueError, "refine must not name a quantity twice"),
        ({"refine": ("probe", "aberrations")}, ValueError, "a free probe has any phase"),
        ({"probe_window": 0.8}, ValueError, "constrain a refined probe"),
        ({"probe_aperture_mrad": 0.03, "refine": "probe"}, ValueError, "probe_aperture_mrad must be"),
        ({"held_out_fraction": 0.9}, ValueError, "held_out_fraction must be"),
        (
            {"patience": 3, "held_out_fraction": 0.1, "refine": "beam"},
            ValueError,
            "patience cannot go with refining beam",
        ),
        ({"patience": 3}, ValueError, "patience needs held_out_fraction"),
        ({"constraints": ("positivity",)}, TypeError, "constraints must be projections or penalties"),
        ({"seed": -1}, ValueError, "seed must be at least 0"),
        ({"seed": 1.5}, TypeError, "seed must be an integer"),
    ],
)
def test_bad_settings_are_refused(changes, error, match):
    with pytest.raises(error, match=match):
        FitSettings(**changes)


def test_automatic_batches_are_an_eighth_of_the_positions_within_limits():
    auto = FitSettings(optimizer="adam", batch_size="auto")
    assert [auto.batch(n) for n in (5, 100, 256, 10000)] == [8, 12, 32, 64]
    assert FitSettings(batch_size=7).batch(1000) == 7
    with pytest.raises(ValueError, match="batch_size must be one of 'auto'"):
        FitSettings(batch_size="large")
