from __future__ import annotations

import threading

import numpy as np
import pytest

import caviar_kit as ck
from caviar_kit.widgets.live_view import LiveView
from tests.adapter.problems import planted


class Clock:
    def __init__(self):
        self.now, self.cost = 0.0, 0.0

    def __call__(self):
        self.now += self.cost  # what lies between two looks at the clock
        return self.now


@pytest.fixture(scope="module")
def ptycho():
    return planted(2, num_object_states=3)[0].reconstruct(max_iter=3, one_state_iter=2, progress_bar=False)


def test_pictures_come_at_most_twice_a_second_and_take_a_fifth_of_the_time(ptycho):
    clock = Clock()
    view = LiveView(clock=clock)
    assert view.due
    view.show(ptycho, ptycho.object, ptycho.probe)
    assert not view.due
    clock.now += 0.49
    assert not view.due
    clock.now += 0.02
    assert view.due
    clock.cost = 2.0  # a slow machine
    view.show(ptycho, ptycho.object, ptycho.probe)
    drawn, clock.cost = clock.now, 0.0
    clock.now = drawn + 7.9
    assert not view.due
    clock.now = drawn + 8.1
    assert view.due


def test_shows_the_scanned_field_and_the_curves(ptycho):
    view = LiveView()
    view.show(ptycho, ptycho.object, ptycho.probe)
    phase, probe, loss, diversity, *_ = view.figure().axes
    scanned = ptycho.scan_positions_angstrom
    left, right, bottom, top = phase.images[0].get_extent()
    assert right - left == pytest.approx(np.ptp(scanned[:, 1]) + 2, abs=3 * ptycho.sampling[1])
    assert bottom - top == pytest.approx(np.ptp(scanned[:, 0]) + 2, abs=3 * ptycho.sampling[0])
    np.testing.assert_array_equal(loss.lines[0].get_ydata(), ptycho.error_iterations)
    assert loss.get_yscale() == "log" and probe.images[0].get_array().max() == pytest.approx(1)
    ((iteration, value),) = view._view.diversity
    window = np.array(ptycho.object.shape[-2:])
    assert iteration == 5 and 0 < value < 4 * ck.state_diversity(ptycho.object)
    assert diversity.lines[0].get_ydata()[0] == pytest.approx(1e3 * value) and window.min() > 0


def test_no_text_needs_mathtext(ptycho):
    """Its parser serves one thread at a time, and a worker draws."""
    view = LiveView()
    view.show(ptycho, ptycho.object, ptycho.probe)
    figure = view.figure()
    figure.canvas.draw()
    texts = [t.get_text() for t in figure.findobj(lambda artist: hasattr(artist, "get_text"))]
    assert len(texts) > 20 and not any("$" in text for text in texts)


def test_diversity_is_kept_from_one_picture_to_the_next_until_a_fresh_start():
    ptycho, view = planted(2, num_object_states=2)[0], LiveView()
    for snapshot in ptycho.iterate(max_iter=2, one_state_iter=2):
        view.show(ptycho, snapshot.object, snapshot.probe)
    iterations, values = zip(*view._view.diversity, strict=True)
    assert iterations == (1, 2, 3, 4) and values[:2] == (0, 0) and min(values[2:]) > 0
    assert view.shown.options == ("mean of the states", "state 0", "state 1")
    view.clear(keep_curves=True)
    assert len(view._view.diversity) == 4 and view.due
    view.clear()
    assert view._view.diversity == ()


def test_a_choice_that_is_gone_falls_back_to_the_mean(ptycho):
    view = LiveView()
    view.show(ptycho, ptycho.object, ptycho.probe)
    view.shown.value = "state 2"
    view.show(ptycho, ptycho.object, ptycho.probe)
    assert view.shown.value == "state 2"
    view.show(ptycho, ptycho.object[:2], ptycho.probe)
    assert view.shown.value == "mean of the states"
    view.show(ptycho, ptycho.object[:1], ptycho.probe)
    assert view.shown.options == ("one state",)


def test_drawn_by_two_threads_at_once(ptycho):
    view, errors = LiveView(), []
    view.show(ptycho, ptycho.object, ptycho.probe)
    expected = view.png()

    def work():
        try:
            for _ in range(3):
                view.show(ptycho, ptycho.object, ptycho.probe)
                view.figure()
        except Exception as error:
            errors.append(error)

    threads = [threading.Thread(target=work) for _ in range(2)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(60)
    assert not errors
    assert view.png() == expected
