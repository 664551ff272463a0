"""The terminal shows what is wrong and what the hardware tells, and no more than it tells."""

from __future__ import annotations

from rich.console import Console

from agent.page.ports import AgentState
from agent.page.top import table
from tests.fakes.page import FakeAgent


def shown(state: AgentState) -> str:
    console = Console(width=160)
    with console.capture() as capture:
        console.print(table(state))
    return capture.get()


def test_heat_throttling_and_shedding_are_shown() -> None:
    text = shown(FakeAgent().state)
    assert "96 °C tj-thermal, CPU 50%, gpu 98%, 14.2 W VDD_IN" in text
    assert "throttled: gpu-throttle-alert" in text
    assert "50% of the frames are taken: tj-thermal is at 96.5 degrees, hot from 94.0 on" in text


def test_what_is_wrong_with_the_broker_is_shown() -> None:
    assert "broker 192.0.2.1:1883: nothing listens there; start it" in shown(FakeAgent().state)


def test_of_hardware_that_does_not_tell_there_is_no_line() -> None:
    state = FakeAgent().state
    health = state.health.model_copy(update={"telemetry": None, "shedding": None})
    assert not [
        word
        for word in ("°C", "CPU", "throttled", "frames")
        if word in shown(state.model_copy(update={"health": health}))
    ]
