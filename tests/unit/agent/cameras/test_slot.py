from __future__ import annotations

import threading

from hypothesis import given
from hypothesis import strategies as st

from agent.cameras.slot import FrameSlot
from tests.unit.agent.cameras.clips import frame

DEADLINE = 30.0


@given(steps=st.lists(st.booleans(), max_size=200))
def test_every_frame_is_taken_or_dropped_or_waits_and_their_order_is_kept(steps: list[bool]) -> None:
    told: list[int] = []
    slot = FrameSlot(keep_all=False, on_ready=lambda: told.append(1))
    put, taken = 0, []
    for is_put in steps:
        if is_put:
            assert slot.put(frame(put))
            put += 1
        elif (came := slot.take()) is not None:
            taken.append(came.sequence)
    waiting = 0 if slot.take() is None else 1
    assert len(taken) + slot.dropped + waiting == put == len(told)
    assert taken == sorted(set(taken))


def test_the_newest_frame_is_the_one_that_waits() -> None:
    slot = FrameSlot(keep_all=False, on_ready=lambda: None)
    for sequence in range(3):
        slot.put(frame(sequence))
    newest = slot.take()
    assert newest is not None
    assert newest.sequence == 2
    assert slot.dropped == 2
    assert slot.take() is None


def test_with_keep_all_a_slow_taker_gets_every_frame() -> None:
    ready = threading.Semaphore(0)
    slot = FrameSlot(keep_all=True, on_ready=ready.release)
    putter = threading.Thread(target=lambda: [slot.put(frame(sequence)) for sequence in range(200)])
    putter.start()
    taken = []
    for _ in range(200):
        assert ready.acquire(timeout=DEADLINE)
        came = slot.take()
        assert came is not None
        taken.append(came.sequence)
    putter.join(DEADLINE)
    assert taken == list(range(200))
    assert slot.dropped == 0


def test_closing_releases_who_waits_to_put_and_leaves_the_frame_that_waits() -> None:
    slot = FrameSlot(keep_all=True, on_ready=lambda: None)
    slot.put(frame(0))
    results: list[bool] = []
    putter = threading.Thread(target=lambda: results.append(slot.put(frame(1))))
    putter.start()
    slot.close()
    putter.join(DEADLINE)
    assert results == [False]
    assert not slot.put(frame(2))
    waiting = slot.take()
    assert waiting is not None
    assert waiting.sequence == 0
    assert slot.take() is None
