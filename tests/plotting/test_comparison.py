import numpy as np
import pytest

import caviar_kit as ck
from tests.ensembles import ensemble


def titles(figure):
    return [ax.get_title(loc="left") for ax in figure.axes]


def test_one_column_per_result_with_truth_below():
    figure = ck.plot.ensemble_comparison({"rest": ensemble(sway=0.0), "MD": ensemble()})
    assert titles(figure) == ["a  MD: mean phase", "b  rest", "c  MD", "", "rest: truth", "MD: truth"]
    assert "CSM 1.00, LSM 0.83" in figure.axes[2].get_xlabel()  # the truth is 1.2 times as large
    assert "at rest" in figure.axes[1].get_xlabel()


def test_arrows_of_all_panels_have_one_scale():
    figure = ck.plot.ensemble_comparison({"a": ensemble(), "b": ensemble(sway=0.03)})
    lengths = []
    for ax in (figure.axes[1], figure.axes[2]):
        quivers = [item for item in ax.collections if hasattr(item, "U")]
        lengths.append(max(np.hypot(q.U, q.V).max() for q in quivers[:2]))
    assert lengths[0] / lengths[1] == pytest.approx(4, rel=0.01)  # half the sway, a quarter of G


def test_the_reference_is_the_column_nearest_to_the_place():
    result = ensemble()
    figure = ck.plot.ensemble_comparison({"MD": result}, reference=(1.4, 1.6))
    star = figure.axes[0].collections[0].get_offsets()[0]
    np.testing.assert_allclose(star, result.positions[0][::-1])


@pytest.mark.parametrize("wrong", [None, ensemble(), {"a": 3}, [1]])
def test_refuses_what_is_no_mapping_of_results(wrong):
    with pytest.raises(TypeError, match="results must map titles"):
        ck.plot.ensemble_comparison(wrong)


@pytest.mark.parametrize("options", [{"reference": (np.nan, 0)}, {"reference": (1, 2, 3)}, {"radius": -1}])
def test_refuses_bad_arguments(options):
    with pytest.raises(ValueError, match=next(iter(options))):
        ck.plot.ensemble_comparison({"MD": ensemble()}, **options)


def test_refuses_nothing():
    with pytest.raises(ValueError, match="empty"):
        ck.plot.ensemble_comparison({})
