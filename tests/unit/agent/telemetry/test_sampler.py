"""The thread that asks the hardware: the newest is kept, and what hangs or breaks costs no one else."""

from __future__ import annotations

import threading
from collections.abc import Mapping

import pytest

from agent.telemetry.reading import Reader, Reading, Sensor
from agent.telemetry.sampler import Sampler


class Thermometer:
    """Reads what a test sets."""

    def __init__(self) -> None:
        self.celsius = 40.0
        self.broken = False
        self.gate = threading.Event()
        self.gate.set()
        self.asked = threading.Event()

    def read(self, now: float) -> Reading:
        self.asked.set()
        self.gate.wait()
        if self.broken:
            raise RuntimeError("a bug")
        return Reading(sensors={"chip": Sensor(self.celsius, 90.0)})


class Clock:
    def __init__(self) -> None:
        self.now = 1000.0

    def __call__(self) -> float:
        return self.now


def a_sampler(readers: Mapping[str, Reader], clock: Clock) -> Sampler:
    return Sampler(lambda: readers, interval=10.0, clock=clock)


def test_the_newest_is_told_until_it_is_three_intervals_old(caplog: pytest.LogCaptureFixture) -> None:
    clock, thermometer = Clock(), Thermometer()
    sampler = a_sampler({"thermal zones": thermometer}, clock)
    assert sampler.latest(clock.now) is None
    sampler.sample({"thermal zones": thermometer})
    told = sampler.latest(clock.now + 30)
    assert told is not None
    assert told.temperatures["chip"].celsius == 40.0
    assert caplog.text == ""
    assert sampler.latest(clock.now + 30.1) is None
    assert sampler.latest(clock.now + 31) is None
    assert caplog.text.count("thermal zones does not answer") == 1
    thermometer.celsius, clock.now = 50.0, clock.now + 60
    sampler.sample({"thermal zones": thermometer})
    told = sampler.latest(clock.now)
    assert told is not None
    assert told.temperatures["chip"].celsius == 50.0


def test_a_reader_that_breaks_costs_the_others_nothing(caplog: pytest.LogCaptureFixture) -> None:
    clock, well, broken = Clock(), Thermometer(), Thermometer()
    broken.broken = True
    sampler = a_sampler({}, clock)
    sampler.sample({"rapl": broken, "thermal zones": well})
    told = sampler.latest(clock.now)
    assert told is not None
    assert set(told.temperatures) == {"chip"}
    assert "rapl failed" in caplog.text


def test_a_driver_that_hangs_holds_up_neither_who_asks_nor_the_end() -> None:
    clock, thermometer = Clock(), Thermometer()
    thermometer.gate.clear()
    sampler = a_sampler({"thermal zones": thermometer}, clock)
    sampler.start()
    assert thermometer.asked.wait(10)
    assert sampler.latest(clock.now) is None
    sampler.close(timeout=0.0)
    thermometer.gate.set()


def test_where_the_hardware_cannot_be_looked_at_at_all_nothing_is_told(caplog: pytest.LogCaptureFixture) -> None:
    def find() -> Mapping[str, Reader]:
        raise RuntimeError("a bug")

    sampler = Sampler(find, interval=10.0)
    sampler.start()
    sampler.close(timeout=10.0)
    assert sampler.latest(0.0) is None
    assert "cannot be looked at" in caplog.text


def test_closing_ends_the_thread_between_two_looks() -> None:
    thermometer = Thermometer()
    sampler = Sampler(lambda: {"thermal zones": thermometer}, interval=3600.0)
    sampler.start()
    assert thermometer.asked.wait(10)
    sampler.close(timeout=10.0)
    assert not any(thread.name == "telemetry" and thread.is_alive() for thread in threading.enumerate())
