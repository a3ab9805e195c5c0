"""The explorer's choices: clicks, shells, axes, slices, intervals, results without a truth, files."""

from __future__ import annotations

import io
import json
from xml.etree import ElementTree

import numpy as np
import pytest
from matplotlib.axes import Axes
from matplotlib.backend_bases import MouseEvent
from matplotlib.quiver import Quiver
from PIL import Image

import caviar_kit as ck
from tests.ensembles import ensemble

PM2 = 1e4


@pytest.fixture
def explorer() -> ck.widgets.CorrelationExplorer:
    return ck.widgets.CorrelationExplorer(ensemble(states=8))


def followed(slices: int | None = 3, states: int = 7) -> np.ndarray:
    """Positions (states, [slices,] atoms, 2) [Å] of a square field of 16 atoms, turned by 20°."""
    rng = np.random.default_rng(3)
    turn = np.radians(20)
    places = 2.0 * np.stack(np.indices((4, 4)), axis=-1).reshape(-1, 2)
    places = places @ np.array([[np.cos(turn), np.sin(turn)], [-np.sin(turn), np.cos(turn)]])
    shape = (states, 16, 2) if slices is None else (states, slices, 16, 2)
    return places + 0.06 * rng.standard_normal(shape)


def press(explorer, ax: Axes, place, button: int = 1) -> None:
    """A press of a mouse button at a place (y, x) [Å] of the canvas's own figure."""
    canvas = explorer.picture.canvas
    canvas.draw()
    x, y = ax.transData.transform(place[::-1])
    canvas.callbacks.process("button_press_event", MouseEvent("button_press_event", canvas, x, y, button))


def shown_axes(explorer) -> list[Axes]:
    return [ax for ax in explorer.picture.canvas.figure.axes if isinstance(ax, Axes)]


@pytest.mark.parametrize("panel", [0, 1])
@pytest.mark.parametrize("atom", [0, 7, 10])
def test_a_click_chooses_the_nearest_atom(explorer, panel, atom):
    explorer.radius.value = explorer.radius.max
    explorer.reference.value = 5
    place = explorer.result.positions[atom] + [0.5, -0.6]
    press(explorer, shown_axes(explorer)[panel], place)
    assert explorer.reference.value == atom
    assert f"atom {atom}" in shown_axes(explorer)[0].get_title()


def test_other_buttons_and_clicks_beside_the_axes_choose_nothing(explorer):
    explorer.reference.value = 5
    press(explorer, shown_axes(explorer)[0], explorer.result.positions[0], button=3)
    press(explorer, shown_axes(explorer)[0], (-50.0, -50.0))
    assert explorer.reference.value == 5


def test_select_is_a_click_in_a_script(explorer):
    explorer.select(*explorer.result.positions[9])
    assert explorer.reference.value == 9


@pytest.mark.parametrize("shell", ["self", "nearest", "next", "all"])
def test_shells_are_those_of_the_package(explorer, shell):
    explorer.shell.value, explorer.reference.value = shell, 0
    expected = ck.vibrations.neighbour_shells(explorer.result.positions).mask(shell)[0]
    assert sorted(row["atom"] for row in explorer.neighbours()) == np.flatnonzero(expected).tolist()
    drawn = [a for a in explorer.figure().axes[0].collections if isinstance(a, Quiver)]
    assert len(drawn[0].U) == expected.sum()
    assert explorer.radius.disabled == (shell != "self")


def test_intervals_are_those_of_the_package(explorer):
    explorer.reference.value = 4
    expected = ck.tensor_intervals(explorer.result.displacements)
    for row in explorer.neighbours():
        for name, a, b in (("xx", 1, 1), ("xy", 1, 0), ("yx", 0, 1), ("yy", 0, 0)):
            assert row[f"{name} low"] == pytest.approx(PM2 * expected.low[4, a, row["atom"], b])
            assert row[f"{name} high"] == pytest.approx(PM2 * expected.high[4, a, row["atom"], b])
    means = ck.shell_intervals(explorer.result.displacements, explorer.result.positions)
    along = [PM2 * end[1, 1, 1] for end in (means.value, means.low, means.high)]
    assert f"{along[0]:.1f}" in explorer.page.value
    assert "[{:.1f}, {:.1f}]".format(*along[1:]) in explorer.page.value
    explorer.intervals.value = False
    assert "[" not in explorer.page.value.split("<pre>")[0] and not any(
        "xx low" in row for row in explorer.neighbours()
    )


def test_local_axes_are_those_of_the_lattice():
    found = ck.AtomicDisplacements(followed(None))
    explorer = ck.widgets.CorrelationExplorer(found)
    axes = ck.fit_lattice(found.mean_positions).axes
    assert abs(axes[1] @ [0, 1]) < 0.99  # not those of the image
    explorer.axes.value, explorer.reference.value = "lattice", 5
    turned = PM2 * ck.rotate_axes(ck.greens_tensor(found.displacements), axes)
    ends = ck.tensor_intervals(found.displacements @ axes.T)
    assert explorer.neighbours()
    for row in explorer.neighbours():
        assert row["xy"] == pytest.approx(turned[5, 1, row["atom"], 0])
        assert row["yy high"] == pytest.approx(PM2 * ends.high[5, 0, row["atom"], 0])
    assert "x′y′" in explorer.page.value
    given = ck.widgets.CorrelationExplorer(found, lattice=ck.fit_lattice(found.mean_positions))
    given.axes.value, given.reference.value = "lattice", 5
    assert given.table() == explorer.table()


def test_atoms_without_a_lattice_are_told_in_the_panel():
    four = np.random.default_rng(0).normal(0, 0.05, (5, 4, 2)) + [[0, 0], [1, 5], [7, 2], [3, 9]]
    explorer = ck.widgets.CorrelationExplorer(ck.AtomicDisplacements(four))
    explorer.axes.value = "lattice"
    assert "positions must hold at least 6 atoms" in explorer.message.value
    assert not explorer.page.value and "image/png" not in explorer._repr_mimebundle_()
    explorer.axes.value = "image"
    assert not explorer.message.value and "pm²" in explorer.page.value


def test_slices_can_be_chosen_where_they_were_followed():
    found = ck.AtomicDisplacements(followed())
    explorer = ck.widgets.CorrelationExplorer({"slices": found, "flat": ensemble()})
    assert explorer.slices.max == 2 and explorer.slices.layout.display is None
    explorer.reference.value = 5
    for first, last in ((0, 2), (1, 2), (2, 2)):
        explorer.slices.value = (first, last)
        tensor = ck.greens_tensor(found.displacements[:, first : last + 1])
        row = explorer.neighbours()[0]
        assert row["yx"] == pytest.approx(PM2 * tensor[5, 0, row["atom"], 1])
    assert explorer.provenance()["slices"] == [2, 2]
    explorer.dataset.value = "flat"
    assert explorer.slices.layout.display == "none" and explorer.neighbours()


def test_without_truth_there_is_one_picture():
    explorer = ck.widgets.CorrelationExplorer(ck.AtomicDisplacements(followed(None)))
    assert len(shown_axes(explorer)) == 1
    assert not any(key.startswith("true") for key in explorer.neighbours()[0])
    assert "truth" not in explorer.page.value and "true" not in explorer.picture.caption.value


def test_atoms_of_an_atomistic_fit_may_lie_above_each_other():
    tracked = np.repeat(followed(None), 2, axis=1)  # two sites in each column
    tracked = tracked + 0.01 * np.random.default_rng(1).standard_normal(tracked.shape)
    one = np.ones(1)
    fit = ck.atomistic.AtomisticResult(
        *(tracked, np.full(32, "Si"), np.ones((32, 1)), one, one, np.ones(32, bool), one, one),
        loss_name="poisson",
        seconds=1.0,
    )
    explorer = ck.widgets.CorrelationExplorer({"fit": fit})
    assert explorer.radius.value > 2  # from the distance of columns, not of the sites of one
    assert explorer.provenance()["loss"] == "poisson" and explorer.result is fit
    explorer.reference.value = 4
    assert [row["atom"] for row in explorer.neighbours()][0] == 5
    tensor = PM2 * fit.greens_tensor
    assert explorer.neighbours()[3]["xx"] == tensor[4, 1, explorer.neighbours()[3]["atom"], 1]


def test_correlations_alone_have_no_intervals():
    found = ck.AtomicDisplacements(followed(None)).correlations()
    explorer = ck.widgets.CorrelationExplorer(found)
    assert explorer.intervals.disabled and set(explorer.neighbours()[0]) == {
        *("atom", "distance", "xx", "xy", "yx", "yy")
    }
    assert explorer.result is found


def test_lost_atoms_are_left_out_pair_by_pair():
    tracked = followed()
    tracked[:, 0, 5] = np.nan
    tracked[:, 1:, 6] = np.nan  # 5 and 6 share no slice
    explorer = ck.widgets.CorrelationExplorer(ck.AtomicDisplacements(tracked))
    explorer.reference.value = 5
    row = next(row for row in explorer.neighbours() if row["atom"] == 6)
    assert np.isnan(row["xx"]) and "<td>–</td>" in explorer.page.value
    assert sum(np.isfinite(row["xx"]) for row in explorer.neighbours()) == len(explorer.neighbours()) - 1
    tracked[:, :, 3] = np.nan
    with pytest.raises(ValueError, match=r"atoms \[3\] were seen in no state"):
        ck.widgets.CorrelationExplorer(ck.AtomicDisplacements(tracked))


def test_table_as_text_holds_the_rows(explorer):
    explorer.reference.value = 4
    for separator in ("\t", ","):
        heads, *lines = explorer.table(separator).splitlines()
        names = [head.removesuffix(" (pm²)") for head in heads.split(separator)]
        rows = [dict(zip(names, map(float, line.split(separator)), strict=True)) for line in lines]
        assert [row["atom"] for row in rows] == [row["atom"] for row in explorer.neighbours()]
        assert rows[0]["true yy"] == pytest.approx(explorer.neighbours()[0]["true yy"], rel=1e-5)
    assert 'download="correlations_si_sigma9_md_atom4.csv"' in explorer.page.value


def test_exported_files_tell_their_origin(explorer, tmp_path):
    explorer.reference.value, explorer.shell.value = 4, "nearest"
    root = ElementTree.fromstring(explorer.export(tmp_path / "a.svg").read_bytes())
    told = root.find(".//{http://purl.org/dc/elements/1.1/}description").text
    assert json.loads(told) == explorer.provenance()
    assert explorer.provenance()["reference atom"] == 4
    picture = Image.open(io.BytesIO(explorer.export(tmp_path / "a.png").read_bytes()))
    assert json.loads(picture.text["Description"]) == explorer.provenance()
    assert ck.__version__ in picture.text["Software"] and "atom 4" in picture.text["Title"]
    assert explorer.export(tmp_path / "b.svg").read_bytes() == (tmp_path / "a.svg").read_bytes()
    assert sorted(path.name for path in tmp_path.iterdir()) == ["a.png", "a.svg", "b.svg"]


@pytest.mark.parametrize("kind", ["svg", "png"])
def test_export_buttons_make_links(explorer, kind):
    button = explorer.files.buttons[kind]
    assert button.description == f"Export {kind.upper()}"
    button.click()
    assert f'download="correlations_si_sigma9_md_atom5.{kind}"' in explorer.files.links.value
    explorer.reference.value = 0
    assert not explorer.files.links.value  # a link to another picture than the one shown would mislead


@pytest.mark.parametrize("wrong, kind", [("a.jpg", ValueError), (3, TypeError)])
def test_refuses_files_of_other_kinds(explorer, wrong, kind):
    with pytest.raises(kind, match="path must"):
        explorer.export(wrong)


def test_refuses_what_is_no_lattice():
    with pytest.raises(TypeError, match="lattice must be a Lattice"):
        ck.widgets.CorrelationExplorer(ensemble(), lattice=np.eye(2))
