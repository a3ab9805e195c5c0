"""Parts in threads: same results, one hook, and nothing that outlives a failure or keeps a process."""

from __future__ import annotations

import subprocess
import sys
import threading

import pytest

from caviar_kit.multislice.shares import in_threads

HELD = """
import sys, threading
from caviar_kit.multislice.shares import in_threads
held = threading.Event()

def part(hook):
    hook()

def wait():
    held.set()
    threading.Event().wait()

threading.Thread(target=in_threads, args=([part] * 3, wait), daemon=True).start()
assert held.wait(60)
print("leaving")
"""


@pytest.mark.parametrize("count", [1, 2, 5])
def test_results_are_in_order_and_the_hook_is_called_here_only(count):
    here, threads = threading.current_thread(), []
    parts = [lambda hook, n=n: hook() or n for n in range(count)]
    assert in_threads(parts, lambda: threads.append(threading.current_thread())) == list(range(count))
    assert threads == [here]


def test_what_the_hook_raises_ends_the_other_parts():
    started, laps = threading.Event(), []

    def endless(hook):
        while True:
            hook()
            laps.append(0)
            started.set()

    def interrupt():
        assert started.wait(60)
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        in_threads([lambda hook: hook(), endless], interrupt)
    assert laps  # and it has come back


def test_what_another_part_raises_comes_out():
    def fail(hook):
        raise ValueError("bad part")

    with pytest.raises(ValueError, match="bad part"):
        in_threads([lambda hook: 1, fail], None)


def test_a_process_can_exit_while_the_hook_waits():
    done = subprocess.run([sys.executable, "-c", HELD], capture_output=True, text=True, timeout=100)
    assert done.returncode == 0 and "leaving" in done.stdout
