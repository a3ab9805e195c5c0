"""A burst of changes is one action."""

from __future__ import annotations

import asyncio

import pytest

from caviar_kit.widgets.waiting import Waiting


def test_acts_at_once_without_an_event_loop():
    calls = []
    waiting = Waiting(lambda: calls.append(1))
    waiting.call()
    waiting.call({"new": 3})
    assert len(calls) == 2


def test_waits_for_rest_within_an_event_loop():
    calls = []

    async def burst():
        done = asyncio.Event()
        waiting = Waiting(lambda: (calls.append(1), done.set()), seconds=0.01)
        for _ in range(5):
            waiting.call()
        assert not calls
        await done.wait()
        for _ in range(3):
            await asyncio.sleep(0.01)

    asyncio.run(burst())
    assert len(calls) == 1


def test_a_pause_ends_with_one_action():
    calls = []
    waiting = Waiting(lambda: calls.append(1))
    with pytest.raises(ValueError), waiting.paused():
        waiting.call()
        waiting.call()
        assert not calls
        raise ValueError
    assert len(calls) == 1
    waiting.call()
    assert len(calls) == 2
