"""The bell: one ring or many wake the waiting thread once, from any thread, also after closing."""

from __future__ import annotations

import threading

from agent.mqtt.bell import Bell


def test_a_ring_before_the_wait_is_not_lost_and_heard_once() -> None:
    bell = Bell()
    for _ in range(100_000):  # more than a pipe holds
        bell.ring()
    bell.wait(None)
    bell.wait(0)
    bell.close()


def test_another_thread_wakes_the_waiting_one() -> None:
    bell = Bell()
    woken = threading.Event()

    def wait() -> None:
        bell.wait(None)
        woken.set()

    waiting = threading.Thread(target=wait)
    waiting.start()
    bell.ring()
    assert woken.wait(30)
    waiting.join()
    bell.close()


def test_ringing_a_closed_bell_is_harmless() -> None:
    bell = Bell()
    bell.close()
    bell.close()
    bell.ring()
